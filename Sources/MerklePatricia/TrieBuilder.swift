import Primitives

/// Builds tries from sorted leaves. No object a node: see `NodeBatch`.
public enum TrieBuilder {
    /// Builds the trie part whose leaves are exactly those in `range`, strictly ascending and all under `prefix`, and
    /// appends the branches that a store keeps of it, in the order of the paths: those with more than `twigLeaves`
    /// leaves. (The result does not depend on the prefix: a parent sees
    /// it with `reference(at:)`.)
    public static func build(
        _ leaves: LeafColumns, in range: Range<Int>, under prefix: Nibbles, emitting branches: inout BranchColumns,
        twigLeaves: Int = MerklePatriciaLimits.twigLeaves
    ) -> Subtree {
        assert(range.allSatisfy { prefix.contains(leaves.keys[$0]) }, "leaves under the prefix")
        if let few = fewest(leaves, in: range) { return few }
        var batch = NodeBatch(emittingAbove: twigLeaves)
        return build(leaves, in: range, with: &batch, emitting: &branches)
    }

    /// The same without the branches, for one who wants only the hash.
    public static func subtree(of leaves: LeafColumns, in range: Range<Int>) -> Subtree {
        if let few = fewest(leaves, in: range) { return few }
        var none = BranchColumns()
        var batch = NodeBatch(emittingAbove: nil)
        return build(leaves, in: range, with: &batch, emitting: &none)
    }

    /// The root of the trie of these leaves, which strictly ascend.
    public static func root(of leaves: LeafColumns) -> Bytes32 {
        subtree(of: leaves, in: 0..<leaves.count).hash(at: 0)
    }

    /// No leaf or one: most storage tries, and most changes. Nothing is to be hashed.
    private static func fewest(_ leaves: LeafColumns, in range: Range<Int>) -> Subtree? {
        switch range.count {
        case 0: .empty
        case 1: .leaf(key: leaves.keys[range.lowerBound], value: leaves.value(at: range.lowerBound))
        default: nil
        }
    }

    static func build(
        _ leaves: LeafColumns, in range: Range<Int>, with batch: inout NodeBatch, emitting branches: inout BranchColumns
    ) -> Subtree {
        leaves.withItems { build($0, in: range, with: &batch, emitting: &branches) }
    }

    /// Builds the trie part that these subtrees, ascending and none under another, make up, and appends the branches
    /// above them (not those in them).
    static func build(joining subtrees: [Subtree], emitting branches: inout BranchColumns) -> Subtree {
        let items = subtrees.filter { $0 != .empty }
        var batch = NodeBatch(emittingAbove: 0)
        return build(SubtreeItems(subtrees: items), in: 0..<items.count, with: &batch, emitting: &branches)
    }

    /// Large runs are split at their branch until a part is one batch.
    static func build<Items: TrieItems>(
        _ items: Items, in range: Range<Int>, with batch: inout NodeBatch, emitting branches: inout BranchColumns
    ) -> Subtree {
        switch range.count {
        case 0: return .empty
        case 1: return items.subtree(range.lowerBound)
        case ...MerklePatriciaLimits.batchLeaves: return batch.build(items, in: range, emitting: &branches)
        default: break
        }
        let key = items.key(range.lowerBound)
        let depth = key.commonNibbles(items.key(range.upperBound - 1))
        precondition(depth < MerklePatriciaLimits.keyNibbles, "items ascend strictly")
        let path = Nibbles(key, count: depth)
        let slot = branches.reserve(path: path)
        var branch = BranchNode()
        var start = range.lowerBound
        while start < range.upperBound {
            let nibble = items.key(start).nibble(depth)
            let end = items.end(of: nibble, at: depth, in: start..<range.upperBound)
            let child = build(items, in: start..<end, with: &batch, emitting: &branches)
            branch[nibble] = child.reference(at: depth + 1)
            start = end
        }
        let node = branch.encoded
        branches.fill(slot, node: node)
        return .branch(path: path, node: NodeReference(encodedNode: node))
    }
}

extension TrieItems {
    /// Where the run of items ends that begin as the first of `range` does and then have `nibble`.
    fileprivate func end(of nibble: Int, at depth: Int, in range: Range<Int>) -> Int {
        range.dropFirst().partitionPoint { key($0).nibble(depth) == nibble }
    }
}
