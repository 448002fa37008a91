import Chain
import MerklePatricia
import Primitives

/// Proves the undo layer of a section, or of a part, whose base was read back: applied to that base it gives the state
/// at the point before, whose hash is known. So every leaf of it is right, and none is missing. Its branch records must
/// be those that the step back gives. They may differ in one thing: a branch over few leaves may be stored or not,
/// since one that lost leaves stays; then the leaves say what it has to be.
struct UndoScrub {
    /// Entries that were proven.
    let entries: Int

    /// Throws `StateFault.undo`, or `StoreError` where the store cannot be read.
    init(
        _ record: SectionRecord, hash: Bytes32, placing rule: Placement?, keeping kept: KeptStorage = .all,
        in snapshot: some StoreSnapshot
    ) throws {
        guard let previous = record.previous else {
            entries = 0
            return
        }
        let section = record.section
        do {
            var step = try StepBack(section, placing: rule, keeping: kept, in: snapshot)
            entries = step.count
            let subtree = try step.take(from: record, in: snapshot)
            guard subtree.hash(at: section.depth) == hash, step.isExact else {
                throw StateFault.undo(section: section.index, block: previous.number)
            }
        } catch let error as StoreError {
            // The base was read before this: what a table says of itself here is the undo layer's fault.
            guard case .corrupt = error else { throw error }
            throw StateFault.undo(section: section.index, block: previous.number)
        } catch is StateChangeError {
            throw StateFault.undo(section: section.index, block: previous.number)
        }
    }
}

/// A section's undo layer as a step from the base to the point before.
private struct StepBack<Snapshot: StoreSnapshot> {
    private let section: Section
    private let rule: Placement?
    private let kept: KeptStorage
    private let before: StateView<Snapshot>
    private var base: StateView<Snapshot>
    /// As they are stored: nil is what was not there.
    private var leaves: [EntryChange<FlatKey>] = []
    private var accountBranches: [EntryChange<Nibbles>] = []
    private var storageBranches: [EntryChange<StorageBranchKey>] = []
    /// Whether the step changes exactly what is stored.
    private(set) var isExact = true

    var count: Int { leaves.count + accountBranches.count + storageBranches.count }

    init(
        _ section: Section, placing rule: Placement?, keeping kept: KeptStorage, in snapshot: Snapshot
    ) throws(StoreError) {
        self.section = section
        self.kept = kept
        self.rule = rule
        before = StateView(snapshot, section, layering: .previous)
        base = StateView(snapshot, section)
        let isPart = section.owner != nil
        leaves = try StepBack.read(.leaves(ofPart: isPart), of: section, in: snapshot) { FlatKey($0) }
        if !isPart {
            accountBranches = try StepBack.read(.accountBranches, of: section, in: snapshot) { key in
                key.withUnsafeBytes { Nibbles(storeKey: $0) }
            }
        }
        storageBranches = try StepBack.read(.storageBranches(ofPart: isPart), of: section, in: snapshot) { key in
            guard let account = Bytes32(key.prefix(32)), let path = Nibbles(storeKey: key.dropFirst(32)) else {
                return nil
            }
            return StorageBranchKey(account: account, path: path)
        }
    }

    private static func read<Key>(
        _ kind: StateTable, of section: Section, in snapshot: Snapshot, _ key: ([UInt8]) -> Key?
    ) throws(StoreError) -> [EntryChange<Key>] {
        var entries: [EntryChange<Key>] = []
        let bounds = kind.bounds(of: section)
        try snapshot.forEach(kind.undo, from: bounds.from, upTo: bounds.upTo) { (bytes, value) throws(StoreError) in
            guard let key = key(Array(bytes)), let mark = value.first, mark == 1 || Array(value) == UndoValue.gone
            else { throw .corrupt(table: kind.undo) }
            entries.append(EntryChange(key: key, before: nil, after: mark == 1 ? Array(value.dropFirst()) : nil))
            return true
        }
        return entries
    }

