import CSodium
import Primitives

/// The two keys of a session, 16 bytes each.
package struct SessionKeys: Sendable {
    /// Seals what the initiator sends: the one that answered the challenge.
    package let initiator: [UInt8]
    /// Seals what the recipient sends: the one that issued the challenge.
    package let recipient: [UInt8]
}

/// The arithmetic of the handshake (discv5.1, "handshake").
package enum Handshake {
    package static let agreementText = Array("discovery v5 key agreement".utf8)
    package static let proofText = Array("discovery v5 identity proof".utf8)

    /// The session's keys from the shared point (33 bytes), by HKDF with the challenge data as salt.
    package static func keys(
        secret: [UInt8], initiator: Bytes32, recipient: Bytes32, challenge: [UInt8]
    ) -> SessionKeys {
        let digester = Digester()
        var output = [UInt8](repeating: 0, count: Digester.size)
        defer { sodium_memzero(&output, output.count) }
        output.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            digester.authenticate(key: challenge, count: challenge.count, to: base) { digester.add(secret) }
            digester.authenticate(key: base, count: Digester.size, to: base) {
                digester.add(agreementText)
                digester.add(initiator)
                digester.add(recipient)
                digester.add([1])
            }
        }
        return SessionKeys(initiator: Array(output[..<16]), recipient: Array(output[16...]))
    }

    /// What the initiator signs with its static key to prove it is who it says.
    package static func proofDigest(challenge: [UInt8], ephemeralKey: [UInt8], recipient: Bytes32) -> Bytes32 {
        let digester = Digester()
        digester.begin()
        digester.add(proofText)
        digester.add(challenge)
        digester.add(ephemeralKey)
        digester.add(recipient)
        return digester.finish()
    }
}

extension Session {
    /// The initiator's end, and the packet that brings it about: the proof of who `key` is, in answer to `challenge`,
    /// with `message` behind it. `localRecord` goes along unless it is empty. nil where the message is too long.
    static func answering(
        _ challenge: [UInt8], of remote: NodeRecord, with key: IdentityKey, localRecord: [UInt8], message: [UInt8],
        budget: TokenBucket, replacing old: Session?, random: inout RandomPool
    ) -> (session: Session, packet: [UInt8])? {
        let oneTime = OneTimeKey(from: &random.entropy)
        let point = oneTime.point
        guard var secret = oneTime.sharedSecret(with: remote.publicKey) else { return nil }
        defer { sodium_memzero(&secret, secret.count) }
        let keys = Handshake.keys(
            secret: secret, initiator: key.nodeID, recipient: remote.id, challenge: challenge)
        let signature = key.sign(
            Handshake.proofDigest(challenge: challenge, ephemeralKey: point, recipient: remote.id))
        var session = Session(
            with: remote, keys: keys, asInitiator: true, tail: random.next64(), budget: budget, replacing: old)
        let source = key.nodeID
        let packet = session.sealHandshake(
            message, authSize: PacketHeader.handshakeAuthSize + localRecord.count, iv: random.next16()
        ) { target in
            source.store(to: target)
            target.storeBytes(of: 64, toByteOffset: 32, as: UInt8.self)
            target.storeBytes(of: 33, toByteOffset: 33, as: UInt8.self)
            signature.withUnsafeBytes { Session.copy($0, to: target + 34) }
            point.withUnsafeBytes { Session.copy($0, to: target + 98) }
            localRecord.withUnsafeBytes { Session.copy($0, to: target + PacketHeader.handshakeAuthSize) }
        }
        return packet.map { (session, $0) }
    }

    /// The recipient's end: the handshake packet in `buffer` answers `challenge`, is signed by the owner of `remote`,
    /// and its message opens, which then lies in the buffer.
    static func opened(
        by data: HandshakeData, in buffer: inout PacketBuffer, _ header: PacketHeader, challenge: [UInt8],
        of remote: NodeRecord, with key: IdentityKey, tail: UInt64, budget: TokenBucket, replacing old: Session?
    ) throws(PacketError) -> Session {
        let digest = Handshake.proofDigest(
            challenge: challenge, ephemeralKey: data.ephemeralKey, recipient: key.nodeID)
        guard remote.publicKey.verifies(data.signature, digest: digest) else { throw .handshakeProof }
        guard var secret = key.sharedSecret(with: data.ephemeralPoint) else { throw .handshakeSizes }
        defer { sodium_memzero(&secret, secret.count) }
        let keys = Handshake.keys(
            secret: secret, initiator: remote.id, recipient: key.nodeID, challenge: challenge)
        var session = Session(
            with: remote, keys: keys, asInitiator: false, tail: tail, budget: budget, replacing: old)
        guard session.open(&buffer, header) == .confirming else { throw .decryption }
        return session
    }
}

/// The authdata of a handshake packet, taken apart.
struct HandshakeData {
    let signature: [UInt8]
    /// The initiator's one-time key, 33 bytes, and the same as a point.
    let ephemeralKey: [UInt8]
    let ephemeralPoint: CurvePoint
    /// The sender's record where it sent one.
    let record: [UInt8]?

    /// Reads source id (32) ‖ signature size (1) ‖ key size (1) ‖ signature ‖ key ‖ record.
    init(_ bytes: UnsafeRawBufferPointer) throws(PacketError) {
        let fixed = PacketHeader.handshakeAuthSize
        guard bytes.count >= fixed else { throw .authenticationDataSize }
        guard bytes[32] == 64, bytes[33] == 33 else { throw .handshakeSizes }
        signature = Array(bytes[34..<98])
        let key = UnsafeRawBufferPointer(rebasing: bytes[98..<fixed])
        guard let point = CurvePoint(compressed: key) else { throw .handshakeSizes }
        ephemeralKey = Array(key)
        ephemeralPoint = point
        record = bytes.count > fixed ? Array(bytes[fixed...]) : nil
    }
}
