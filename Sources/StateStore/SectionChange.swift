import Chain
import MerklePatricia
import Primitives

/// Why changes cannot be applied to a section as it is held. All but `.store` and `.trie` say that the sender lies or
/// stands at another point.
public enum StateChangeError: Error, Equatable, Sendable {
    /// Keys that do not strictly ascend in the flat order.
    case unsorted(FlatKey)
    /// A key of another section.
    case foreignKey(FlatKey)
    /// A change to what is there already, or the deletion of what is not there.
    case noChange(FlatKey)
    /// A body that is no slim account.
    case malformedBody(Bytes32)
    /// A slot's value that is empty, too long or has leading zeros.
    case malformedSlot(FlatKey)
    /// Slots changed, but the account is not listed: its storage root cannot be the one it had.
    case bodyMissing(account: Bytes32)
    /// A slot listed under an account that is deleted: that implies all its slots.
    case impliedSlot(FlatKey)
    /// The held slots and the changes do not give the storage root that the body states.
    case storageRootMismatch(account: Bytes32)
    /// The section is not held in this view.
    case sectionNotHeld(Section)
    /// Reading failed.
    case store(StoreError)
    /// What is stored is no trie.
    case trie(TrieError)
}

/// Applies leaf changes to a held section, recomputing what they touch and nothing else.
public enum SectionChange {
    /// The effect of `changes` on `section` as `view` has it, verified up to the section's own hash: for every account
    /// the storage root is recomputed from the held slots and must be the one its body states; a deleted account takes
    /// all its slots with it. The caller compares `subtreeAfter.hash(at: section.depth)` with the proven section hash.
    public static func apply(
        _ changes: [LeafChange], to section: Section, in view: inout StateView<some StoreSnapshot>
    ) throws(StateChangeError) -> SectionUpdate {
        guard view.holds(section) else { throw .sectionNotHeld(section) }
        try checkOrder(changes, in: section)
        var effect = Effect()
        let (accounts, isStored) = try apply(changes[...], in: &view, effect: &effect)
        let result = try updateAccounts(accounts, isStored, section: section, in: &view)
        return SectionUpdate(
            section: section, subtreeAfter: result.subtree, leaves: effect.leaves, accountBranches: result.branches,
            storageBranches: effect.storageBranches, newCodeHashes: CodeRecords.newHashes(in: effect.leaves))
    }

    /// The changes of accounts of which all is held, each up to its storage root. Gives what changes in the account
    /// trie, and whether it has a leaf of each key now.
    static func apply(
        _ changes: ArraySlice<LeafChange>, in view: inout StateView<some StoreSnapshot>, effect: inout Effect
    ) throws(StateChangeError) -> (accounts: [TrieUpdate.LeafChange], isStored: [Bool]) {
        var accounts: [TrieUpdate.LeafChange] = []
        var isStored: [Bool] = []
        var index = changes.startIndex
        while index < changes.endIndex {
            let account = changes[index].key.account
            var end = index + 1
            while end < changes.endIndex && changes[end].key.account == account { end += 1 }
            let place = effect.leaves.count
            let body = try apply(changes[index..<end], toAccount: account, in: &view, effect: &effect)
            accounts.append((key: account, value: body))
            // The account's own leaf is noted before its slots.
            isStored.append(effect.leaves[place].before != nil)
            index = end
        }
        return (accounts, isStored)
    }

    /// The section as it stands in the view: what its leaves hash to, read from the topmost branch.
    public static func subtree(
        of section: Section, in view: inout StateView<some StoreSnapshot>
    ) throws(StateChangeError) -> Subtree {
        guard view.holds(section) else { throw .sectionNotHeld(section) }
        do {
            var source = view.accountTrie
            if let (path, node) = try source.branch(atOrBelow: section.path) {
                return .branch(path: path, node: NodeReference(encodedNode: node))
            }
            if let (key, value) = try source.leaf(atOrAfter: section.firstKey), section.contains(key) {
                return .leaf(key: key, value: value)
            }
            return .empty
        } catch {
            throw StateChangeError(error)
        }
    }

    /// What has been found out so far; lists ascend because the changes do.
    struct Effect {
        var leaves: [EntryChange<FlatKey>] = []
        var storageBranches: [EntryChange<StorageBranchKey>] = []
    }

    static func checkOrder(_ changes: [LeafChange], in section: Section) throws(StateChangeError) {
        var last: FlatKey?
        for change in changes {
            guard section.contains(change.key.account) else { throw .foreignKey(change.key) }
            if let last, !(last < change.key) { throw .unsorted(change.key) }
            last = change.key
        }
    }

