import Chain
import MerklePatricia
import Primitives
import StateStore

/// Checks a range answer and makes the transaction that stores it: leaves, branches, coverage and watermark together.
public struct TakeRange: Sendable {
    let value: [UInt8]
    let key: RangeKey
    let section: Section
    /// The block at the anchor's boundary.
    let point: StatePoint
    /// Of that block, from its attested header.
    let stateRoot: Bytes32

    public init(value: [UInt8], key: RangeKey, section: Section, point: StatePoint, stateRoot: Bytes32) {
        self.value = value
        self.key = key
        self.section = section
        self.point = point
        self.stateRoot = stateRoot
    }

    func run(on snapshot: some StoreSnapshot) throws -> RangeTaken {
        let record =
            try SectionRecord.read(section, in: snapshot) ?? SectionRecord(starting: section, at: point)
        guard case .partial(let next) = record.coverage, record.working == point, next == key.origin else {
            throw StateJobError.outdated
        }
        let range = try RangeCheck.verify(value, key: key, stateRoot: stateRoot)
        var after = record
        if let following = range.end.successor, section.contains(following.account) {
            after.coverage = .partial(next: following)
        } else {
            after.coverage = .complete(try subtree(completedBy: range, in: snapshot))
        }
        let missing = try CodeRecords.missing(of: range.codeHashes, in: snapshot)
        var writer = RangeWriter(depth: section.depth)
        // Slots' keys are written with their account's.
        writer.reserve(
            leaves: range.leafCount + range.accountBranches.count,
            bytes: value.count + 32 * range.slots.count + range.accountBranches.byteCount * 5 / 4)
        writer.leaves(accounts: range.accounts, slotCounts: range.slotCounts, slots: range.slots)
        writer.accountBranches(range.accountBranches)
        for (account, branches) in range.storageBranches { writer.storageBranches(of: account, branches) }
        writer.section(after, missingCodes: missing)
        return RangeTaken(
            record: after, batch: writer.finished,
            wantedCodes: missing.map { WantedCode(hash: $0, section: section.index) }, leaves: range.leafCount)
    }

    /// What the whole section hashes to, now that its last range is here: its topmost branch is in this range or was
    /// stored with an earlier one; without a branch all of it is one bucket.
    private func subtree(
        completedBy range: VerifiedStateRange, in snapshot: some StoreSnapshot
    ) throws -> Subtree {
        let path = section.path
        let branches = range.accountBranches
        let top = branches.paths.indices.filter { branches.paths[$0].hasPrefix(path) }
            .min { branches.paths[$0].count < branches.paths[$1].count }
        // The section counts as held for this reading: what is stored of it was verified at the same anchor.
        let view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: .base)])
        var trie = view.accountTrie
        let stored = try trie.branch(atOrBelow: path)
        if let stored, top.map({ stored.path.count < branches.paths[$0].count }) ?? true {
            return .branch(path: stored.path, node: NodeReference(encodedNode: stored.node))
        }
        if let top {
            return .branch(path: branches.paths[top], node: NodeReference(encodedNode: branches.node(at: top)))
        }
        var leaves = LeafColumns()
        try trie.leaves(under: path, limit: MerklePatriciaLimits.bucketLeaves, into: &leaves)
        for index in range.accounts.keys.indices where section.contains(range.accounts.keys[index]) {
            // An account whose slots were cut by the range before is in both.
            if let last = leaves.keys.last, range.accounts.keys[index] <= last { continue }
            let account = try StateAccount(slim: range.accounts.value(at: index))
            leaves.append(key: range.accounts.keys[index], value: account.rlp)
        }
        return TrieBuilder.subtree(of: leaves, in: 0..<leaves.count)
    }
}

/// A range that holds.
public struct RangeTaken: Sendable {
    /// The section's record afterwards.
    public let record: SectionRecord
    public let batch: WriteBatch
    /// Code that accounts of the range name and the store lacks.
    public let wantedCodes: [WantedCode]
    public let leaves: Int
}
