import Primitives

extension NodeRecord: CustomStringConvertible {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// "enr:" and the record in URL-safe base64 without padding.
    public var text: String {
        var characters = Array("enr:".utf8)
        var bits: UInt32 = 0
        var count = 0
        for byte in encoded {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                characters.append(NodeRecord.alphabet[Int(bits >> UInt32(count)) & 63])
            }
            bits &= (1 << UInt32(count)) - 1
        }
        if count > 0 { characters.append(NodeRecord.alphabet[Int(bits << UInt32(6 - count)) & 63]) }
        return String(decoding: characters, as: UTF8.self)
    }

    public var description: String { text }

    /// Reads the text form.
    public init(text: some StringProtocol) throws(NodeRecordError) {
        guard text.hasPrefix("enr:") else { throw .textPrefix }
        let characters = text.utf8.dropFirst(4)
        // 400 characters hold 300 bytes; longer text is not looked at.
        guard characters.count <= (DiscoveryLimits.recordSize * 8 + 5) / 6 + 2 else {
            throw .tooLarge(characters.count * 6 / 8)
        }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in characters {
            guard let value = NodeRecord.value(of: character) else { throw .textEncoding }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= (1 << UInt32(count)) - 1
            }
        }
        // Six bits over are a character too many; bits set among those left over would be a second spelling.
        guard count < 6, bits == 0 else { throw .textEncoding }
        try self.init(decoding: bytes)
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case 0x41...0x5a: character - 0x41
        case 0x61...0x7a: character - 0x61 + 26
        case 0x30...0x39: character - 0x30 + 52
        case 0x2d: 62
        case 0x5f: 63
        default: nil
        }
    }
}
