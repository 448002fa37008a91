import Chain
import MerklePatricia
import Primitives
import StateStore

/// A whole small state, built plainly from its leaves and checked against the reference trie: what the wire's answers
/// are served from and held against.
struct SampleState {
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

    let accounts: [Account]
    private let state: MemoryState

    /// Leading nibbles of a section: 1 or 2.
    var depth: Int { state.depth }
    var root: Bytes32 { state.root }
    var crown: Crown { state.crown }
    /// One a section.
    var sections: [Subtree] { state.sections }
    var snapshot: MemorySnapshot { state.snapshot }
    /// Every leaf in flat order.
    var leaves: [MemoryState.Leaf] { state.leaves }
    var view: StateView<MemorySnapshot> { state.view }

    /// Accounts in any order, no two of the same key.
    init(_ unsorted: [Account], depth: Int) throws(FuzzFailure) {
        accounts = unsorted.sorted { $0.key < $1.key }
        var reference = ReferenceTrie()
        var leaves: [MemoryState.Leaf] = []
        for account in accounts {
            reference[account.key.bytes] = account.body.rlp
            leaves.append(MemoryState.Leaf(key: FlatKey(account: account.key), value: account.body.slim))
            leaves += account.slots.map {
                MemoryState.Leaf(key: FlatKey(account: account.key, slot: $0.key), value: $0.value)
            }
        }
        do throws(MemoryState.Failure) {
            state = try MemoryState(leaves, depth: depth)
        } catch {
            throw .readersDiffer("a storage root: \(error)")
        }
        try require(state.root == reference.root, .readersDiffer("a state root"))
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
        for key in keys { accounts.append(SampleState.account(key, &generator)) }
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
        let code = slots.isEmpty ? StateAccount.emptyCodeHash : Keccak.hash(SampleState.code(UInt8(slots.count)))
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
    func changed(_ generator: inout SeededGenerator) throws(FuzzFailure) -> SampleState {
        var after: [Account] = []
        let emptied = generator.below(32)
        for account in accounts where account.key.nibble(0) != emptied {
            switch generator.below(7) {
            case 0: continue
            case 1: after.append(SampleState.account(account.key, &generator))
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
            after.append(SampleState.account(key, &generator))
        }
        return try SampleState(after, depth: depth)
    }

    /// The difference to another state in its wire form, found plainly.
    func changes(to other: SampleState) -> [LeafChange] { state.changes(to: other.state) }

    /// The leaves that a range consists of.
    func leaves(from origin: Cursor, through end: Cursor) -> [MemoryState.Leaf] {
        state.leaves(from: origin, through: end)
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

    /// Whose storage is asked for: that of all, or of some accounts.
    func kept(_ generator: inout some RandomNumberGenerator) -> KeptStorage {
        guard generator.oneIn(4) else { return .all }
        let named = accounts.map(\.key).filter { _ in generator.oneIn(3) }
        return .only(named.prefix(StateStoreLimits.keptStoragesPerSection))
    }

    /// Proof nodes of this state that stand somewhere.
    func someNodes(_ generator: inout some RandomNumberGenerator) -> [[UInt8]] {
        crown.nodes + (generator.pick(accounts).map { [$0.body.rlp] } ?? [])
    }
}

extension SampleState {
    /// Another root than its own; nil where the choice fell on that.
    func wrongRoot(_ generator: inout some RandomNumberGenerator) -> Bytes32? {
        let flipped = Bytes32(root.word0, root.word1 ^ 1, root.word2, root.word3)
        let other = generator.pick(accounts)?.body.storageRoot ?? StateAccount.emptyRoot
        let chosen = generator.pick([flipped, other, StateAccount.emptyRoot]) ?? flipped
        return chosen == root ? nil : chosen
    }
}
