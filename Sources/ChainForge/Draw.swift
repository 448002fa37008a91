import Primitives

/// Draws from a seeded stream. All in integers and in floating-point steps that IEEE 754 defines to the last bit, so
/// that a seed means one chain on every machine.
struct Draw {
    private var generator: SeededGenerator

    /// The stream of `seed` for one purpose: a kind of thing and its number.
    init(seed: UInt64, _ purpose: Purpose, _ number: Int = 0) {
        var mixer = SeededGenerator(seed: seed ^ (purpose.rawValue << 56))
        generator = SeededGenerator(seed: mixer.next() ^ UInt64(bitPattern: Int64(number)) &* 0xd134_2543_de82_ef95)
    }

    enum Purpose: UInt64 {
        case address = 1, account, storage, code, key, block, fork
    }

    mutating func word() -> UInt64 { generator.next() }

    /// 0 ..< bound, evenly but for less than bound / 2^64; 0 where bound is 0.
    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: generator.next().multipliedFullWidth(by: UInt64(max(bound, 0))).high)
    }

    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// Whether one of `count` equal chances came up.
    mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    /// 0 ..< 1.
    mutating func unit() -> Double { Double(generator.next() >> 11) / Double(1 << 53) }

    mutating func bytes32() -> Bytes32 { Bytes32(word(), word(), word(), word()) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: word().bigEndian) { bytes.append(contentsOf: $0) } }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// 0 ..< bound, the low ones far more often: the first thousandth of them gets a tenth of the draws.
    mutating func lowBelow(_ bound: Int) -> Int {
        let u = unit()
        return min(Int(Double(bound) * u * u * u), max(bound - 1, 0))
    }

    /// An amount in wei: an even draw of the order of magnitude first, then of the digits.
    mutating func wei(decimals: ClosedRange<Int>) -> UInt128 {
        var scale: UInt128 = 1
        for _ in 0..<within(decimals) { scale *= 10 }
        return UInt128(within(1...999)) * scale + UInt128(word()) % scale
    }

    /// A slot's value that is not zero. Flags and small counters, addresses, amounts, and full words (hashes, packed
    /// fields, text), in shares that are assumed.
    mutating func slotValue() -> UInt256 {
        switch below(100) {
        case ..<30: UInt256(UInt64(within(1...255)))
        case ..<45: UInt256(big: Bytes32(0, word() >> 32, word(), word()))
        case ..<80: UInt256(big: Bytes32(0, 0, word() >> UInt64(32 + below(31)), word()))
        default: UInt256(big: Bytes32(word() | 1 << 63, word(), word(), word()))
        }
    }
}

extension UInt256 {
    init(_ value: UInt128) {
        self.init(big: Bytes32(0, 0, UInt64(truncatingIfNeeded: value >> 64), UInt64(truncatingIfNeeded: value)))
    }
}
