import MerklePatricia
import Primitives

/// One of the 16^depth equal slices of a trie's keyspace: the unit of coverage, diffs and announcements. Of the account
/// trie, unless said otherwise. Those of a storage trie that is spread round the ring are its *parts*.
public struct Section: Hashable, Comparable, Sendable {
    /// The account of whose storage trie this is a part; nil for a section of the account trie.
    public let owner: Bytes32?
    /// Leading nibbles that name a section: d of the network's configuration, 1…4. Of a part the placement j, 1…d.
    public let depth: Int
    /// 0 ..< 16^depth, in the order of the keys.
    public let index: Int

    /// `index` must lie in 0 ..< 16^depth. With `owner` a part of that account's storage trie.
    public init(depth: Int, index: Int, of owner: Bytes32? = nil) {
        precondition((0...15).contains(depth), "a section has at most 15 nibbles, so that its index fits")
        precondition((0..<Section.count(depth: depth)).contains(index), "an index names a section")
        self.owner = owner
        self.depth = depth
        self.index = index
    }

    /// The section that holds the account of this key; with `owner` the part that holds the slot of this key.
    public init(of key: Bytes32, depth: Int, owner: Bytes32? = nil) {
        self.init(depth: depth, index: Nibbles.section(of: key, depth: depth), of: owner)
    }

    /// nil unless `path` has exactly `depth` nibbles or more: the section of its first ones.
    public init?(of path: Nibbles, depth: Int, owner: Bytes32? = nil) {
        guard path.count >= depth else { return nil }
        self.init(of: path.lowestKey, depth: depth, owner: owner)
    }

    /// 16^depth.
    public static func count(depth: Int) -> Int { Nibbles.sectionCount(depth: depth) }

    /// All of them, in order.
    public static func all(depth: Int) -> [Section] {
        (0..<count(depth: depth)).map { Section(depth: depth, index: $0) }
    }

    /// The leading nibbles of its keys.
    public var path: Nibbles { Nibbles(section: index, depth: depth) }
    /// The lowest key of its trie that lies in it: an account's, of a part a slot's.
    public var firstKey: Bytes32 { path.lowestKey }
    /// The highest key that lies in it.
    public var lastKey: Bytes32 { path.highestKey }
    /// The section after it in the same trie; nil for the last.
    public var next: Section? {
        index + 1 < Section.count(depth: depth) ? Section(depth: depth, index: index + 1, of: owner) : nil
    }

    /// In which section of the ring it lies, where those of the accounts have `sectionDepth` nibbles.
    public func place(sectionDepth: Int) -> Int {
        owner.map { Placement.section(of: index, depth: depth, account: $0, sectionDepth: sectionDepth) } ?? index
    }

    /// Where it begins in the flat order.
    public var firstCursor: Cursor {
        owner.map { Cursor(account: $0, slot: firstKey) } ?? Cursor(account: firstKey)
    }
    /// Where it ends: with all slots of its last account, of a part with its last slot.
    public var lastCursor: Cursor {
        owner.map { Cursor(account: $0, slot: lastKey) } ?? Cursor.end(of: lastKey)
    }

    /// Whether a key of its trie (an account's, of a part a slot's) lies in it.
    public func contains(_ key: Bytes32) -> Bool { Nibbles.section(of: key, depth: depth) == index }

    /// Whether a position of the flat order lies in it.
    public func contains(_ cursor: Cursor) -> Bool {
        guard let owner else { return contains(cursor.account) }
        return cursor.account == owner && contains(cursor.slot)
    }

    /// Whether a leaf lies in it: of a part none but slots do.
    func contains(_ key: FlatKey) -> Bool {
        guard let owner else { return contains(key.account) }
        return key.account == owner && key.slot.map { contains($0) } ?? false
    }

    /// Whether a subtree can be that of this section: nothing of it lies outside.
    func mayHave(_ subtree: Subtree) -> Bool {
        switch subtree {
        case .empty: true
        case .leaf(let key, _): contains(key)
        case .branch(let path, _): path.count >= depth && contains(path.lowestKey)
        }
    }

    /// In the order of the keys, parts after the sections of the account trie.
    public static func < (a: Section, b: Section) -> Bool {
        switch (a.owner, b.owner) {
        case (nil, _?): true
        case (_?, nil): false
        case (let x?, let y?) where x != y: x < y
        default: a.depth == b.depth ? a.index < b.index : a.depth < b.depth
        }
    }

    /// What its records are found by: the index in four bytes, big endian; of a part ff ff ff ff, which is no index of
    /// a section, then owner, depth and index.
    public var storeKey: [UInt8] {
        let index = withUnsafeBytes(of: UInt32(truncatingIfNeeded: index).bigEndian) { Array($0) }
        guard let owner else { return index }
        return [0xff, 0xff, 0xff, 0xff] + owner.bytes + [UInt8(truncatingIfNeeded: depth)] + index
    }

    /// [from, upTo) of its keys in the tables of leaves, and of a section in that of storage branches.
    var leafBounds: (from: [UInt8], upTo: [UInt8]?) {
        guard let owner else { return (firstKey.bytes, next?.firstKey.bytes) }
        let end = next.map { owner.bytes + $0.firstKey.bytes } ?? ByteOrder.end(ofPrefix: owner.bytes)
        return (owner.bytes + firstKey.bytes, end)
    }

    /// [from, upTo) of its keys in the table of the branches over its leaves.
    var branchBounds: (from: [UInt8], upTo: [UInt8]?) {
        guard let owner else { return (path.storeKey, next?.path.storeKey) }
        let end = next.map { owner.bytes + $0.path.storeKey } ?? ByteOrder.end(ofPrefix: owner.bytes)
        return (owner.bytes + path.storeKey, end)
    }
}

extension Section: CustomStringConvertible {
    /// Its leading nibbles; of a part behind the first bytes of its owner's key.
    public var description: String { (owner.map { $0.short + "/" } ?? "") + path.description }
}
