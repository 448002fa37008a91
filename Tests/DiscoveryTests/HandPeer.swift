import Primitives
import Testing

@testable import Discovery

/// A peer driven by hand, packet by packet: what geth's black-box suite does to a node.
struct HandPeer {
    let key: IdentityKey
    let record: NodeRecord
    let endpoint: Endpoint
    let remote: Bytes32
    let remoteKey: PublicKey
    let remoteRecord: NodeRecord
    var entropy: Entropy
    var session: Session?

    init(_ seed: UInt64, at endpoint: Endpoint, against node: Discovery) throws {
        key = DiscoveryWorld.key(seed)
        record = try DiscoveryWorld.record(key, endpoint)
        self.endpoint = endpoint
        remote = node.key.nodeID
        remoteKey = node.key.publicKey
        remoteRecord = node.localRecord
        entropy = DiscoveryWorld.entropy(seed &+ 77)
    }

    private mutating func random() -> Random16 {
        let bytes = entropy.bytes32()
        return Random16(high: bytes.word0, low: bytes.word1)
    }

    /// An ordinary packet that nobody can read, of `size` bytes in all.
    mutating func stranger(size: Int = 99) -> [UInt8] {
        var mask = MaskCipher(to: remote)
        let (id, number) = (key.nodeID, entropy.bytes32())
        return PacketWriter.plain(
            iv: random(), flag: .ordinary,
            nonce: Nonce(counter: UInt32(truncatingIfNeeded: number.word0), tail: number.word1), authSize: 32,
            tail: entropy.bytes(size - 71), mask: &mask
        ) { id.store(to: $0) }.packet
    }

    /// A packet of a kind and size, well formed as far as anybody can see who knows no key; nil where the size is none
    /// of that kind. It claims to come from this peer.
    mutating func invented(_ flag: PacketFlag, size: Int) -> [UInt8]? {
        let authSize =
            switch flag {
            case .ordinary: PacketHeader.ordinaryAuthSize
            case .whoAreYou: PacketHeader.whoAreYouAuthSize
            case .handshake: min(PacketHeader.handshakeAuthSize + 120, size - PacketHeader.authStart - 16)
            }
        let tail = size - PacketHeader.authStart - authSize
        guard tail >= 0, flag != .handshake || authSize >= PacketHeader.handshakeAuthSize else { return nil }
        var mask = MaskCipher(to: remote)
        let (id, number) = (key.nodeID, entropy.bytes32())
        let rest = [64, 33] + entropy.bytes(max(0, authSize - 34))
        return PacketWriter.plain(
            iv: random(), flag: flag,
            nonce: Nonce(counter: UInt32(truncatingIfNeeded: number.word0), tail: number.word1), authSize: authSize,
            tail: entropy.bytes(tail), mask: &mask
        ) { target in
            for (index, byte) in (id.bytes + rest).prefix(authSize).enumerated() {
                target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
        }.packet
    }

    /// The handshake packet that answers `challenge` and carries `message`. `tamper` changes the authdata.
    mutating func handshake(
        _ challenge: [UInt8], _ message: [UInt8], withRecord: Bool = true, tamper: (inout [UInt8]) -> Void = { _ in }
    ) throws -> [UInt8] {
        let clear = try ClearPacket(opening: challenge, to: key.nodeID, key: nil)
        let data = clear.maskingIV + clear.header
        let ephemeral = IdentityKey(from: &entropy)
        let secret = try #require(ephemeral.sharedSecret(with: remoteKey))
        let digest = Handshake.proofDigest(
            challenge: data, ephemeralKey: ephemeral.publicKey.compressed, recipient: remote)
        var authData =
            key.nodeID.bytes + [64, 33] + key.sign(digest) + ephemeral.publicKey.compressed
            + (withRecord ? record.encoded : [])
        tamper(&authData)
        let keys = Handshake.keys(secret: secret, initiator: key.nodeID, recipient: remote, challenge: data)
        var session = Session(
            with: remoteRecord, keys: keys, asInitiator: true, tail: entropy.bytes32().word0,
            budget: TokenBucket(burst: 1, at: .zero), replacing: nil)
        let packet = session.sealHandshake(message, authSize: authData.count, iv: random()) { target in
            authData.withUnsafeBytes { Session.copy($0, to: target) }
        }
        self.session = session
        return try #require(packet)
    }

    /// A message in the session.
    mutating func seal(_ message: [UInt8]) throws -> [UInt8] {
        let iv = random()
        let packet = session?.seal(message, from: key.nodeID, iv: iv)
        return try #require(packet ?? nil)
    }

    /// A packet of the node as a message; nil if it is none that the session opens.
    mutating func open(_ packet: [UInt8]) -> Message? {
        var buffer = PacketBuffer()
        var mask = MaskCipher(to: key.nodeID)
        guard let header = try? buffer.unmask(packet, with: &mask), header.flag == .ordinary,
            session?.open(&buffer, header) != nil
        else { return nil }
        return try? buffer.message()
    }
}

extension Discovery {
    /// The first datagram that comes out for this one.
    mutating func first(_ packet: [UInt8], from endpoint: Endpoint, at now: Instant) throws -> [UInt8] {
        let replies = exchange(packet, from: endpoint, at: now)
        return try #require(replies.first)
    }

    /// Hands in a datagram and takes the datagrams that come out.
    mutating func exchange(_ packet: [UInt8], from endpoint: Endpoint, at now: Instant) -> [[UInt8]] {
        receive(packet, from: endpoint, at: now)
        return drain().compactMap { directive in
            guard case .send(let bytes, to: endpoint) = directive else { return nil }
            return bytes
        }
    }
}
