import Chain
import MerklePatricia
import Primitives
import StateStore

/// A whole small state, built plainly from its leaves and checked against the reference trie: what the wire's answers
/// are served from and held against.
struct World {
    struct Account: Hashable {
        let key: Bytes32
        var body: StateAccount
        /// Ascending; values without leading zeros.
        var slots: [Row]

        /// The body's storage root is that of the slots, by the reference.
        init(key: Bytes32, nonce: UInt64, codeHash: Bytes32, slots: [Row]) {
            self.key = key
            self.slots = slots.sorted { $0.key < $1.key }
            var trie = ReferenceTrie()
            for slot in slots { trie[slot.key.bytes] = SlotValue.rlp(slot.value) }
            body = StateAccount(
                nonce: nonce, balance: UInt256(nonce &* 3), storageRoot: trie.root, codeHash: codeHash)
        }
    }

    /// Leading nibbles of a section: 1 or 2.
    let depth: Int
    let accounts: [Account]
    let root: Bytes32
    let crown: Crown
    /// One a section.
    let sections: [Subtree]
    let snapshot: MemorySnapshot
    /// Every leaf in flat order.
    let leaves: [(key: FlatKey, value: [UInt8])]

    var view: StateView<MemorySnapshot> { StateView(snapshot, depth: depth) }

    /// Accounts in any order, no two of the same key.
    init(_ unsorted: [Account], depth: Int) throws(FuzzFailure) {
        self.depth = depth
        accounts = unsorted.sorted { $0.key < $1.key }
        var reference = ReferenceTrie()
        var columns = LeafColumns()
        var leaves: [(key: FlatKey, value: [UInt8])] = []
        var storageBranches: [MemorySnapshot.Entry] = []
        for account in accounts {
            reference[account.key.bytes] = account.body.rlp
            columns.append(key: account.key, value: account.body.rlp)
            leaves.append((FlatKey(account: account.key), account.body.slim))
            for slot in account.slots { leaves.append((FlatKey(account: account.key, slot: slot.key), slot.value)) }
            let rows = account.slots.map { Row(key: $0.key, value: SlotValue.rlp($0.value)) }
            let storage = MemoryTrie(LeafColumns(rows))
            try require(storage.root == account.body.storageRoot, .readersDiffer("a storage root"))
            for (path, node) in storage.branches {
                storageBranches.append((StorageBranchKey(account: account.key, path: path).bytes, node))
            }
        }
        var accountBranches = BranchColumns()
        var start = 0
        var subtrees: [Subtree] = []
        for section in Section.all(depth: depth) {
            let end = columns.keys[start...].firstIndex { !section.contains($0) } ?? columns.count
            subtrees.append(
                TrieBuilder.build(columns, in: start..<end, under: section.path, emitting: &accountBranches))
            start = end
        }
        sections = subtrees
        crown = Crown(sections: subtrees, depth: depth)
        root = reference.root
        try require(crown.root == root, .readersDiffer("a state root"))
        self.leaves = leaves
        var snapshot = MemorySnapshot()
        snapshot.set(.leaves, leaves.map { ($0.key.bytes, $0.value) })
        snapshot.set(
            .accountBranches,
            (0..<accountBranches.count).map { (accountBranches.paths[$0].storeKey, accountBranches.node(at: $0)) })
        snapshot.set(.storageBranches, storageBranches)
        self.snapshot = snapshot
    }

    /// Keys spread and in clusters, some at the ends of the ring; storage of none to many.
    init(_ generator: inout SeededGenerator, upTo count: Int) throws(FuzzFailure) {
        var keys: [Bytes32] = generator.oneIn(3) ? [.zero, .max] : []
        for _ in 0..<generator.below(count) {
            let key = generator.oneIn(3) ? generator.pick(keys).map { generator.neighbour(of: $0) } : nil
            let fresh = key ?? generator.hash()
            if !keys.contains(fresh) { keys.append(fresh) }
        }
        var accounts: [Account] = []
        for key in keys { accounts.append(World.account(key, &generator)) }
        try self.init(accounts, depth: generator.oneIn(3) ? 2 : 1)
    }

