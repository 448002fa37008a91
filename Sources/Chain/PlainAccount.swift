import MerklePatricia
import Primitives

/// An account with all that is its own, in plain form: what made chains are made of, and states are compared by.
public struct PlainAccount: Hashable, Sendable {
    public var nonce: UInt64 = 0
    /// In wei.
    public var balance = UInt256.zero
    /// Empty for none.
    public var code: [UInt8] = []
    /// The slots that are not zero.
    public var storage: [UInt256: UInt256] = [:]

    /// An account that has nothing.
    public init() {}

    /// The account after a change; nil where the trie has it no more (EIP-161).
    public func applying(_ change: AccountChange) -> PlainAccount? {
        var account = self
        account.nonce = change.nonce ?? nonce
        account.balance = change.balance ?? balance
        account.code = change.code ?? code
        for slot in change.storage { account.storage[slot.slot] = slot.value == .zero ? nil : slot.value }
        return account.nonce == 0 && account.balance == .zero && account.code.isEmpty ? nil : account
    }

    /// The account as the state trie has it. The root of its storage is given by whoever knows it already.
    public func stateAccount(storageRoot: Bytes32? = nil) -> StateAccount {
        StateAccount(
            nonce: nonce, balance: balance, storageRoot: storageRoot ?? self.storageRoot,
            codeHash: Keccak.hash(code))
    }

    /// The root of its storage trie, built anew.
    public var storageRoot: Bytes32 {
        guard !storage.isEmpty else { return StateAccount.emptyRoot }
        var slots = LeafColumns()
        let hashed = storage.map { (key: Keccak.hash($0.key.big.bytes), value: $0.value) }
        for slot in hashed.sorted(by: { $0.key < $1.key }) {
            slots.append(key: slot.key, value: RLPWriter.integer(slot.value))
        }
        return TrieBuilder.root(of: slots)
    }
}
