import Primitives

/// Collects the nodes that prove what stands at a key.
public enum TrieProver {
    /// Adds the nodes on the path from the root to `key`, as far as it goes: to the leaf of the key, or to the node
    /// that shows that there is none. Nodes above the crown's depth are taken from `upper`, those below from `source`;
    /// without a crown all come from the source.
    ///
    /// Errors: `ProofError.unknownSection` where a partial crown does not cover the key, `TrieError` for a stored
    /// record that is no branch, or the source's own.
    public static func prove(
        _ key: Bytes32, upper: Crown?, source: inout some TrieSource, into proof: inout ProofNodes
    ) throws {
        var prefix = Nibbles.root
        if let upper {
            guard let rest = try upper.prove(key, into: &proof) else { return }
            prefix = rest
        }
        while true {
            let (subtree, record) = try source.subtree(under: prefix)
            // The leaf, or the extension above a branch.
            if let node = subtree.encodedNode(at: prefix.count) { add(node, at: prefix, to: &proof) }
            guard case .branch(let path, let reference) = subtree, path.contains(key), let record else { return }
            // A node that is embedded is inside its parent, and so is all below it.
            guard case .hash(let hash) = reference else {
                if path.isEmpty { proof.insert(record) }
                return
            }
            proof.insert(record, hash: hash)
            guard let branch = try? BranchNode(decoding: record) else { throw TrieError.corruptRecord(path) }
            let nibble = key.nibble(path.count)
            guard case .hash = branch[nibble] else { return }
            prefix = path.appending(nibble)
        }
    }

    /// Adds a node unless it is embedded in its parent; the root has none.
    private static func add(_ node: [UInt8], at path: Nibbles, to proof: inout ProofNodes) {
        if node.count >= 32 || path.isEmpty { proof.insert(node) }
    }
}
