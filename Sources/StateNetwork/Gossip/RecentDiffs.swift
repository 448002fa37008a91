import Primitives
import StateContent

/// The values of recent block diffs, bounded by number and by bytes; the oldest go first.
struct RecentDiffs: Sendable {
    private let limit: Int
    private var values: [BlockDiffKey: [UInt8]] = [:]
    /// Keys as they came.
    private var order = Queue<BlockDiffKey>()
    private(set) var bytes = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { values.count }

    subscript(key: BlockDiffKey) -> [UInt8]? { values[key] }

    mutating func add(_ key: BlockDiffKey, _ value: [UInt8]) {
        guard values[key] == nil else { return }
        values[key] = value
        order.append(key)
        bytes += value.count
        // The newest stays whatever its size: it is about to be passed on.
        while count > 1, count > limit || bytes > StateNetworkLimits.recentDiffBytes {
            guard let oldest = order.removeFirst() else { return }
            bytes -= values.removeValue(forKey: oldest)?.count ?? 0
        }
    }
}
