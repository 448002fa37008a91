import MerklePatricia
import Primitives

/// One of the 16^depth equal slices of the account keyspace: the unit of coverage, diffs and announcements.
public struct Section: Hashable, Comparable, Sendable {
    /// Leading nibbles that name a section: d of the network's configuration, 1…4.
    public let depth: Int
    /// 0 ..< 16^depth, in the order of the keys.
    public let index: Int

    /// `index` must lie in 0 ..< 16^depth.
    public init(depth: Int, index: Int) {
        precondition((0...15).contains(depth), "a section has at most 15 nibbles, so that its index fits")
        precondition((0..<Section.count(depth: depth)).contains(index), "an index names a section")
        self.depth = depth
        self.index = index
    }

    /// The section that holds the account of this key.
    public init(of account: Bytes32, depth: Int) {
        self.init(depth: depth, index: Nibbles.section(of: account, depth: depth))
    }

    /// nil unless `path` has exactly `depth` nibbles or more: the section of its first ones.
    public init?(of path: Nibbles, depth: Int) {
        guard path.count >= depth else { return nil }
        self.init(of: path.lowestKey, depth: depth)
    }

    /// 16^depth.
    public static func count(depth: Int) -> Int { Nibbles.sectionCount(depth: depth) }

    /// All of them, in order.
    public static func all(depth: Int) -> [Section] {
        (0..<count(depth: depth)).map { Section(depth: depth, index: $0) }
    }

    /// The leading nibbles of its keys.
    public var path: Nibbles { Nibbles(section: index, depth: depth) }
    /// The lowest account key that lies in it.
    public var firstKey: Bytes32 { path.lowestKey }
    /// The highest account key that lies in it.
    public var lastKey: Bytes32 { path.highestKey }
    /// The section after it; nil for the last.
    public var next: Section? {
        index + 1 < Section.count(depth: depth) ? Section(depth: depth, index: index + 1) : nil
    }

    /// Whether an account of this key lies in it.
    public func contains(_ account: Bytes32) -> Bool { Section(of: account, depth: depth).index == index }

    /// Whether a subtree can be that of this section: nothing of it lies outside.
    func mayHave(_ subtree: Subtree) -> Bool {
        switch subtree {
        case .empty: true
        case .leaf(let key, _): contains(key)
        case .branch(let path, _): Section(of: path, depth: depth) == self
        }
    }

    /// In the order of the keys.
    public static func < (a: Section, b: Section) -> Bool {
        a.depth == b.depth ? a.index < b.index : a.depth < b.depth
    }

    /// The index in the keys of the store: four bytes, big endian.
    public var storeKey: [UInt8] { withUnsafeBytes(of: UInt32(truncatingIfNeeded: index).bigEndian) { Array($0) } }

    /// [from, upTo) of this section's keys in the tables of leaves, slots and storage branches.
    var leafBounds: (from: [UInt8], upTo: [UInt8]?) { (firstKey.bytes, next?.firstKey.bytes) }

    /// [from, upTo) of its keys in the table of account branches.
    var branchBounds: (from: [UInt8], upTo: [UInt8]?) { (path.storeKey, next?.path.storeKey) }
}

extension Section: CustomStringConvertible {
    /// Its leading nibbles.
    public var description: String { path.description }
}
