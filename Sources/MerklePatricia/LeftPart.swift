import Primitives

/// A trie of which everything below some key is held and nothing else, taken to another state of it.
///
/// What is held is, whatever the trie looks like, made of the subtrees that hang to the left of the path to that key:
/// at each depth those of the nibbles below the key's own. All of each is held, so each can be changed as any stored
/// trie. The nodes on the path itself are the new state's, from a proof; they say what each of those subtrees must be.
/// So what was changed by anybody's word is shown to be the new state's, at the cost of what changed and of one path.
public enum LeftPart {
    /// The held part in its new state.
    public struct Advanced: Sendable {
        /// Branch records that differ. Those on the path to the key are not among them: they are the proof's.
        public var branches: [TrieUpdate.BranchChange] = []
        /// The subtrees to the left of the path that are not empty, ascending.
        public var parts: [Subtree] = []
    }

    /// Applies `changes` (strictly ascending, all under `prefix` and below `boundary`, which is under `prefix` too) to
    /// what `source` has there, and compares the outcome with the trie of this `root`, of which `proof` has the nodes
    /// whose subtrees lie across `boundary`; others are left alone. The source itself stays as it is.
    ///
    /// Throws `ProofError` where the outcome is not the new state's or the proof lacks a node, `TrieError` where the
    /// changes or the stored records are not what they must be, or the source's own errors.
    public static func advance(
        _ changes: [TrieUpdate.LeafChange], below boundary: Bytes32, under prefix: Nibbles,
        root: Bytes32, proof: [[UInt8]], source: inout some TrieSource
    ) throws -> Advanced {
        let expected = try expectations(root: root, boundary: boundary, proof: proof)
        var advanced = Advanced()
        var start = 0
        for depth in prefix.count..<MerklePatriciaLimits.keyNibbles {
            let stem = Nibbles(boundary, count: depth)
            // Deeper there is nothing to the left, neither held nor to come.
            if start == changes.count, !expected.keys.contains(where: { $0.hasPrefix(stem) }) {
                var first = TwigLeaves()
                try source.leaves(under: stem, limit: 1, into: &first)
                guard !first.isEmpty, first.key(at: 0) < boundary else { break }
            }
            for nibble in 0..<boundary.nibble(depth) {
                let place = stem.appending(nibble)
                var end = start
                while end < changes.count, place.contains(changes[end].key) { end += 1 }
                let part: Subtree
                if start == end {
                    part = try source.subtree(under: place)
                } else {
                    let update = try TrieUpdate.apply(
                        Array(changes[start..<end]), under: place, source: &source)
                    part = update.subtree
                    advanced.branches += update.changes
                }
                start = end
                guard Expectation.of(part, seenLike: expected[place], at: place) else {
                    // Only where what is stored is a trie at all are the changes to blame.
                    try source.checkedSubtree(under: place)
                    throw ProofError.leavesDiffer(place)
                }
                if part != .empty { advanced.parts.append(part) }
            }
        }
        guard start == changes.count else { throw TrieError.keyOutsidePrefix(changes[start].key) }
        return advanced
    }

    /// Applies `changes` (strictly ascending, all under `prefix` and below `boundary`) to what `source` has there.
    /// Gives the branch records that differ, none of them across `boundary`. What comes of it is compared with nothing.
    public static func change(
        _ changes: [TrieUpdate.LeafChange], below boundary: Bytes32, under prefix: Nibbles,
        source: inout some TrieSource
    ) throws -> [TrieUpdate.BranchChange] {
        var branches: [TrieUpdate.BranchChange] = []
        var start = 0
        for depth in prefix.count..<MerklePatriciaLimits.keyNibbles where start < changes.count {
            let stem = Nibbles(boundary, count: depth)
            for nibble in 0..<boundary.nibble(depth) {
                let place = stem.appending(nibble)
                var end = start
                while end < changes.count, place.contains(changes[end].key) { end += 1 }
                guard end > start else { continue }
                branches += try TrieUpdate.apply(Array(changes[start..<end]), under: place, source: &source).changes
                start = end
            }
        }
        guard start == changes.count else { throw TrieError.keyOutsidePrefix(changes[start].key) }
        return branches
    }

    /// What the trie of `root` has to the left of the path to `boundary`, by place; no entry for what is empty.
    private static func expectations(
        root: Bytes32, boundary: Bytes32, proof: [[UInt8]]
    ) throws(ProofError) -> [Nibbles: Expectation] {
        var pool = try ProofPool(proof)
        var expected: [Nibbles: Expectation] = [:]
        var reference: NodeReference? = root == Subtree.emptyRoot ? nil : .hash(root)
        var path = Nibbles.root
        // A subtree that begins at the boundary has nothing to its left.
        while let current = reference, path.lowestKey < boundary {
            switch try pool.resolve(current, at: path).node {
            case .leaf(let suffix, _):
                note(current, from: path, to: path.appending(suffix), boundary, &expected)
                reference = nil
            case .extension(let steps, let child):
                let below = path.appending(steps)
                reference = below.contains(boundary) ? child : nil
                if reference == nil { note(current, from: path, to: below, boundary, &expected) }
                path = below
            case .branch(let branch):
                let own = boundary.nibble(path.count)
                for nibble in 0..<own {
                    guard let child = branch[nibble] else { continue }
                    expected[path.appending(nibble)] = Expectation(reference: child, depth: path.count + 1)
                }
                reference = branch[own]
                path = path.appending(own)
            }
        }
        return expected
    }

    /// All that is under `path` lies under `below`, off the path to the boundary: to its left, or else not here.
    private static func note(
        _ reference: NodeReference, from path: Nibbles, to below: Nibbles, _ boundary: Bytes32,
        _ expected: inout [Nibbles: Expectation]
    ) {
        guard below.lowestKey < boundary else { return }
        let shared = below.commonPrefix(Nibbles(boundary)).count
        expected[below.prefix(shared + 1)] = Expectation(reference: reference, depth: path.count)
    }

    /// How the node that is trusted names a subtree, and from which depth it sees it.
    private struct Expectation {
        let reference: NodeReference
        let depth: Int

        /// Whether `part`, all that is under `place`, is what is expected there.
        static func of(_ part: Subtree, seenLike expectation: Expectation?, at place: Nibbles) -> Bool {
            guard let expectation else { return part == .empty }
            guard let found = part.reference(at: expectation.depth) else { return false }
            // The root is named by its hash whatever its size.
            return expectation.depth == 0 ? .hash(found.hash) == expectation.reference : found == expectation.reference
        }
    }
}