    /// Makes the step. Gives what the section hashes to after it.
    mutating func take(from record: SectionRecord, in snapshot: Snapshot) throws -> Subtree {
        let changes = leaves.map { LeafChange(key: $0.key, value: $0.after) }
        guard section.owner == nil else {
            let update = try SectionChange.apply(
                changes, to: section, in: &base, checking: true, from: record.sectionHash)
            compare(update.leaves, leaves)
            try compareStorage(update.storageBranches, storageBranches, in: snapshot)
            return update.subtreeAfter
        }
        try SectionChange.checkOrder(changes, in: section)
        var effect = SectionChange.Effect()
        var accounts: [TrieUpdate.LeafChange] = []
        var bodies: [(body: SectionChange.BodyChange, place: Int)] = []
        var spread: Set<Bytes32> = []
        var index = 0
        while index < changes.count {
            let account = changes[index].key.account
            var end = index + 1
            while end < changes.count && changes[end].key.account == account { end += 1 }
            if let body = changes[index].value, changes[index].key.slot == nil, try wasSpread(account) {
                spread.insert(account)
                accounts.append((account, try full(body)))
            } else {
                // The slots of an account that was not there are implied by it.
                let own = changes[index].value == nil ? index + 1 : end
                bodies.append(
                    (.init(place: effect.leaves.count, hasSlots: own > index + 1), accounts.count))
                accounts.append(
                    (
                        account,
                        try SectionChange.apply(
                            changes[index..<own], toAccount: account, in: base, checking: true, effect: &effect)
                    ))
            }
            index = end
        }
        let result = try SectionChange.updateAccounts(
            accounts, section: section, in: &base, checking: true, from: record.sectionHash)
        for (body, place) in bodies {
            try SectionChange.settle(
                body, before: result.before[place], in: base, effect: &effect, keeping: kept)
        }
        compare(effect.leaves, leaves.filter { !spread.contains($0.key.account) })
        try compareAccounts(result.branches, in: snapshot)
        try compareStorage(
            effect.storageBranches, storageBranches.filter { !spread.contains($0.key.account) }, in: snapshot)
        return result.subtree
    }

    /// Whether an account's storage was spread: then no slot stands with it, and what does shows the placement.
    private func wasSpread(_ account: Bytes32) throws -> Bool {
        guard let rule, try before.isSpread(account) else { return false }
        guard try before.showsPlacement(of: account, by: rule) else { throw StoreError.corrupt(table: .undoLeaves) }
        return true
    }

    private func full(_ body: [UInt8]) throws(StoreError) -> [UInt8] {
        guard let full = body.withUnsafeBytes({ bytes in SlimBody(bytes).map { $0.full(bytes) } }) else {
            throw .corrupt(table: .undoLeaves)
        }
        return full
    }

    // MARK: What the step gives, and what is stored

    private mutating func compareAccounts(_ found: [EntryChange<Nibbles>], in snapshot: Snapshot) throws {
        var trie = before.accountTrie
        for row in StepBack.differing(found, accountBranches) {
            let values = row.values(over: try snapshot.get(.accountBranches, row.key.storeKey))
            if try !StepBack.agree(values, at: row.key, in: &trie) { isExact = false }
        }
    }

    private mutating func compareStorage(
        _ found: [EntryChange<StorageBranchKey>], _ stored: [EntryChange<StorageBranchKey>], in snapshot: Snapshot
    ) throws {
        let table = StateTable.storageBranches(ofPart: section.owner != nil).base
        for row in StepBack.differing(found, stored) {
            var trie = before.storageTrie(of: row.key.account)
            let values = row.values(over: try snapshot.get(table, row.key.bytes))
            if try !StepBack.agree(values, at: row.key.path, in: &trie) { isExact = false }
        }
    }

    /// What the step and the store say of one branch at the point before. Nothing said: it is as in the base.
    private struct Difference<Key> {
        let key: Key
        let found: [UInt8]??
        let stored: [UInt8]??

        func values(over base: [UInt8]?) -> (found: [UInt8]?, stored: [UInt8]?) { (found ?? base, stored ?? base) }
    }

    /// Keys of which the two do not say the same, in order.
    private static func differing<Key>(
        _ found: [EntryChange<Key>], _ stored: [EntryChange<Key>]
    ) -> [Difference<Key>] {
        func values(_ entries: [EntryChange<Key>]) -> [Key: [UInt8]?] {
            Dictionary(entries.map { ($0.key, $0.after) }, uniquingKeysWith: { first, _ in first })
        }
        let (found, stored) = (values(found), values(stored))
        return Set(found.keys).union(stored.keys).filter { found[$0] != stored[$0] }.sorted().map {
            Difference(key: $0, found: found[$0], stored: stored[$0])
        }
    }

    /// Whether both say the same, or only one has the branch, which is over few leaves, and it is the one over them.
    private static func agree(
        _ values: (found: [UInt8]?, stored: [UInt8]?), at path: Nibbles, in trie: inout some TrieSource
    ) throws -> Bool {
        if values.found == values.stored { return true }
        guard values.found == nil || values.stored == nil, let node = values.found ?? values.stored else {
            return false
        }
        var leaves = TwigLeaves()
        try trie.leaves(under: path, limit: MerklePatriciaLimits.twigLeaves + 1, into: &leaves)
        guard leaves.count <= MerklePatriciaLimits.twigLeaves else { return false }
        return leaves.subtree == .branch(path: path, node: NodeReference(encodedNode: node))
    }

    private mutating func compare<Key>(_ found: [EntryChange<Key>], _ stored: [EntryChange<Key>]) {
        if !found.elementsEqual(stored, by: { $0.key == $1.key && $0.after == $1.after }) { isExact = false }
    }
}
