/// 32 bytes as four big-endian words: a hash, a node id, or a key of the ring. Compares and sorts as its bytes do.
public struct Bytes32: Hashable, Comparable, Sendable {
    /// Words from the most significant to the least.
    public var word0, word1, word2, word3: UInt64

    @inlinable
    public init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// The lowest key: all bits zero.
    public static let zero = Bytes32(0, 0, 0, 0)
    /// The highest key: all bits one.
    public static let max = Bytes32(.max, .max, .max, .max)

    /// Reads 32 bytes at `pointer`.
    @inlinable
    public init(loading pointer: UnsafeRawPointer) {
        word0 = UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        word1 = UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        word2 = UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        word3 = UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    }

    /// nil unless exactly 32 bytes are given.
    @inlinable
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        self =
            bytes.withContiguousStorageIfAvailable { $0.baseAddress.map { Bytes32(loading: $0) } ?? .zero }
            ?? Array(bytes).withUnsafeBytes { $0.baseAddress.map { Bytes32(loading: $0) } ?? .zero }
    }

    /// Writes 32 bytes to `pointer`.
    @inlinable
    public func store(to pointer: UnsafeMutableRawPointer) {
        pointer.storeBytes(of: word0.bigEndian, toByteOffset: 0, as: UInt64.self)
        pointer.storeBytes(of: word1.bigEndian, toByteOffset: 8, as: UInt64.self)
        pointer.storeBytes(of: word2.bigEndian, toByteOffset: 16, as: UInt64.self)
        pointer.storeBytes(of: word3.bigEndian, toByteOffset: 24, as: UInt64.self)
    }

    /// The 32 bytes.
    @inlinable
    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            if let base = buffer.baseAddress { store(to: base) }
            count = 32
        }
    }

    /// Nibble `index`, 0 being the most significant half byte; 0 ≤ index < 64.
    @inlinable
    public func nibble(_ index: Int) -> Int {
        let word =
            switch index &>> 4 {
            case 0: word0
            case 1: word1
            case 2: word2
            default: word3
            }
        return Int(truncatingIfNeeded: (word &>> UInt64(60 &- 4 &* (index & 15))) & 15)
    }

    @inlinable
    public static func < (a: Bytes32, b: Bytes32) -> Bool {
        if a.word0 != b.word0 { return a.word0 < b.word0 }
        if a.word1 != b.word1 { return a.word1 < b.word1 }
        if a.word2 != b.word2 { return a.word2 < b.word2 }
        return a.word3 < b.word3
    }

    @inlinable
    public static func ^ (a: Bytes32, b: Bytes32) -> Bytes32 {
        Bytes32(a.word0 ^ b.word0, a.word1 ^ b.word1, a.word2 ^ b.word2, a.word3 ^ b.word3)
    }

    /// Zero bits before the first one bit; 256 for zero.
    @inlinable
    public var leadingZeroBitCount: Int {
        if word0 != 0 { return word0.leadingZeroBitCount }
        if word1 != 0 { return 64 + word1.leadingZeroBitCount }
        if word2 != 0 { return 128 + word2.leadingZeroBitCount }
        return 192 + word3.leadingZeroBitCount
    }

    /// The next key of the ring; nil after the last.
    @inlinable
    public var successor: Bytes32? {
        var next = self
        var carry: Bool
        (next.word3, carry) = next.word3.addingReportingOverflow(1)
        if carry { (next.word2, carry) = next.word2.addingReportingOverflow(1) }
        if carry { (next.word1, carry) = next.word1.addingReportingOverflow(1) }
        if carry { (next.word0, carry) = next.word0.addingReportingOverflow(1) }
        return carry ? nil : next
    }

    /// The key before this one; nil before the first.
    @inlinable
    public var predecessor: Bytes32? {
        guard self != .zero else { return nil }
        var borrow: Bool
        var previous = self
        (previous.word3, borrow) = previous.word3.subtractingReportingOverflow(1)
        if borrow { (previous.word2, borrow) = previous.word2.subtractingReportingOverflow(1) }
        if borrow { (previous.word1, borrow) = previous.word1.subtractingReportingOverflow(1) }
        if borrow { previous.word0 = previous.word0 &- 1 }
        return previous
    }
}

extension Bytes32: CustomStringConvertible {
    /// 0x and 64 hex digits.
    public var description: String { "0x" + Hex.encode(bytes) }

    /// The first four bytes in hex, for log lines.
    public var short: String { String(Hex.encode(bytes).prefix(8)) }

    /// Reads 64 hex digits, with or without 0x.
    public init?(hex text: some StringProtocol) {
        guard let bytes = Hex.decode(text) else { return nil }
        self.init(bytes)
    }
}
