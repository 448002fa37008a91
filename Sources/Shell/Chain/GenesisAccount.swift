import Chain
import Primitives

/// An account of the genesis state.
public struct GenesisAccount: Hashable, Sendable {
    public let address: Address
    /// keccak256 of the address.
    public let key: Bytes32
    public let nonce: UInt64
    public let balance: UInt256
    public let code: [UInt8]
    /// Slots that are not zero, by slot key, rising.
    public let storage: [AccountChange.SlotChange]

    /// The account as the trie has it, given the root over its storage. Genesis keeps even empty accounts.
    public func account(storageRoot: Bytes32) -> StateAccount {
        StateAccount(nonce: nonce, balance: balance, storageRoot: storageRoot, codeHash: Keccak.hash(code))
    }
}
