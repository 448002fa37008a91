import Primitives

/// The hash of a trie whose leaves come one by one, ascending, in memory that does not grow with the trie.
///
/// A few thousand leaves are waited for. If the trie has no more, it is built from them at once. Otherwise it is cut
/// into parts, one for each path of a length at which those first leaves differ: a part is hashed as soon as a leaf
/// behind it has come, and at the end the parts are joined. Keys are hashes, so all parts are about equally large.
public struct StreamedTrie: Sendable {
    private var waiting = LeafColumns()
    private var parts: [Subtree] = []
    /// Nibbles of the path that names a part; nil until the trie is cut.
    private var partDepth: Int?
    private var room = StreamedTrie.waitingLeaves
    /// The branches that a store keeps, as far as they were built and not taken; nil where nobody wants them.
    private var branches: BranchColumns?

    /// Leaves waited for before any is hashed: enough to fill the batches of the hash function many times over, and no
    /// more than two megabytes.
    private static let waitingLeaves = 16_384

    /// A trie without leaves. `keepingBranches`: its branches are wanted too, and wait until they are taken.
    public init(keepingBranches: Bool = false) { branches = keepingBranches ? BranchColumns() : nil }

    /// The branches that a store keeps of what was built since this was last asked, each once, those of the last trie
    /// included. Not all in the order of their paths: those above the parts come last.
    public mutating func takeBranches() -> BranchColumns? {
        guard let built = branches, !built.isEmpty else { return nil }
        branches = BranchColumns()
        return built
    }

    /// Takes the next leaf, its value as it stands in the trie. False where its key is not above the last one's: then
    /// it is not taken.
    public mutating func append(key: Bytes32, value: some Collection<UInt8>) -> Bool {
        if let last = waiting.keys.last, key <= last { return false }
        if waiting.count >= room { closeParts() }
        waiting.append(key: key, value: value)
        return true
    }

    /// The trie of all leaves taken; the next one begins another trie.
    public mutating func finish() -> Subtree {
        defer { (waiting, parts, partDepth, room) = (LeafColumns(), [], nil, StreamedTrie.waitingLeaves) }
        guard partDepth != nil else { return build(0..<waiting.count, under: .root) }
        build(through: waiting.count)
        var above = BranchColumns()
        let top = TrieBuilder.build(joining: parts, emitting: &above)
        above.forEach { path, node in branches?.append(path: path, node: node) }
        return top
    }

    private mutating func build(_ range: Range<Int>, under path: Nibbles) -> Subtree {
        guard var found = branches else { return TrieBuilder.subtree(of: waiting, in: range) }
        // One owner while it grows.
        branches = nil
        defer { branches = found }
        return TrieBuilder.build(waiting, in: range, under: path, emitting: &found)
    }

    /// Hashes the parts that no further leaf can belong to, and lets their leaves go.
    private mutating func closeParts() {
        guard let first = waiting.keys.first, let last = waiting.keys.last else { return }
        let depth = partDepth ?? first.commonNibbles(last) + 1
        partDepth = depth
        let open = Nibbles(last, count: depth).lowestKey
        let end = waiting.firstIndex(notBelow: open, in: 0..<waiting.count)
        guard end > 0 else {
            // All of one part: only keys that are no hashes are so unequal.
            room *= 2
            return
        }
        build(through: end)
        var rest = LeafColumns()
        for index in end..<waiting.count {
            rest.append(key: waiting.keys[index], value: waiting.valueBytes[waiting.valueRange(at: index)])
        }
        waiting = rest
        room = max(StreamedTrie.waitingLeaves, 2 * rest.count)
    }

    private mutating func build(through end: Int) {
        guard let depth = partDepth else { return }
        var start = 0
        while start < end {
            let path = Nibbles(waiting.keys[start], count: depth)
            let range = waiting.slice(under: path, in: start..<end)
            parts.append(build(range, under: path))
            start = range.upperBound
        }
    }
}
