import Chain
import MerklePatricia
import Primitives
import StateStore

/// A whole state in memory, built plainly from its leaves: what every answer is compared with.
public struct TestState: Sendable {
    public struct Account: Sendable {
        public let key: Bytes32
        public var body: StateAccount
        /// Ascending; values without leading zeros.
        public var slots: [(key: Bytes32, value: [UInt8])]

        public init(key: Bytes32, nonce: UInt64, codeHash: Bytes32, slots: [(key: Bytes32, value: [UInt8])]) {
            self.key = key
            self.slots = slots.sorted { $0.key < $1.key }
            body = StateAccount(nonce: nonce, balance: UInt256(nonce &* 3), codeHash: codeHash)
            body.storageRoot = TrieBuilder.root(of: storageColumns)
        }

        public var storageColumns: LeafColumns {
            var columns = LeafColumns()
            for slot in slots { columns.append(key: slot.key, value: SlotValue.rlp(slot.value)) }
            return columns
        }
    }

    public let accounts: [Account]
    private let state: MemoryState

    public var depth: Int { state.depth }
    public var snapshot: MemorySnapshot { state.snapshot }
    public var crown: Crown { state.crown }
    /// Every leaf in flat order.
    public var leaves: [MemoryState.Leaf] { state.leaves }
    public var root: Bytes32 { state.root }
    public var view: StateView<MemorySnapshot> { state.view }

    /// Accounts in any order, no two of the same key.
    public init(_ unsorted: [Account], depth: Int) throws {
        accounts = unsorted.sorted { $0.key < $1.key }
        let leaves = accounts.flatMap { account in
            [MemoryState.Leaf(key: FlatKey(account: account.key), value: account.body.slim)]
                + account.slots.map {
                    MemoryState.Leaf(key: FlatKey(account: account.key, slot: $0.key), value: $0.value)
                }
        }
        state = try MemoryState(leaves, depth: depth)
    }

    /// The difference to another state in its wire form, found plainly.
    public func changes(to other: TestState) -> [LeafChange] { state.changes(to: other.state) }

    /// A seeded state: keys spread and in clusters, at the ends of the ring and of sections; storage of none to many.
    public static func random(_ generator: inout SeededGenerator, accounts count: Int, depth: Int = 1) throws
        -> TestState
    {
        var keys: Set<Bytes32> = [.zero, .max, Bytes32(0x3fff_ffff_ffff_ffff, .max, .max, .max)]
        // A set is asked, never walked: the list keeps the order in which keys were made.
        var list = keys.sorted()
        while list.count < count {
            let key = nextKey(like: list, &generator)
            if keys.insert(key).inserted { list.append(key) }
        }
        return try TestState(list.map { account($0, &generator) }, depth: depth)
    }

    public static func nextKey(like others: [Bytes32], _ generator: inout SeededGenerator) -> Bytes32 {
        let fresh = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        guard let other = others.randomElement(using: &generator) else { return fresh }
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: return Bytes32(other.word0, other.word1, other.word2, other.word3 ^ generator.next() & 0xff)
        case 1: return Bytes32(other.word0 & ~0xf_ffff | fresh.word0 & 0xf_ffff, fresh.word1, fresh.word2, fresh.word3)
        default: return fresh
        }
    }

    public static func account(_ key: Bytes32, _ generator: inout SeededGenerator) -> Account {
        let count = [0, 0, 0, 1, 2, 5, 40].randomElement(using: &generator) ?? 0
        var keys: [Bytes32] = []
        while keys.count < count {
            let slot = Int.random(in: 0..<12, using: &generator) == 0 ? .zero : nextKey(like: keys, &generator)
            if !keys.contains(slot) { keys.append(slot) }
        }
        let codeHash = count > 0 ? Keccak.hash([UInt8(count)]) : StateAccount.emptyCodeHash
        return Account(
            key: key, nonce: generator.next() >> 40, codeHash: codeHash,
            slots: keys.map { ($0, value(&generator)) })
    }

    public static func value(_ generator: inout SeededGenerator) -> [UInt8] {
        let count = [1, 1, 2, 20, 32].randomElement(using: &generator) ?? 1
        return [UInt8.random(in: 1...255, using: &generator)]
            + (1..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// The leaves that a range from `origin` to `end` consists of, the account that the origin lies inside included.
    public func leaves(from origin: Cursor, through end: Cursor) -> [MemoryState.Leaf] {
        state.leaves(from: origin, through: end)
    }

    /// A position that is somewhere interesting: at a leaf, beside one, or anywhere.
    public func cursor(_ generator: inout SeededGenerator) -> Cursor {
        let fresh = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        guard let leaf = leaves.randomElement(using: &generator) else { return Cursor(account: fresh) }
        let at = Cursor(account: leaf.key.account, slot: leaf.key.slot ?? .zero)
        switch Int.random(in: 0..<7, using: &generator) {
        case 0: return Cursor(account: fresh)
        case 1: return Cursor(account: leaf.key.account, slot: fresh)
        case 2: return at.successor ?? at
        case 3: return at.predecessor ?? at
        case 4: return Cursor.end(of: leaf.key.account)
        default: return at
        }
    }
}
