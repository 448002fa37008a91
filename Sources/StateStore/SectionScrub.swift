import Chain
import MerklePatricia
import Primitives

/// Reads one section back as it is stored, a piece at a time, and compares it with its record: every leaf is hashed,
/// and every branch record is held against what the one above it says. It goes on from snapshot to snapshot as long as
/// the record stays the same, since the base of a section changes only with its record.
public struct SectionScrub: Sendable {
    /// The record that memory has.
    public let record: SectionRecord
    private var hasher: LeafHasher
    /// The key that was read last; nil before the first.
    private var last: [UInt8]?
    /// Leaves read so far.
    public private(set) var leaves = 0

    /// Before the first leaf; nil for a section that is not complete: what a part of one hashes to stands nowhere.
    public init?(_ record: SectionRecord) {
        guard record.isComplete else { return nil }
        self.record = record
        hasher = LeafHasher(of: record.section)
    }

    /// Reads up to `limit` leaves, and after the last one all branch records. True when all is read and right.
    ///
    /// Throws the first thing that is damaged; `StoreError` where the store itself cannot be read.
    public mutating func step(limit: Int, in snapshot: some StoreSnapshot) throws -> Bool {
        do throws(StoreError) {
            guard var stored = try SectionRecord.read(record.section, in: snapshot) else {
                throw .corrupt(table: .sections)
            }
            // How far history reaches back may have become less without the record in memory.
            stored.historyStart = record.historyStart
            guard stored == record else { throw .corrupt(table: .sections) }
        } catch {
            guard case .corrupt = error else { throw error }
            throw StateFault.record(table: "\(Table.sections)")
        }
        guard try readLeaves(limit: limit, in: snapshot) else { return false }
        guard let expected = record.subtree else { return true }
        let found = try hasher.finish()
        guard found == expected else {
            let depth = record.section.depth
            throw StateFault.sectionHash(
                section: record.section.index, block: record.working.number, expected: expected.hash(at: depth),
                found: found.hash(at: depth))
        }
        try checkAccountBranches(under: expected, in: snapshot)
        try checkStorageBranches(in: snapshot)
        return true
    }

    /// Whether the end was reached.
    private mutating func readLeaves(limit: Int, in snapshot: some StoreSnapshot) throws -> Bool {
        let bounds = record.section.leafBounds
        var cursor = try snapshot.cursor(.leaves)
        var isFound = try cursor.seek(last ?? bounds.from)
        if isFound, let last, cursor.key == last { isFound = try cursor.next() }
        var count = 0
        while isFound {
            guard count < limit else { return false }
            let isInside = try cursor.withEntry { key, value -> Bool in
                if let end = bounds.upTo, !ByteOrder.isLess(key, end) { return false }
                try hasher.add(key, value)
                return true
            }
            guard isInside == true else { return true }
            last = cursor.key
            count += 1
            leaves += 1
            isFound = try cursor.next()
        }
        return true
    }

    // MARK: Branch records

    /// Every branch record of the section is the one that the branch above it names, the first one what the leaves
    /// gave.
    private func checkAccountBranches(under top: Subtree, in snapshot: some StoreSnapshot) throws {
        let bounds = record.section.branchBounds
        var chain = BranchChain(top: top)
        try forEach(.accountBranches, bounds, in: snapshot) { key, value in
            guard let path = Nibbles(storeKey: key), chain.takes(Array(value), at: path) else {
                throw StateFault.record(table: "\(Table.accountBranches)")
            }
        }
    }

    /// The same for the storage of each account, the first one by the storage root in its body.
    private func checkStorageBranches(in snapshot: some StoreSnapshot) throws {
        var current: (account: Bytes32, chain: BranchChain)?
        try forEach(.storageBranches, record.section.leafBounds, in: snapshot) { key, value in
            guard key.count >= 32, let base = key.baseAddress,
                let path = Nibbles(storeKey: UnsafeRawBufferPointer(rebasing: key[32...]))
            else { throw StateFault.record(table: "\(Table.storageBranches)") }
            let account = Bytes32(loading: base)
            if current?.account != account {
                guard let body = try snapshot.get(.leaves, account.bytes) else {
                    throw StateFault.record(table: "\(Table.storageBranches)")
                }
                current = (account, BranchChain(root: try StateAccount(slim: body).storageRoot))
            }
            guard current?.chain.takes(Array(value), at: path) == true else {
                throw StateFault.record(table: "\(Table.storageBranches)")
            }
        }
    }

    private func forEach(
        _ table: Table, _ bounds: (from: [UInt8], upTo: [UInt8]?), in snapshot: some StoreSnapshot,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var cursor = try snapshot.cursor(table)
        var isFound = try cursor.seek(bounds.from)
        while isFound {
            let isInside = try cursor.withEntry { key, value -> Bool in
                if let end = bounds.upTo, !ByteOrder.isLess(key, end) { return false }
                try body(key, value)
                return true
            }
            guard isInside == true else { return }
            isFound = try cursor.next()
        }
    }
}

/// Branch records of one trie as they come in the order of their paths, each held against the one above it.
private struct BranchChain {
    private enum Top {
        /// What the leaves gave, with the path of the topmost branch.
        case subtree(Subtree)
        /// The root that an account's body names.
        case root(Bytes32)
    }

    private let top: Top
    /// From the topmost branch down to the one that came last.
    private var above: [(path: Nibbles, node: BranchNode)] = []

    init(top: Subtree) { self.top = .subtree(top) }
    init(root: Bytes32) { top = .root(root) }

    /// Whether the record is a branch, and the one that stands at that path.
    mutating func takes(_ record: [UInt8], at path: Nibbles) -> Bool {
        guard case .success(let node) = Result(catching: { try BranchNode(decoding: record) }) else { return false }
        while let last = above.last, !(path.count > last.path.count && path.hasPrefix(last.path)) { above.removeLast() }
        let subtree = Subtree.branch(path: path, node: NodeReference(encodedNode: record))
        if let parent = above.last {
            guard let named = parent.node[path[parent.path.count]],
                named == subtree.reference(at: parent.path.count + 1)
            else { return false }
        } else {
            switch top {
            case .subtree(let top): guard subtree == top else { return false }
            case .root(let root): guard subtree.hash(at: 0) == root else { return false }
            }
        }
        above.append((path, node))
        return true
    }
}
