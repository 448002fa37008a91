import Chain
import MerklePatricia
import Primitives

/// A section of which only a part is held, everything below some position, taken from the state of one anchor to that
/// of another: for one that takes longer to fetch than its anchor is served.
public enum PartialSection {
    /// What is known of the state it is taken to, from a proven range that begins where the held part ends.
    public struct Goal: Sendable {
        let stateRoot: Bytes32
        let accountProof: [[UInt8]]
        let storageRoot: Bytes32?
        let storageProof: [[UInt8]]

        /// - Parameters:
        ///   - accountProof: nodes of the account trie whose subtrees lie across the position's account.
        ///   - storageRoot: where the position lies inside an account, its storage root; nil where that is gone.
        ///   - storageProof: nodes of that account's storage trie whose subtrees lie across the position's slot.
        public init(stateRoot: Bytes32, accountProof: [[UInt8]], storageRoot: Bytes32?, storageProof: [[UInt8]]) {
            self.stateRoot = stateRoot
            self.accountProof = accountProof
            self.storageRoot = storageRoot
            self.storageProof = storageProof
        }
    }

    /// The effect on what is held. An account that the position lies inside is not among the leaves unless it is gone:
    /// its body comes with the range.
    public struct Advanced: Sendable {
        let section: Section
        let next: Cursor
        let leaves: [EntryChange<FlatKey>]
        let accountBranches: [EntryChange<Nibbles>]
        let storageBranches: [EntryChange<StorageBranchKey>]
        /// Code hashes of accounts whose code changed (or that are new), ascending, each once.
        public let newCodeHashes: [Bytes32]
        /// What the held part hashes to, in pieces, ascending; none is empty.
        public let parts: [Subtree]
    }

    /// Applies the changes of a section from the state of what is held of it, all below `next`, to that of `goal`;
    /// those from `next` on are left alone. Every storage root is recomputed, and the held part must be the goal's.
    ///
    /// Throws `ProofError` or `StateChangeError` where it is not: then the changes are false, or the store is broken
    /// (`.store`, `.trie`), or the view does not hold the section (`.sectionNotHeld`).
    public static func advance(
        _ changes: [LeafChange], of section: Section, below next: Cursor, to goal: Goal,
        in view: inout StateView<some StoreSnapshot>
    ) throws -> Advanced {
        guard view.holds(section) else { throw StateChangeError.sectionNotHeld(section) }
        try SectionChange.checkOrder(changes, in: section)
        var effect = SectionChange.Effect()
        let whole = changes.prefix { $0.key.account < next.account }
        let accounts = try self.accounts(whole, in: &view, effect: &effect)
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
        return Advanced(
            section: section, next: next, leaves: effect.leaves,
            accountBranches: trie.branches.map { EntryChange(key: $0.path, before: $0.before, after: $0.node) },
            storageBranches: effect.storageBranches, newCodeHashes: CodeRecords.newHashes(in: effect.leaves),
            parts: trie.parts)
    }

    /// The changes of accounts of which all is held, each up to its storage root. Gives what changes in the account
    /// trie.
    private static func accounts(
        _ changes: ArraySlice<LeafChange>, in view: inout StateView<some StoreSnapshot>,
        effect: inout SectionChange.Effect
    ) throws -> [TrieUpdate.LeafChange] {
        var accounts: [TrieUpdate.LeafChange] = []
        var start = changes.startIndex
        while start < changes.endIndex {
            let account = changes[start].key.account
            var end = start + 1
            while end < changes.endIndex && changes[end].key.account == account { end += 1 }
            accounts.append((account, try self.account(changes[start..<end], account, in: &view, effect: &effect)))
            start = end
        }
        return accounts
    }

    /// One of them.
    private static func account(
        _ changes: ArraySlice<LeafChange>, _ account: Bytes32, in view: inout StateView<some StoreSnapshot>,
        effect: inout SectionChange.Effect
    ) throws -> [UInt8]? {
        let before = try view.leaf(FlatKey(account: account))
        let body = SectionChange.BodyChange(place: effect.leaves.count, hasSlots: changes.count > 1)
        let value = try SectionChange.apply(
            changes, toAccount: account, in: view, checking: true, effect: &effect)
        try SectionChange.settle(body, before: before, in: view, effect: &effect)
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
            _ = try self.account(changes, account, in: &view, effect: &effect)
            return
        }
        guard changes.first.map({ $0.value != nil }) ?? true else {
            throw StateChangeError.noChange(FlatKey(account: account))
        }
        let below = changes.dropFirst().prefix { $0.key < next.firstKey }
        var slots: [TrieUpdate.LeafChange] = []
        for change in below {
            let slot = try SectionChange.slot(change)
            let before = try view.leaf(change.key)
            guard before != change.value else { throw StateChangeError.noChange(change.key) }
            effect.leaves.append(EntryChange(key: change.key, before: before, after: change.value))
            slots.append(slot)
        }
        let trie = try checking {
            var source = view.storageTrie(of: account)
            return try LeftPart.advance(
                slots, below: next.slot, under: .root, root: root, proof: goal.storageProof,
                source: &source)
        }
        for (path, before, node) in trie.branches {
            let key = StorageBranchKey(account: account, path: path)
            effect.storageBranches.append(EntryChange(key: key, before: before, after: node))
        }
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
        var batch = base(advanced.leaves, advanced.accountBranches, advanced.storageBranches)
        // Those across the position are the old state's.
        let (section, next) = (advanced.section, advanced.next)
        for depth in section.depth..<64 {
            batch.delete(.accountBranches, Nibbles(next.account, count: depth).storeKey)
        }
        guard next.slot != .zero else { return batch }
        for depth in 0..<64 {
            let key = StorageBranchKey(account: next.account, path: Nibbles(next.slot, count: depth))
            batch.delete(.storageBranches, key.bytes)
        }
        return batch
    }
}
