import Primitives

/// A stored trie in memory: leaves and branch records as sorted arrays. For tools, simulations and tests; a store of
/// the shell answers the same questions from disk.
public struct MemoryTrie: TrieSource, Sendable {
    /// The leaves, ascending by key.
    public private(set) var leaves: [(key: Bytes32, value: [UInt8])] = []
    /// The branch records, ascending by path.
    public private(set) var branches: [(path: Nibbles, node: [UInt8])] = []
    /// What the whole trie is.
    public private(set) var subtree = Subtree.empty
    /// How often each of the two was asked: what a change or a proof costs.
    public private(set) var reads = 0

    /// See `TrieSource`.
    public let twigLeaves: Int

    /// A trie without leaves.
    public init() { twigLeaves = MerklePatriciaLimits.twigLeaves }

    /// Builds the trie of these leaves, which strictly ascend.
    public init(_ columns: LeafColumns, twigLeaves: Int = MerklePatriciaLimits.twigLeaves) {
        self.twigLeaves = twigLeaves
        var built = BranchColumns()
        subtree = TrieBuilder.build(
            columns, in: 0..<columns.count, under: .root, emitting: &built, twigLeaves: twigLeaves)
        leaves = (0..<columns.count).map { (columns.keys[$0], columns.value(at: $0)) }
        branches = (0..<built.count).map { (built.paths[$0], built.node(at: $0)) }
    }

    /// The trie's root.
    public var root: Bytes32 { subtree.hash(at: 0) }

    /// The leaves in columns.
    public var columns: LeafColumns { columns(from: .zero, through: .max) }

    /// The leaves with first ≤ key ≤ last, in columns.
    public func columns(from first: Bytes32, through last: Bytes32) -> LeafColumns {
        var result = LeafColumns()
        for leaf in leaves[leaves.partitionPoint { $0.key < first }...] {
            guard leaf.key <= last else { break }
            result.append(key: leaf.key, value: leaf.value)
        }
        return result
    }

    /// See `TrieSource`.
    public mutating func branch(atOrBelow prefix: Nibbles) -> StoredBranch? {
        reads += 1
        let index = branches.partitionPoint { $0.path < prefix }
        guard index < branches.count, branches[index].path.hasPrefix(prefix) else { return nil }
        let (path, node) = branches[index]
        let goesOn = index + 1 < branches.count && branches[index + 1].path.hasPrefix(path)
        return StoredBranch(path: path, node: node, isLowest: !goesOn)
    }

    /// See `TrieSource`.
    public mutating func leaves(under prefix: Nibbles, limit: Int, into found: inout TwigLeaves) {
        reads += 1
        let start = leaves.partitionPoint { $0.key < prefix.lowestKey }
        for leaf in leaves[start...].prefix(limit) {
            guard prefix.contains(leaf.key) else { break }
            found.append(key: leaf.key, value: leaf.value)
        }
    }

    /// Applies changes to the whole trie and keeps the result.
    public mutating func apply(_ changes: [TrieUpdate.LeafChange]) throws {
        let result = try TrieUpdate.apply(changes, under: .root, source: &self)
        subtree = result.subtree
        for change in changes {
            let index = leaves.partitionPoint { $0.key < change.key }
            let exists = index < leaves.count && leaves[index].key == change.key
            let row = change.value.map { [(key: change.key, value: $0)] } ?? []
            leaves.replaceSubrange(index..<(exists ? index + 1 : index), with: row)
        }
        for change in result.changes {
            let index = branches.partitionPoint { $0.path < change.path }
            let exists = index < branches.count && branches[index].path == change.path
            let row = change.node.map { [(path: change.path, node: $0)] } ?? []
            branches.replaceSubrange(index..<(exists ? index + 1 : index), with: row)
        }
    }
}
