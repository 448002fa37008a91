import Primitives

/// How far a storage trie is spread round the ring of keys: the rule, and what shows it to somebody who holds nothing
/// of the trie.
///
/// A trie that is large is kept in 16^j parts by many nodes, one that is small with its account (j = 0). Which, is a
/// function of the trie: looking from the root along nibbles of zero, j is the greatest number up to the sections'
/// depth for which the first j + w nodes are branches with at least twelve children each and the next one is a branch
/// too. The nodes on that way are the proof. The children make it costly to pass a small trie off as a large one: who
/// wants one more level has to find keys for eleven more of them.
public struct Placement: Hashable, Sendable {
    /// The sections' depth d: no trie is spread wider than the accounts are.
    public let sectionDepth: Int
    /// How many full levels a trie has beyond those by which it is spread: w, 1 or more.
    public let wideDepth: Int

    /// The rule of a network.
    public init(sectionDepth: Int, wideDepth: Int) {
        self.sectionDepth = sectionDepth
        self.wideDepth = wideDepth
    }

    /// Children that a branch on the way must have.
    static let leastChildren = 12

    /// The placement of the trie of this root, 0…d. `nodes` has exactly the nodes that decide it, each once.
    public func depth(root: Bytes32, shownBy nodes: [[UInt8]]) throws(ProofError) -> Int {
        var pool = try ProofPool(nodes)
        let depth = try read(root: root, from: &pool).depth
        try pool.finish()
        return depth
    }

    /// The placement, and of `nodes`, which may have more, those that decide it.
    public func show(
        root: Bytes32, in nodes: [[UInt8]]
    ) throws(ProofError) -> (depth: Int, nodes: [[UInt8]]) {
        var pool = try ProofPool(nodes)
        return try read(root: root, from: &pool)
    }

    /// The placement of the trie whose leaves have these keys, rising.
    public func depth(of keys: some Collection<Bytes32>) -> Int {
        guard keys.count >= Placement.leastChildren else { return 0 }
        // Those that begin with so many zeros stand at the front.
        var zeros = Array(keys.prefix { $0.nibble(0) == 0 })
        var children = Placement.children(of: keys, at: 0)
        var level = 0
        while level < sectionDepth + wideDepth, children >= Placement.leastChildren, !zeros.isEmpty {
            level += 1
            children = Placement.children(of: zeros, at: level)
            zeros = Array(zeros.prefix { $0.nibble(level) == 0 })
        }
        return spread(children >= 2 ? level : level - 1)
    }

    /// The placement of a trie of which every branch along zeros can be looked up; nil: there is none at that path.
    public func depth(branchAt branch: (Nibbles) -> TrieNode?) -> Int {
        var path = Nibbles.root
        while true {
            guard case .branch(let node)? = branch(path) else { return spread(path.count - 1) }
            guard path.count < sectionDepth + wideDepth,
                node.children.count(where: { $0 != nil }) >= Self.leastChildren, node[0] != nil
            else { return spread(path.count) }
            path = path.appending(0)
        }
    }

    /// How many nibbles stand at this place of keys that agree before it.
    private static func children(of keys: some Collection<Bytes32>, at level: Int) -> Int {
        var mask: UInt16 = 0
        for key in keys { mask |= 1 << UInt16(key.nibble(level)) }
        return mask.nonzeroBitCount
    }

    /// The placement, with the nodes that decide it, the root's first; they are marked as used.
    func read(root: Bytes32, from pool: inout ProofPool) throws(ProofError) -> (depth: Int, nodes: [[UInt8]]) {
        guard root != Subtree.emptyRoot else { return (0, []) }
        var way: [[UInt8]] = []
        var reference = NodeReference.hash(root)
        var path = Nibbles.root
        while true {
            let (node, bytes) = try pool.resolve(reference, at: path)
            if case .hash = reference { way.append(bytes) }
            guard case .branch(let branch) = node else { return (spread(path.count - 1), way) }
            guard path.count < sectionDepth + wideDepth,
                branch.children.count(where: { $0 != nil }) >= Self.leastChildren,
                let child = branch[0]
            else { return (spread(path.count), way) }
            path = path.appending(0)
            reference = child
        }
    }

    /// What follows where the node after this many full branches is a branch.
    private func spread(_ levels: Int) -> Int { min(max(levels - wideDepth, 0), sectionDepth) }

    /// Which section of the ring the part `index` of a trie placed at `depth` lies in: the account's section, with the
    /// part's nibbles laid over its first ones.
    public static func section(of index: Int, depth: Int, account: Bytes32, sectionDepth: Int) -> Int {
        Nibbles.section(of: account, depth: sectionDepth) ^ index << (4 * (sectionDepth - depth))
    }
}
