import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What a block changes of storage that is spread, as a bridge that has all parts of it works it out.
struct SpreadChange {
    /// A part that changes.
    struct Part {
        let update: SectionUpdate
        let changes: [LeafChange]
        let hashBefore: Bytes32
        /// The point up to which the part is as it was before.
        let parent: StatePoint
    }

    let account: Bytes32
    /// The account after the block; nil where it is gone, and all its slots with it.
    let after: StateAccount?
    let depth: Int
    let parts: [Part]
    /// What every part hashes to after the block, in order.
    let subtrees: [Subtree]

    /// - Parameter checking: see `SectionChange.apply`.
    init(
        _ change: AccountChange, before: StateAccount?, _ held: SpreadParts, in snapshot: some StoreSnapshot,
        checking: Bool
    ) throws {
        account = change.key
        depth = held.depth
        guard var view = held.view(at: .max, in: snapshot), let now = held.subtrees(at: .max) else {
            throw BridgeError.notWhole(sections: held.parts.count(where: \.isComplete))
        }
        var working = Working(account: account, held: held, subtrees: now)
        var slots: [Int: [LeafChange]] = [:]
        for slot in change.storage {
            let key = FlatKey(account: account, slot: slot.key)
            let value = SlotValue.stored(slot.value)
            guard try view.leaf(key) != value else { continue }
            slots[Nibbles.section(of: slot.key, depth: depth), default: []].append(LeafChange(key: key, value: value))
        }
        for (index, changes) in slots.sorted(by: { $0.key < $1.key }) {
            try working.apply(changes, to: index, in: &view, checking: checking)
        }
        after = change.applied(to: before, storageRoot: Crown(sections: working.subtrees, depth: depth).root)
        if after == nil {
            // The account takes its slots with it, those too that the block names.
            working = Working(account: account, held: held, subtrees: now)
            for index in now.indices where now[index] != .empty {
                let part = Section(depth: depth, index: index, of: account)
                let gone = LeafChange(key: FlatKey(account: account), value: nil)
                let wiped = try DiffsCheck.changes([gone], of: part, in: view).filter { change in
                    change.key.slot.map { part.contains($0) } ?? false
                }
                try working.apply(wiped, to: index, in: &view, checking: checking)
            }
        }
        (parts, subtrees) = (working.parts, working.subtrees)
    }

    /// The parts while they are changed.
    private struct Working {
        let account: Bytes32
        let held: SpreadParts
        var parts: [Part] = []
        var subtrees: [Subtree]

        mutating func apply(
            _ changes: [LeafChange], to index: Int, in view: inout StateView<some StoreSnapshot>, checking: Bool
        ) throws {
            let part = Section(depth: held.depth, index: index, of: account)
            let entry = held.parts[index]
            let before = subtrees[index].hash(at: held.depth)
            let update = try SectionChange.apply(changes, to: part, in: &view, checking: checking, from: before)
            subtrees[index] = update.subtreeAfter
            let parent = entry.layers.last?.point ?? entry.record?.working ?? StatePoint(number: 0, hash: .zero)
            parts.append(Part(update: update, changes: changes, hashBefore: before, parent: parent))
        }
    }
}

extension ReplayTaken {
    /// Takes the changes of spread storage in: a layer for each part. `view` has the account's section after the block.
    mutating func add(
        _ change: SpreadChange, at point: StatePoint, _ view: StateView<some StoreSnapshot>, _ crown: Crown
    ) throws {
        var way = ProofNodes()
        var prover = TrieProver()
        var accounts = view.accountTrie
        try prover.prove(change.account, upper: crown, source: &accounts, into: &way)
        let upper = change.after.map { _ in Crown(sections: change.subtrees, depth: change.depth) }
        let body = LeafChange(key: FlatKey(account: change.account), value: change.after?.slim)
        for part in change.parts {
            let section = part.update.section
            let below = try upper.flatMap { upper -> [[UInt8]]? in
                upper.root == Subtree.emptyRoot ? nil : try upper.proofNodes(forSection: section.index)
            }
            let layer = BlockLayer(
                section: section, point: point, parent: part.parent, sectionHashBefore: part.hashBefore,
                sectionHashAfter: part.update.subtreeAfter.hash(at: section.depth), update: part.update,
                pathProof: way.nodes + (below ?? []))
            let changes = change.after == nil ? [body] : [body] + part.changes
            self.changes.append(Change(layer: layer, changes: changes, codes: []))
            batch.append(StateWrites.layer(layer))
        }
    }
}

extension GenesisTaken {
    /// One account of the allocation whose storage is spread; nil where it is not.
    static func spread(
        _ change: AccountChange, depth: Int, at point: StatePoint, _ rule: Placement, _ snapshot: some StoreSnapshot
    ) throws -> (account: StateAccount, replaced: Replaced, batch: WriteBatch)? {
        let slots = change.storage.filter { $0.value != .zero }
        guard rule.depth(of: slots.map(\.key)) > 0 else { return nil }
        let section = Section(of: change.key, depth: depth)
        let leaves = slots.map {
            LeafChange(key: FlatKey(account: change.key, slot: $0.key), value: $0.value.minimalBytes)
        }
        var columns = LeafColumns()
        for slot in slots { columns.append(key: slot.key, value: SlotValue.rlp(slot.value.minimalBytes)) }
        var branches = BranchColumns()
        let storage = TrieBuilder.build(columns, in: 0..<columns.count, under: .root, emitting: &branches)
        let account = StateAccount(
            nonce: change.nonce ?? 0, balance: change.balance ?? .zero, storageRoot: storage.hash(at: 0),
            codeHash: change.codeHash ?? StateAccount.emptyCodeHash)
        var view = StateView(snapshot, section)
        let body = LeafChange(key: FlatKey(account: change.key), value: account.slim)
        let update = try SectionChange.apply([body] + leaves, to: section, in: &view)
        let placed = try StoragePlacing.place(update, over: view, at: point, by: rule, shown: [:])
        var batch = WriteBatch()
        for change in placed.update.leaves { batch.put(.leaves, change.key.bytes, change.after ?? []) }
        for change in placed.update.storageBranches {
            batch.put(.storageBranches, change.key.bytes, change.after ?? [])
        }
        batch.append(placed.batch)
        let replaced = Replaced(
            placements: placed.placements, parts: placed.spread.flatMap(\.parts), at: point)
        return (account, replaced, batch)
    }
}
