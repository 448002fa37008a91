import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// The diff by which what is held of a partly fetched section is led to another anchor. It is believed only together
/// with a range of that anchor that begins where the held part ends.
public struct CarryingDiff: Sendable {
    /// A peer's answer as it came, status byte included, and what it answers.
    let value: [UInt8]
    let key: DiffsKey
    /// Where it leads to.
    public let anchor: Anchor
    /// Who sent it, and pays for it where it is false.
    public let sender: Bytes32
    /// Of the answer.
    public var byteCount: Int { value.count }
    /// Where what is held stands, and where it is led to.
    var from: StatePoint { key.from }
    var to: StatePoint { key.to }

    public init(value: [UInt8], key: DiffsKey, anchor: Anchor, sender: Bytes32) {
        self.value = value
        self.key = key
        self.anchor = anchor
        self.sender = sender
    }

    /// What changes in the section, as far as is said; true only once it was applied.
    fileprivate func changes(
        of section: Section, stateRoot: Bytes32, _ rule: Placement?
    ) throws(DiffError) -> SectionDiff {
        let diffs = try DiffsCheck.verify(value, key: key, depth: section.depth, stateRoot: stateRoot, placedBy: rule)
        guard diffs.count == 1, let diff = diffs.first, diff.section == section else { throw .wrongSections }
        return diff
    }
}

/// Checks a range answer and makes the transaction that stores it: leaves, branches, coverage and watermark together.
/// Where the range is of another anchor than what is held of the section, that is led there in the same transaction.
public struct TakeRange: Sendable {
    let value: [UInt8]
    let key: RangeKey
    let section: Section
    /// The block at the anchor's boundary.
    let point: StatePoint
    /// Of that block, from its attested header.
    let stateRoot: Bytes32
    /// Where what is held is at another point.
    let carrying: CarryingDiff?
    /// How the network places storage.
    let rule: Placement?

    public init(
        value: [UInt8], key: RangeKey, section: Section, point: StatePoint, stateRoot: Bytes32,
        carrying: CarryingDiff? = nil, rule: Placement? = nil
    ) {
        self.rule = rule
        self.carrying = carrying
        self.value = value
        self.key = key
        self.section = section
        self.point = point
        self.stateRoot = stateRoot
    }

    func run(on snapshot: some StoreSnapshot) throws -> RangeTaken {
        let record =
            try SectionRecord.read(section, in: snapshot) ?? SectionRecord(starting: section, at: point)
        guard case .partial(let next) = record.coverage, next == key.origin,
            record.working == carrying?.from ?? point, carrying.map({ $0.to == point }) ?? true
        else { throw StateJobError.outdated }
        let range = try RangeCheck.verify(value, key: key, stateRoot: stateRoot, placedBy: rule)
        if section.owner != nil { return try part(range, record, in: snapshot) }
        let advanced = try carrying.map { try advance(by: $0, to: range, below: next, in: snapshot) }
        var after = record
        after.working = point
        if let following = range.end.successor, section.contains(following) {
            after.coverage = .partial(next: following)
        } else {
            after.coverage = .complete(try subtree(completedBy: range, advanced, in: snapshot))
        }
        let named = Set(range.codeHashes).union(advanced?.newCodeHashes ?? [])
        let missing = try CodeRecords.missing(of: named.sorted(), in: snapshot)
        var writer = RangeWriter(depth: section.depth)
        // Slots' keys are written with their account's.
        writer.reserve(
            leaves: range.leafCount + range.accountBranches.count,
            bytes: value.count + 32 * range.slots.count + range.accountBranches.byteCount * 5 / 4)
        writer.leaves(accounts: range.accounts, slotCounts: range.slotCounts, slots: range.slots)
        writer.accountBranches(range.accountBranches)
        for (account, branches) in range.storageBranches { writer.storageBranches(of: account, branches) }
        var placements: [Bytes32: Int] = [:]
        if let rule {
            for (account, nodes) in range.spread {
                let root = nodes.first.map { Keccak.hash($0) } ?? Subtree.emptyRoot
                placements[account] = try rule.depth(root: root, shownBy: nodes)
                writer.spread(account, depth: placements[account] ?? 0, shownBy: nodes)
            }
        }
        writer.section(after, missingCodes: missing)
        var batch = advanced.map { StateWrites.advance($0) } ?? WriteBatch()
        if advanced == nil { batch = writer.finished } else { batch.append(writer.finished) }
        return RangeTaken(
            record: after, batch: batch,
            wantedCodes: missing.map { WantedCode(hash: $0, section: section.index) }, leaves: range.leafCount,
            leafBytes: range.leafBytes,
            isCarried: advanced != nil,
            replaced: Replaced(
                placements: placements.merging(advanced?.placements ?? [:]) { range, _ in range },
                parts: advanced?.spread.flatMap(\.parts) ?? [], at: point))
    }

    /// A range of a part of a spread storage trie.
    private func part(
        _ range: VerifiedStateRange, _ record: SectionRecord, in snapshot: some StoreSnapshot
    ) throws -> RangeTaken {
        guard let owner = section.owner, carrying == nil else { throw StateJobError.outdated }
        var after = record
        let branches = range.storageBranches.first?.branches
        if range.end < section.lastCursor, let next = range.end.successor {
            after.coverage = .partial(next: next)
        } else {
            after.coverage = .complete(try subtree(of: owner, completedBy: range.slots, branches, in: snapshot))
        }
        var writer = RangeWriter(depth: section.depth)
        writer.reserve(leaves: range.slots.count, bytes: value.count + 32 * range.slots.count)
        writer.part(of: owner, slots: range.slots, branches: branches, depth: section.depth)
        writer.section(after)
        return RangeTaken(
            record: after, batch: writer.finished, wantedCodes: [], leaves: range.slots.count,
            leafBytes: range.leafBytes, isCarried: false, replaced: Replaced())
    }

