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
        // Branches are a third as many as leaves, and have as many bytes; slots' keys are written with their account's.
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
    /// stored with an earlier one; without a branch there is at most one leaf.
    private func subtree(
        completedBy range: VerifiedStateRange, in snapshot: some StoreSnapshot
    ) throws -> Subtree {
        let path = section.path
        var top: (path: Nibbles, node: [UInt8])?
        for (index, branch) in range.accountBranches.paths.enumerated() where branch.hasPrefix(path) {
            if top.map({ branch.count < $0.path.count }) ?? true {
                top = (branch, range.accountBranches.node(at: index))
            }
        }
        // The section counts as held for this reading: what is stored of it was verified at the same anchor.
        var view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: .base)])
        let stored = try SectionChange.subtree(of: section, in: &view)
        if let top {
            if case .branch(let above, _) = stored, above.count < top.path.count { return stored }
            return .branch(path: top.path, node: NodeReference(encodedNode: top.node))
        }
        guard case .empty = stored else { return stored }
        guard let key = range.accounts.keys.first, section.contains(key) else { return .empty }
        let account = try StateAccount(slim: range.accounts.value(at: 0))
        return .leaf(key: key, value: account.rlp)
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
