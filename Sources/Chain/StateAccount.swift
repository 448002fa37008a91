import MerklePatricia
import Primitives

/// An account as the state trie holds it.
public struct StateAccount: Hashable, Sendable {
    public var nonce: UInt64
    /// In wei.
    public var balance: UInt256
    public var storageRoot: Bytes32
    public var codeHash: Bytes32

    /// Root of the empty trie: keccak256 of the RLP of an empty string.
    @inlinable public static var emptyRoot: Bytes32 { Subtree.emptyRoot }
    /// Code hash of an account without code.
    public static let emptyCodeHash = Keccak.empty

    public init(
        nonce: UInt64 = 0, balance: UInt256 = .zero, storageRoot: Bytes32 = StateAccount.emptyRoot,
        codeHash: Bytes32 = StateAccount.emptyCodeHash
    ) {
        self.nonce = nonce
        self.balance = balance
        self.storageRoot = storageRoot
        self.codeHash = codeHash
    }

    /// Nonce 0, balance 0 and no code: such an account is not in the trie. Source: EIP-161.
    public var isEmpty: Bool { nonce == 0 && balance == .zero && codeHash == StateAccount.emptyCodeHash }

    /// The value in the trie: RLP [nonce, balance, storage root, code hash].
    public var rlp: [UInt8] { encoded(slim: false) }

    /// The form in the store and on the wire: an empty string for the root of an empty trie and for the hash of no
    /// code.
    public var slim: [UInt8] { encoded(slim: true) }

    private func encoded(slim: Bool) -> [UInt8] {
        RLPWriter.list { writer in
            writer.append(nonce)
            writer.append(balance)
            writer.append(slim && storageRoot == StateAccount.emptyRoot ? [] : storageRoot.bytes)
            writer.append(slim && codeHash == StateAccount.emptyCodeHash ? [] : codeHash.bytes)
        }
    }

    /// Reads the full form.
    public init(rlp: [UInt8]) throws(ChainError) {
        self = try StateAccount.decode(rlp, slim: false)
    }

    /// Reads the slim form. The full 32 bytes of what slim writes as empty are refused: one account, one encoding.
    public init(slim: [UInt8]) throws(ChainError) {
        self = try StateAccount.decode(slim, slim: true)
    }

    private static func decode(_ bytes: [UInt8], slim: Bool) throws(ChainError) -> StateAccount {
        do throws(RLPError) {
            func hash(_ reader: inout RLPReader, empty: Bytes32) throws(RLPError) -> Bytes32 {
                guard slim else { return try reader.nextBytes32() }
                let bytes = try reader.nextBytes()
                if bytes.isEmpty { return empty }
                guard let hash = Bytes32(bytes) else { throw .wrongSize }
                guard hash != empty else { throw .notCanonical }
                return hash
            }
            var reader = try RLPReader.list(bytes)
            let account = StateAccount(
                nonce: try reader.nextUInt64(), balance: try reader.nextUInt256(),
                storageRoot: try hash(&reader, empty: emptyRoot), codeHash: try hash(&reader, empty: emptyCodeHash))
            try reader.finish()
            return account
        } catch {
            throw .malformed(.account, error)
        }
    }
}
