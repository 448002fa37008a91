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
        guard let upper else { return try prove(key, from: .root, named: nil, source: &source, into: &proof) }
        guard let rest = try upper.prove(key, into: &proof) else { return }
        // How the node there is named above saves hashing it.
        try prove(key, from: rest.path, named: rest.name, source: &source, into: &proof)
    }

    /// The same from the node at `prefix` down.
    private static func prove(
        _ key: Bytes32, from prefix: Nibbles, named name: NodeReference?, source: inout some TrieSource,
        into proof: inout ProofNodes
    ) throws {
        var prefix = prefix
        var name = name
        while let branch = try source.branch(atOrBelow: prefix) {
            let (path, record) = (branch.path, branch.node)
            guard path.isBranchPath(under: prefix) else { throw TrieError.corruptRecord(path) }
            if path.count > prefix.count {
                let child = NodeReference(encodedNode: record)
                let node = TrieNode.extension(path: path.dropFirst(prefix.count), child: child).encoded
                add(node, named: name, at: prefix, to: &proof)
                name = child
            }
            guard path.contains(key) else { return }
            add(record, named: name, at: path, to: &proof)
            // A node that is embedded is inside its parent, and so is all below it.
            guard record.count >= 32, let layout = BranchLayout(record) else {
                guard record.count < 32, (try? BranchNode(decoding: record)) != nil else {
                    throw TrieError.corruptRecord(path)
                }
                return
            }
            let nibble = key.nibble(path.count)
            guard let child = layout.child(at: nibble, of: record), case .hash = child else { return }
            name = child
            prefix = path.appending(nibble)
        }
        var leaves = LeafColumns()
        try source.bucket(under: prefix, into: &leaves)
        guard leaves.count < 2 else {
            var bucket = Bucket(leaves)
            return try prove(key, from: prefix, named: name, source: &bucket, into: &proof)
        }
        guard let found = leaves.keys.first else { return }
        let node = TrieNode.leaf(suffix: Nibbles(found).dropFirst(prefix.count), value: leaves.value(at: 0)).encoded
        add(node, named: name, at: prefix, to: &proof)
    }

    /// Adds a node unless it is embedded in its parent; the root has none.
    private static func add(
        _ node: [UInt8], named name: NodeReference?, at path: Nibbles, to proof: inout ProofNodes
    ) {
        if case .hash(let hash) = name {
            proof.insert(node, hash: hash)
        } else if node.count >= 32 || path.isEmpty {
            proof.insert(node)
        }
    }
}