    /// An account with some storage, or none.
    static func account(_ key: Bytes32, _ generator: inout some RandomNumberGenerator) -> Account {
        var slots: [Row] = []
        for _ in 0..<[0, 0, 0, 1, 2, 5, 12][generator.below(7)] {
            let near = generator.oneIn(3) ? generator.pick(slots).map { generator.neighbour(of: $0.key) } : nil
            let slot = near ?? generator.hash()
            if !slots.contains(where: { $0.key == slot }) { slots.append(Row(key: slot, value: value(&generator))) }
        }
        let code = slots.isEmpty ? StateAccount.emptyCodeHash : Keccak.hash(World.code(UInt8(slots.count)))
        return Account(key: key, nonce: generator.next() >> 40, codeHash: code, slots: slots)
    }

    /// The code of accounts with `count` slots.
    static func code(_ count: UInt8) -> [UInt8] { [0x60, count] }

    /// A slot's value, without leading zeros.
    static func value(_ generator: inout some RandomNumberGenerator) -> [UInt8] {
        let count = [1, 1, 2, 20, 32][generator.below(5)]
        return [1 + generator.byte() % 255] + (1..<count).map { _ in generator.byte() }
    }

    /// The state after some changes of every kind; at least one account differs.
    func changed(_ generator: inout SeededGenerator) throws(FuzzFailure) -> World {
        var after: [Account] = []
        let emptied = generator.below(32)
        for account in accounts where account.key.nibble(0) != emptied {
            switch generator.below(7) {
            case 0: continue
            case 1: after.append(World.account(account.key, &generator))
            case 2:
                let kept = account.slots.enumerated().filter { $0.offset % 3 != 0 }.map(\.element)
                after.append(
                    Account(
                        key: account.key, nonce: account.body.nonce &+ 1, codeHash: account.body.codeHash, slots: kept))
            default: after.append(account)
            }
        }
        for _ in 0..<1 + generator.below(4) {
            let key = generator.pick(accounts).map { generator.neighbour(of: $0.key) } ?? generator.hash()
            guard !(accounts + after).contains(where: { $0.key == key }) else { continue }
            after.append(World.account(key, &generator))
        }
        return try World(after, depth: depth)
    }

    /// The difference to another state in its wire form, found plainly: the slots of an account that is gone are
    /// implied.
    func changes(to other: World) -> [LeafChange] {
        let old = Dictionary(uniqueKeysWithValues: leaves.map { ($0.key, $0.value) })
        let new = Dictionary(uniqueKeysWithValues: other.leaves.map { ($0.key, $0.value) })
        return Set(old.keys).union(new.keys).sorted().compactMap { key in
            guard old[key] != new[key] else { return nil }
            if key.slot != nil, new[FlatKey(account: key.account)] == nil { return nil }
            return LeafChange(key: key, value: new[key])
        }
    }

    /// A position that is somewhere interesting: at a leaf, beside one, or anywhere.
    func cursor(_ generator: inout some RandomNumberGenerator) -> Cursor {
        guard let leaf = generator.pick(leaves) else { return Cursor(account: generator.hash()) }
        let at = Cursor(account: leaf.key.account, slot: leaf.key.slot ?? .zero)
        switch generator.below(8) {
        case 0: return Cursor(account: generator.hash())
        case 1: return Cursor(account: leaf.key.account, slot: generator.hash())
        case 2: return at.successor ?? at
        case 3: return at.predecessor ?? at
        case 4: return Cursor.end(of: leaf.key.account)
        case 5: return generator.oneIn(2) ? .first : .last
        default: return at
        }
    }

    /// Proof nodes of this state that stand somewhere.
    func someNodes(_ generator: inout some RandomNumberGenerator) -> [[UInt8]] {
        crown.nodes + (generator.pick(accounts).map { [$0.body.rlp] } ?? [])
    }
}
