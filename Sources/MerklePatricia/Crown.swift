import Primitives

/// The nodes of a trie whose path is shorter than a depth, the leaves and extensions that reach across it included:
/// what joins the sections to the root. A whole crown answers for every section; a partial one, made of the path proofs
/// of some, for those.
public struct Crown: Sendable {
    /// The trie's root.
    public let root: Bytes32
    /// In nibbles: the sections are the 16^depth subtrees at this depth.
    public let depth: Int
    /// The nodes that are named by hash, parents before children; embedded ones are inside these.
    private var proof: ProofNodes

    /// Builds the crown of the trie that these sections, all 16^depth of them in order, make up; 0 ≤ depth ≤ 4.
    public init(sections: [Subtree], depth: Int) {
        precondition(depth >= 0 && depth <= MerklePatriciaLimits.crownDepth, "a crown's depth")
        precondition(sections.count == Nibbles.sectionCount(depth: depth), "one subtree a section")
        var branches = BranchColumns()
        let top = TrieBuilder.build(joining: sections, emitting: &branches)
        var collector = CrownCollector(
            items: sections.filter { $0 != .empty }, branches: branches, depth: depth)
        collector.collect(0..<collector.items.count, at: .root)
        root = top.hash(at: 0)
        self.depth = depth
        proof = collector.proof
    }

    /// Reads a whole crown: every node above `depth` must be there, and no other.
    public init(decoding nodes: [[UInt8]], root: Bytes32, depth: Int) throws(ProofError) {
        guard depth >= 0 && depth <= MerklePatriciaLimits.crownDepth else { throw .depth(depth) }
        var pool = try ProofPool(nodes)
        var ordered = ProofNodes()
        if root != Subtree.emptyRoot {
            try Crown.reach(.hash(root), at: .root, isBranch: false, depth: depth, pool: &pool, into: &ordered)
        }
        try pool.finish()
        self.root = root
        self.depth = depth
        proof = ordered
    }

    /// A crown that covers only `sections` (numbers): the union of their path proofs, nothing more.
    public init(pathProof nodes: [[UInt8]], root: Bytes32, depth: Int, sections: [Int]) throws(ProofError) {
        guard depth >= 0 && depth <= MerklePatriciaLimits.crownDepth else { throw .depth(depth) }
        var pool = try ProofPool(nodes)
        for index in sections {
            guard (0..<Nibbles.sectionCount(depth: depth)).contains(index) else { throw .unknownSection(index) }
            _ = try SectionProof.sectionHash(
                root: root, pool: &pool, section: Nibbles(section: index, depth: depth))
        }
        try pool.finish()
        self.root = root
        self.depth = depth
        proof = ProofNodes()
        for node in nodes { proof.insert(node) }
    }

    /// A crown that covers some sections only, of nodes that were checked before: those on the ways to them, and none
    /// that is not of the trie of this root. What they do not reach is an unknown section.
    public init(covering nodes: ProofNodes, root: Bytes32, depth: Int) {
        precondition((0...MerklePatriciaLimits.crownDepth).contains(depth), "a crown's depth")
        self.root = root
        self.depth = depth
        proof = nodes
    }

    /// All nodes; of a whole crown each parent before its children. `init(decoding:root:depth:)` reads them.
    public var nodes: [[UInt8]] { proof.nodes }

    /// Bytes of all nodes together.
    public var byteCount: Int { proof.byteCount }

    /// How many sections there are: 16^depth.
    public var sectionCount: Int { Nibbles.sectionCount(depth: depth) }

    /// The section hash of section `index`: what `Subtree.hash(at: depth)` of that section is. Error:
    /// `.unknownSection` for a number that is none, and where this crown is a partial one without that section.
    public func sectionHash(_ index: Int) throws(ProofError) -> Bytes32 {
        try walk(to: index).hash
    }

    /// The nodes above the crown's depth on the way to section `index`: its path proof, the root's node first.
    public func proofNodes(forSection index: Int) throws(ProofError) -> [[UInt8]] {
        try walk(to: index).pool.usedNodes
    }

    /// Adds the same nodes to others, those that are not among them yet.
    public func addProof(ofSection index: Int, to target: inout ProofNodes) throws(ProofError) {
        guard index >= 0 && index < sectionCount else { throw .unknownSection(index) }
        _ = try prove(Nibbles(section: index, depth: depth).lowestKey, into: &target)
    }

