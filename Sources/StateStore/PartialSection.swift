import Chain
import MerklePatricia
import Primitives

/// A section of which only a part is held, everything below some position, taken from the state of one anchor to that
/// of another: for one that takes longer to fetch than its anchor is served. Of a part of a storage trie the position
/// is a slot, and the changes are slots.
public enum PartialSection {
    /// What is known of the state it is taken to, from a proven range that begins where the held part ends.
    public struct Goal: Sendable {
        let stateRoot: Bytes32
        let accountProof: [[UInt8]]
        let storageRoot: Bytes32?
        let storageProof: [[UInt8]]
        let isSpread: Bool

        /// - Parameters:
        ///   - accountProof: nodes of the account trie whose subtrees lie across the position's account; none for a
        ///     part.
        ///   - storageRoot: where the position lies inside an account, its storage root; nil where that is gone.
        ///   - storageProof: nodes of that account's storage trie whose subtrees lie across the position's slot.
        ///   - isSpread: whether they show instead that the storage of that account is spread, so that no slot stands
        ///     with it.
        public init(
            stateRoot: Bytes32, accountProof: [[UInt8]], storageRoot: Bytes32?, storageProof: [[UInt8]],
            isSpread: Bool = false
        ) {
            self.stateRoot = stateRoot
            self.accountProof = accountProof
            self.storageRoot = storageRoot
            self.storageProof = storageProof
            self.isSpread = isSpread
        }
    }

    /// How storage is placed at the goal.
    public struct Places: Sendable {
        let point: StatePoint
        let rule: Placement
        let shown: [Bytes32: [[UInt8]]]

        /// `shown`: nodes that show the placement at the goal, the anchor at `point`, by account, for those whose
        /// storage is spread and changed.
        public init(at point: StatePoint, by rule: Placement, shown: [Bytes32: [[UInt8]]]) {
            self.point = point
            self.rule = rule
            self.shown = shown
        }
    }

    /// The effect on what is held. An account that the position lies inside is not among the leaves unless it is gone:
    /// its body comes with the range.
    public struct Advanced: Sendable {
        let section: Section
        let next: Cursor
        fileprivate(set) var leaves: [EntryChange<FlatKey>]
        let accountBranches: [EntryChange<Nibbles>]
        fileprivate(set) var storageBranches: [EntryChange<StorageBranchKey>]
        /// Whether the storage of the account that the position lies inside is spread at the goal.
        let isSpread: Bool
        /// Accounts whose storage is spread from the goal on, and the transaction that writes their parts.
        public fileprivate(set) var spread: [StoragePlacing.Spread] = []
        /// Accounts whose placement was read anew, with that.
        public fileprivate(set) var placements: [Bytes32: Int] = [:]
        fileprivate var spreadBatch = WriteBatch()
        /// Code hashes of accounts whose code changed (or that are new), ascending, each once.
        public let newCodeHashes: [Bytes32]
        /// What the held part hashes to, in pieces, ascending; none is empty.
        public let parts: [Subtree]
    }

    /// Applies the changes of a section from the state of what is held of it, all below `next`, to that of `goal`;
    /// those from `next` on are left alone. Every storage root is recomputed, and the held part must be the goal's.
    ///
    /// Throws `ProofError` or `StateChangeError` where it is not: then the changes are false, or the store is broken
    /// (`.store`, `.trie`), or the view does not hold the section (`.sectionNotHeld`). `places`: nil in a network that
    /// spreads no storage; else it throws what `StoragePlacing.place` does too. `kept`: see `SectionChange.apply`.
    public static func advance(
        _ changes: [LeafChange], of section: Section, below next: Cursor, to goal: Goal, placing places: Places? = nil,
        keeping kept: KeptStorage = .all, in view: inout StateView<some StoreSnapshot>
    ) throws -> Advanced {
        guard view.holds(section) else { throw StateChangeError.sectionNotHeld(section) }
        try SectionChange.checkOrder(changes, in: section)
        if section.owner != nil { return try advance(changes, ofPart: section, below: next, to: goal, in: &view) }
        var effect = SectionChange.Effect()
        let whole = changes.prefix { $0.key.account < next.account }
        let accounts = try self.accounts(
            whole, elsewhere: places.map { Set($0.shown.keys) } ?? [], keeping: kept, in: &view, effect: &effect)
        if next.slot != .zero {
            let own = changes[whole.endIndex...].prefix { $0.key.account == next.account }
            try advance(own, inside: next, to: goal, in: &view, effect: &effect)
        }
        let trie = try checking {
            var source = view.accountTrie
            return try LeftPart.advance(
                accounts, below: next.account, under: section.path, root: goal.stateRoot,
                proof: goal.accountProof, source: &source)
        }
        var advanced = Advanced(
            section: section, next: next, leaves: effect.leaves,
            accountBranches: trie.branches.map { EntryChange(key: $0.path, before: $0.before, after: $0.node) },
            storageBranches: effect.storageBranches, isSpread: goal.isSpread,
            newCodeHashes: CodeRecords.newHashes(in: effect.leaves, keeping: kept), parts: trie.parts)
        if let places { try place(&advanced, places, in: view) }
        return advanced
    }

