import Primitives

/// Deadlines in a heap, earliest first; those that have lost their meaning are left in and skipped when they fire.
struct TimerQueue<Payload: Sendable>: Sendable {
    private struct Item: Sendable {
        let at: Instant
        /// Equal deadlines fire in the order in which they were set.
        let order: UInt64
        let payload: Payload

        func isBefore(_ other: Item) -> Bool { at == other.at ? order < other.order : at < other.at }
    }

    private var heap: [Item] = []
    private var nextOrder: UInt64 = 0

    var first: Instant? { heap.first?.at }
    var count: Int { heap.count }

    mutating func add(_ payload: Payload, at instant: Instant) {
        heap.append(Item(at: instant, order: nextOrder, payload: payload))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The next payload whose time has come.
    mutating func pop(due now: Instant) -> Payload? {
        guard let top = heap.first, top.at <= now else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return top.payload }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            if least == parent { return top.payload }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}
