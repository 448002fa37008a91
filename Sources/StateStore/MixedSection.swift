import Chain
import MerklePatricia
import Primitives

// A section, or a part, whose leaves are of several anchors: what was held, and what a comparison with the state at the
// working point has found so far.
//
//      complete, or held below a cursor ──▶ mixed ──▶ mixed … ──▶ complete, or held below the cursor, at the goal
//                                     one answer, one transaction each
//
// It is a state like any other, only of no block: every account's slots hash to the root in its body, every branch is
// over what is there. So it can be compared with any other state, and led there. An account gets the goal's nonce,
// balance and code when its leaf is seen, and keeps the root of the slots that are here until they are the goal's. In
// the account that a held part ends in the body is not touched: it comes with the next range.
//
// Why in place. What was found stays found: whoever is killed, or loses the anchor, compares again with whatever state
// is served then, and all that was taken over and has not changed since is found equal by the hash above it. Found
// changes that waited in memory for the last of them would need room for all, and would be lost with their goal. What
// is given up for it is the state that was held before, which was too old for anybody, and the history that led to it.

/// Makes what a comparison found part of what is held.
public enum MixedSection {
    /// The effect of one answer.
    public struct Step: Sendable {
        let section: Section
        let next: Cursor?
        let leaves: [EntryChange<FlatKey>]
        let accountBranches: [EntryChange<Nibbles>]
        let storageBranches: [EntryChange<StorageBranchKey>]
        /// Code hashes of accounts whose code changed (or that are new), ascending, each once.
        public let newCodeHashes: [Bytes32]
        /// What the section hashes to afterwards; nil where only a part of it is held.
        public let subtree: Subtree?
        /// Accounts whose placement was seen, with that; 0: their storage is with them, or they are gone.
        public fileprivate(set) var placements: [Bytes32: Int] = [:]
    }

    /// The effect of what was found on the section as the view has it, of which everything below `next` (nil: all) is
    /// held. Throws where the store is not what it must be.
    public static func takeOver(
        _ found: SectionComparison.Found, of section: Section, below next: Cursor?, keeping kept: KeptStorage = .all,
        in view: inout StateView<some StoreSnapshot>
    ) throws(StateChangeError) -> Step {
        var step = try effect(of: found, on: section, below: next, keeping: kept, in: &view)
        step.placements = found.placements
        for leaf in found.leaves where leaf.key.slot == nil && leaf.value == nil {
            step.placements[leaf.key.account] = 0
        }
        return step
    }

    private static func effect(
        of found: SectionComparison.Found, on section: Section, below next: Cursor?, keeping kept: KeptStorage,
        in view: inout StateView<some StoreSnapshot>
    ) throws(StateChangeError) -> Step {
        guard view.holds(section) else { throw .sectionNotHeld(section) }
        var effect = Effect(next: next, kept: kept)
        do {
            if let owner = section.owner {
                let slots = found.leaves.sorted { $0.key < $1.key }
                try effect.storage(of: owner, slots, under: section.path, in: view)
                var trie = view.storageTrie(of: owner)
                let subtree = next == nil ? try effect.part ?? trie.subtree(under: section.path) : nil
                return Step(effect, section, [], subtree)
            }
            let byAccount = Dictionary(grouping: found.leaves, by: \.key.account)
            for key in Set(byAccount.keys).union(found.shown.keys).union(found.gathered).sorted() {
                let changes = (byAccount[key] ?? []).sorted { $0.key < $1.key }
                try effect.account(key, changes, found, in: view)
            }
            var source = view.accountTrie
            if let next {
                let branches = try LeftPart.change(
                    effect.accounts, below: next.account, under: section.path, source: &source)
                return Step(effect, section, branches, nil)
            }
            guard !effect.accounts.isEmpty else {
                return Step(effect, section, [], try source.subtree(under: section.path))
            }
            let result = try TrieUpdate.apply(effect.accounts, under: section.path, source: &source)
            return Step(effect, section, result.changes, result.subtree)
        } catch {
            throw StateChangeError(error)
        }
    }

