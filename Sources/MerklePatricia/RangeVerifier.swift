import Primitives

/// What a proven range shows.
public struct VerifiedRange: Hashable, Sendable {
    /// Branches of the trie, in the order of their paths, ready to be stored: of those wholly inside the range the ones
    /// with more than `MerklePatriciaLimits.twigLeaves` leaves, and all that lie across an end of it, since nobody
    /// knows how many leaves they have outside. All are verified: each was built from verified leaves or reached by
    /// its hash.
    public internal(set) var branches = BranchColumns()
    /// Whether the trie has a leaf after the last key of the range.
    public internal(set) var moreAfter = false
}

/// Checks that a run of leaves is complete. Top down: the root is trusted; each child reference of a node that was
/// reached by its hash is trusted too. A subtree wholly inside the range is built from the leaves and must give the
/// reference; one wholly outside is left alone; one across an end of the range must be in the proof. So no leaf can be
/// left out, added, changed or moved, and there is nothing to judge at the edges.
public enum RangeVerifier {
    /// Checks that the leaves of the trie of this `root` with first ≤ key ≤ last are exactly `leaves`, which strictly
    /// ascend. Needed of the proof are the nodes whose subtrees lie across an end. Where a whole subtree begins at
    /// `first` or ends at `last`, the nodes on the path to that key are allowed too, though not needed: a prover that
    /// proves both keys gives them. Any other node, and one given twice, is an error. The order is free.
    public static func verify(
        root: Bytes32, proof: [[UInt8]], leaves: LeafColumns, first: Bytes32, last: Bytes32
    ) throws(ProofError) -> VerifiedRange {
        guard first <= last else { throw .boundsReversed }
        for index in 0..<leaves.count {
            let key = leaves.keys[index]
            guard index == 0 || leaves.keys[index - 1] < key else { throw .unsortedLeaves }
            guard first <= key, key <= last else { throw .leafOutsideRange }
            guard !leaves.valueRange(at: index).isEmpty else { throw .emptyValue }
        }
        let pool = try ProofPool(proof)
        let result = leaves.withItems { items -> Result<VerifiedRange, ProofError> in
            var walk = RangeWalk(leaves: leaves, items: items, first: first, last: last, pool: pool)
            do throws(ProofError) {
                try walk.checkAll(root: root)
                return .success(walk.result)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// The descent from the root. What lies inside the range is laid out on the way, part by part, and hashed together: a
/// part alone would leave most of a batch empty. So it is compared later; but errors come in the order of the keys.
private struct RangeWalk: ~Copyable {
    /// A part inside the range that has been laid out.
    private struct Part {
        let cell: Int
        let expected: NodeReference
        let path: Nibbles
        /// Whether it must be a branch that stands at `path`, and whether it is.
        let mustBeBranch: Bool
        let isBranch: Bool
    }

    let leaves: LeafColumns
    let items: LeafItems
    let first: Bytes32
    let last: Bytes32
    var pool: ProofPool
    var result = VerifiedRange()
    var batch = NodeBatch(emittingAbove: MerklePatriciaLimits.twigLeaves)
    private var parts: [Part] = []

    init(leaves: LeafColumns, items: LeafItems, first: Bytes32, last: Bytes32, pool: ProofPool) {
        self.leaves = leaves
        self.items = items
        self.first = first
        self.last = last
        self.pool = pool
    }

    mutating func checkAll(root: Bytes32) throws(ProofError) {
        if root == Subtree.emptyRoot {
            guard leaves.isEmpty else { throw .leavesDiffer(.root) }
        } else {
            do throws(ProofError) {
                try check(.hash(root), at: .root, range: 0..<leaves.count, isBranch: false)
            } catch {
                // What lies before the place of this error is looked at before it.
                try compare()
                throw error
            }
            try compare()
        }
        try pool.finish()
    }

    /// Checks the node that a trusted `reference` names at `path`; `range` are all leaves given under that path.
    mutating func check(
        _ reference: NodeReference, at path: Nibbles, range: Range<Int>, isBranch: Bool
    ) throws(ProofError) {
        let low = path.lowestKey
        let high = path.highestKey
        if high < first || low > last {
            // Leaves outside the range were refused before, so there are none here.
            if low > last { result.moreAfter = true }
        } else if first <= low && high <= last {
            try checkInside(reference, at: path, range: range, isBranch: isBranch)
        } else {
            try checkAcross(reference, at: path, range: range, isBranch: isBranch)
        }
    }

    /// A subtree wholly inside: the leaves alone must give the reference.
    private mutating func checkInside(
        _ reference: NodeReference, at path: Nibbles, range: Range<Int>, isBranch: Bool
    ) throws(ProofError) {
        // One that is more than a batch is compared at once: the batch is needed for its parts.
        let isLarge = range.count > MerklePatriciaLimits.batchLeaves
        if isLarge || batch.itemCount + range.count > MerklePatriciaLimits.batchLeaves { try compare() }
        if range.isEmpty {
            try compare()
            throw .leavesDiffer(path)
        } else if isLarge {
            let subtree = TrieBuilder.build(items, in: range, with: &batch, emitting: &result.branches)
            let found = path.isEmpty ? .hash(subtree.hash(at: 0)) : subtree.reference(at: path.count)
            guard found == reference else { throw .leavesDiffer(path) }
            if isBranch {
                guard case .branch(path, _) = subtree else { throw .malformedNode(.extensionChild) }
            }
            batch.begin()
        } else if range.count == 1 {
            let cell = batch.add(items, at: range.lowerBound, seenAt: path.count)
            parts.append(Part(cell: cell, expected: reference, path: path, mustBeBranch: isBranch, isBranch: false))
        } else {
            let root = batch.add(items, in: range, seenAt: path.count, emitting: &result.branches)
            parts.append(
                Part(
                    cell: root.cell, expected: reference, path: path, mustBeBranch: isBranch,
                    isBranch: root.path == path))
        }
        if path.contains(first) { try follow(first, from: reference, at: path) }
        if path.contains(last) { try follow(last, from: reference, at: path) }
    }

    /// Hashes the parts laid out so far and compares them with what their parents say.
    private mutating func compare() throws(ProofError) {
        batch.finish(emitting: &result.branches)
        for part in parts {
            let found = batch.reference(part.cell)
            // The root is named by its hash whatever its size.
            guard (part.path.isEmpty ? .hash(found.hash) : found) == part.expected else {
                throw .leavesDiffer(part.path)
            }
            guard part.isBranch || !part.mustBeBranch else { throw .malformedNode(.extensionChild) }
        }
        parts.removeAll(keepingCapacity: true)
        batch.begin()
    }

    /// Uses the nodes on the path to an end of the range that the proof has though they are not needed.
    private mutating func follow(
        _ key: Bytes32, from start: NodeReference, at path: Nibbles
    ) throws(ProofError) {
        var reference = start
        var path = path
        while pool.has(reference) {
            switch try pool.resolve(reference, at: path).node {
            case .leaf: return
            case .extension(let steps, let child):
                path = path.appending(steps)
                guard path.contains(key) else { return }
                reference = child
            case .branch(let branch):
                let nibble = key.nibble(path.count)
                guard let child = branch[nibble] else { return }
                path = path.appending(nibble)
                reference = child
            }
        }
    }

    /// A subtree across an end of the range: its node must be known, its children are checked one by one.
    private mutating func checkAcross(
        _ reference: NodeReference, at path: Nibbles, range: Range<Int>, isBranch: Bool
    ) throws(ProofError) {
        let (node, bytes) = try pool.resolve(reference, at: path, isBranch: isBranch)
        switch node {
        case .leaf(let suffix, let value):
            let key = path.appending(suffix).lowestKey
            guard first <= key, key <= last else {
                if key > last { result.moreAfter = true }
                guard range.isEmpty else { throw .leavesDiffer(path) }
                return
            }
            guard range.count == 1, leaves.keys[range.lowerBound] == key,
                leaves.value(at: range.lowerBound) == value
            else { throw .leavesDiffer(path) }
        case .extension(let steps, let child):
            let below = path.appending(steps)
            guard leaves.slice(under: below, in: range) == range else { throw .leavesDiffer(path) }
            try check(child, at: below, range: range, isBranch: true)
        case .branch(let branch):
            result.branches.append(path: path, node: bytes)
            var start = range.lowerBound
            for nibble in 0..<16 {
                let below = path.appending(nibble)
                let slice = leaves.slice(under: below, in: start..<range.upperBound)
                start = slice.upperBound
                if let child = branch[nibble] {
                    try check(child, at: below, range: slice, isBranch: false)
                } else {
                    guard slice.isEmpty else { throw .leavesDiffer(below) }
                }
            }
        }
    }
}
