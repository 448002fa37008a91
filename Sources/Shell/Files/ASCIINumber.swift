import Primitives

/// Numbers and bytes out of text, without a string between.
enum ASCIINumber {
    /// Up to 64 hex digits, with or without 0x; nil for anything else.
    static func hex(_ text: UnsafeRawBufferPointer) -> UInt256? {
        var digits = withoutPrefix(text)
        guard !digits.isEmpty, digits.count <= 64 else { return nil }
        if digits.count == 64 { return whole(UnsafeRawBufferPointer(rebasing: digits)) }
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

    /// Exactly 64 hex digits.
    private static func whole(_ digits: UnsafeRawBufferPointer) -> UInt256? {
        func word(_ index: Int) -> UInt64? {
            guard let high = four(digits, at: 16 * index), let low = four(digits, at: 16 * index + 8) else {
                return nil
            }
            return UInt64(UInt32(bigEndian: high)) << 32 | UInt64(UInt32(bigEndian: low))
        }
        guard let word0 = word(0), let word1 = word(1), let word2 = word(2), let word3 = word(3) else { return nil }
        return UInt256(big: Bytes32(word0, word1, word2, word3))
    }

    /// An even number of hex digits, with or without 0x; nil for anything else.
    static func bytes(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        let digits = UnsafeRawBufferPointer(rebasing: withoutPrefix(text))
        guard digits.count.isMultiple(of: 2) else { return nil }
        var isHex = true
        let bytes = [UInt8](unsafeUninitializedCapacity: digits.count / 2) { buffer, count in
            count = digits.count / 2
            let target = UnsafeMutableRawBufferPointer(buffer)
            var place = 0
            while place &+ 4 <= count, let four = four(digits, at: 2 &* place) {
                target.storeBytes(of: four, toByteOffset: place, as: UInt32.self)
                place &+= 4
            }
            // What is left, and whatever holds something else.
            while place < count {
                let (high, low) = (value(of: digits[2 &* place]), value(of: digits[2 &* place &+ 1]))
                isHex = isHex && high != nil && low != nil
                buffer[place] = (high ?? 0) << 4 | (low ?? 0)
                place &+= 1
            }
        }
        return isHex ? bytes : nil
    }

    /// The four bytes that eight hex digits at an offset stand for, in their order in memory; nil where one of the
    /// eight is no hex digit. All eight are looked at at once, one in each byte of a word.
    private static func four(_ text: UnsafeRawBufferPointer, at offset: Int) -> UInt32? {
        func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }
        let digits = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        // Bit 6 tells a letter (0x41…, 0x61…) from a digit (0x30…).
        let letters = digits >> 6 & each(1)
        let values = (digits & each(0x0f)) &+ letters &* 9
        // Of a letter bit 4 is clear; of a digit bits 4 and 5 are set.
        let haveForm =
            digits & each(0x80) == 0 && (digits >> 4 ^ digits >> 6) & each(1) == each(1)
            && (digits >> 5 | digits >> 6) & each(1) == each(1)
        // Letters are 10 to 15, digits up to 9.
        guard haveForm, values & each(0x10) == 0, (values &+ each(6)) >> 4 & each(1) == letters else { return nil }
        var bytes = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff
        bytes = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff
        return UInt32(truncatingIfNeeded: bytes | bytes >> 16).littleEndian
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