    /// What has been found out so far.
    fileprivate struct Effect {
        let next: Cursor?
        let kept: KeptStorage
        var leaves: [EntryChange<FlatKey>] = []
        var storageBranches: [EntryChange<StorageBranchKey>] = []
        /// What changes in the account trie.
        var accounts: [TrieUpdate.LeafChange] = []
        /// What the storage under the path that was changed last hashes to; nil where that is held in part.
        var part: Subtree?

        init(next: Cursor?, kept: KeptStorage) {
            self.next = next
            self.kept = kept
        }

        private mutating func leaf(_ key: FlatKey, _ value: [UInt8]?, in view: StateView<some StoreSnapshot>) throws {
            let before = try view.leaf(key)
            if before != value { leaves.append(EntryChange(key: key, before: before, after: value)) }
        }

        /// One account: its body, where it was seen, and slots of it.
        mutating func account(
            _ key: Bytes32, _ changes: [LeafChange], _ found: SectionComparison.Found,
            in view: StateView<some StoreSnapshot>
        ) throws {
            let body = changes.first { $0.key.slot == nil }
            let slots = changes.filter { $0.key.slot != nil }
            let isCutInside = next.map { $0.account == key && $0.slot != .zero } ?? false
            if let body, body.value == nil {
                try leaf(body.key, nil, in: view)
                try clearSlots(of: key, in: view)
                try show([], of: key, in: view)
                if !isCutInside { accounts.append((key, nil)) }
                return
            }
            if isCutInside {
                guard let (_, nodes) = found.shown[key] else {
                    return try storage(of: key, slots, under: .root, in: view)
                }
                try clearSlots(of: key, in: view)
                return try show(nodes, of: key, in: view)
            }
            let held = try view.account(key)
            let seen = try body?.value.map { (slim) throws(StoreError) in try StateAccount(stored: slim) }
            guard var account = seen ?? held else { throw StateChangeError.bodyMissing(account: key) }
            // Of storage that is not kept the root is what was seen.
            if kept.keeps(key) { account.storageRoot = held?.storageRoot ?? StateAccount.emptyRoot }
            // The body comes before its slots.
            let place = leaves.count
            if let (root, nodes) = found.shown[key] {
                try clearSlots(of: key, in: view)
                try show(nodes, of: key, in: view)
                account.storageRoot = root
            } else if found.gathered.contains(key) {
                try show([], of: key, in: view)
                account.storageRoot = StateAccount.emptyRoot
            } else if !slots.isEmpty {
                try storage(of: key, slots, under: .root, in: view)
                account.storageRoot = part?.hash(at: 0) ?? StateAccount.emptyRoot
            }
            guard account != held else { return }
            let change = EntryChange(key: FlatKey(account: key), before: held?.slim, after: account.slim)
            leaves.insert(change, at: place)
            accounts.append((key, account.rlp))
        }

        /// Changed slots, and the branches over them.
        mutating func storage(
            of account: Bytes32, _ slots: [LeafChange], under path: Nibbles, in view: StateView<some StoreSnapshot>
        ) throws {
            part = nil
            guard !slots.isEmpty else { return }
            for slot in slots { try leaf(slot.key, slot.value, in: view) }
            let changes = try slots.map { (slot) throws(StateChangeError) in try SectionChange.slot(slot) }
            var source = view.storageTrie(of: account)
            let branches: [TrieUpdate.BranchChange]
            if let next, next.account == account, next.slot != .zero {
                branches = try LeftPart.change(changes, below: next.slot, under: path, source: &source)
            } else {
                let result = try TrieUpdate.apply(changes, under: path, source: &source)
                (branches, part) = (result.changes, result.subtree)
            }
            for (path, before, node) in branches {
                let key = StorageBranchKey(account: account, path: path)
                storageBranches.append(EntryChange(key: key, before: before, after: node))
            }
        }

        /// No slot of the account stands with it any more.
        private mutating func clearSlots(of account: Bytes32, in view: StateView<some StoreSnapshot>) throws {
            var walk = try view.walk(from: Cursor(account: account))
            while let key = try walk.next(), key.account == account {
                if key.slot != nil { leaves.append(EntryChange(key: key, before: walk.value, after: nil)) }
            }
        }

        /// In the place of the branches over an account's slots there are these nodes, the root's first.
        private mutating func show(
            _ nodes: [[UInt8]], of account: Bytes32, in view: StateView<some StoreSnapshot>
        ) throws {
            storageBranches += try BranchRows(of: account, in: view).changes(toShow: nodes)
        }
    }
}

extension MixedSection.Step {
    fileprivate init(
        _ effect: MixedSection.Effect, _ section: Section, _ accountBranches: [TrieUpdate.BranchChange],
        _ subtree: Subtree?
    ) {
        self.section = section
        next = effect.next
        leaves = effect.leaves
        storageBranches = effect.storageBranches
        self.accountBranches = accountBranches.map { EntryChange(key: $0.path, before: $0.before, after: $0.node) }
        newCodeHashes = CodeRecords.newHashes(in: effect.leaves, keeping: effect.kept)
        self.subtree = subtree
    }
}

extension StateWrites {
    /// What one answer of a comparison showed becomes part of what is held. `before`: the record so far; `after`:
    /// mixed, or what the section is at the goal. The first step of a comparison takes with it what leads from the
    /// state that was held to others.
    public static func mixed(
        _ step: MixedSection.Step, before: SectionRecord, after: SectionRecord, missingCodes: [Bytes32] = []
    ) -> WriteBatch {
        let section = step.section
        var batch = base(
            step.leaves, step.accountBranches, step.storageBranches, ofPart: section.owner != nil)
        switch before.coverage {
        case .mixed: break
        case .complete:
            deleteUndo(of: section, in: &batch)
            for table in [Table.history, .layers] { batch.deletePrefix(table, section.storeKey) }
        case .partial(let next): deleteBranches(across: next, of: section, in: &batch)
        }
        for (account, depth) in step.placements { batch.append(SpreadRecords.writing(account, depth)) }
        batch.append(wantedCodes(missingCodes, of: section))
        batch.put(.sections, section.storeKey, after.encoded)
        return batch
    }

    /// Branches across the position at which what is held of a section ends: they say what the old state had there.
    static func deleteBranches(across next: Cursor, of section: Section, in batch: inout WriteBatch) {
        if section.owner == nil {
            for depth in section.depth..<MerklePatriciaLimits.keyNibbles {
                batch.delete(.accountBranches, Nibbles(next.account, count: depth).storeKey)
            }
        }
        guard next.slot != .zero else { return }
        let table = StateTable.storageBranches(ofPart: section.owner != nil).base
        for depth in 0..<MerklePatriciaLimits.keyNibbles {
            let key = StorageBranchKey(account: next.account, path: Nibbles(next.slot, count: depth))
            batch.delete(table, key.bytes)
        }
    }
}
