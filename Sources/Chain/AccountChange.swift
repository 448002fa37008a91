import Primitives

/// What a block leaves of one account that it changed: the last value of each list of its access list.
public struct AccountChange: Hashable, Sendable {
    /// A slot's value after the block.
    public struct SlotChange: Hashable, Sendable {
        public let slot: UInt256
        /// keccak256 of the slot: its place in the storage trie.
        public let key: Bytes32
        /// Zero where the slot is gone.
        public let value: UInt256

        public init(slot: UInt256, value: UInt256) {
            self.slot = slot
            key = Keccak.hash(slot.big.bytes)
            self.value = value
        }
    }

    public let address: Address
    /// keccak256 of the address: the account's place on the ring.
    public let key: Bytes32
    /// nil where the block did not change it; so the next two. A value may also equal the one before the block.
    public let nonce: UInt64?
    public let balance: UInt256?
    /// Empty where code was cleared.
    public let code: [UInt8]?
    /// By slot key, rising.
    public let storage: [SlotChange]

    public init(address: Address, nonce: UInt64?, balance: UInt256?, code: [UInt8]?, storage: [SlotChange]) {
        self.address = address
        key = address.key
        self.nonce = nonce
        self.balance = balance
        self.code = code
        self.storage = storage.sorted { $0.key < $1.key }
    }

    /// nil where the access list only says that the account was looked at.
    init?(_ account: BlockAccessList.Account) {
        let storage = account.storageChanges.compactMap { slot in
            slot.changes.last.map { SlotChange(slot: slot.slot, value: $0.value) }
        }
        let (nonce, balance) = (account.nonceChanges.last?.value, account.balanceChanges.last?.value)
        let code = account.codeChanges.last?.value
        guard nonce != nil || balance != nil || code != nil || !storage.isEmpty else { return nil }
        self.init(address: account.address, nonce: nonce, balance: balance, code: code, storage: storage)
    }

    /// Hash of the new code; nil where code did not change.
    public var codeHash: Bytes32? { code.map { Keccak.hash($0) } }

    /// The account after the change, given the one before (nil: there was none) and its new storage root. nil where it
    /// is not in the trie any more: a transaction takes every account away that it touched and that has nonce 0,
    /// balance 0 and no code (EIP-161), and what has a change was touched. What has none is left as it is, empty or
    /// not: access lists name accounts that were only looked at, too, and from the merge on no state has an empty
    /// account that a touch without a change could take away (EIP-7523). Genesis is no transaction, and is not applied
    /// by this.
    public func applied(to before: StateAccount?, storageRoot: Bytes32) -> StateAccount? {
        var account = before ?? StateAccount()
        if let nonce { account.nonce = nonce }
        if let balance { account.balance = balance }
        if let codeHash { account.codeHash = codeHash }
        account.storageRoot = storageRoot
        return account.isEmpty ? nil : account
    }
}

extension AccountChange {
    /// What blocks that follow one another leave together: of every value the last one that was written.
    ///
    /// An account that is deleted on the way and made again has what was written after that and, of its slots, those
    /// that no block cleared. Where a block takes slots away without naming them the state root will not fit: then the
    /// blocks have to be applied one by one.
    public static func merged(_ blocks: [[AccountChange]]) -> [AccountChange] {
        guard blocks.count > 1 else { return blocks.first ?? [] }
        var merged: [Bytes32: Merging] = [:]
        for changes in blocks {
            for change in changes { merged[change.key, default: Merging(change.address)].add(change) }
        }
        return merged.values.map(\.change).sorted { $0.key < $1.key }
    }

    private struct Merging {
        let address: Address
        var nonce: UInt64?
        var balance: UInt256?
        var code: [UInt8]?
        var slots: [Bytes32: SlotChange] = [:]

        init(_ address: Address) { self.address = address }

        mutating func add(_ change: AccountChange) {
            nonce = change.nonce ?? nonce
            balance = change.balance ?? balance
            code = change.code ?? code
            for slot in change.storage { slots[slot.key] = slot }
        }

        var change: AccountChange {
            AccountChange(address: address, nonce: nonce, balance: balance, code: code, storage: Array(slots.values))
        }
    }
}

extension BlockAccessList {
    /// What the block changed, by account key, rising. Entries that say only that something was read are left out.
    public var accountChanges: [AccountChange] {
        accounts.compactMap { AccountChange($0) }.sorted { $0.key < $1.key }
    }

    /// A list made from the net changes of a block whose header commits to none (a side-car): every change has index 1.
    /// The changes may come in any order; an address twice is an error. Only the state root proves such a list.
    public init(sidecar changes: [AccountChange]) throws(ChainError) {
        let accounts = changes.sorted { $0.address < $1.address }.map { change in
            var account = Account(address: change.address)
            account.storageChanges = change.storage.sorted { $0.slot < $1.slot }.map {
                SlotChanges(slot: $0.slot, changes: [Change(index: 1, value: $0.value)])
            }
            account.balanceChanges = change.balance.map { [Change(index: 1, value: $0)] } ?? []
            account.nonceChanges = change.nonce.map { [Change(index: 1, value: $0)] } ?? []
            account.codeChanges = change.code.map { [Change(index: 1, value: $0)] } ?? []
            return account
        }
        try self.init(accounts)
    }
}