    /// One account: its listed slots, then its body. Gives the value for the account trie, nil for a deleted one.
    private static func apply(
        _ changes: ArraySlice<LeafChange>, toAccount account: Bytes32, in view: inout StateView<some StoreSnapshot>,
        effect: inout Effect
    ) throws(StateChangeError) -> [UInt8]? {
        guard let first = changes.first, first.key.slot == nil else { throw .bodyMissing(account: account) }
        let before = try reading { () throws(StoreError) in try view.leaf(first.key) }
        guard before != first.value else { throw .noChange(first.key) }
        effect.leaves.append(EntryChange(key: first.key, before: before, after: first.value))
        let slots = changes.dropFirst()
        guard let body = first.value else {
            if let slot = slots.first { throw .impliedSlot(slot.key) }
            try deleteStorage(of: account, in: view, effect: &effect)
            return nil
        }
        guard let after = body.withUnsafeBytes({ SlimBody($0) }) else { throw .malformedBody(account) }
        let root: Bytes32
        if slots.isEmpty {
            let old = before.flatMap { $0.withUnsafeBytes { SlimBody($0) } }
            guard old != nil || before == nil else { throw .store(.corrupt(table: .leaves)) }
            root = old?.storageRoot ?? StateAccount.emptyRoot
        } else {
            root = try applySlots(slots, of: account, in: view, effect: &effect)
        }
        guard root == after.storageRoot ?? StateAccount.emptyRoot else {
            throw .storageRootMismatch(account: account)
        }
        return body.withUnsafeBytes { after.full($0) }
    }

    /// Records the slots' changes and those of the branches over them. Gives the new storage root.
    private static func applySlots(
        _ slots: ArraySlice<LeafChange>, of account: Bytes32, in view: StateView<some StoreSnapshot>,
        effect: inout Effect
    ) throws(StateChangeError) -> Bytes32 {
        let (leaves, isStored) = try self.slots(slots, in: view, effect: &effect)
        do {
            var source = view.storageTrie(of: account)
            let result = try TrieUpdate.apply(leaves, isStored: isStored, under: .root, source: &source)
            for (path, before, node) in result.changes {
                let key = StorageBranchKey(account: account, path: path)
                effect.storageBranches.append(EntryChange(key: key, before: before, after: node))
            }
            return result.subtree.hash(at: 0)
        } catch {
            throw StateChangeError(error)
        }
    }

    /// Records the slots' changes. Gives what changes in the storage trie, and whether it has a leaf of each key now.
    static func slots(
        _ slots: ArraySlice<LeafChange>, in view: StateView<some StoreSnapshot>, effect: inout Effect
    ) throws(StateChangeError) -> (leaves: [TrieUpdate.LeafChange], isStored: [Bool]) {
        var leaves: [TrieUpdate.LeafChange] = []
        var isStored: [Bool] = []
        for change in slots {
            guard let slot = change.key.slot else { throw .unsorted(change.key) }
            if let value = change.value, !SlotValue.isCanonical(value) { throw .malformedSlot(change.key) }
            let before = try reading { () throws(StoreError) in try view.leaf(change.key) }
            guard before != change.value else { throw .noChange(change.key) }
            effect.leaves.append(EntryChange(key: change.key, before: before, after: change.value))
            leaves.append((key: slot, value: change.value.map { SlotValue.rlp($0) }))
            isStored.append(before != nil)
        }
        return (leaves, isStored)
    }

    /// Records that every slot of `account` and every branch over them is gone.
    private static func deleteStorage(
        of account: Bytes32, in view: StateView<some StoreSnapshot>, effect: inout Effect
    ) throws(StateChangeError) {
        do {
            var walk = try view.walk(from: Cursor(account: account))
            while let key = try walk.next(), key.account == account {
                if key.slot != nil {
                    effect.leaves.append(EntryChange(key: key, before: walk.value, after: nil))
                }
            }
            for (path, node) in try view.storageBranches(of: account) {
                let key = StorageBranchKey(account: account, path: path)
                effect.storageBranches.append(EntryChange(key: key, before: node, after: nil))
            }
        } catch {
            throw StateChangeError(error)
        }
    }

    private static func updateAccounts(
        _ accounts: [TrieUpdate.LeafChange], _ isStored: [Bool], section: Section,
        in view: inout StateView<some StoreSnapshot>
    ) throws(StateChangeError) -> (subtree: Subtree, branches: [EntryChange<Nibbles>]) {
        if accounts.isEmpty { return (try subtree(of: section, in: &view), []) }
        do {
            var source = view.accountTrie
            let result = try TrieUpdate.apply(
                accounts, isStored: isStored, under: section.path, source: &source)
            let branches = result.changes.map { EntryChange(key: $0.path, before: $0.before, after: $0.node) }
            return (result.subtree, branches)
        } catch {
            throw StateChangeError(error)
        }
    }

    private static func reading<R>(_ body: () throws(StoreError) -> R) throws(StateChangeError) -> R {
        do throws(StoreError) {
            return try body()
        } catch {
            throw .store(error)
        }
    }
}

extension StateChangeError {
    /// What a trie read from the store may throw.
    init(_ error: any Error) {
        switch error {
        case let error as StateChangeError: self = error
        case let error as StoreError: self = .store(error)
        case let error as TrieError: self = .trie(error)
        // A source throws the store's errors only, and the trie its own.
        default: self = .store(.corrupt(table: .accountBranches))
        }
    }
}
