import Chain
import Primitives

/// An account as the maker keeps it: the trie's columns, its code by number.
struct CompactAccount: Sendable {
    let address: Address
    /// keccak256 of the address.
    let key: Bytes32
    var nonce: UInt64
    var balance: UInt128
    /// Number of its code; -1 for none.
    var code: Int32
    var storageRoot = StateAccount.emptyRoot

    init(address: Address, nonce: UInt64, balance: UInt128, code: Int32) {
        self.address = address
        key = address.key
        self.nonce = nonce
        self.balance = balance
        self.code = code
    }

    /// Such an account is not in the trie (EIP-161).
    var isEmpty: Bool { nonce == 0 && balance == 0 && code < 0 }

    /// The address of account `number`, where no key makes it.
    static func address(seed: UInt64, _ number: Int) -> Address {
        var draw = Draw(seed: seed, .address, number)
        return Address(draw.bytes(Address.byteCount)) ?? .zero
    }
}

/// An account in plain form, for whoever writes a state down.
public struct MadeAccount: Sendable {
    public let address: Address
    /// keccak256 of the address.
    public let key: Bytes32
    public let nonce: UInt64
    /// In wei.
    public let balance: UInt256
    /// Empty for none.
    public let code: [UInt8]
    public let codeHash: Bytes32
    public let storageRoot: Bytes32
    /// Slots that are not zero, by slot.
    public let storage: [(slot: UInt256, value: UInt256)]
}
