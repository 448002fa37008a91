import Primitives

/// Choices, made by any generator: a seeded one, or fuzzed bytes.
extension RandomNumberGenerator {
    /// 0 ..< `count`, which is at least 1. Nearly even, which is enough here.
    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    /// One chance in `count`.
    mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    /// An index of a collection of this size; nil where it is empty.
    mutating func index(_ count: Int) -> Int? { count > 0 ? below(count) : nil }

    /// One of the items, each as likely as the other; nil where there is none.
    mutating func pick<Element>(_ items: [Element]) -> Element? { index(items.count).map { items[$0] } }

    /// Any byte.
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

    /// Any 32 bytes.
    mutating func hash() -> Bytes32 { Bytes32(next(), next(), next(), next()) }

    /// One bit of one byte turned; false where there is none.
    mutating func flipBit(of bytes: inout [UInt8]) -> Bool {
        guard let place = index(bytes.count) else { return false }
        bytes[place] ^= 1 << UInt8(below(8))
        return true
    }

    /// A key near `key`: the next, the one before, one bit away, or one that shares its beginning.
    mutating func neighbour(of key: Bytes32) -> Bytes32 {
        switch below(4) {
        case 0: return key.successor ?? key
        case 1: return key.predecessor ?? key
        case 2:
            var bytes = key.bytes
            _ = flipBit(of: &bytes)
            return Bytes32(bytes) ?? key
        default:
            let (fresh, kept) = (hash().bytes, below(32))
            return Bytes32(key.bytes.prefix(kept) + fresh.dropFirst(kept)) ?? key
        }
    }
}

/// Choices read from bytes, two for each, so that a fuzzer that changes a byte changes one choice; seeded once they are
/// used up.
struct ByteGenerator: RandomNumberGenerator {
    private let bytes: [UInt8]
    private var position = 0
    private var rest = SeededGenerator(seed: 0)

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether all bytes are read.
    var isAtEnd: Bool { position + 1 >= bytes.count }

    mutating func next() -> UInt64 {
        guard !isAtEnd else { return rest.next() }
        defer { position += 2 }
        return UInt64(bytes[position]) | UInt64(bytes[position + 1]) << 8
    }
}
