import Chain
import MerklePatricia
import Primitives

// Storage that is spread round the ring.
//
// The storage trie of an account is placed at depth j (`Placement`). At j = 0 its slots stand with the account. Else
// they are in 16^j *parts*, sections of the storage trie with tables of their own, each of which is held, led on and
// served by itself, wherever on the ring it lies. With the account there remain its body and, in the place of the
// branches, the few nodes that show the placement; so who holds the account can prove it and needs no slot.
//
//      account's section               parts of the ring
//      ─────────────────               ─────────────────
//      leaves:          body           partLeaves:   slots of part p      sections: record of (account, j, p)
//      storageBranches: 0, 00, 000…    partBranches: branches from j on
//
// A placement is decided at an anchor and holds for all blocks up to the next one, whatever becomes of the trie
// meanwhile: within an epoch everybody means the same by a key.

extension StateView {
    /// Whether an account of the view has storage of which no slot stands with it.
    public func isSpread(_ account: Bytes32) throws(StoreError) -> Bool {
        guard owner == nil else { return false }
        do {
            var trie = storageTrie(of: account)
            guard try trie.branch(atOrBelow: .root) != nil else { return false }
            var leaves = TwigLeaves()
            try trie.leaves(under: .root, limit: 1, into: &leaves)
            return leaves.isEmpty
        } catch {
            throw (error as? StoreError) ?? .corrupt(table: .storageBranches)
        }
    }

    /// Whether what stands with an account in the place of its slots shows, by this rule and by exactly the nodes that
    /// decide it, that its storage is spread.
    func showsPlacement(of account: Bytes32, by rule: Placement) throws(StoreError) -> Bool {
        guard let root = try self.account(account)?.storageRoot else { return false }
        let rows = try storageBranches(of: account)
        guard rows.enumerated().allSatisfy({ $1.path == Nibbles(.zero, count: $0) }),
            case .success(let depth) = Result(catching: { try rule.depth(root: root, shownBy: rows.map(\.node)) })
        else { return false }
        return depth > 0
    }

    /// Whether slots of an account stand with it.
    func holdsSlots(of account: Bytes32) throws(StoreError) -> Bool {
        var walk = try walk(from: Cursor(account: account, slot: Bytes32.zero.successor ?? .zero))
        return try walk.next()?.account == account
    }

    /// The nodes that show the placement of an account whose storage is spread, the root's first.
    public func placementNodes(of account: Bytes32) throws(StoreError) -> [[UInt8]] {
        try storageBranches(of: account).map(\.node)
    }
}

/// What stands beside an account's leaf of its storage trie: branches, or the nodes that show that it is spread.
struct BranchRows {
    private let account: Bytes32
    private let rows: [Nibbles: [UInt8]]

    /// As the view has them.
    init(of account: Bytes32, in view: StateView<some StoreSnapshot>) throws(StoreError) {
        self.account = account
        var rows: [Nibbles: [UInt8]] = [:]
        for (path, node) in try view.storageBranches(of: account) { rows[path] = node }
        self.rows = rows
    }

    /// What makes these of them, ascending.
    func changes(to after: [Nibbles: [UInt8]]) -> [EntryChange<StorageBranchKey>] {
        Set(rows.keys).union(after.keys).sorted().compactMap { path in
            guard rows[path] != after[path] else { return nil }
            let key = StorageBranchKey(account: account, path: path)
            return EntryChange(key: key, before: rows[path], after: after[path])
        }
    }

    /// The same where the storage is spread: `nodes` show it, the root's first.
    func changes(toShow nodes: [[UInt8]]) -> [EntryChange<StorageBranchKey>] {
        var after: [Nibbles: [UInt8]] = [:]
        for (level, node) in nodes.enumerated() { after[Nibbles(.zero, count: level)] = node }
        return changes(to: after)
    }
}

/// What a step to an anchor makes of the places of storage.
public enum StoragePlacing {
    /// The storage of an account that is spread from now on.
    public struct Spread: Sendable {
        public let account: Bytes32
        /// Its parts at the anchor, all 16^j of them.
        public let parts: [SectionRecord]
    }

    /// Why the step cannot be made with what is here. Nobody is to blame for it.
    public enum Failure: Error, Equatable, Sendable {
        /// What shows the placement of this account at the anchor is not known.
        case placementUnknown(account: Bytes32)
        /// The slots of this account stand with it from the anchor on, and are not here.
        case slotsMissing(account: Bytes32)
    }

    /// A section's step to an anchor with the places that storage has there.
    public struct Placed: Sendable {
        /// The step.
        public internal(set) var update: SectionUpdate
        /// What it spreads, with the parts that were made here.
        public internal(set) var spread: [Spread] = []
        /// Accounts whose placement was read anew, with that; 0: their storage is with them.
        public internal(set) var placements: [Bytes32: Int] = [:]
        /// The transaction that writes the parts and the placements.
        public internal(set) var batch = WriteBatch()
    }

