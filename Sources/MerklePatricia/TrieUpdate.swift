import Primitives

/// Changes some leaves of a stored trie. Only what lies on the paths of the changed leaves is read: n changes in a trie
/// of m leaves cost in the order of n log m.
public enum TrieUpdate {
    /// A change of one leaf: nil deletes it.
    public typealias LeafChange = (key: Bytes32, value: [UInt8]?)
    /// A change of one stored branch: its RLP before and after, nil where there is no record. Never the same on both
    /// sides.
    public typealias BranchChange = (path: Nibbles, before: [UInt8]?, node: [UInt8]?)

    /// Applies `changes` (strictly ascending, all under `prefix`) to what the source has under `prefix`. Gives the new
    /// subtree and the branch records that differ, in the order of their paths. The source itself stays as it is.
    /// Deleting a key that is not there, or setting one to what it is, changes nothing and is no error.
    ///
    /// `checking`: whether all that is read is held against what the branch above names, so that a store with something
    /// else is found out. Without it, which costs less, such a store gives a wrong subtree: then whoever knows
    /// which one is right must ask again, with it, before blaming the sender of the changes. `from`: what is there now
    /// hashes to, seen from the prefix, where the caller knows it: then the topmost node is checked too.
    ///
    /// Errors: a `TrieError` where the changes or the stored records are not what they must be, or the source's own.
    public static func apply(
        _ changes: [LeafChange], under prefix: Nibbles, source: inout some TrieSource, checking: Bool = true,
        from before: Bytes32? = nil
    ) throws -> (subtree: Subtree, changes: [BranchChange]) {
        for index in changes.indices {
            let key = changes[index].key
            guard index == 0 || changes[index - 1].key < key else { throw TrieError.unsortedChanges }
            guard prefix.contains(key) else { throw TrieError.keyOutsidePrefix(key) }
            if changes[index].value?.isEmpty == true { throw TrieError.emptyValue(key) }
        }
        var walk = UpdateWalk(changes: changes, twigLeaves: source.twigLeaves, checking: checking)
        let before = checking ? before : nil
        if before == Subtree.emptyRoot {
            guard try source.subtree(under: prefix) == .empty else { throw TrieError.corruptRecord(prefix) }
        }
        let name = before.map { $0 == Subtree.emptyRoot ? UpdateWalk.Name.unknown : .checked(.hash($0)) } ?? .unknown
        let growth = try walk.apply(0..<changes.count, under: prefix, named: name, source: &source)
        return try walk.finish(growth)
    }
}

/// What a part of the trie becomes. Its hash may not be known yet: the batch has it then.
private enum Growth {
    case known(Subtree)
    case planned(NodeBatch.Root)

    var isEmpty: Bool {
        if case .known(.empty) = self { return true }
        return false
    }
}

/// New leaves, stored subtrees and planned ones side by side, ascending, none empty.
private struct GrowthItems: TrieItems {
    let growths: [Growth]

    func leafCount(_ index: Int) -> Int {
        switch growths[index] {
        case .known(let subtree): subtree.leafCount
        case .planned(let root): root.leafCount
        }
    }

    func key(_ index: Int) -> Bytes32 {
        switch growths[index] {
        case .known(let subtree): subtree.lowestKey ?? .zero
        case .planned(let root): root.path.lowestKey
        }
    }

    func subtree(_ index: Int) -> Subtree {
        if case .known(let subtree) = growths[index] { return subtree }
        return .empty
    }

    func place(_ index: Int, at depth: Int, in batch: inout NodeBatch) -> (cell: Int, height: UInt8) {
        switch growths[index] {
        case .known(let subtree): (batch.add(subtree, seenAt: depth), 0)
        case .planned(let root): (batch.see(root, at: depth), root.height)
        }
    }
}

/// One pass of changes down a trie. Nodes that change are only laid out on the way and hashed together at the end.
private struct UpdateWalk: ~Copyable {
    let changes: [TrieUpdate.LeafChange]
    private let isChecking: Bool
    /// The keys of `changes`.
    private let keys: [Bytes32]
    private var batch: NodeBatch
    private var check = RecordCheck()
    /// The twig that is read, and changed then.
    private var twig = TwigLeaves()
    /// Every record that may differ. No path twice: a new branch stands strictly above the shallowest record of the
    /// part it covers, or where there was none.
    private var records = BranchColumns()
    /// The stored node of each, nil where there is none.
    private var before: [[UInt8]?] = []
    /// Children that change, of the branches from the top to where the walk is.
    private var stack: [(nibble: Int, growth: Growth)] = []
    private var edits: [NodeBatch.Edit] = []

