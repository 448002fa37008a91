import Primitives

/// The nodes of a proof while it is read: found only by hash, from a reference that is trusted already, and marked as
/// they are used. An embedded node is read where it stands.
struct ProofPool {
    private let proof: ProofNodes
    private var used: [Bool]
    private var hasRepeats = false

    init(_ nodes: [[UInt8]]) throws(ProofError) {
        var proof = ProofNodes()
        for node in nodes {
            guard node.count <= MerklePatriciaLimits.nodeBytes else { throw .malformedNode(.tooLarge) }
        }
        for (node, hash) in zip(nodes, NodeHashes.of(nodes)) where !proof.insert(node, hash: hash) {
            hasRepeats = true
        }
        self.proof = proof
        used = Array(repeating: false, count: proof.count)
    }

    /// Nodes whose hashes are known.
    init(_ proof: ProofNodes) {
        self.proof = proof
        used = Array(repeating: false, count: proof.count)
    }

    /// Whether the proof has the node of this reference; false for an embedded one.
    func has(_ reference: NodeReference) -> Bool {
        guard case .hash(let hash) = reference else { return false }
        return proof.position(of: hash) != nil
    }

    /// The node that `reference` names, at `path`, and its RLP. `isBranch`: it must be one, an extension being above.
    mutating func resolve(
        _ reference: NodeReference, at path: Nibbles, isBranch: Bool = false
    ) throws(ProofError) -> (node: TrieNode, bytes: [UInt8]) {
        let bytes: [UInt8]
        switch reference {
        case .embedded(let node): bytes = node
        case .hash(let hash):
            guard let position = proof.position(of: hash) else { throw .missingNode(path) }
            used[position] = true
            bytes = proof.nodes[position]
            // Only the root is named by hash whatever its size.
            guard bytes.count >= 32 || path.isEmpty else { throw .malformedNode(.shortNode) }
        }
        let node: TrieNode
        do throws(TrieNodeError) { node = try TrieNode(decoding: bytes) } catch { throw .malformedNode(error) }
        let room = MerklePatriciaLimits.keyNibbles - path.count
        switch node {
        case .leaf(let suffix, _): guard suffix.count == room else { throw .malformedNode(.pathLength) }
        case .extension(let steps, _): guard steps.count < room else { throw .malformedNode(.pathLength) }
        case .branch: guard room > 0 else { throw .malformedNode(.pathLength) }
        }
        if isBranch {
            guard case .branch = node else { throw .malformedNode(.extensionChild) }
        }
        return (node, bytes)
    }

    /// The nodes used so far, in the order of the proof.
    var usedNodes: [[UInt8]] { proof.nodes.indices.filter { used[$0] }.map { proof.nodes[$0] } }

    /// The nodes that were not used yet: those of another trie.
    var rest: ProofPool {
        var others = ProofNodes()
        for index in proof.nodes.indices where !used[index] {
            others.insert(proof.nodes[index], hash: proof.hash(at: index))
        }
        return ProofPool(others)
    }

    /// Throws where a node was given twice.
    func finishRepeats() throws(ProofError) { if hasRepeats { throw .repeatedNode } }

    /// Throws where a node was given twice or was not used.
    func finish() throws(ProofError) {
        try finishRepeats()
        guard used.allSatisfy({ $0 }) else { throw .unusedNode }
    }
}

/// Hashes of nodes that lie apart, in one batch.
enum NodeHashes {
    /// In the order of the nodes.
    static func of(_ nodes: [[UInt8]]) -> [Bytes32] {
        guard nodes.count > 1 else { return nodes.map { Keccak.hash($0) } }
        var joined: [UInt8] = []
        joined.reserveCapacity(nodes.reduce(0) { $0 + $1.count })
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(nodes.count)
        for node in nodes {
            ranges.append(joined.count..<joined.count + node.count)
            joined.append(contentsOf: node)
        }
        return Keccak.hash(joined, ranges: ranges)
    }
}
