import Primitives

/// One end of a handshake without the machine round it: what is measured beside other implementations' codecs. It goes
/// through the machine's own code; nothing of one handshake is kept for the next.
package struct HandshakeEnd: Sendable {
    private let key: IdentityKey
    private let record: NodeRecord
    private var random: RandomPool
    private var buffer = PacketBuffer()
    private var mask: MaskCipher

    /// The end whose record is `record`, signed by `key`.
    package init(key: IdentityKey, record: NodeRecord, entropy: Entropy) {
        self.key = key
        self.record = record
        random = RandomPool(entropy)
        mask = MaskCipher(to: key.nodeID)
    }

    /// A WHOAREYOU to the node `id`, of whom no record is known: the packet's header in the clear.
    package mutating func challenge(to id: Bytes32) -> [UInt8] {
        var mask = MaskCipher(to: id)
        let idNonce = random.next16()
        let nonce = Nonce(counter: 1, tail: random.next64())
        return PacketWriter.plain(
            iv: random.next16(), flag: .whoAreYou, nonce: nonce, authSize: PacketHeader.whoAreYouAuthSize, tail: [],
            mask: &mask
        ) { target in
            idNonce.store(to: target)
            target.storeBytes(of: 0, toByteOffset: 16, as: UInt64.self)
        }.header
    }

    /// The handshake packet that answers `challenge` of the node `remote` with a PING and our record in it.
    package mutating func encode(answering challenge: [UInt8], of remote: NodeRecord) -> [UInt8]? {
        let message = Message.ping(RequestID(own: 1), sequence: record.sequence).encoded
        return Session.answering(
            challenge, of: remote, with: key, localRecord: record.encoded, message: message,
            budget: TokenBucket(burst: 1, at: .zero), replacing: nil, random: &random)?.packet
    }

    /// Opens a handshake packet that answers `challenge`: its record, its proof and its message verified.
    package mutating func decode(_ packet: [UInt8], answering challenge: [UInt8]) throws(PacketError) -> Message {
        let header = try buffer.unmask(packet, with: &mask)
        let source = buffer.sourceID
        let data = try buffer.handshake(header)
        guard let bytes = data.record, let remote = try? NodeRecord(decoding: bytes), remote.id == source else {
            throw .handshakeRecord
        }
        _ = try Session.opened(
            by: data, in: &buffer, header, challenge: challenge, of: remote, with: key, tail: random.next64(),
            budget: TokenBucket(burst: 1, at: .zero), replacing: nil)
        guard let message = try? buffer.message() else { throw .decryption }
        return message
    }
}