    init(changes: [TrieUpdate.LeafChange], twigLeaves: Int, checking: Bool) {
        self.changes = changes
        batch = NodeBatch(emittingAbove: twigLeaves)
        isChecking = checking
        keys = changes.map(\.key)
    }

    /// Hashes, and gives what differs.
    mutating func finish(_ growth: Growth) throws(TrieError) -> (subtree: Subtree, changes: [TrieUpdate.BranchChange]) {
        try check.finish()
        batch.finish(emitting: &records)
        var output: [TrieUpdate.BranchChange] = []
        output.reserveCapacity(records.count)
        var isSorted = true
        for slot in 0..<records.count {
            let old = slot < before.count ? before[slot] : nil
            let path = records.paths[slot]
            let isSame = records.withNode(at: slot) { new in
                old.map { $0.withUnsafeBytes { EqualBytes.areEqual($0, new) } } ?? new.isEmpty
            }
            if isSame { continue }
            // A place that was left empty is that of a branch that goes.
            let node = records.node(at: slot)
            if let last = output.last, path < last.path { isSorted = false }
            output.append((path, old, node.isEmpty ? nil : node))
        }
        if !isSorted { output.sort { $0.path < $1.path } }
        switch growth {
        case .known(let subtree): return (subtree, output)
        case .planned(let root): return (batch.subtree(root), output)
        }
    }

    /// What the branch above says of a part.
    enum Name {
        /// It is not known.
        case unknown
        /// There is something.
        case present
        /// This, which is what is read must be held against.
        case checked(NodeReference)
    }

    /// What becomes of the part under `prefix`, where the changes in `range` and no others lie.
    mutating func apply<Source: TrieSource>(
        _ range: Range<Int>, under prefix: Nibbles, named name: Name, source: inout Source
    ) throws -> Growth {
        guard let stored = try source.branch(atOrBelow: prefix) else {
            return try rebuild(range, under: prefix, named: name, source: &source)
        }
        let (path, node) = (stored.path, stored.node)
        guard path.isBranchPath(under: prefix) else { throw TrieError.corruptRecord(path) }
        if case .checked(let name) = name {
            let above = path == prefix ? nil : Subtree.branch(path: path, node: NodeReference(encodedNode: node))
            try check.add(above?.encodedNode(at: prefix.count) ?? node, at: path, named: name)
        }
        if path == prefix && !range.isEmpty { return try rewrite(range, of: stored, source: &source) }
        let inside = slice(range, under: path)
        let below =
            inside.isEmpty
            ? .known(.branch(path: path, node: NodeReference(encodedNode: node)))
            : try rewrite(inside, of: stored, source: &source)
        // What diverges above the branch: new leaves beside it. Deletions there delete nothing.
        let leaves = leaves(range.lowerBound..<inside.lowerBound)
        let after = self.leaves(inside.upperBound..<range.upperBound)
        if leaves.isEmpty && after.isEmpty { return below }
        return join((leaves + [below] + after).filter { !$0.isEmpty })
    }

    /// The same where no branch is stored: there is a twig, or nothing.
    private mutating func rebuild<Source: TrieSource>(
        _ range: Range<Int>, under prefix: Nibbles, named name: Name, source: inout Source
    ) throws -> Growth {
        twig.removeAll()
        try source.twig(under: prefix, into: &twig)
        switch name {
        case .unknown: break
        case .present, .checked:
            if twig.isEmpty { throw TrieError.missingChild(prefix) }
        }
        if case .checked(let name) = name, twig.subtree.hash(at: prefix.count) != name.hash {
            // Perhaps it is the branch above that is another.
            try check.finish()
            throw TrieError.corruptRecord(prefix)
        }
        var place = 0
        for index in range { twig.change(keys[index], to: changes[index].value, from: &place) }
        guard twig.count > 1 else { return .known(twig.isEmpty ? .empty : twig.items.subtree(0)) }
        return .planned(batch.add(twig.items, in: 0..<twig.count, emitting: &records))
    }

