import Chain
import MerklePatricia
import Primitives

/// The state between two blocks: every account's columns, the storage of those contracts that were touched, and the
/// account trie.
struct MadeState: Sendable {
    let plan: GenesisPlan
    private(set) var accounts: [CompactAccount]
    private(set) var codes: [GenesisPlan.Code]
    /// By account: only what was read or written; the rest is as the plan derives it.
    private var storages: [Int: MadeStorage] = [:]
    private var trie: MadeTrie
    /// Accounts whose storage, or anything else, changed since the last commit.
    private var changed: Set<Int> = []
    private var changedStorages: Set<Int> = []

    /// Builds genesis. `keys` are the senders', in order.
    init(plan: GenesisPlan, keys: [TransactionKey]) {
        self.plan = plan
        codes = plan.codes + SystemContract.all.map { GenesisPlan.Code($0.code) }
        var accounts: [CompactAccount] = []
        accounts.reserveCapacity(plan.count)
        for index in 0..<plan.count {
            let key = plan.senders.contains(index) ? keys[index - plan.senders.lowerBound] : nil
            var account = plan.account(index, key: key)
            if plan.slotCount(of: index) > 0 {
                account.storageRoot = TrieBuilder.root(of: MadeStorage.leaves(plan.storage(of: index)))
            }
            accounts.append(account)
        }
        self.accounts = accounts
        var leaves = LeafColumns()
        leaves.reserveCapacity(accounts.count, valueBytes: 80 * accounts.count)
        for index in accounts.indices.sorted(by: { accounts[$0].key < accounts[$1].key }) {
            leaves.append(key: accounts[index].key, value: MadeState.leaf(accounts[index], codes))
        }
        trie = MadeTrie(leaves)
    }

    private static func leaf(_ account: CompactAccount, _ codes: [GenesisPlan.Code]) -> [UInt8] {
        StateAccount(
            nonce: account.nonce, balance: UInt256(account.balance), storageRoot: account.storageRoot,
            codeHash: account.code < 0 ? StateAccount.emptyCodeHash : codes[Int(account.code)].hash
        ).rlp
    }

    /// The root at the last commit.
    var root: Bytes32 { trie.root }

    // MARK: Changing

    /// A new account without anything; not in the trie until it has something.
    mutating func add(_ address: Address) -> Int {
        accounts.append(CompactAccount(address: address, nonce: 0, balance: 0, code: -1))
        return accounts.count - 1
    }

    mutating func change(_ index: Int, _ body: (inout CompactAccount) -> Void) {
        body(&accounts[index])
        changed.insert(index)
    }

    /// A code by its number: a known one, or a new one.
    mutating func add(code: [UInt8]) -> Int32 {
        codes.append(GenesisPlan.Code(code))
        return Int32(codes.count - 1)
    }

    mutating func write(_ index: Int, _ slot: UInt256, _ value: UInt256) {
        load(index)
        storages[index]?.write(slot, value)
        changed.insert(index)
        changedStorages.insert(index)
    }

    mutating func value(_ index: Int, _ slot: UInt256) -> UInt256 {
        load(index)
        return storages[index]?[slot] ?? .zero
    }

    /// How many slots of the account are not zero.
    mutating func slotCount(_ index: Int) -> Int {
        guard storages[index] == nil else { return storages[index]?.slots.count ?? 0 }
        return plan.slotCount(of: index)
    }

    /// Slot number `place` of those that are not zero, in no order that means anything.
    mutating func slot(_ index: Int, at place: Int) -> UInt256 {
        load(index)
        return storages[index]?.slots[place] ?? .zero
    }

    private mutating func load(_ index: Int) {
        if storages[index] == nil { storages[index] = MadeStorage(plan.storage(of: index)) }
    }

    /// Brings the tries to the changed accounts; gives the root.
    mutating func commit() throws -> Bytes32 {
        for index in changedStorages.sorted() {
            if let root = try storages[index]?.commit() { accounts[index].storageRoot = root }
        }
        var changes: [TrieUpdate.LeafChange] = []
        for index in changed {
            let account = accounts[index]
            guard !account.isEmpty || account.storageRoot == StateAccount.emptyRoot else {
                throw ForgeError.inconsistent("\(account.address) is removed and has storage")
            }
            changes.append((account.key, account.isEmpty ? nil : MadeState.leaf(account, codes)))
        }
        changed.removeAll(keepingCapacity: true)
        changedStorages.removeAll(keepingCapacity: true)
        try trie.apply(changes.sorted { $0.key < $1.key })
        return trie.root
    }

    // MARK: Writing down

    /// Every account of the trie, by key, rising; one at a time is in memory.
    func forEachAccount(_ body: (MadeAccount) throws -> Void) rethrows {
        for index in accounts.indices.sorted(by: { accounts[$0].key < accounts[$1].key }) {
            let account = accounts[index]
            guard !account.isEmpty else { continue }
            let code = account.code < 0 ? nil : codes[Int(account.code)]
            try body(
                MadeAccount(
                    address: account.address, key: account.key, nonce: account.nonce,
                    balance: UInt256(account.balance), code: code?.bytes ?? [],
                    codeHash: code?.hash ?? StateAccount.emptyCodeHash, storageRoot: account.storageRoot,
                    storage: storages[index]?.sorted ?? plan.storage(of: index).sorted { $0.slot < $1.slot }))
        }
    }
}
