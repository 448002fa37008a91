/// An unsigned 256-bit integer: balances, storage values, radii. Only what the protocols need of arithmetic.
public struct UInt256: Hashable, Comparable, Sendable {
    /// The big-endian 32-byte form.
    public var big: Bytes32

    public init(big: Bytes32) { self.big = big }
    public init(_ value: UInt64) { big = Bytes32(0, 0, 0, value) }

    /// Zero.
    public static let zero = UInt256(0)
    /// 2^256 − 1.
    public static let max = UInt256(big: .max)

    /// Big-endian bytes, at most 32, leading zeros allowed; nil for more.
    public init?(bigEndian bytes: some Collection<UInt8>) {
        guard bytes.count <= 32 else { return nil }
        var big = Bytes32.zero
        for byte in bytes {
            big.word0 = big.word0 &<< 8 | big.word1 &>> 56
            big.word1 = big.word1 &<< 8 | big.word2 &>> 56
            big.word2 = big.word2 &<< 8 | big.word3 &>> 56
            big.word3 = big.word3 &<< 8 | UInt64(byte)
        }
        self.big = big
    }

    /// Little-endian 32 bytes, as SSZ has them.
    public init?(littleEndian bytes: some Collection<UInt8>) {
        guard bytes.count == 32, let big = Bytes32(Array(bytes.reversed())) else { return nil }
        self.big = big
    }

    /// Big-endian without leading zeros; empty for zero. RLP's integer.
    public var minimalBytes: [UInt8] {
        let zeros = big.leadingZeroBitCount / 8
        return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { buffer in
            if let base = buffer.baseAddress { big.store(to: base) }
            return Array(buffer[zeros...])
        }
    }

    /// 32 bytes, little endian.
    public var littleEndianBytes: [UInt8] { big.bytes.reversed() }

    public static func < (a: UInt256, b: UInt256) -> Bool { a.big < b.big }

    /// 2^exponent − 1 for exponent 0…256: the radius that covers an aligned arc of 2^exponent keys.
    public static func mask(bits exponent: Int) -> UInt256 {
        func word(_ low: Int) -> UInt64 {
            let bits = Swift.min(Swift.max(exponent - low, 0), 64)
            return bits == 64 ? .max : (UInt64(1) << UInt64(bits)) - 1
        }
        return UInt256(big: Bytes32(word(192), word(128), word(64), word(0)))
    }

    /// Quotient and remainder by a small divisor.
    func dividedBy(_ divisor: UInt64) -> (quotient: UInt256, remainder: UInt64) {
        var remainder: UInt64 = 0
        func step(_ word: UInt64) -> UInt64 {
            let (quotient, rest) = divisor.dividingFullWidth((remainder, word))
            remainder = rest
            return quotient
        }
        let result = Bytes32(step(big.word0), step(big.word1), step(big.word2), step(big.word3))
        return (UInt256(big: result), remainder)
    }

    /// self × factor + addend; nil on overflow.
    public func multiplied(by factor: UInt64, adding addend: UInt64) -> UInt256? {
        var carry = addend
        func step(_ word: UInt64) -> UInt64 {
            let (high, low) = word.multipliedFullWidth(by: factor)
            let (sum, overflow) = low.addingReportingOverflow(carry)
            carry = high + (overflow ? 1 : 0)
            return sum
        }
        let word3 = step(big.word3)
        let word2 = step(big.word2)
        let word1 = step(big.word1)
        let word0 = step(big.word0)
        return carry == 0 ? UInt256(big: Bytes32(word0, word1, word2, word3)) : nil
    }
}

extension UInt256: CustomStringConvertible {
    /// Decimal digits.
    public var description: String {
        var chunks: [String] = []
        var rest = self
        while rest != .zero {
            let (quotient, remainder) = rest.dividedBy(10_000_000_000_000_000_000)
            let digits = String(remainder)
            chunks.append(
                quotient == .zero ? digits : String(repeating: "0", count: 19 - digits.count) + digits)
            rest = quotient
        }
        return chunks.isEmpty ? "0" : chunks.reversed().joined()
    }

    /// Decimal digits, or hex digits after 0x (an odd number of them too); nil for anything else or an overflow.
    public init?(_ text: some StringProtocol) {
        let hex = text.hasPrefix("0x")
        let digits = hex ? text.dropFirst(2) : text.dropFirst(0)
        guard !digits.isEmpty else { return nil }
        var value = UInt256.zero
        for character in digits {
            guard let digit = hex ? character.hexDigitValue : character.wholeNumberValue, character.isASCII,
                let next = value.multiplied(by: hex ? 16 : 10, adding: UInt64(digit))
            else { return nil }
            value = next
        }
        self = value
    }
}
