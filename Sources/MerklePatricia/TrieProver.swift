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
        // How the node at the prefix is named above, which saves hashing it; not known of a root.
        var name: NodeReference?
        if let upper {
            guard let rest = try upper.prove(key, into: &proof) else { return }
            prefix = rest.path
            name = rest.name
        }
        while true {
            guard let (path, record) = try source.branch(atOrBelow: prefix) else {
                guard let (found, value) = try source.leaf(atOrAfter: prefix.lowestKey), prefix.contains(found) else {
                    return
                }
                let node = TrieNode.leaf(suffix: Nibbles(found).dropFirst(prefix.count), value: value).encoded
                return add(node, named: name, at: prefix, to: &proof)
            }
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
