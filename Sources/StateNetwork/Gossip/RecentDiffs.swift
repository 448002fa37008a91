import Chain
import Primitives
import StateContent

/// What one block changed in one trie.
struct TrieChange: Hashable, Sendable {
    let point: StatePoint
    let trie: StateTrie

    /// By blocks; in each the accounts come first.
    var rank: (UInt64, Bytes32, Bytes32, Int) {
        (point.number, point.hash, trie.owner ?? .zero, trie.depth(0))
    }
}

/// Recent block diffs, by block and section, bounded by number and by bytes; the oldest go first. They are kept as they
/// are believed and written down when they are offered or asked for: what peers get of a block is a stretch of it, and
/// another one for each arc.
struct RecentDiffs: Sendable {
    /// How many are kept.
    var limit: Int
    private var changes: [TrieChange: [Int: (value: BlockDiffValue, bytes: Int)]] = [:]
    /// Keys as they came.
    private var order = Queue<BlockDiffKey>()
    private(set) var bytes = 0
    private(set) var count = 0

    init(limit: Int) { self.limit = limit }

    subscript(key: BlockDiffKey) -> BlockDiffValue? {
        changes[TrieChange(point: key.point, trie: key.trie)]?[key.section]?.value
    }

    /// The diffs of a block in a stretch of a trie, in order.
    func diffs(in key: BlockDiffsKey) -> [(section: Int, value: BlockDiffValue)] {
        guard let known = changes[TrieChange(point: key.point, trie: key.trie)] else { return [] }
        return diffs(at: key.point, of: known.keys.filter { key.stretch.contains($0) }.sorted(), in: key.trie)
    }

    /// Those of these sections of a trie, in their order.
    func diffs(
        at point: StatePoint, of sections: [Int], in trie: StateTrie
    ) -> [(section: Int, value: BlockDiffValue)] {
        guard let known = changes[TrieChange(point: point, trie: trie)] else { return [] }
        return sections.compactMap { section in known[section].map { (section, $0.value) } }
    }

    /// `bytes`: what it adds to what is held, about.
    mutating func add(_ key: BlockDiffKey, _ value: BlockDiffValue, bytes added: Int) {
        guard self[key] == nil else { return }
        changes[TrieChange(point: key.point, trie: key.trie), default: [:]][key.section] = (value, added)
        order.append(key)
        bytes += added
        count += 1
        // The newest stays whatever its size: it is about to be passed on.
        while count > 1, count > limit || bytes > StateNetworkLimits.recentDiffBytes {
            guard let oldest = order.removeFirst() else { return }
            let change = TrieChange(point: oldest.point, trie: oldest.trie)
            guard let gone = changes[change]?.removeValue(forKey: oldest.section) else { continue }
            if changes[change]?.isEmpty == true { changes[change] = nil }
            bytes -= gone.bytes
            count -= 1
        }
    }
}
