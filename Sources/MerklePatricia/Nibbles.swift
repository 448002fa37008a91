import Primitives

/// A path in the trie: 0 to 64 nibbles, packed from the most significant nibble of a key on. Ordered as a dictionary
/// orders words, so a path stands before every path that continues it.
public struct Nibbles: Hashable, Sendable {
    /// The nibbles, then zeros: the lowest key under this path.
    @usableFromInline let padded: Bytes32
    @usableFromInline let length: UInt8

    @usableFromInline
    init(padded: Bytes32, length: UInt8) {
        self.padded = padded
        self.length = length
    }

    /// The path of no nibbles: the root's.
    public static let root = Nibbles(padded: .zero, length: 0)

    /// The first `count` nibbles of `key`; 0 ≤ count ≤ 64.
    @inlinable
    public init(_ key: Bytes32, count: Int = 64) {
        precondition(count >= 0 && count <= 64, "a path has at most 64 nibbles")
        self.init(padded: key.keepingNibbles(count), length: UInt8(truncatingIfNeeded: count))
    }

    /// One nibble a byte; nil for more than 64 of them or a byte above 15. Reads what `storeKey` writes.
    public init?(storeKey nibbles: some Collection<UInt8>) {
        guard nibbles.count <= 64 else { return nil }
        var (words, word, count) = (Bytes32.zero, UInt64(0), 0)
        for nibble in nibbles {
            guard nibble < 16 else { return nil }
            word = word &<< 4 | UInt64(nibble)
            count &+= 1
            if count & 15 == 0 {
                words = words.settingWord(count &>> 4 &- 1, word)
                word = 0
            }
        }
        if count & 15 != 0 { words = words.settingWord(count &>> 4, word &<< UInt64(64 &- 4 &* (count & 15))) }
        self.init(padded: words, length: UInt8(truncatingIfNeeded: count))
    }

    /// The same of bytes in place.
    public init?(storeKey nibbles: UnsafeRawBufferPointer) {
        guard let path = Nibbles(storeKey: nibbles[...]) else { return nil }
        self = path
    }

    // The 16^depth subtrees at a depth of 0 to 15 are the trie's *sections*, numbered in the order of their keys.

    /// How many sections there are at a depth: 16^depth.
    @inlinable
    public static func sectionCount(depth: Int) -> Int { 1 << (4 * depth) }

    /// The number of the section that a key lies in.
    @inlinable
    public static func section(of key: Bytes32, depth: Int) -> Int {
        Int(truncatingIfNeeded: key.word0 >> UInt64(64 - 4 * depth))
    }

    /// The path of a section, given its number.
    public init(section index: Int, depth: Int) {
        precondition((0...15).contains(depth), "a section has at most 15 nibbles, so that its number fits")
        precondition((0..<Nibbles.sectionCount(depth: depth)).contains(index), "a section's number")
        self.init(padded: Bytes32(UInt64(index) << UInt64(64 - 4 * depth), 0, 0, 0), length: UInt8(depth))
    }

    /// How many nibbles.
    @inlinable
    public var count: Int { Int(length) }

    /// Whether this is the root's path.
    public var isEmpty: Bool { length == 0 }

    /// Nibble `index`, 0…15; 0 ≤ index < count.
    @inlinable
    public subscript(index: Int) -> Int {
        precondition(index >= 0 && index < count, "a nibble of the path")
        return padded.nibble(index)
    }

    /// The first `count` nibbles, or all where there are fewer.
    @inlinable
    public func prefix(_ count: Int) -> Nibbles { count >= self.count ? self : Nibbles(padded, count: count) }

    /// The nibbles after the first `count`; none where there are not so many.
    public func dropFirst(_ count: Int) -> Nibbles {
        guard count < self.count else { return .root }
        return Nibbles(padded: padded.shiftedUp(nibbles: count), length: UInt8(self.count - count))
    }

    /// This path and one nibble more; the path has fewer than 64, 0 ≤ nibble < 16.
    @inlinable
    public func appending(_ nibble: Int) -> Nibbles {
        precondition(count < 64 && nibble >= 0 && nibble < 16, "room for a nibble")
        return Nibbles(padded: padded.settingNibble(count, nibble), length: length &+ 1)
    }

    /// This path and then another; together at most 64 nibbles.
    public func appending(_ other: Nibbles) -> Nibbles {
        precondition(count + other.count <= 64, "a path has at most 64 nibbles")
        return Nibbles(padded: padded.or(other.padded.shiftedDown(nibbles: count)), length: length + other.length)
    }

    /// Whether this path begins with all of `other`.
    @inlinable
    public func hasPrefix(_ other: Nibbles) -> Bool {
        count >= other.count && padded.keepingNibbles(other.count) == other.padded
    }

    /// The longest path both begin with.
    public func commonPrefix(_ other: Nibbles) -> Nibbles {
        prefix(Swift.min(padded.commonNibbles(other.padded), count, other.count))
    }

    /// Whether `key` is under this path.
    @inlinable
    public func contains(_ key: Bytes32) -> Bool { key.keepingNibbles(count) == padded }

    /// The lowest key under this path: padded with zeros.
    @inlinable
    public var lowestKey: Bytes32 { padded }

    /// The highest key under this path: padded with f.
    public var highestKey: Bytes32 {
        let ones = Bytes32.max.keepingNibbles(count)
        return padded.or(ones ^ .max)
    }

    /// One nibble a byte: as a store's key it sorts as the path does.
    public var storeKey: [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(count)
        appendStoreKey(to: &key)
        return key
    }

