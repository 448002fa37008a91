import Primitives

/// What joins parts of one storage trie to the root of the state: the way to the account, and below the storage root
/// that its leaf names the ways to the parts, or the nodes that show the placement, or both. Read from one list of
/// nodes, each found by its hash from a reference that is trusted already.
public struct PartsProof: Sendable {
    /// What is asked of it.
    public struct Question: Sendable {
        /// The state's root.
        public let root: Bytes32
        /// The account's key.
        public let account: Bytes32
        /// The parts' depth j, and which of the 16^j parts, rising.
        public let depth: Int
        public let parts: [Int]
        /// The rule by which the placement is read; nil: the proof shows none.
        public let placement: Placement?

        /// A question about parts of an account's storage trie.
        public init(root: Bytes32, account: Bytes32, depth: Int, parts: [Int], placement: Placement?) {
            self.root = root
            self.account = account
            self.depth = depth
            self.parts = parts
            self.placement = placement
        }
    }

    /// The account's leaf as it stands in the trie; nil where there is no such account.
    public let account: [UInt8]?
    /// The root that it names.
    public let storageRoot: Bytes32
    /// The nodes on the way to the account, the root's first.
    public let accountNodes: [[UInt8]]
    /// The placement, and the nodes that show it, the root's first; 0 and none where it was not asked for.
    public let placement: Int
    public let placementNodes: [[UInt8]]
    /// What the parts asked for hash to, in their order.
    public let hashes: [Bytes32]
    /// For each of them the nodes on the way from the storage root, the root's first.
    public let ways: [[[UInt8]]]
    /// All nodes of the storage trie.
    public let storageNodes: [[UInt8]]

    /// Reads a proof that has exactly the nodes needed, each once.
    ///
    /// - Parameter storageRoot: reads the storage root out of an account's leaf; nil where that is none.
    public init(
        _ nodes: [[UInt8]], for question: Question, storageRoot: ([UInt8]) -> Bytes32?
    ) throws(ProofError) {
        guard (1...MerklePatriciaLimits.crownDepth).contains(question.depth) else { throw .depth(question.depth) }
        var pool = try ProofPool(nodes)
        let value = try pool.value(of: question.account, root: question.root)
        accountNodes = pool.usedNodes
        account = value
        guard let root = value.map({ storageRoot($0) }) ?? Subtree.emptyRoot else { throw .malformedNode(.emptyValue) }
        self.storageRoot = root
        var storage = pool.rest
        (placement, placementNodes) = try question.placement?.read(root: root, from: &storage) ?? (0, [])
        var (hashes, ways): ([Bytes32], [[[UInt8]]]) = ([], [])
        for index in question.parts {
            guard (0..<Nibbles.sectionCount(depth: question.depth)).contains(index) else {
                throw .unknownSection(index)
            }
            var way: [[UInt8]] = []
            hashes.append(
                try SectionProof.sectionHash(
                    root: root, pool: &storage, section: Nibbles(section: index, depth: question.depth), noting: &way)
            )
            ways.append(way)
        }
        self.hashes = hashes
        self.ways = ways
        storageNodes = storage.usedNodes
        try storage.finish()
        try pool.finishRepeats()
    }
}

extension ProofPool {
    /// The value of a key in the trie of this root; nil where the nodes show that there is none.
    mutating func value(of key: Bytes32, root: Bytes32) throws(ProofError) -> [UInt8]? {
        guard root != Subtree.emptyRoot else { return nil }
        var reference = NodeReference.hash(root)
        var path = Nibbles.root
        var isBranch = false
        while true {
            switch try resolve(reference, at: path, isBranch: isBranch).node {
            case .leaf(let suffix, let value): return path.appending(suffix).lowestKey == key ? value : nil
            case .extension(let steps, let child):
                path = path.appending(steps)
                guard path.contains(key) else { return nil }
                (reference, isBranch) = (child, true)
            case .branch(let branch):
                let nibble = key.nibble(path.count)
                guard let child = branch[nibble] else { return nil }
                path = path.appending(nibble)
                (reference, isBranch) = (child, false)
            }
        }
    }
}
