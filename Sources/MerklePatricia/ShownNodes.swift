import Primitives

/// Every node of some tries, by its hash, from what a range shows of them: the branches that a check emits and the
/// leaves. What no branch was emitted for is a twig; it is built here, node by node.
public struct ShownNodes: Sendable {
    /// The nodes so far. One that is embedded in the node above it is here too: as the whole of a section it has a
    /// hash.
    public private(set) var nodes: [Bytes32: TrieNode] = [:]

    public init() {}

    /// Makes room for so many more.
    public mutating func reserve(_ count: Int) { nodes.reserveCapacity(nodes.count + count) }

    /// Adds a node. Gives what the node above it names it by.
    @discardableResult
    public mutating func add(_ node: TrieNode, encoded: [UInt8]) -> NodeReference {
        let hash = Keccak.hash(encoded)
        nodes[hash] = node
        return encoded.count < 32 ? .embedded(encoded) : .hash(hash)
    }

    /// Adds the nodes of one trie.
    ///
    /// A section hash is that of a node which stands at the section's depth, also where the trie has its topmost node
    /// of that section further up or down: that one is added too, as it is seen from there.
    ///
    /// - Parameters:
    ///   - branches: all with more than `MerklePatriciaLimits.twigLeaves` leaves, and those across an end of the range.
    ///   - leaves: those of the trie's that are in the range; of them the ones at `places`.
    ///   - depth: of the trie's sections; 0: it has none.
    /// - Throws: `TrieNodeError` where a branch is none.
    public mutating func add(
        _ branches: BranchColumns, _ leaves: LeafColumns, at places: Range<Int>, sectionDepth depth: Int
    ) throws(TrieNodeError) {
        var walk = Walk(leaves: leaves, places: places, sectionDepth: depth)
        for index in branches.paths.indices.sorted(by: { branches.paths[$0] < branches.paths[$1] }) {
            let path = branches.paths[index]
            walk.addTwigs(before: path, to: &self)
            let encoded = branches.node(at: index)
            let branch = add(try TrieNode(decoding: encoded), encoded: encoded)
            let seenFrom = walk.depth(of: path)
            for start in seenFrom < depth && depth < path.count ? [seenFrom, depth] : [seenFrom]
            where start < path.count {
                add(.extension(path: path.dropFirst(start), child: branch))
            }
            walk.above.append(path)
        }
        walk.addTwigs(before: nil, to: &self)
    }

    @discardableResult
    private mutating func add(_ node: TrieNode) -> NodeReference { add(node, encoded: node.encoded) }

    /// Adds all nodes of the trie over these leaves, which agree in the first `depth` nibbles, as it is seen from
    /// there. Gives what names the topmost one.
    @discardableResult
    private mutating func addTwig(
        _ leaves: LeafColumns, _ places: Range<Int>, seenFrom depth: Int
    ) -> NodeReference {
        let first = Nibbles(leaves.keys[places.lowerBound])
        guard places.count > 1 else {
            return add(.leaf(suffix: first.dropFirst(depth), value: leaves.value(at: places.lowerBound)))
        }
        let fork = leaves.keys[places.lowerBound].commonNibbles(leaves.keys[places.upperBound - 1])
        var branch = BranchNode()
        var start = places.lowerBound
        while start < places.upperBound {
            let key = Nibbles(leaves.keys[start])
            let end = leaves.slice(under: key.prefix(fork + 1), in: start..<places.upperBound).upperBound
            branch[key[fork]] = addTwig(leaves, start..<end, seenFrom: fork + 1)
            start = end
        }
        let reference = add(.branch(branch))
        guard fork > depth else { return reference }
        return add(.extension(path: first.prefix(fork).dropFirst(depth), child: reference))
    }

    /// Goes through branches and leaves in the order of their paths.
    private struct Walk {
        let leaves: LeafColumns
        let places: Range<Int>
        let sectionDepth: Int
        /// The branches above the present place, the topmost first.
        var above: [Nibbles] = []
        private var next: Int

        init(leaves: LeafColumns, places: Range<Int>, sectionDepth: Int) {
            self.leaves = leaves
            self.places = places
            self.sectionDepth = sectionDepth
            next = places.lowerBound
        }

        /// The depth at which whatever lies at a path is named by the branch above it.
        mutating func depth(of path: Nibbles) -> Int {
            while let last = above.last, !path.hasPrefix(last) { above.removeLast() }
            return above.last.map { $0.count + 1 } ?? 0
        }

        /// Adds the twigs before a path, or all that are left.
        mutating func addTwigs(before path: Nibbles?, to shown: inout ShownNodes) {
            let end = path.map { leaves.firstIndex(notBelow: $0.lowestKey, in: next..<places.upperBound) }
            while next < end ?? places.upperBound {
                let key = Nibbles(leaves.keys[next])
                let depth = depth(of: key)
                let twig = leaves.slice(under: key.prefix(depth), in: next..<(end ?? places.upperBound))
                shown.addTwig(leaves, twig, seenFrom: depth)
                var start = depth < sectionDepth ? twig.lowerBound : twig.upperBound
                while start < twig.upperBound {
                    let section = Nibbles(leaves.keys[start]).prefix(sectionDepth)
                    let part = leaves.slice(under: section, in: start..<twig.upperBound)
                    shown.addTwig(leaves, part, seenFrom: sectionDepth)
                    start = part.upperBound
                }
                next = twig.upperBound
            }
        }
    }
}
