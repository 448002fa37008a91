import Chain
import ChainForge
import MerklePatricia
import Primitives

/// A chain made from a seed: accounts with and without storage and code, and blocks that create, change, wipe and
/// delete some of them. Every block has its access list and a header with the right state root.
public struct SyntheticChain: Sendable {
    /// Where a chain leaves the one that its seed makes.
    public struct Fork: Sendable {
        /// The last block that both have.
        public var after: Int
        /// The seed of the blocks after it.
        public var seed: UInt64

        public init(after: Int, seed: UInt64) {
            self.after = after
            self.seed = seed
        }
    }

    /// A block as a bridge replays it.
    public struct Entry: Sendable {
        public let block: Block
        public let accessList: BlockAccessList
        /// What a committee signed, where the chain has one.
        public var certificate: Certificate?
    }

    /// How big and how busy.
    public struct Shape: Sendable {
        public var accounts: Int
        public var blocks: Int
        public var changesPerBlock: Int
        /// Every how many blocks one changes nothing.
        public var emptyEvery: Int
        /// Slots of one account beside the others that every block writes to; 0: there is none.
        public var wideSlots = 0
        /// The blocks in which it gets them, and loses most of them again: before and after it has a few. By default it
        /// has them from genesis on and keeps them.
        public var wideFrom = 0
        public var wideUntil = Int.max
        /// How many it has where it is not wide.
        public var narrowSlots = 20

        public init(accounts: Int = 200, blocks: Int = 40, changesPerBlock: Int = 6, emptyEvery: Int = 11) {
            self.accounts = accounts
            self.blocks = blocks
            self.changesPerBlock = changesPerBlock
            self.emptyEvery = emptyEvery
        }
    }

    /// The chain id of the networks that are simulated.
    public static let chainID: UInt64 = 7_777
    public let genesisHeader: BlockHeader
    public let genesisAccounts: [AccountChange]
    public private(set) var entries: [Entry] = []
    /// The state after the last block, by address: what a sync must end with.
    public private(set) var finalState: [Address: PlainAccount]

    /// Throws only where a header or a trie cannot be made, which the shape cannot bring about. `fork`: where the chain
    /// leaves the one that the seed makes. `network`: of which the chain is, where its headers are mined or signed.
    public init(shape: Shape, seed: UInt64, fork: Fork? = nil, network: MadeNetwork? = nil) throws {
        var generator = SeededGenerator(seed: seed)
        var state: [Address: PlainAccount] = [:]
        var order: [Address] = []
        for _ in 0..<shape.accounts {
            let address = SyntheticChain.address(&generator)
            state[address] = SyntheticChain.account(&generator)
            order.append(address)
        }
        var wide: Address?
        if shape.wideSlots > 0 {
            let address = SyntheticChain.address(&generator)
            let slots = shape.wideFrom > 0 ? shape.narrowSlots : shape.wideSlots
            state[address] = SyntheticChain.wideAccount(slots: slots, &generator)
            wide = address
        }
        genesisAccounts = (order + [wide].compactMap { $0 }).map {
            SyntheticChain.change(of: $0, from: PlainAccount(), to: state[$0])
        }
        var trie = SyntheticTrie(state)
        var fields = SyntheticChain.fields(number: 0, parent: .zero, root: trie.root, list: nil)
        fields.difficulty = UInt256(network?.difficulty ?? 0)
        var header = try BlockHeader(fields)
        genesisHeader = header
        var sealer = network?.sealer(above: header, chainID: SyntheticChain.chainID) ?? HeaderSealer()
        for number in 1...shape.blocks {
            if let fork, number == fork.after + 1 { generator = SeededGenerator(seed: fork.seed) }
            var changes: [SyntheticTrie.Change] = []
            let isTurn = number == shape.wideFrom || number == shape.wideUntil
            let count =
                number.isMultiple(of: shape.emptyEvery) && !isTurn ? 0 : max(shape.changesPerBlock, isTurn ? 1 : 0)
            for address in SyntheticChain.pick(count, &order, &generator) {
                let after = SyntheticChain.successor(of: state[address] ?? PlainAccount(), &generator)
                changes.append(SyntheticTrie.Change(address: address, before: state[address], after: after))
                if after == nil { order.removeAll { $0 == address } }
            }
            if let wide, count > 0, let before = state[wide] {
                let isWide = number > shape.wideFrom && number < shape.wideUntil
                var after = SyntheticChain.written(
                    before, slots: isWide ? shape.wideSlots : shape.narrowSlots, &generator)
                if number == shape.wideFrom { SyntheticChain.widen(&after, to: shape.wideSlots, &generator) }
                if number == shape.wideUntil { SyntheticChain.narrow(&after, to: shape.narrowSlots) }
                changes.append(SyntheticTrie.Change(address: wide, before: before, after: after))
            }
            for change in changes { state[change.address] = change.after }
            try trie.apply(changes)
            let list = try BlockAccessList(
                sidecar: changes.map {
                    SyntheticChain.change(of: $0.address, from: $0.before ?? PlainAccount(), to: $0.after)
                })
            let sealed = try sealer.seal(
                SyntheticChain.fields(number: UInt64(number), parent: header.hash, root: trie.root, list: list))
            header = sealed.header
            let block = Block(header: header, transactions: [], uncles: [], withdrawals: nil)
            entries.append(Entry(block: block, accessList: list, certificate: sealed.certificate))
        }
        finalState = state
    }

