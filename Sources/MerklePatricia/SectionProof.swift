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

    /// The section hashes of several sections (numbers at `depth`, ascending) out of one proof, which has exactly the
    /// nodes on the ways to them, each once; with each section the nodes on its own way, the root's first.
    public static func sectionHashes(
        root: Bytes32, proof: [[UInt8]], sections: [Int], depth: Int
    ) throws(ProofError) -> [(hash: Bytes32, path: [[UInt8]])] {
        guard depth >= 0 && depth <= MerklePatriciaLimits.crownDepth else { throw .depth(depth) }
        var pool = try ProofPool(proof)
        var found: [(hash: Bytes32, path: [[UInt8]])] = []
        found.reserveCapacity(sections.count)
        for index in sections {
            guard (0..<Nibbles.sectionCount(depth: depth)).contains(index) else { throw .unknownSection(index) }
            var way: [[UInt8]] = []
            let hash = try sectionHash(
                root: root, pool: &pool, section: Nibbles(section: index, depth: depth), noting: &way)
            found.append((hash, way))
        }
        try pool.finish()
        return found
    }

    /// The hashes of some sections out of one proof, and behind the nodes on the ways to them those that show how
    /// storage tries are placed: of the tries of these roots whose first node is there. Exactly these nodes, each once.
    /// No trie that is with its account is shown.
    public static func sectionHashes(
        root: Bytes32, proof: [[UInt8]], sections: [Int], depth: Int, placing roots: [Bytes32], by rule: Placement
    ) throws(ProofError) -> (hashes: [Bytes32], shown: [Bytes32: [[UInt8]]]) {
        guard depth >= 0 && depth <= MerklePatriciaLimits.crownDepth else { throw .depth(depth) }
        var pool = try ProofPool(proof)
        var hashes: [Bytes32] = []
        for index in sections {
            guard (0..<Nibbles.sectionCount(depth: depth)).contains(index) else { throw .unknownSection(index) }
            hashes.append(try sectionHash(root: root, pool: &pool, section: Nibbles(section: index, depth: depth)))
        }
        var shown: [Bytes32: [[UInt8]]] = [:]
        for root in roots where pool.has(.hash(root)) {
            let (depth, nodes) = try rule.read(root: root, from: &pool)
            guard depth > 0 else { throw .unusedNode }
            shown[root] = nodes
        }
        try pool.finish()
        return (hashes, shown)
    }

    static func sectionHash(
        root: Bytes32, pool: inout ProofPool, section: Nibbles
    ) throws(ProofError) -> Bytes32 {
        var way: [[UInt8]] = []
        return try sectionHash(root: root, pool: &pool, section: section, noting: &way)
    }

    /// Walks to depth d and cuts there. A reference at depth d is the section's own. A leaf or an extension across
    /// depth d belongs to the section only if it goes on with the section's nibbles; without the nibbles above the cut
    /// it is the section's node. Everything else is an empty section.
    /// `way` takes the nodes that are named by hash; embedded ones are inside these.
    static func sectionHash(
        root: Bytes32, pool: inout ProofPool, section: Nibbles, noting way: inout [[UInt8]]
    ) throws(ProofError) -> Bytes32 {
        guard root != Subtree.emptyRoot else { return Subtree.emptyRoot }
        let depth = section.count
        var reference = NodeReference.hash(root)
        var path = Nibbles.root
        var isBranch = false
        while path.count < depth {
            let (node, bytes) = try pool.resolve(reference, at: path, isBranch: isBranch)
            if case .hash = reference { way.append(bytes) }
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
