import Primitives

/// Collects the nodes that prove what stands at a key. One prover for several keys saves it making its room anew.
public struct TrieProver: ~Copyable {
    private var twig = Twig()

    /// A prover that has proven nothing.
    public init() {}

    /// Adds the nodes on the path from the root to `key`, as far as it goes: to the leaf of the key, or to the node
    /// that shows that there is none. Nodes above the crown's depth are taken from `upper`, those below from `source`;
    /// without a crown all come from the source.
    ///
    /// Errors: `ProofError.unknownSection` where a partial crown does not cover the key, `TrieError` for a stored
    /// record that is no branch, or the source's own.
    public mutating func prove(
        _ key: Bytes32, upper: Crown?, source: inout some TrieSource, into proof: inout ProofNodes
    ) throws {
        var place = Place(prefix: .root, name: nil)
        if let upper {
            guard let rest = try upper.prove(key, into: &proof) else { return }
            place = Place(prefix: rest.path, name: rest.name)
        }
        guard try TrieProver.descend(to: key, from: &place, source: &source, into: &proof) else { return }
        try twig.fill(under: place.prefix, of: &source, isNamed: place.name != nil)
        guard try TrieProver.descend(to: key, from: &place, source: &twig, into: &proof) else { return }
        guard let leaf = twig.leafNode(at: place.prefix) else { return }
        TrieProver.add(leaf, at: place, to: &proof)
    }

    /// Where the next node stands.
    private struct Place {
        var prefix: Nibbles
        /// How the node there is named above, which saves hashing it; not known of a root.
        var name: NodeReference?
    }

    /// Adds the branches, and the extensions over them, that the source has on the way. Gives whether the way goes on
    /// where the source has no more of them.
    private static func descend(
        to key: Bytes32, from place: inout Place, source: inout some (BranchSource & ~Copyable),
        into proof: inout ProofNodes
    ) throws -> Bool {
        while let branch = try source.branch(atOrBelow: place.prefix) {
            let (path, record) = (branch.path, branch.node)
            guard path.isBranchPath(under: place.prefix) else { throw TrieError.corruptRecord(path) }
            if path.count > place.prefix.count {
                let child = NodeReference(encodedNode: record)
                let node = TrieNode.extension(path: path.dropFirst(place.prefix.count), child: child).encoded
                add(node, at: place, to: &proof)
                place.name = child
            }
            guard path.contains(key) else { return false }
            add(record, at: Place(prefix: path, name: place.name), to: &proof)
            // A node that is embedded is inside its parent, and so is all below it.
            guard record.count >= 32, let layout = BranchLayout(record) else {
                guard record.count < 32, (try? BranchNode(decoding: record)) != nil else {
                    throw TrieError.corruptRecord(path)
                }
                return false
            }
            let nibble = key.nibble(path.count)
            guard let child = layout.child(at: nibble, of: record), case .hash = child else { return false }
            place = Place(prefix: path.appending(nibble), name: child)
            if branch.isLowest { break }
        }
        return true
    }

    /// Adds a node unless it is embedded in its parent; the root has none.
    private static func add(_ node: [UInt8], at place: Place, to proof: inout ProofNodes) {
        if case .hash(let hash) = place.name {
            proof.insert(node, hash: hash)
        } else if node.count >= 32 || place.prefix.isEmpty {
            proof.insert(node)
        }
    }
}