    /// The same behind other bytes.
    public func appendStoreKey(to key: inout [UInt8]) {
        for index in 0..<count { key.append(UInt8(truncatingIfNeeded: padded.nibble(index))) }
    }

    /// Hex-prefix encoding: a flag nibble (2 for a leaf, 1 for an odd number of nibbles), then the nibbles.
    public func compact(isLeaf: Bool) -> [UInt8] {
        let odd = !count.isMultiple(of: 2)
        var bytes: [UInt8] = [isLeaf ? 0x20 : 0]
        bytes.reserveCapacity(count / 2 + 1)
        if odd { bytes[0] |= 0x10 | UInt8(padded.nibble(0)) }
        for index in stride(from: odd ? 1 : 0, to: count, by: 2) {
            bytes.append(UInt8(padded.nibble(index) << 4 | padded.nibble(index + 1)))
        }
        return bytes
    }

    /// Reads a hex-prefix encoding of at most 64 nibbles; nil unless it is canonical.
    public static func decodingCompact(_ bytes: some Collection<UInt8>) -> (path: Nibbles, isLeaf: Bool)? {
        guard let first = bytes.first, first >> 4 < 4, bytes.count <= 33 else { return nil }
        let odd = first & 0x10 != 0
        guard odd || first & 0x0f == 0 else { return nil }
        guard !odd || bytes.count <= 32 else { return nil }
        var nibbles: [UInt8] = odd ? [first & 0x0f] : []
        for byte in bytes.dropFirst() {
            nibbles.append(byte >> 4)
            nibbles.append(byte & 0x0f)
        }
        guard let path = Nibbles(storeKey: nibbles) else { return nil }
        return (path, first & 0x20 != 0)
    }

    /// A path from its hex-prefix encoding, whatever its flag says of a leaf; nil unless canonical.
    public init?(compact bytes: some Collection<UInt8>) {
        guard let decoded = Nibbles.decodingCompact(bytes) else { return nil }
        self = decoded.path
    }
}

extension Nibbles: Comparable {
    @inlinable
    public static func < (a: Nibbles, b: Nibbles) -> Bool {
        a.padded == b.padded ? a.length < b.length : a.padded < b.padded
    }
}

extension Nibbles: CustomStringConvertible {
    /// One hex digit a nibble; "root" for none.
    public var description: String {
        isEmpty ? "root" : storeKey.map { String($0, radix: 16) }.joined()
    }
}

extension Bytes32 {
    /// The first `count` nibbles, the others zero; 0 ≤ count ≤ 64.
    @inlinable
    func keepingNibbles(_ count: Int) -> Bytes32 {
        func mask(_ first: Int) -> UInt64 {
            let bits = 4 &* (count &- first)
            if bits <= 0 { return 0 }
            return bits >= 64 ? .max : ~(UInt64.max &>> UInt64(bits))
        }
        return Bytes32(word0 & mask(0), word1 & mask(16), word2 & mask(32), word3 & mask(48))
    }

    /// This key, its nibble `index`, zero so far, set.
    @usableFromInline
    func settingNibble(_ index: Int, _ nibble: Int) -> Bytes32 {
        let value = UInt64(nibble) &<< UInt64(60 - 4 * (index & 15))
        switch index >> 4 {
        case 0: return Bytes32(word0 | value, word1, word2, word3)
        case 1: return Bytes32(word0, word1 | value, word2, word3)
        case 2: return Bytes32(word0, word1, word2 | value, word3)
        default: return Bytes32(word0, word1, word2, word3 | value)
        }
    }

    /// This key, its word `index`, 0…3, another.
    func settingWord(_ index: Int, _ word: UInt64) -> Bytes32 {
        switch index {
        case 0: Bytes32(word, word1, word2, word3)
        case 1: Bytes32(word0, word, word2, word3)
        case 2: Bytes32(word0, word1, word, word3)
        default: Bytes32(word0, word1, word2, word)
        }
    }

    func or(_ other: Bytes32) -> Bytes32 {
        Bytes32(word0 | other.word0, word1 | other.word1, word2 | other.word2, word3 | other.word3)
    }

    /// How many leading nibbles both share, 0…64.
    @inlinable
    func commonNibbles(_ other: Bytes32) -> Int { (self ^ other).leadingZeroBitCount &>> 2 }

    /// Without the first `count` nibbles, zeros coming in behind.
    func shiftedUp(nibbles count: Int) -> Bytes32 {
        guard count < 64 else { return .zero }
        let words = [word0, word1, word2, word3, 0, 0, 0, 0, 0]
        let skip = count >> 4
        let bits = UInt64(4 * (count & 15))
        func word(_ index: Int) -> UInt64 {
            let high = words[index + skip] << bits
            return bits == 0 ? high : high | words[index + skip + 1] >> (64 - bits)
        }
        return Bytes32(word(0), word(1), word(2), word(3))
    }

    /// `count` zero nibbles in front, the last ones falling out.
    func shiftedDown(nibbles count: Int) -> Bytes32 {
        guard count < 64 else { return .zero }
        let words = [0, 0, 0, 0, 0, word0, word1, word2, word3]
        let skip = count >> 4
        let bits = UInt64(4 * (count & 15))
        func word(_ index: Int) -> UInt64 {
            let low = words[index + 5 - skip] >> bits
            return bits == 0 ? low : low | words[index + 4 - skip] << (64 - bits)
        }
        return Bytes32(word(0), word(1), word(2), word(3))
    }
}