    /// What the whole part hashes to, now that its last range is here; see below.
    private func subtree(
        of owner: Bytes32, completedBy slots: LeafColumns, _ branches: BranchColumns?, in snapshot: some StoreSnapshot
    ) throws -> Subtree {
        let path = section.path
        let top = branches.flatMap { branches in
            branches.paths.indices.filter { branches.paths[$0].hasPrefix(path) }
                .min { branches.paths[$0].count < branches.paths[$1].count }
        }
        // The part counts as held for this reading: what is stored of it was verified at the same anchor.
        var trie = StateView(snapshot, section).storageTrie(of: owner)
        if let stored = try trie.branch(atOrBelow: path),
            top.map({ top in branches.map { stored.path.count < $0.paths[top].count } ?? true }) ?? true
        {
            return .branch(path: stored.path, node: NodeReference(encodedNode: stored.node))
        }
        if let top, let branches {
            return .branch(path: branches.paths[top], node: NodeReference(encodedNode: branches.node(at: top)))
        }
        var leaves = TwigLeaves()
        try trie.leaves(under: path, limit: MerklePatriciaLimits.twigLeaves, into: &leaves)
        for place in slots.keys.indices { leaves.append(key: slots.keys[place], value: slots.value(at: place)) }
        return leaves.subtree
    }

    /// Leads what is held to the range's anchor. What of it does not hold is the diff's fault: the range does.
    private func advance(
        by diff: CarryingDiff, to range: VerifiedStateRange, below next: Cursor, in snapshot: some StoreSnapshot
    ) throws -> PartialSection.Advanced {
        do {
            let found = try diff.changes(of: section, stateRoot: stateRoot, rule)
            var root: Bytes32?
            if next.slot != .zero, range.accounts.keys.first == next.account {
                root = try StateAccount(slim: range.accounts.value(at: 0)).storageRoot
            }
            let spread = next.slot == .zero ? nil : range.spread.first { $0.account == next.account }?.nodes
            let places = rule.map { PartialSection.Places(at: point, by: $0, shown: found.shown) }
            let goal = PartialSection.Goal(
                stateRoot: stateRoot, accountProof: range.accountProof, storageRoot: root,
                storageProof: spread ?? range.originStorageProof, isSpread: spread != nil)
            // The part counts as a held section for this reading: nothing from its end on is looked at.
            var view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: .base)])
            return try PartialSection.advance(
                found.changes, of: section, below: next, to: goal, placing: places, keeping: diff.key.kept, in: &view)
        } catch let error as StateChangeError {
            guard error.blamesSender else { throw error }
            throw StateJobError.falseDiff("\(error)")
        } catch let error as StoreError {
            throw error
        } catch let failure as StoragePlacing.Failure {
            throw failure
        } catch {
            throw StateJobError.falseDiff("\(error)")
        }
    }

    /// What the whole section hashes to, now that its last range is here: its topmost branch is in this range or was
    /// stored with an earlier one; without a branch all of it is one twig. Where the earlier ones were led to another
    /// anchor, `advanced` has what they are now, and a branch above several of its parts is in the range.
    private func subtree(
        completedBy range: VerifiedStateRange, _ advanced: PartialSection.Advanced?, in snapshot: some StoreSnapshot
    ) throws -> Subtree {
        let path = section.path
        let branches = range.accountBranches
        let top = branches.paths.indices.filter { branches.paths[$0].hasPrefix(path) }
            .min { branches.paths[$0].count < branches.paths[$1].count }
        var leaves = TwigLeaves()
        if let advanced {
            if top == nil, let part = advanced.parts.first { return part }
        } else {
            // The section counts as held for this reading: what is stored of it was verified at the same anchor.
            let view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: .base)])
            var trie = view.accountTrie
            let stored = try trie.branch(atOrBelow: path)
            if let stored, top.map({ stored.path.count < branches.paths[$0].count }) ?? true {
                return .branch(path: stored.path, node: NodeReference(encodedNode: stored.node))
            }
            if top == nil {
                try trie.leaves(under: path, limit: MerklePatriciaLimits.twigLeaves, into: &leaves)
            }
        }
        if let top {
            return .branch(path: branches.paths[top], node: NodeReference(encodedNode: branches.node(at: top)))
        }
        for index in range.accounts.keys.indices where section.contains(range.accounts.keys[index]) {
            // An account whose slots were cut by the range before is in both.
            if !leaves.isEmpty, range.accounts.keys[index] <= leaves.key(at: leaves.count - 1) { continue }
            let account = try StateAccount(slim: range.accounts.value(at: index))
            leaves.append(key: range.accounts.keys[index], value: account.rlp)
        }
        return leaves.subtree
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
    /// Bytes of their keys and values.
    public let leafBytes: Int
    /// Whether what was held before was led to the range's anchor.
    public let isCarried: Bool
    /// Accounts whose storage is spread, as the range shows.
    public internal(set) var replaced = Replaced()
}
