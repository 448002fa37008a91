import Primitives

/// Changes some leaves of a stored trie. Only what lies on the paths of the changed leaves is read: n changes in a trie
/// of m leaves cost in the order of n log m.
public enum TrieUpdate {
    /// A change of one leaf: nil deletes it.
    public typealias LeafChange = (key: Bytes32, value: [UInt8]?)
    /// A change of one stored branch: nil deletes the record.
    public typealias BranchChange = (path: Nibbles, node: [UInt8]?)

    /// Applies `changes` (strictly ascending, all under `prefix`) to what the source has under `prefix`. Gives the new
    /// subtree and the branch records that differ, in the order of their paths. The source itself stays as it is.
    /// Deleting a key that is not there, or setting one to what it is, changes nothing and is no error.
    ///
    /// Errors: a `TrieError` where the changes or the stored records are not what they must be, or the source's own.
    public static func apply(
        _ changes: [LeafChange], under prefix: Nibbles, source: inout some TrieSource
    ) throws -> (subtree: Subtree, changes: [BranchChange]) {
        for (index, change) in changes.enumerated() {
            guard index == 0 || changes[index - 1].key < change.key else { throw TrieError.unsortedChanges }
            guard prefix.contains(change.key) else { throw TrieError.keyOutsidePrefix(change.key) }
            if let value = change.value, value.isEmpty { throw TrieError.emptyValue(change.key) }
        }
        var walk = UpdateWalk(changes: changes)
        let subtree = try walk.apply(0..<changes.count, under: prefix, isNamed: false, source: &source)
        return (subtree, walk.output.sorted { $0.path < $1.path })
    }
}

/// One pass of changes down a trie and of new nodes up again.
private struct UpdateWalk {
    let changes: [TrieUpdate.LeafChange]
    /// No path twice: a new branch stands either where a record was rewritten, or strictly above the shallowest
    /// record of the part it covers, or where there was none.
    var output: [TrieUpdate.BranchChange] = []

    /// The new subtree under `prefix`, where the changes in `range` and no others lie. `isNamed`: a branch above says
    /// that there is something.
    mutating func apply<Source: TrieSource>(
        _ range: Range<Int>, under prefix: Nibbles, isNamed: Bool, source: inout Source
    ) throws -> Subtree {
        guard let (path, node) = try source.branch(atOrBelow: prefix) else {
            let leaf = try source.leaf(atOrAfter: prefix.lowestKey).flatMap { prefix.contains($0.key) ? $0 : nil }
            guard leaf != nil || !isNamed else { throw TrieError.missingChild(prefix) }
            return build(range, keeping: leaf, under: prefix)
        }
        guard path.isBranchPath(under: prefix) else { throw TrieError.corruptRecord(path) }
        let inside = slice(range, under: path)
        let below =
            inside.isEmpty
            ? Subtree.branch(path: path, node: NodeReference(encodedNode: node))
            : try apply(inside, at: path, node: node, source: &source)
        // What diverges above the branch: new leaves beside it. Deletions there delete nothing.
        let before = leaves(range.lowerBound..<inside.lowerBound)
        let after = leaves(inside.upperBound..<range.upperBound)
        if before.isEmpty && after.isEmpty { return below }
        var branches = BranchColumns()
        let joined = TrieBuilder.build(joining: before + [below] + after, emitting: &branches)
        emit(branches)
        return joined
    }

    /// The same where a branch stands at `path` and all changes in `range`, one or more, are under it.
    private mutating func apply<Source: TrieSource>(
        _ range: Range<Int>, at path: Nibbles, node: [UInt8], source: inout Source
    ) throws -> Subtree {
        guard var branch = try? BranchNode(decoding: node) else { throw TrieError.corruptRecord(path) }
        var changed = [Subtree?](repeating: nil, count: 16)
        var start = range.lowerBound
        while start < range.upperBound {
            let nibble = changes[start].key.nibble(path.count)
            var end = start + 1
            while end < range.upperBound && changes[end].key.nibble(path.count) == nibble { end += 1 }
            let child = path.appending(nibble)
            let after =
                branch[nibble] == nil
                ? build(start..<end, keeping: nil, under: child)
                : try apply(start..<end, under: child, isNamed: true, source: &source)
            changed[nibble] = after
            branch[nibble] = after.reference(at: child.count)
            start = end
        }
        if branch.childCount >= 2 {
            let encoded = branch.encoded
            if encoded != node { output.append((path, encoded)) }
            return .branch(path: path, node: NodeReference(encodedNode: encoded))
        }
        // The branch goes. A child left alone takes its place, and its parent must know what kind it is.
        output.append((path, nil))
        guard let last = branch.children.firstIndex(where: { $0 != nil }) else { return .empty }
        if let subtree = changed[last] { return subtree }
        let child = path.appending(last)
        let (subtree, _) = try source.subtree(under: child)
        guard subtree != .empty else { throw TrieError.missingChild(child) }
        guard subtree.reference(at: child.count) == branch[last] else { throw TrieError.corruptRecord(child) }
        return subtree
    }

    /// Builds from the new leaves of `range` and one stored leaf, unless it is among the changes.
    private mutating func build(
        _ range: Range<Int>, keeping kept: (key: Bytes32, value: [UInt8])?, under prefix: Nibbles
    ) -> Subtree {
        var columns = LeafColumns()
        var rest = kept
        for change in changes[range] {
            if let leaf = rest, leaf.key <= change.key {
                if leaf.key < change.key { columns.append(key: leaf.key, value: leaf.value) }
                rest = nil
            }
            if let value = change.value { columns.append(key: change.key, value: value) }
        }
        if let leaf = rest { columns.append(key: leaf.key, value: leaf.value) }
        var branches = BranchColumns()
        let subtree = TrieBuilder.build(columns, in: 0..<columns.count, under: prefix, emitting: &branches)
        emit(branches)
        return subtree
    }

    private mutating func emit(_ branches: BranchColumns) {
        for index in 0..<branches.count { output.append((branches.paths[index], branches.node(at: index))) }
    }

    private func leaves(_ range: Range<Int>) -> [Subtree] {
        changes[range].compactMap { change in change.value.map { .leaf(key: change.key, value: $0) } }
    }

    /// The part of `range` whose keys are under `path`; empty, but in its place, where there are none.
    private func slice(_ range: Range<Int>, under path: Nibbles) -> Range<Int> {
        var start = range.lowerBound
        while start < range.upperBound && changes[start].key < path.lowestKey { start += 1 }
        var end = start
        while end < range.upperBound && path.contains(changes[end].key) { end += 1 }
        return start..<end
    }
}
