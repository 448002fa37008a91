import Chain
import Primitives
import StateContent

/// Recent block diffs, by block and section, bounded by number and by bytes; the oldest go first. They are kept as they
/// are believed and written down when they are offered or asked for: what peers get of a block is a stretch of it, and
/// another one for each arc.
struct RecentDiffs: Sendable {
    /// How many are kept.
    var limit: Int
    private var blocks: [StatePoint: [Int: (value: BlockDiffValue, bytes: Int)]] = [:]
    /// Those of parts of spread storage.
    private var parts: [BlockDiffKey: (value: BlockDiffValue, bytes: Int)] = [:]
    /// Keys as they came.
    private var order = Queue<BlockDiffKey>()
    private(set) var bytes = 0
    private(set) var count = 0

    init(limit: Int) { self.limit = limit }

    subscript(key: BlockDiffKey) -> BlockDiffValue? {
        key.trie == .accounts ? blocks[key.point]?[key.section]?.value : parts[key]?.value
    }

    /// The diffs of a block in a stretch of the ring, in order.
    func diffs(at point: StatePoint, in stretch: ClosedRange<Int>) -> [(section: Int, value: BlockDiffValue)] {
        guard let known = blocks[point] else { return [] }
        let sections = known.keys.filter { stretch.contains($0) }.sorted()
        return diffs(at: point, of: sections)
    }

    /// Those of these sections, in their order.
    func diffs(at point: StatePoint, of sections: [Int]) -> [(section: Int, value: BlockDiffValue)] {
        guard let known = blocks[point] else { return [] }
        return sections.compactMap { section in known[section].map { (section, $0.value) } }
    }

    /// `bytes`: what it adds to what is held, about.
    mutating func add(_ key: BlockDiffKey, _ value: BlockDiffValue, bytes added: Int) {
        guard self[key] == nil else { return }
        if key.trie == .accounts {
            blocks[key.point, default: [:]][key.section] = (value, added)
        } else {
            parts[key] = (value, added)
        }
        order.append(key)
        bytes += added
        count += 1
        // The newest stays whatever its size: it is about to be passed on.
        while count > 1, count > limit || bytes > StateNetworkLimits.recentDiffBytes {
            guard let oldest = order.removeFirst() else { return }
            let gone =
                oldest.trie == .accounts
                ? blocks[oldest.point]?.removeValue(forKey: oldest.section) : parts.removeValue(forKey: oldest)
            guard let gone else { continue }
            if blocks[oldest.point]?.isEmpty == true { blocks[oldest.point] = nil }
            bytes -= gone.bytes
            count -= 1
        }
    }
}
