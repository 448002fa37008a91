import Primitives

/// A packet with everything in it in the clear, for the test vectors: the machine itself never holds one. It goes
/// through the same codec.
package struct ClearPacket: Hashable, Sendable {
    /// 16 bytes.
    package var maskingIV: [UInt8]
    /// 0 ordinary, 1 WHOAREYOU, 2 handshake.
    package var flag: UInt8
    /// 12 bytes.
    package var nonce: [UInt8]
    package var authData: [UInt8]
    /// The decrypted message; empty for a WHOAREYOU.
    package var message: [UInt8]

    /// The static header and authdata without the mask.
    package private(set) var header: [UInt8]

    /// The first bytes of every header: "discv5" and version 1.
    package static let protocolBytes = PacketHeader.protocolBytes
    /// Bytes of the static header.
    package static let staticHeaderSize = PacketHeader.staticSize

    /// A packet of these parts, to be sealed; its `header` is not filled in.
    package init(maskingIV: [UInt8], flag: UInt8, nonce: [UInt8], authData: [UInt8], message: [UInt8]) {
        self.maskingIV = maskingIV
        self.flag = flag
        self.nonce = nonce
        self.authData = authData
        self.message = message
        header = []
    }

    /// Opens a packet to the node `destination`; `key` (16 bytes) decrypts its message.
    package init(opening packet: [UInt8], to destination: Bytes32, key: [UInt8]?) throws(PacketError) {
        var buffer = PacketBuffer()
        var mask = MaskCipher(to: destination)
        let found = try buffer.unmask(packet, with: &mask)
        let bytes = buffer.headerBytes(found)
        maskingIV = Array(bytes[..<PacketHeader.ivSize])
        header = Array(bytes[PacketHeader.ivSize...])
        flag = found.flag.rawValue
        nonce = Array(bytes[PacketHeader.nonceStart..<PacketHeader.nonceStart + 12])
        authData = Array(bytes[PacketHeader.authStart...])
        message = []
        guard found.flag != .whoAreYou else { return }
        guard let key, key.count == 16 else { throw .decryption }
        var cipher = MessageCipher(key: key, encrypts: false)
        guard buffer.open(found, with: &cipher) else { throw .decryption }
        message = Array(buffer.plaintext[..<buffer.plaintextCount])
    }

    /// The handshake's parts: id signature, ephemeral key, record.
    package func handshake() throws(PacketError) -> (signature: [UInt8], ephemeralKey: PublicKey, record: [UInt8]?) {
        let result = authData.withUnsafeBytes { bytes -> Result<HandshakeData, PacketError> in
            do throws(PacketError) {
                return .success(try HandshakeData(bytes))
            } catch {
                return .failure(error)
            }
        }
        let data = try result.get()
        return (
            data.signature, PublicKey(point: data.ephemeralPoint, compressed: data.ephemeralKey), data.record
        )
    }

    /// The packet again, masked for `destination` and sealed under `key`; nil where a part has a wrong size.
    package func sealed(to destination: Bytes32, key: [UInt8]?) -> [UInt8]? {
        guard maskingIV.count == 16, nonce.count == 12, let flag = PacketFlag(rawValue: flag) else { return nil }
        let iv = maskingIV.withUnsafeBytes {
            Random16(
                high: UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
        let number = nonce.withUnsafeBytes { $0.baseAddress.map { Nonce(loading: $0) } }
        guard let number else { return nil }
        var mask = MaskCipher(to: destination)
        let writeAuthData: (UnsafeMutableRawPointer) -> Void = { target in
            authData.withUnsafeBytes { Session.copy($0, to: target) }
        }
        guard flag != .whoAreYou else {
            return PacketWriter.plain(
                iv: iv, flag: flag, nonce: number, authSize: authData.count, tail: [], mask: &mask,
                authData: writeAuthData
            ).packet
        }
        guard let key, key.count == 16 else { return nil }
        var cipher = MessageCipher(key: key, encrypts: true)
        return PacketWriter.sealed(
            iv: iv, flag: flag, nonce: number, authSize: authData.count, messageSize: message.count, mask: &mask,
            cipher: &cipher, authData: writeAuthData,
            message: { target in message.withUnsafeBytes { Session.copy($0, to: target) } })
    }

    /// AES-128-GCM as messages are sealed: ciphertext and tag.
    package static func seal(_ message: [UInt8], key: [UInt8], nonce: [UInt8], data: [UInt8]) -> [UInt8]? {
        guard key.count == 16, nonce.count == 12 else { return nil }
        var cipher = MessageCipher(key: key, encrypts: true)
        var output = message + [UInt8](repeating: 0, count: MessageCipher.tagSize)
        let done = output.withUnsafeMutableBytes { target in
            nonce.withUnsafeBytes { nonce in
                data.withUnsafeBytes { data in
                    guard let base = target.baseAddress, let number = nonce.baseAddress else { return false }
                    return cipher.seal(base, count: message.count, nonce: number, data: data)
                }
            }
        }
        return done ? output : nil
    }
}
