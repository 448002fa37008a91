import Primitives

/// Collects the nodes that prove what stands at a key.
public enum TrieProver {
    /// Adds the nodes on the path from the root to `key`, as far as it goes: to the leaf of the key, or to the node that
    /// shows that there is none. Nodes above the crown's depth are taken from `upper`, those below from `source`;
    /// without a crown all come from the source.
    public static func prove(
        _ key: Bytes32, upper: Crown?, source: inout some TrieSource, into proof: inout ProofNodes
    ) throws {}
}