    /// Puts the storage of the accounts that are held whole where it is at the goal.
    private static func place(
        _ advanced: inout Advanced, _ places: Places, in view: StateView<some StoreSnapshot>
    ) throws {
        let step = SectionUpdate(
            section: advanced.section, subtreeAfter: .empty, leaves: advanced.leaves,
            accountBranches: advanced.accountBranches, storageBranches: advanced.storageBranches,
            newCodeHashes: advanced.newCodeHashes)
        let placed = try StoragePlacing.place(
            step, over: view, at: places.point, by: places.rule, shown: places.shown)
        advanced.leaves = placed.update.leaves
        advanced.storageBranches = placed.update.storageBranches
        (advanced.spread, advanced.placements, advanced.spreadBatch) = (placed.spread, placed.placements, placed.batch)
    }

    /// The slots of a part below a position. Where the account is gone all of them go.
    private static func advance(
        _ changes: [LeafChange], ofPart part: Section, below next: Cursor, to goal: Goal,
        in view: inout StateView<some StoreSnapshot>
    ) throws -> Advanced {
        var effect = SectionChange.Effect()
        let below = changes.prefix { $0.key < next.firstKey }
        let parts = try slots(
            below, of: next.account, below: next.slot, under: part.path,
            root: goal.storageRoot ?? StateAccount.emptyRoot,
            proof: goal.storageProof, in: view, effect: &effect)
        return Advanced(
            section: part, next: next, leaves: effect.leaves, accountBranches: [],
            storageBranches: effect.storageBranches, isSpread: false, newCodeHashes: [], parts: parts)
    }

    /// The changes of accounts of which all is held, each up to its storage root. Gives what changes in the account
    /// trie.
    private static func accounts(
        _ changes: ArraySlice<LeafChange>, elsewhere: Set<Bytes32>, keeping kept: KeptStorage,
        in view: inout StateView<some StoreSnapshot>, effect: inout SectionChange.Effect
    ) throws -> [TrieUpdate.LeafChange] {
        var accounts: [TrieUpdate.LeafChange] = []
        var start = changes.startIndex
        while start < changes.endIndex {
            let account = changes[start].key.account
            var end = start + 1
            while end < changes.endIndex && changes[end].key.account == account { end += 1 }
            let value = try self.account(
                changes[start..<end], account, elsewhere: elsewhere, keeping: kept, in: &view, effect: &effect)
            accounts.append((account, value))
            start = end
        }
        return accounts
    }

    /// One of them.
    private static func account(
        _ changes: ArraySlice<LeafChange>, _ account: Bytes32, elsewhere: Set<Bytes32>, keeping kept: KeptStorage,
        in view: inout StateView<some StoreSnapshot>,
        effect: inout SectionChange.Effect
    ) throws -> [UInt8]? {
        if changes.count > 1, !kept.keeps(account) {
            throw StateChangeError.slotNotKept(changes[changes.startIndex + 1].key)
        }
        let before = try view.leaf(FlatKey(account: account))
        let body = SectionChange.BodyChange(place: effect.leaves.count, hasSlots: changes.count > 1)
        let value = try SectionChange.apply(
            changes, toAccount: account, in: view, checking: true, effect: &effect)
        try SectionChange.settle(
            body, before: before, in: view, effect: &effect, elsewhere: elsewhere, keeping: kept)
        return value
    }

