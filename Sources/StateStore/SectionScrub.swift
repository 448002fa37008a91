import Chain
import MerklePatricia
import Primitives

// SectionScrub: what is read back of a section or part, and what it is held against.
//
//      leaves            ──▶ hashed in order ──▶ the hash in the record
//      codes they name   ──▶ each once ──▶ the hash it is found by
//      branch records    ──▶ each ──▶ the branch above it; of a storage trie the root in the account's body
//      what shows spread ──▶ root and rule ──▶ a placement, by exactly these nodes
//      undo layer        ──▶ applied to the base ──▶ the section hash at the anchor before
//
// What is not read back, and what catches damage there instead. *History* older than the undo layer leads to states
// whose hashes nobody keeps: a diff made of it fits nowhere, so the asker, who checks it, refuses it and asks somebody
// else. *Block layers* are hashed when they are folded, which is an epoch later, and when a start takes them up; a
// section that they do not lead to the anchor's hash is led there by a diff. *Headers* hash to their keys whenever they
// are served, and *crowns* are read at a start under their header's state root.

/// Reads one section back as it is stored, a piece at a time, and compares it with its record: every leaf is hashed,
/// and every branch record is held against what the one above it says. It goes on from snapshot to snapshot as long as
/// the record stays the same, since the base of a section changes only with its record.
public struct SectionScrub: Sendable {
    /// The record that memory has.
    public let record: SectionRecord
    /// What the section hashes to at the point before; nil where that is not known, and so not served.
    private let previousHash: Bytes32?
    /// How storage is placed; nil in a network that spreads none.
    private let rule: Placement?
    private let kept: KeptStorage
    private var hasher: LeafHasher
    private var codes = CodeScrub()
    /// The key that was read last; nil before the first.
    private var last: [UInt8]?
    /// What was done so far, in leaves: other things count as many as take as long to read.
    public private(set) var work = 0

    /// Before the first leaf; nil for a section that is not complete: what is held of one hashes to what stands
    /// nowhere.
    public init?(
        _ record: SectionRecord, previousHash: Bytes32? = nil, placing rule: Placement? = nil,
        keeping kept: KeptStorage = .all
    ) {
        guard record.isComplete else { return nil }
        self.kept = kept
        self.record = record
        self.previousHash = previousHash
        self.rule = rule
        hasher = LeafHasher(of: record.section)
    }

    private var isPart: Bool { record.section.owner != nil }
    private var leafTable: Table { StateTable.leaves(ofPart: isPart).base }

    /// Reads up to `limit` leaves, and after the last one all branch records and the undo layer. True when all is read
    /// and right.
    ///
    /// Throws the first thing that is damaged; `StoreError` where the store itself cannot be read. Code is told of by
    /// `takeDamagedCodes`: it is not the section's alone, and can be fetched by itself.
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
        hasher.isElsewhere = { [rule, kept, section = record.section] account in
            guard kept.keeps(account) else { return true }
            return (try? SectionScrub.isSpread(account, of: section, by: rule, in: snapshot)) ?? false
        }
        // The snapshot must not be kept until the next step.
        defer { hasher.isElsewhere = { _ in false } }
        guard try readLeaves(limit: limit, in: snapshot) else { return false }
        guard let expected = record.subtree else { return true }
        let found = try hasher.finish()
        guard found == expected else {
            let depth = record.section.depth
            throw StateFault.sectionHash(
                section: record.section.index, block: record.working.number, expected: expected.hash(at: depth),
                found: found.hash(at: depth))
        }
        try checkBranches(under: expected, in: snapshot)
        if !isPart { try checkStorageBranches(in: snapshot) }
        if let previousHash {
            let undo = try UndoScrub(record, hash: previousHash, placing: rule, keeping: kept, in: snapshot)
            work += undo.entries * StateStoreLimits.scrubbedUndoEntry
        }
        return true
    }

    /// Codes that accounts read since this was last asked name, and that are not what their hash says, or gone.
    public mutating func takeDamagedCodes() -> [Bytes32] { codes.takeDamaged() }

    /// Whether what stands with an account shows that its storage is spread.
    private static func isSpread(
        _ account: Bytes32, of section: Section, by rule: Placement?, in snapshot: some StoreSnapshot
    ) throws -> Bool {
        guard let rule else { return false }
        return try StateView(snapshot, section).showsPlacement(of: account, by: rule)
    }

    /// Whether the end was reached.
    private mutating func readLeaves(limit: Int, in snapshot: some StoreSnapshot) throws -> Bool {
        let bounds = record.section.leafBounds
        var cursor = try snapshot.cursor(leafTable)
        var isFound = try cursor.seek(last ?? bounds.from)
        if isFound, let last, cursor.key == last { isFound = try cursor.next() }
        let end = limit < .max - work ? work + limit : .max
        while isFound {
            guard work < end else { return false }
            let isAccount = try cursor.withEntry { key, value -> Bool? in
                if let end = bounds.upTo, !ByteOrder.isLess(key, end) { return nil }
                try hasher.add(key, value)
                return key.count == 32
            }
            guard let isAccount = isAccount ?? nil else { return true }
            last = cursor.key
            work += 1
            if isAccount, let hash = hasher.codeHash, let account = hasher.account, kept.keeps(account) {
                work += try codes.look(at: hash, in: snapshot)
            }
            isFound = try cursor.next()
        }
        return true
    }

    // MARK: Branch records

    /// Every branch record over the section's leaves is the one that the branch above it names, the first one what the
    /// leaves gave.
    private func checkBranches(under top: Subtree, in snapshot: some StoreSnapshot) throws {
        let table: Table = isPart ? .partBranches : .accountBranches
        let ownerBytes = isPart ? 32 : 0
        var chain = BranchChain(top: top)
        try forEach(table, record.section.branchBounds, in: snapshot) { key, value in
            guard key.count >= ownerBytes,
                let path = Nibbles(storeKey: UnsafeRawBufferPointer(rebasing: key[ownerBytes...])),
                chain.takes(Array(value), at: path)
            else { throw StateFault.record(table: "\(table)") }
        }
    }

    /// The same for the storage of each account, the first one by the storage root in its body. What stands with one
    /// whose storage is spread was checked when its leaf was read.
    private func checkStorageBranches(in snapshot: some StoreSnapshot) throws {
        var current: (account: Bytes32, chain: BranchChain?)?
        var slots = try snapshot.cursor(.leaves)
        try forEach(.storageBranches, record.section.leafBounds, in: snapshot) { key, value in
            guard key.count >= 32, let base = key.baseAddress,
                let path = Nibbles(storeKey: UnsafeRawBufferPointer(rebasing: key[32...]))
            else { throw StateFault.record(table: "\(Table.storageBranches)") }
            let account = Bytes32(loading: base)
            if current?.account != account {
                guard let body = try snapshot.get(.leaves, account.bytes) else {
                    throw StateFault.record(table: "\(Table.storageBranches)")
                }
                let hasSlots =
                    try slots.seek(account.bytes + Bytes32.zero.bytes) && slots.key?.starts(with: account.bytes) == true
                let root = try StateAccount(slim: body).storageRoot
                // Without slots and without a root there is nothing for a branch to be over.
                let isSpread = !hasSlots && root != StateAccount.emptyRoot
                current = (account, isSpread ? nil : BranchChain(root: root))
            }
            if let current, current.chain == nil { return }
            guard current?.chain?.takes(Array(value), at: path) == true else {
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