    private static func address(_ generator: inout SeededGenerator) -> Address {
        let bytes = (0..<20).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return Address(bytes) ?? .zero
    }

    /// One in four has storage and code, one in sixteen much of it: shaped like a real state, where the median
    /// contract is small and few are wide.
    private static func account(_ generator: inout SeededGenerator) -> PlainAccount {
        var account = PlainAccount()
        account.nonce = UInt64.random(in: 0...9, using: &generator)
        account.balance = UInt256(UInt64.random(in: 1...(1 << 60), using: &generator))
        guard Int.random(in: 0..<4, using: &generator) == 0 else { return account }
        account.code = (0..<Int.random(in: 1...90, using: &generator)).map { _ in
            UInt8.random(in: 0...255, using: &generator)
        }
        let slots = Int.random(in: 0..<4, using: &generator) == 0 ? 60 : 4
        for _ in 0..<Int.random(in: 1...slots, using: &generator) {
            let slot = UInt256(UInt64.random(in: 0...1_000, using: &generator))
            account.storage[slot] = UInt256(UInt64.random(in: 1...(1 << 40), using: &generator))
        }
        return account
    }

    /// An account with nothing but storage to speak of.
    private static func wideAccount(slots: Int, _ generator: inout SeededGenerator) -> PlainAccount {
        var account = PlainAccount()
        account.code = [0x60, 0x01]
        for slot in 0..<slots {
            account.storage[UInt256(UInt64(slot))] = UInt256(UInt64.random(in: 1...(1 << 60), using: &generator))
        }
        return account
    }

    private static func widen(_ account: inout PlainAccount, to slots: Int, _ generator: inout SeededGenerator) {
        for slot in 0..<slots {
            account.storage[UInt256(UInt64(slot))] = UInt256(UInt64.random(in: 1...(1 << 60), using: &generator))
        }
    }

    private static func narrow(_ account: inout PlainAccount, to slots: Int) {
        for slot in account.storage.keys.sorted().dropFirst(slots) { account.storage[slot] = nil }
    }

    /// The same after a block: some slots written, one emptied, one made.
    private static func written(
        _ before: PlainAccount, slots: Int, _ generator: inout SeededGenerator
    ) -> PlainAccount {
        var after = before
        after.nonce += 1
        for _ in 0..<3 {
            let slot = UInt256(UInt64.random(in: 0..<UInt64(2 * slots), using: &generator))
            after.storage[slot] = UInt256(UInt64.random(in: 1...(1 << 60), using: &generator))
        }
        after.storage[UInt256(UInt64.random(in: 0..<UInt64(slots), using: &generator))] = nil
        return after
    }

    /// Mostly existing accounts, now and then a new one; no address twice.
    private static func pick(
        _ count: Int, _ order: inout [Address], _ generator: inout SeededGenerator
    ) -> [Address] {
        var picked: [Address] = []
        for _ in 0..<count {
            if order.isEmpty || Int.random(in: 0..<4, using: &generator) == 0 {
                let new = address(&generator)
                order.append(new)
                picked.append(new)
            } else {
                let old = order[Int.random(in: 0..<order.count, using: &generator)]
                if !picked.contains(old) { picked.append(old) }
            }
        }
        return picked
    }

    /// What becomes of an account: it is created, spends, writes or wipes storage, or is deleted.
    private static func successor(of before: PlainAccount, _ generator: inout SeededGenerator) -> PlainAccount? {
        if before == PlainAccount() { return account(&generator) }
        var after = before
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: return nil
        case 1: after.storage = [:]
        case 2, 3:
            for slot in before.storage.keys.sorted().prefix(3) {
                after.storage[slot] = UInt256(UInt64.random(in: 1...(1 << 50), using: &generator))
            }
            guard !before.code.isEmpty else { break }
            after.storage[UInt256(UInt64.random(in: 0...99, using: &generator))] = UInt256(7)
        default: break
        }
        after.nonce += 1
        after.balance = UInt256(UInt64.random(in: 1...(1 << 60), using: &generator))
        return after
    }

    private static func change(of address: Address, from: PlainAccount, to: PlainAccount?) -> AccountChange {
        let after = to ?? PlainAccount()
        let slots = Set(from.storage.keys).union(after.storage.keys).sorted()
        let storage = slots.filter { from.storage[$0] != after.storage[$0] }.map {
            AccountChange.SlotChange(slot: $0, value: after.storage[$0] ?? .zero)
        }
        return AccountChange(
            address: address, nonce: after.nonce, balance: after.balance,
            code: from.code != after.code ? after.code : nil, storage: storage)
    }

    private static func fields(
        number: UInt64, parent: Bytes32, root: Bytes32, list: BlockAccessList?
    ) -> BlockHeader.Fields {
        BlockHeader.Fields(
            parentHash: parent, stateRoot: root, number: number, timestamp: 1_700_000_000 + number * 12,
            gasLimit: 60_000_000)
    }

    /// The root of a plain state, all of it built anew.
    public static func root(of state: [Address: PlainAccount]) -> Bytes32 { SyntheticTrie(state).root }
}
