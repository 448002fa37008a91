import Primitives

/// Reads a section hash out of a path proof.
public enum SectionProof {
    /// The section hash of `section` (a path of d nibbles) in the trie of this root; `proof` has exactly the nodes on
    /// the way to it whose own path is shorter than d.
    public static func sectionHash(
        root: Bytes32, proof: [[UInt8]], section: Nibbles
    ) throws(ProofError) -> Bytes32 {
        var pool = try ProofPool(proof)
        let hash = try sectionHash(root: root, pool: &pool, section: section)
        try pool.finish()
        return hash
    }

    /// Walks to depth d and cuts there. A reference at depth d is the section's own. A leaf or an extension across
    /// depth d belongs to the section only if it goes on with the section's nibbles; without the nibbles above the cut
    /// it is the section's node. Everything else is an empty section.
    static func sectionHash(
        root: Bytes32, pool: inout ProofPool, section: Nibbles
    ) throws(ProofError) -> Bytes32 {
        guard root != Subtree.emptyRoot else { return Subtree.emptyRoot }
        let depth = section.count
        var reference = NodeReference.hash(root)
        var path = Nibbles.root
        var isBranch = false
        while path.count < depth {
            let node = try pool.resolve(reference, at: path, isBranch: isBranch).node
            isBranch = false
            switch node {
            case .leaf(let suffix, let value):
                let whole = path.appending(suffix)
                guard whole.hasPrefix(section) else { return Subtree.emptyRoot }
                return Keccak.hash(TrieNode.leaf(suffix: whole.dropFirst(depth), value: value).encoded)
            case .extension(let steps, let child):
                path = path.appending(steps)
                if path.count > depth {
                    guard path.hasPrefix(section) else { return Subtree.emptyRoot }
                    return Keccak.hash(TrieNode.extension(path: path.dropFirst(depth), child: child).encoded)
                }
                guard section.hasPrefix(path) else { return Subtree.emptyRoot }
                reference = child
                isBranch = true
            case .branch(let branch):
                let nibble = section[path.count]
                guard let child = branch[nibble] else { return Subtree.emptyRoot }
                path = path.appending(nibble)
                reference = child
            }
        }
        return reference.hash
    }
}
