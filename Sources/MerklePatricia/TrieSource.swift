import Primitives

/// Where the stored part of a trie is read from: branch records by path, leaves by key. Extensions and leaf nodes are
/// not stored; they follow from these.
public protocol TrieSource {
    /// The shallowest branch whose path begins with `prefix` (in a store: the first record at or after it, if it begins
    /// with it), with its RLP; nil where fewer than two leaves are under the prefix.
    mutating func branch(atOrBelow prefix: Nibbles) throws -> (path: Nibbles, node: [UInt8])?
    /// The first leaf whose key is `key` or above; nil where there is none. The value as it stands in the trie.
    mutating func leaf(atOrAfter key: Bytes32) throws -> (key: Bytes32, value: [UInt8])?
}

extension TrieSource {
    /// What is under `prefix`, with the RLP of its branch where it has one.
    mutating func subtree(under prefix: Nibbles) throws -> (subtree: Subtree, node: [UInt8]?) {
        if let (path, node) = try branch(atOrBelow: prefix) {
            guard path.isBranchPath(under: prefix) else { throw TrieError.corruptRecord(path) }
            return (.branch(path: path, node: NodeReference(encodedNode: node)), node)
        }
        if let (key, value) = try leaf(atOrAfter: prefix.lowestKey), prefix.contains(key) {
            return (.leaf(key: key, value: value), nil)
        }
        return (.empty, nil)
    }
}

extension Nibbles {
    /// Whether a branch may stand here, as far as the place is concerned: under the prefix, and not where keys end.
    func isBranchPath(under prefix: Nibbles) -> Bool {
        hasPrefix(prefix) && count < MerklePatriciaLimits.keyNibbles
    }
}
