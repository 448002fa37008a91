import Primitives

/// Text of an export while it is written: bytes without a string between.
struct ExportText {
    private(set) var bytes: [UInt8] = []
    private static let digits = Array("0123456789abcdef".utf8)
    /// Bytes turned into digits at once.
    private static let piece = 1_024

    /// Gives what was written and begins anew.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    mutating func add(_ text: StaticString) { text.withUTF8Buffer { bytes.append(contentsOf: $0) } }

    /// "0x and digits", in quotes.
    mutating func quoted(_ hash: Bytes32) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            if let base = scratch.baseAddress { hash.store(to: base) }
            quoted(UnsafeRawBufferPointer(scratch))
        }
    }

    /// The same of any bytes.
    mutating func quoted(_ content: UnsafeRawBufferPointer) {
        add("\"0x")
        var rest = content
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(ExportText.piece))
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * part.count) { text in
                ExportText.digits.withUnsafeBufferPointer { digits in
                    for (place, byte) in part.enumerated() {
                        text[2 &* place] = digits[Int(byte &>> 4)]
                        text[2 &* place &+ 1] = digits[Int(byte & 15)]
                    }
                }
                bytes.append(contentsOf: text)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func quoted(_ content: [UInt8]) { content.withUnsafeBytes { quoted($0) } }

    /// A number in hex without leading zeros, in quotes.
    mutating func quantity(_ value: UInt256) {
        add("\"0x")
        let digits = 64 - value.big.leadingZeroBitCount / 4
        ExportText.digits.withUnsafeBufferPointer { hex in
            for place in max(0, 64 - max(1, digits))..<64 { bytes.append(hex[value.big.nibble(place)]) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A number in decimal.
    mutating func number(_ value: UInt64) { append(value, digits: 1) }

    /// A number in decimal: balances are beyond what JSON's numbers hold.
    mutating func decimal(_ value: UInt256) {
        // Nineteen digits at a time, the lowest first; three times that is more than 2^128, five times more than 2^256.
        var groups: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
        let base: UInt64 = 10_000_000_000_000_000_000
        var words = value.big
        func next() -> UInt64 {
            var rest: UInt64 = 0
            func step(_ word: UInt64) -> UInt64 {
                let (quotient, remainder) = base.dividingFullWidth((rest, word))
                rest = remainder
                return quotient
            }
            words = Bytes32(step(words.word0), step(words.word1), step(words.word2), step(words.word3))
            return rest
        }
        guard words.word0 | words.word1 | words.word2 != 0 || words.word3 >= base else { return number(words.word3) }
        groups.0 = next()
        groups.1 = next()
        guard words != .zero else { return append([groups.1, groups.0]) }
        groups.2 = next()
        groups.3 = next()
        groups.4 = next()
        append(Array([groups.4, groups.3, groups.2, groups.1, groups.0].drop { $0 == 0 }))
    }

    private mutating func append(_ groups: [UInt64]) {
        for (place, group) in groups.enumerated() { append(group, digits: place == 0 ? 1 : 19) }
    }

    /// At least so many digits.
    private mutating func append(_ value: UInt64, digits: Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { text in
            var (rest, place) = (value, 20)
            while rest > 0 || 20 - place < digits {
                place -= 1
                text[place] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
            bytes.append(contentsOf: text[place...])
        }
    }
}
