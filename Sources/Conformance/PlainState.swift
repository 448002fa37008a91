import Chain
import MerklePatricia
import Primitives
import StateStore

/// A whole small state in memory, built plainly from its leaves: what vectors are served from and compared with.
struct PlainState {
    /// One leaf: slim body, or slot value without leading zeros.
    struct Leaf: Hashable {
        let key: FlatKey
        let value: [UInt8]
    }

    let depth: Int
    /// In flat order.
    let leaves: [Leaf]
    let crown: Crown
    let snapshot: MemorySnapshot

    var root: Bytes32 { crown.root }
    var view: StateView<MemorySnapshot> { StateView(snapshot, depth: depth) }

    /// Throws where a body is none, or names another storage root than its slots give.
    init(_ given: [Leaf], depth: Int) throws {
        self.depth = depth
        leaves = given.sorted { $0.key < $1.key }
        var accounts = LeafColumns()
        var storageBranches: [MemorySnapshot.Entry] = []
        var slots = LeafColumns()
        // Backwards, so that an account's slots are known when it is met.
        var bodies: [(key: Bytes32, rlp: [UInt8])] = []
        for leaf in leaves.reversed() {
            if let slot = leaf.key.slot {
                slots = LeafColumns(prepending: (slot, SlotValue.rlp(leaf.value)), to: slots)
                continue
            }
            let body = try StateAccount(slim: leaf.value)
            var branches = BranchColumns()
            let built = TrieBuilder.build(slots, in: 0..<slots.count, under: .root, emitting: &branches)
            guard built.hash(at: 0) == body.storageRoot else {
                throw VectorError.malformed("the slots of \(leaf.key.account) do not give its storage root")
            }
            for index in 0..<branches.count {
                let key = StorageBranchKey(account: leaf.key.account, path: branches.paths[index])
                storageBranches.append((key.bytes, branches.node(at: index)))
            }
            bodies.append((leaf.key.account, body.rlp))
            slots = LeafColumns()
        }
        guard slots.isEmpty else { throw VectorError.malformed("slots without an account") }
        for body in bodies.reversed() { accounts.append(key: body.key, value: body.rlp) }
        var branches = BranchColumns()
        crown = Crown(sections: Self.sections(accounts, depth: depth, emitting: &branches), depth: depth)
        var snapshot = MemorySnapshot()
        snapshot.set(.leaves, leaves.map { ($0.key.bytes, $0.value) })
        snapshot.set(
            .accountBranches, (0..<branches.count).map { (branches.paths[$0].storeKey, branches.node(at: $0)) })
        snapshot.set(.storageBranches, storageBranches)
        self.snapshot = snapshot
    }

    private static func sections(
        _ accounts: LeafColumns, depth: Int, emitting branches: inout BranchColumns
    ) -> [Subtree] {
        var start = 0
        return Section.all(depth: depth).map { section in
            let end = accounts.keys[start...].firstIndex { !section.contains($0) } ?? accounts.count
            defer { start = end }
            return TrieBuilder.build(accounts, in: start..<end, under: section.path, emitting: &branches)
        }
    }

    /// The leaves that a range from `origin` to `end` consists of, the account that the origin lies inside included.
    func leaves(from origin: Cursor, through end: Cursor) -> [Leaf] {
        leaves.filter { leaf in
            end.covers(leaf.key)
                && (leaf.key >= origin.firstKey || leaf.key == FlatKey(account: origin.account))
        }
    }

    /// The difference of two states in its wire form: the slots of an account that is gone are implied.
    func changes(to other: PlainState) -> [LeafChange] {
        let old = Dictionary(uniqueKeysWithValues: leaves.map { ($0.key, $0.value) })
        let new = Dictionary(uniqueKeysWithValues: other.leaves.map { ($0.key, $0.value) })
        return Set(old.keys).union(new.keys).sorted().compactMap { key in
            guard old[key] != new[key] else { return nil }
            if key.slot != nil, new[FlatKey(account: key.account)] == nil { return nil }
            return LeafChange(key: key, value: new[key])
        }
    }
}

extension LeafColumns {
    /// One leaf, then others.
    fileprivate init(prepending first: (key: Bytes32, value: [UInt8]), to rest: LeafColumns) {
        self.init()
        append(key: first.key, value: first.value)
        for index in 0..<rest.count { append(key: rest.keys[index], value: rest.value(at: index)) }
    }
}
