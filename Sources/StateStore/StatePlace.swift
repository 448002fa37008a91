import MerklePatricia
import Primitives

/// Where a node of the state stands: in the account trie, or in the storage trie of one account.
public struct StatePlace: Hashable, Comparable, Sendable {
    /// In the account trie, from its root. For a node of a storage trie: as many nibbles of its account's key as lead
    /// to that account's leaf and no other, or all of them.
    public let account: Nibbles
    /// In the storage trie, from its root; nil for a node of the account trie.
    public let storage: Nibbles?

    /// A node of the account trie, or with `storage` one of a storage trie.
    public init(account: Nibbles, storage: Nibbles? = nil) {
        self.account = account
        self.storage = storage
    }

    /// By account path, a node of the account trie before those of storage tries, by storage path.
    public static func < (a: StatePlace, b: StatePlace) -> Bool {
        if a.account != b.account { return a.account < b.account }
        switch (a.storage, b.storage) {
        case (_, nil): return false
        case (nil, _?): return true
        case (let x?, let y?): return x < y
        }
    }
}
