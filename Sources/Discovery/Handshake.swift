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
        var extracted = hmac(key: challenge, secret)
        let information = agreementText + initiator.bytes + recipient.bytes + [1]
        var expanded = hmac(key: extracted, information)
        defer {
            sodium_memzero(&extracted, extracted.count)
            sodium_memzero(&expanded, expanded.count)
        }
        return SessionKeys(initiator: Array(expanded[..<16]), recipient: Array(expanded[16...]))
    }

    /// What the initiator signs with its static key to prove it is who it says.
    package static func proofDigest(challenge: [UInt8], ephemeralKey: [UInt8], recipient: Bytes32) -> Bytes32 {
        let input = proofText + challenge + ephemeralKey + recipient.bytes
        var digest = [UInt8](repeating: 0, count: 32)
        crypto_hash_sha256(&digest, input, UInt64(input.count))
        return Bytes32(digest) ?? .zero
    }

    private static func hmac(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var state = crypto_auth_hmacsha256_state()
        var output = [UInt8](repeating: 0, count: 32)
        crypto_auth_hmacsha256_init(&state, key, key.count)
        crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
        crypto_auth_hmacsha256_final(&state, &output)
        return output
    }
}

/// The authdata of a handshake packet, taken apart.
struct HandshakeData {
    let signature: [UInt8]
    let ephemeralKey: PublicKey
    /// The sender's record where it sent one.
    let record: [UInt8]?

    /// Reads source id (32) ‖ signature size (1) ‖ key size (1) ‖ signature ‖ key ‖ record.
    init(_ bytes: [UInt8]) throws(PacketError) {
        let fixed = PacketHeader.handshakeAuthSize
        guard bytes.count >= fixed else { throw .authenticationDataSize }
        guard bytes[32] == 64, bytes[33] == 33 else { throw .handshakeSizes }
        signature = Array(bytes[34..<98])
        guard let key = PublicKey(compressed: Array(bytes[98..<fixed])) else { throw .handshakeSizes }
        ephemeralKey = key
        record = bytes.count > fixed ? Array(bytes[fixed...]) : nil
    }
}
