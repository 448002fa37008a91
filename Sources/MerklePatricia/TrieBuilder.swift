import Primitives

/// Builds tries from sorted leaves.
public enum TrieBuilder {
    /// Builds what the leaves in `range`, all under `prefix` and strictly ascending, are the whole of, and appends every
    /// branch of it, in the order of the paths.
    public static func build(
        _ leaves: LeafColumns, in range: Range<Int>, under prefix: Nibbles, emitting branches: inout BranchColumns
    ) -> Subtree {
        .empty
    }

    /// The root of the trie of these leaves, which strictly ascend.
    public static func root(of leaves: LeafColumns) -> Bytes32 {
        Subtree.emptyRoot
    }
}
