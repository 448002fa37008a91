import Chain
import MerklePatricia
import Primitives

/// The state trie of a synthetic chain. It changes block by block, so a block costs what it changes and not what there
/// is.
struct SyntheticTrie: Sendable {
    private var trie = MemoryTrie()
    /// Storage roots of accounts that have storage: most changes of an account leave it as it is.
    private var storageRoots: [Address: Bytes32] = [:]

    /// The trie of these accounts.
    init(_ state: [Address: PlainAccount]) {
        var leaves = LeafColumns()
        for (key, address) in state.keys.map({ ($0.key, $0) }).sorted(by: { $0.0 < $1.0 }) {
            guard let account = state[address] else { continue }
            let root = account.storageRoot
            if !account.storage.isEmpty { storageRoots[address] = root }
            leaves.append(key: key, value: account.stateAccount(storageRoot: root).rlp)
        }
        trie = MemoryTrie(leaves)
    }

    /// The state root.
    var root: Bytes32 { trie.root }

    /// Brings the trie to what some accounts have become; nil: deleted. No address twice.
    mutating func apply(_ changes: [Change]) throws {
        guard !changes.isEmpty else { return }
        var leaves: [TrieUpdate.LeafChange] = []
        for change in changes {
            guard let after = change.after else {
                storageRoots[change.address] = nil
                leaves.append((change.address.key, nil))
                continue
            }
            let isSame = change.before?.storage == after.storage
            let known = isSame ? storageRoots[change.address] : nil
            let root = known ?? after.storageRoot
            storageRoots[change.address] = after.storage.isEmpty ? nil : root
            leaves.append((change.address.key, after.stateAccount(storageRoot: root).rlp))
        }
        try trie.apply(leaves.sorted { $0.key < $1.key })
    }

    /// An account before and after a block.
    struct Change {
        let address: Address
        let before: PlainAccount?
        let after: PlainAccount?
    }
}