    private func walk(to index: Int) throws(ProofError) -> (hash: Bytes32, pool: ProofPool) {
        guard index >= 0 && index < sectionCount else { throw .unknownSection(index) }
        var pool = ProofPool(proof)
        do throws(ProofError) {
            let hash = try SectionProof.sectionHash(
                root: root, pool: &pool, section: Nibbles(section: index, depth: depth))
            return (hash, pool)
        } catch {
            if case .missingNode = error { throw .unknownSection(index) }
            throw error
        }
    }

    /// Adds the nodes on the way to `key`. Gives the path, of `depth` nibbles or more, at which the rest of the way
    /// begins, and how the node there is named; nil where the way ends in the crown.
    func prove(
        _ key: Bytes32, into target: inout ProofNodes
    ) throws(ProofError) -> (path: Nibbles, name: NodeReference)? {
        guard root != Subtree.emptyRoot else { return nil }
        var reference = NodeReference.hash(root)
        var path = Nibbles.root
        while path.count < depth {
            guard case .hash(let hash) = reference else { return nil }
            if let position = proof.position(of: hash), let layout = BranchLayout(proof.nodes[position]) {
                // Nearly every node up here is a branch, and the crown has been checked.
                target.insert(proof.nodes[position], hash: hash)
                let nibble = key.nibble(path.count)
                guard let child = layout.child(at: nibble, of: proof.nodes[position]) else { return nil }
                path = path.appending(nibble)
                reference = child
                continue
            }
            var pool = ProofPool(proof)
            guard pool.has(reference) else {
                throw .unknownSection(Nibbles.section(of: key, depth: depth))
            }
            let (node, bytes) = try pool.resolve(reference, at: path)
            target.insert(bytes, hash: hash)
            switch node {
            case .leaf: return nil
            case .extension(let steps, let child):
                path = path.appending(steps)
                guard path.contains(key) else { return nil }
                reference = child
            case .branch(let branch):
                let nibble = key.nibble(path.count)
                guard let child = branch[nibble] else { return nil }
                path = path.appending(nibble)
                reference = child
            }
        }
        guard case .hash = reference else { return nil }
        return (path, reference)
    }

    /// Reaches every node above the depth from a trusted reference.
    private static func reach(
        _ reference: NodeReference, at path: Nibbles, isBranch: Bool, depth: Int, pool: inout ProofPool,
        into ordered: inout ProofNodes
    ) throws(ProofError) {
        guard path.count < depth else { return }
        let (node, bytes) = try pool.resolve(reference, at: path, isBranch: isBranch)
        if case .hash(let hash) = reference { ordered.insert(bytes, hash: hash) }
        switch node {
        case .leaf: return
        case .extension(let steps, let child):
            try reach(
                child, at: path.appending(steps), isBranch: true, depth: depth, pool: &pool, into: &ordered)
        case .branch(let branch):
            for nibble in 0..<16 {
                guard let child = branch[nibble] else { continue }
                try reach(
                    child, at: path.appending(nibble), isBranch: false, depth: depth, pool: &pool, into: &ordered)
            }
        }
    }
}

/// Lists the nodes above a depth of a trie that was joined from sections.
private struct CrownCollector {
    let items: [Subtree]
    /// The branches over the items in the order of their paths, which is the order of this walk.
    let branches: BranchColumns
    let depth: Int
    var proof = ProofNodes()
    private var next = 0

    init(items: [Subtree], branches: BranchColumns, depth: Int) {
        self.items = items
        self.branches = branches
        self.depth = depth
    }

    /// Lists the node at `path`, whose subtree has the items in `range`, and those below it.
    mutating func collect(_ range: Range<Int>, at path: Nibbles) {
        guard path.count < depth, !range.isEmpty else { return }
        if range.count == 1 {
            if let node = items[range.lowerBound].encodedNode(at: path.count) { add(node, at: path) }
            return
        }
        let branch = branches.paths[next]
        let node = branches.node(at: next)
        next += 1
        if branch.count > path.count {
            let child = NodeReference(encodedNode: node)
            add(TrieNode.extension(path: branch.dropFirst(path.count), child: child).encoded, at: path)
        }
        add(node, at: branch)
        var start = range.lowerBound
        while start < range.upperBound {
            let nibble = self.nibble(start, at: branch.count)
            var end = start + 1
            while end < range.upperBound && self.nibble(end, at: branch.count) == nibble { end += 1 }
            let below = branch.appending(nibble)
            if below.count < depth {
                collect(start..<end, at: below)
            }
            start = end
        }
    }

    private func nibble(_ item: Int, at index: Int) -> Int { (items[item].lowestKey ?? .zero).nibble(index) }

    private mutating func add(_ node: [UInt8], at path: Nibbles) {
        if node.count >= 32 || path.isEmpty { proof.insert(node) }
    }
}
