import Primitives

/// Numbers and bytes out of text, without a string between.
enum ASCIINumber {
    /// Up to 64 hex digits, with or without 0x; nil for anything else.
    static func hex(_ text: UnsafeRawBufferPointer) -> UInt256? {
        var digits = withoutPrefix(text)[...]
        guard !digits.isEmpty, digits.count <= 64 else { return nil }
        // From the lowest word up, sixteen digits each.
        func nextWord() -> UInt64? {
            var word: UInt64 = 0
            for digit in digits.suffix(16) {
                guard let value = value(of: digit) else { return nil }
                word = word &<< 4 | UInt64(value)
            }
            digits = digits.dropLast(16)
            return word
        }
        guard let word3 = nextWord(), let word2 = nextWord(), let word1 = nextWord(), let word0 = nextWord() else {
            return nil
        }
        return UInt256(big: Bytes32(word0, word1, word2, word3))
    }

    /// Hex digits after 0x, or decimal ones; nil for anything else or what has more than 256 bits.
    static func integer(_ text: UnsafeRawBufferPointer) -> UInt256? {
        if text.starts(with: "0x".utf8) {
            let digits = withoutPrefix(text).drop { $0 == UInt8(ascii: "0") }
            guard text.count > 2 else { return nil }
            return digits.isEmpty ? .zero : hex(UnsafeRawBufferPointer(rebasing: digits))
        }
        guard !text.isEmpty else { return nil }
        var value = UInt256.zero
        var chunk: UInt64 = 0
        var factor: UInt64 = 1
        for digit in text {
            guard (0x30...0x39).contains(digit) else { return nil }
            chunk = chunk * 10 + UInt64(digit - 0x30)
            factor *= 10
            guard factor == 10_000_000_000_000_000_000 else { continue }
            guard let next = value.multiplied(by: factor, adding: chunk) else { return nil }
            (value, chunk, factor) = (next, 0, 1)
        }
        return value.multiplied(by: factor, adding: chunk)
    }

    static func uint64(_ text: UnsafeRawBufferPointer) -> UInt64? {
        integer(text).flatMap { $0 <= UInt256(.max) ? $0.big.word3 : nil }
    }

    /// An even number of hex digits, with or without 0x; nil for anything else.
    static func bytes(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        let digits = withoutPrefix(text)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var isHex = true
        let bytes = [UInt8](unsafeUninitializedCapacity: digits.count / 2) { buffer, count in
            count = digits.count / 2
            var index = digits.startIndex
            for place in 0..<count {
                let (high, low) = (value(of: digits[index]), value(of: digits[index &+ 1]))
                isHex = isHex && high != nil && low != nil
                buffer[place] = (high ?? 0) << 4 | (low ?? 0)
                index &+= 2
            }
        }
        return isHex ? bytes : nil
    }

    private static func withoutPrefix(_ text: UnsafeRawBufferPointer) -> Slice<UnsafeRawBufferPointer> {
        text[(text.starts(with: "0x".utf8) ? 2 : 0)...]
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are exactly the bytes of `text`.
    func equals(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { elementsEqual($0) }
    }
}