    /// The same where this branch stands and all changes in `range`, one or more, are under it.
    private mutating func rewrite<Source: TrieSource>(
        _ range: Range<Int>, of stored: StoredBranch, source: inout Source
    ) throws -> Growth {
        let (path, node) = (stored.path, stored.node)
        guard let layout = BranchLayout(node) else { throw TrieError.corruptRecord(path) }
        // Its place comes before those of the branches below.
        let slot = reserve(path, node)
        let base = stack.count
        var mask = layout.mask
        var start = range.lowerBound
        while start < range.upperBound {
            let nibble = keys[start].nibble(path.count)
            var end = start + 1
            while end < range.upperBound && keys[end].nibble(path.count) == nibble { end += 1 }
            let growth: Growth
            if layout.mask & 1 << nibble == 0 {
                growth = join(leaves(start..<end))
            } else {
                let (child, name) = (path.appending(nibble), name(of: nibble, in: layout, node))
                growth =
                    try stored.isLowest
                    ? rebuild(start..<end, under: child, named: name, source: &source)
                    : apply(start..<end, under: child, named: name, source: &source)
            }
            stack.append((nibble, growth))
            if growth.isEmpty { mask &= ~(1 << nibble) } else { mask |= 1 << nibble }
            start = end
        }
        defer { stack.removeLast(stack.count - base) }
        if mask.nonzeroBitCount >= 2 {
            return .planned(rewrite(path, node, layout, stack[base...], slot: slot))
        }
        // The branch goes. A child left alone takes its place, and its parent must know what kind it is.
        guard mask != 0 else { return .known(.empty) }
        let last = mask.trailingZeroBitCount
        if let kept = stack[base...].first(where: { $0.nibble == last }) { return kept.growth }
        let child = path.appending(last)
        let growth = try apply(
            range.upperBound..<range.upperBound, under: child, named: name(of: last, in: layout, node), source: &source)
        guard !growth.isEmpty else { throw TrieError.missingChild(child) }
        return growth
    }

    /// What a branch says of a child that it has.
    private func name(of nibble: Int, in layout: BranchLayout, _ node: [UInt8]) -> Name {
        guard isChecking else { return .present }
        return layout.child(at: nibble, of: node).map { .checked($0) } ?? .present
    }

    /// Lays out a stored branch whose children at some nibbles become something else.
    private mutating func rewrite(
        _ path: Nibbles, _ node: [UInt8], _ layout: BranchLayout, _ children: ArraySlice<(nibble: Int, growth: Growth)>,
        slot: Int
    ) -> NodeBatch.Root {
        var height: UInt8 = 0
        edits.removeAll(keepingCapacity: true)
        for (nibble, growth) in children {
            let place = layout.range(of: nibble)
            let cell: Int
            switch growth {
            case .known(.empty): cell = -1
            case .known(let subtree): cell = batch.add(subtree, seenAt: path.count + 1)
            case .planned(let root):
                cell = batch.see(root, at: path.count + 1)
                height = max(height, root.height)
            }
            edits.append(NodeBatch.Edit(offset: place.lowerBound, size: place.count, cell: cell))
        }
        return batch.rewrite(path: path, node: node, edits: edits, height: height, slot: slot)
    }

    /// A place for a stored branch; those of new ones before it have nothing stored.
    private mutating func reserve(_ path: Nibbles, _ node: [UInt8]) -> Int {
        let slot = records.reserve(path: path)
        while before.count < slot { before.append(nil) }
        before.append(node)
        return slot
    }

    /// The trie of these parts.
    private mutating func join(_ growths: [Growth]) -> Growth {
        guard growths.count > 1 else { return growths.first ?? .known(.empty) }
        return .planned(batch.add(GrowthItems(growths: growths), in: 0..<growths.count, emitting: &records))
    }

    private func leaves(_ range: Range<Int>) -> [Growth] {
        changes[range].compactMap { change in change.value.map { .known(.leaf(key: change.key, value: $0)) } }
    }

    /// The part of `range` whose keys are under `path`; empty, but in its place, where there are none.
    private func slice(_ range: Range<Int>, under path: Nibbles) -> Range<Int> {
        var start = range.lowerBound
        while start < range.upperBound && keys[start] < path.lowestKey { start += 1 }
        var end = start
        while end < range.upperBound && path.contains(keys[end]) { end += 1 }
        return start..<end
    }
}
