import Primitives

/// Changes some leaves of a stored trie.
public enum TrieUpdate {
    /// A change of one leaf: nil deletes it.
    public typealias LeafChange = (key: Bytes32, value: [UInt8]?)
    /// A change of one stored branch: nil deletes the record.
    public typealias BranchChange = (path: Nibbles, node: [UInt8]?)

    /// Applies `changes` (strictly ascending, all under `prefix`) to what the source has under `prefix`. Gives the new
    /// subtree and the branch records that differ, in the order of their paths. The source itself stays as it is.
    /// Deleting a key that is not there, or setting one to what it is, changes nothing and is no error.
    public static func apply(
        _ changes: [LeafChange], under prefix: Nibbles, source: inout some TrieSource
    ) throws -> (subtree: Subtree, changes: [BranchChange]) {
        (.empty, [])
    }
}