    /// The effect of a section's step to the anchor at `point`, with the places that storage has there.
    ///
    /// - Parameters:
    ///   - update: the step as the placements of the anchor before have it, verified.
    ///   - view: the section before it, at its base.
    ///   - shown: nodes that show the placement at the anchor, by account, for those whose storage is spread and
    ///     changed. They are checked against the root in the account's body.
    public static func place<Snapshot: StoreSnapshot>(
        _ update: SectionUpdate, over view: StateView<Snapshot>, at point: StatePoint, by rule: Placement,
        shown: [Bytes32: [[UInt8]]]
    ) throws -> Placed {
        var effect = Effect(update)
        var placed = Placed(update: update)
        let after = StateView(
            view.snapshot, update.section, layering: SectionLayering(overlays: [StateOverlay(update)]))
        let withSlots = Set(update.leaves.lazy.filter { $0.key.slot != nil }.map(\.key.account))
        for change in update.leaves where change.key.slot == nil {
            let account = change.key.account
            let before = change.before.flatMap { $0.withUnsafeBytes { SlimBody($0) } }?.storageRoot
            let root = change.after.flatMap { $0.withUnsafeBytes { SlimBody($0) } }?.storageRoot
            guard root != before else { continue }
            let wasSpread = try before != nil && view.isSpread(account)
            // A root that changes, and no slot with it, is of a storage that is spread, or not kept. Where slots stand
            // with the account in spite of that, they are not those of the anchor.
            let isElsewhere = try wasSpread || shown[account] != nil || view.holdsSlots(of: account)
            if !withSlots.contains(account), let root, isElsewhere {
                guard let nodes = shown[account] else { throw Failure.placementUnknown(account: account) }
                let depth = try rule.depth(root: root, shownBy: nodes)
                guard depth > 0 else { throw Failure.slotsMissing(account: account) }
                // Slots that are still here are of the anchor before.
                if !wasSpread { try effect.empty(account, in: view) }
                try effect.show(nodes, of: account, in: view)
                placed.placements[account] = depth
            } else if let root {
                if wasSpread { placed.placements[account] = 0 }
                var trie = after.storageTrie(of: account)
                guard let (depth, nodes) = try placement(of: &trie, root: root, by: rule), depth > 0 else { continue }
                try effect.empty(account, in: view)
                try effect.show(nodes, of: account, in: view)
                let parts = try parts(
                    of: account, at: depth, point, trie: &trie, in: after, into: &placed.batch)
                placed.spread.append(Spread(account: account, parts: parts))
                placed.placements[account] = depth
            } else if wasSpread {
                try effect.show([], of: account, in: view)
                placed.placements[account] = 0
            }
        }
        placed.update = effect.update
        for (account, depth) in placed.placements { placed.batch.append(SpreadRecords.writing(account, depth)) }
        return placed
    }

    /// The placement of a storage trie that is all here, and the nodes that show it; nil where it is too small for any.
    static func placement(
        of trie: inout StorageTrie, root: Bytes32, by rule: Placement
    ) throws -> (depth: Int, nodes: [[UInt8]])? {
        guard let top = try trie.branch(atOrBelow: .root), top.path.isEmpty else { return nil }
        var prover = TrieProver()
        var way = ProofNodes()
        try prover.prove(.zero, upper: nil, source: &trie, into: &way)
        return try rule.show(root: root, in: way.nodes)
    }

    /// Writes the parts of a trie that is all here. Gives their records.
    private static func parts<Snapshot: StoreSnapshot>(
        of account: Bytes32, at depth: Int, _ point: StatePoint, trie: inout StorageTrie, in view: StateView<Snapshot>,
        into batch: inout WriteBatch
    ) throws -> [SectionRecord] {
        var walk = try view.walk(from: Cursor(account: account, slot: Bytes32.zero.successor ?? .zero))
        while let key = try walk.next(), key.account == account {
            batch.put(.partLeaves, key.bytes, walk.value ?? [])
        }
        for (path, node) in try view.storageBranches(of: account) where path.count >= depth {
            batch.put(.partBranches, StorageBranchKey(account: account, path: path).bytes, node)
        }
        var records: [SectionRecord] = []
        for index in 0..<Section.count(depth: depth) {
            let part = Section(depth: depth, index: index, of: account)
            let subtree = try trie.subtree(under: part.path)
            let record = SectionRecord(section: part, working: point, coverage: .complete(subtree))
            batch.append(StateWrites.record(record))
            records.append(record)
        }
        return records
    }

    /// A step while it is changed.
    private struct Effect {
        private let base: SectionUpdate
        private var leaves: [FlatKey: EntryChange<FlatKey>] = [:]
        private var branches: [StorageBranchKey: EntryChange<StorageBranchKey>] = [:]
        private var replaced: Set<Bytes32> = []
        private var emptied: Set<Bytes32> = []

        init(_ update: SectionUpdate) { base = update }

        /// The account's slots are no longer here, whatever the step made of them.
        mutating func empty(_ account: Bytes32, in view: StateView<some StoreSnapshot>) throws {
            emptied.insert(account)
            var walk = try view.walk(from: Cursor(account: account, slot: Bytes32.zero.successor ?? .zero))
            while let key = try walk.next(), key.account == account {
                leaves[key] = EntryChange(key: key, before: walk.value, after: nil)
            }
        }

        /// In the place of what stood beside the account's leaf there are these nodes, the root's first.
        mutating func show(
            _ nodes: [[UInt8]], of account: Bytes32, in view: StateView<some StoreSnapshot>
        ) throws(StoreError) {
            replaced.insert(account)
            for change in try BranchRows(of: account, in: view).changes(toShow: nodes) { branches[change.key] = change }
        }

        var update: SectionUpdate {
            guard !replaced.isEmpty else { return base }
            let kept = base.leaves.filter { $0.key.slot == nil || !emptied.contains($0.key.account) }
            let keptBranches = base.storageBranches.filter { !replaced.contains($0.key.account) }
            return SectionUpdate(
                section: base.section, subtreeAfter: base.subtreeAfter,
                leaves: (kept + leaves.values).sorted { $0.key < $1.key }, accountBranches: base.accountBranches,
                storageBranches: (keptBranches + branches.values).sorted { $0.key < $1.key },
                newCodeHashes: base.newCodeHashes)
        }
    }
}