    /// The account that the position lies inside: its slots below the position.
    private static func advance(
        _ changes: ArraySlice<LeafChange>, inside next: Cursor, to goal: Goal,
        in view: inout StateView<some StoreSnapshot>, effect: inout SectionChange.Effect
    ) throws {
        let account = next.account
        if let first = changes.first, first.key.slot != nil { throw StateChangeError.bodyMissing(account: account) }
        guard let root = goal.storageRoot else {
            // Its range shows that it is not there: if it was, the changes must say that it is gone.
            if changes.isEmpty, try view.leaf(FlatKey(account: account)) == nil { return }
            guard let first = changes.first, first.value == nil else {
                throw StateChangeError.bodyMissing(account: account)
            }
            // A cursor lies inside the storage of such accounts only as keep theirs.
            _ = try self.account(changes, account, elsewhere: [], keeping: .all, in: &view, effect: &effect)
            return
        }
        guard changes.first.map({ $0.value != nil }) ?? true else {
            throw StateChangeError.noChange(FlatKey(account: account))
        }
        guard !goal.isSpread else {
            var walk = try view.walk(from: Cursor(account: account))
            while let key = try walk.next(), key.account == account {
                guard key.slot != nil else { continue }
                effect.leaves.append(EntryChange(key: key, before: walk.value, after: nil))
            }
            effect.storageBranches += try BranchRows(of: account, in: view).changes(toShow: goal.storageProof)
            return
        }
        let below = changes.dropFirst().prefix { $0.key < next.firstKey }
        _ = try slots(
            below, of: account, below: next.slot, under: .root, root: root, proof: goal.storageProof, in: view,
            effect: &effect)
    }

    /// Changed slots below a position, under a path of the storage trie of this root. Gives what they hash to, in
    /// pieces.
    private static func slots(
        _ changes: ArraySlice<LeafChange>, of account: Bytes32, below boundary: Bytes32, under path: Nibbles,
        root: Bytes32, proof: [[UInt8]], in view: StateView<some StoreSnapshot>, effect: inout SectionChange.Effect
    ) throws -> [Subtree] {
        var slots: [TrieUpdate.LeafChange] = []
        for change in changes {
            let slot = try SectionChange.slot(change)
            let before = try view.leaf(change.key)
            guard before != change.value else { throw StateChangeError.noChange(change.key) }
            effect.leaves.append(EntryChange(key: change.key, before: before, after: change.value))
            slots.append(slot)
        }
        let trie = try checking {
            var source = view.storageTrie(of: account)
            return try LeftPart.advance(
                slots, below: boundary, under: path, root: root, proof: proof, source: &source)
        }
        for (path, before, node) in trie.branches {
            let key = StorageBranchKey(account: account, path: path)
            effect.storageBranches.append(EntryChange(key: key, before: before, after: node))
        }
        return trie.parts
    }

    /// Sorts errors: those of the proof blame who sent the changes, others the store.
    private static func checking(_ body: () throws -> LeftPart.Advanced) throws -> LeftPart.Advanced {
        do {
            return try body()
        } catch let error as ProofError {
            throw error
        } catch {
            throw StateChangeError(error)
        }
    }
}

extension StateWrites {
    /// The held part of a section in its new state, without the branches across the position where it ends and without
    /// the body of an account that the position lies inside. The range that proved it has those and the record: it is
    /// to be written in the same transaction, after this.
    public static func advance(_ advanced: PartialSection.Advanced) -> WriteBatch {
        // Those across the position are the old state's. What shows spread storage stands in their place.
        var batch = WriteBatch()
        let next = advanced.isSpread ? Cursor(account: advanced.next.account) : advanced.next
        deleteBranches(across: next, of: advanced.section, in: &batch)
        batch.append(
            base(
                advanced.leaves, advanced.accountBranches, advanced.storageBranches,
                ofPart: advanced.section.owner != nil))
        batch.append(advanced.spreadBatch)
        return batch
    }
}
