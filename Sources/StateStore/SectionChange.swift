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
    /// A slot of an account whose storage is not kept.
    case slotNotKept(FlatKey)
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
    /// all its slots with it. Of an account whose storage is spread round the ring only the body is here, and its root
    /// is what the body says. The caller compares `subtreeAfter.hash(at: section.depth)` with the proven section hash.
    /// Of a part `changes` are slots, and the hash is that of the part.
    ///
    /// - Parameters:
    ///   - checking: see `TrieUpdate.apply`. A caller that finds a hash which does not fit, or gets an error that
    ///     blames the sender, asks again with it: then an error of the store says that it is ours.
    ///   - from: the section hash in the view, where it is known: what `checking` begins with.
    ///   - elsewhere: accounts whose storage is spread round the ring from this step on. Their slots are not among the
    ///     changes, whatever becomes of their storage root.
    ///   - kept: whose storage and code is kept. Of other accounts the body alone is here, and its storage root is what
    ///     it says.
    public static func apply(
        _ changes: [LeafChange], to section: Section, in view: inout StateView<some StoreSnapshot>,
        checking: Bool = false, from before: Bytes32? = nil, elsewhere: Set<Bytes32> = [],
        keeping kept: KeptStorage = .all
    ) throws(StateChangeError) -> SectionUpdate {
        guard view.holds(section) else { throw .sectionNotHeld(section) }
        try checkOrder(changes, in: section)
        if let owner = section.owner {
            return try apply(changes, toPart: section, of: owner, in: view, checking: checking, from: before)
        }
        var effect = Effect()
        var accounts: [TrieUpdate.LeafChange] = []
        var bodies: [BodyChange] = []
        effect.leaves.reserveCapacity(changes.count)
        var index = 0
        while index < changes.count {
            let account = changes[index].key.account
            var end = index + 1
            while end < changes.count && changes[end].key.account == account { end += 1 }
            bodies.append(BodyChange(place: effect.leaves.count, hasSlots: end > index + 1))
            if end > index + 1, !kept.keeps(account) { throw .slotNotKept(changes[index + 1].key) }
            let body = try apply(
                changes[index..<end], toAccount: account, in: view, checking: checking, effect: &effect)
            accounts.append((key: account, value: body))
            index = end
        }
        let result = try updateAccounts(accounts, section: section, in: &view, checking: checking, from: before)
        for index in bodies.indices {
            try settle(
                bodies[index], before: result.before[index], in: view, effect: &effect, elsewhere: elsewhere,
                keeping: kept)
        }
        return SectionUpdate(
            section: section, subtreeAfter: result.subtree, leaves: effect.leaves, accountBranches: result.branches,
            storageBranches: effect.storageBranches,
            newCodeHashes: CodeRecords.newHashes(in: effect.leaves, keeping: kept))
    }

    /// The section as it stands in the view: what its leaves hash to, read from the topmost branch.
    public static func subtree(
        of section: Section, in view: inout StateView<some StoreSnapshot>
    ) throws(StateChangeError) -> Subtree {
        guard view.holds(section) else { throw .sectionNotHeld(section) }
        do {
            if let owner = section.owner {
                var source = view.storageTrie(of: owner)
                return try source.subtree(under: section.path)
            }
            var source = view.accountTrie
            return try source.subtree(under: section.path)
        } catch {
            throw StateChangeError(error)
        }
    }

    /// What has been found out so far; lists ascend because the changes do.
    struct Effect {
        var leaves: [EntryChange<FlatKey>] = []
        var storageBranches: [EntryChange<StorageBranchKey>] = []
    }

    /// An account's own leaf among the changes. What was there before is known once the account trie has been read.
    struct BodyChange {
        /// In the list of leaves.
        let place: Int
        let hasSlots: Bool
    }

    /// Notes what was there before. An account none of whose slots changes must keep its storage root, unless its slots
    /// are elsewhere or not kept.
    static func settle(
        _ body: BodyChange, before: [UInt8]?, in view: StateView<some StoreSnapshot>, effect: inout Effect,
        elsewhere: Set<Bytes32> = [], keeping kept: KeptStorage = .all
    ) throws(StateChangeError) {
        let change = effect.leaves[body.place]
        guard before != change.after else { throw .noChange(change.key) }
        effect.leaves[body.place] = EntryChange(key: change.key, before: before, after: change.after)
        guard !body.hasSlots, !elsewhere.contains(change.key.account), kept.keeps(change.key.account),
            let after = change.after
        else { return }
        let old = before.flatMap { $0.withUnsafeBytes { SlimBody($0) } }
        guard old != nil || before == nil else { throw .store(.corrupt(table: .leaves)) }
        guard old?.storageRoot != after.withUnsafeBytes({ SlimBody($0) })?.storageRoot else { return }
        do {
            guard old != nil, try view.isSpread(change.key.account) else {
                throw StateChangeError.storageRootMismatch(account: change.key.account)
            }
        } catch {
            throw StateChangeError(error)
        }
    }

    static func checkOrder(_ changes: [LeafChange], in section: Section) throws(StateChangeError) {
        for index in changes.indices {
            let key = changes[index].key
            guard section.contains(key) else { throw .foreignKey(key) }
            guard index == 0 || changes[index - 1].key < key else { throw .unsorted(key) }
        }
    }

    /// One account: its listed slots, then its body. Gives the value for the account trie, nil for a deleted one.
    static func apply(
        _ changes: ArraySlice<LeafChange>, toAccount account: Bytes32, in view: StateView<some StoreSnapshot>,
        checking: Bool, effect: inout Effect
    ) throws(StateChangeError) -> [UInt8]? {
        guard let first = changes.first, first.key.slot == nil else { throw .bodyMissing(account: account) }
        effect.leaves.append(EntryChange(key: first.key, before: nil, after: first.value))
        let slots = changes.dropFirst()
        guard let body = first.value else {
            if let slot = slots.first { throw .impliedSlot(slot.key) }
            try deleteStorage(of: account, in: view, effect: &effect)
            return nil
        }
        guard let after = body.withUnsafeBytes({ SlimBody($0) }) else { throw .malformedBody(account) }
        if !slots.isEmpty {
            let root = try applySlots(slots, of: account, in: view, checking: checking, effect: &effect)
            guard root == after.storageRoot ?? StateAccount.emptyRoot else {
                throw .storageRootMismatch(account: account)
            }
        }
        return body.withUnsafeBytes { after.full($0) }
    }

    /// Records the slots' changes and those of the branches over them. Gives the new storage root.
    private static func applySlots(
        _ slots: ArraySlice<LeafChange>, of account: Bytes32, in view: StateView<some StoreSnapshot>,
        checking: Bool, effect: inout Effect
    ) throws(StateChangeError) -> Bytes32 {
        let leaves = try slots.map(slot)
        do {
            if try view.isSpread(account) { return try gather(leaves, slots, of: account, in: view, effect: &effect) }
            var source = StorageTrie(view.reader, account: account, watching: leaves.map(\.key))
            let before = checking ? try view.account(account)?.storageRoot ?? StateAccount.emptyRoot : nil
            let result = try TrieUpdate.apply(
                leaves, under: .root, source: &source, checking: checking, from: before)
            for (change, before) in zip(slots, source.watch.values) {
                guard before != change.value else { throw StateChangeError.noChange(change.key) }
                effect.leaves.append(EntryChange(key: change.key, before: before, after: change.value))
            }
            for (path, before, node) in result.changes {
                let key = StorageBranchKey(account: account, path: path)
                effect.storageBranches.append(EntryChange(key: key, before: before, after: node))
            }
            return result.subtree.hash(at: 0)
        } catch {
            throw StateChangeError(error)
        }
    }

    /// The storage of an account that was spread round the ring and is no more: all of it comes. In the place of the
    /// nodes that showed the placement there are its branches. Gives the storage root.
    private static func gather(
        _ leaves: [TrieUpdate.LeafChange], _ slots: ArraySlice<LeafChange>, of account: Bytes32,
        in view: StateView<some StoreSnapshot>, effect: inout Effect
    ) throws -> Bytes32 {
        var columns = LeafColumns()
        for (change, leaf) in zip(slots, leaves) {
            guard let value = leaf.value else { throw StateChangeError.noChange(change.key) }
            columns.append(key: leaf.key, value: value)
            effect.leaves.append(EntryChange(key: change.key, before: nil, after: change.value))
        }
        var branches = BranchColumns()
        let subtree = TrieBuilder.build(columns, in: 0..<columns.count, under: .root, emitting: &branches)
        var after: [Nibbles: [UInt8]] = [:]
        branches.forEach { path, node in after[path] = Array(node) }
        effect.storageBranches += try BranchRows(of: account, in: view).changes(to: after)
        return subtree.hash(at: 0)
    }

    /// A slot's change as its storage trie sees it.
    static func slot(_ change: LeafChange) throws(StateChangeError) -> TrieUpdate.LeafChange {
        guard let slot = change.key.slot else { throw .unsorted(change.key) }
        if let value = change.value, !SlotValue.isCanonical(value) { throw .malformedSlot(change.key) }
        return (key: slot, value: change.value.map { SlotValue.rlp($0) })
    }

    /// The effect of changed slots on a part.
    private static func apply(
        _ changes: [LeafChange], toPart part: Section, of owner: Bytes32, in view: StateView<some StoreSnapshot>,
        checking: Bool, from before: Bytes32?
    ) throws(StateChangeError) -> SectionUpdate {
        let slots = try changes.map(slot)
        do {
            var source = StorageTrie(view.reader, account: owner, watching: slots.map(\.key))
            let result = try TrieUpdate.apply(
                slots, under: part.path, source: &source, checking: checking, from: before)
            var leaves: [EntryChange<FlatKey>] = []
            for (change, before) in zip(changes, source.watch.values) {
                guard before != change.value else { throw StateChangeError.noChange(change.key) }
                leaves.append(EntryChange(key: change.key, before: before, after: change.value))
            }
            let branches = result.changes.map { path, before, node in
                EntryChange(key: StorageBranchKey(account: owner, path: path), before: before, after: node)
            }
            return SectionUpdate(
                section: part, subtreeAfter: result.subtree, leaves: leaves, accountBranches: [],
                storageBranches: branches, newCodeHashes: [])
        } catch {
            throw StateChangeError(error)
        }
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

    /// Changes of the account trie under a section; the bodies before are given in the order of the accounts.
    static func updateAccounts(
        _ accounts: [TrieUpdate.LeafChange], section: Section, in view: inout StateView<some StoreSnapshot>,
        checking: Bool, from before: Bytes32?
    ) throws(StateChangeError) -> (subtree: Subtree, branches: [EntryChange<Nibbles>], before: [[UInt8]?]) {
        if accounts.isEmpty { return (try subtree(of: section, in: &view), [], []) }
        do {
            var source = AccountTrie(view.reader, watching: accounts.map(\.key))
            let result = try TrieUpdate.apply(
                accounts, under: section.path, source: &source, checking: checking, from: before)
            let branches = result.changes.map { EntryChange(key: $0.path, before: $0.before, after: $0.node) }
            return (result.subtree, branches, source.watch.values)
        } catch {
            throw StateChangeError(error)
        }
    }
}

extension StateChangeError {
    /// Whether the changes are at fault: neither the store nor what is asked of it.
    public var blamesSender: Bool {
        switch self {
        case .store, .trie, .sectionNotHeld: false
        default: true
        }
    }

    /// Whether it says that slots of an account are not what the changes take them for: as it is where they have
    /// another place than that.
    public var isAboutSlots: Bool {
        switch self {
        case .storageRootMismatch: true
        case .noChange(let key): key.slot != nil
        default: false
        }
    }

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
