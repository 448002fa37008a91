import Primitives

/// A binary heap of timers, earliest first, equal ones in the order they were set. A timer is never taken out early:
/// when it fires, its owner checks whether it still means anything.
struct TimerQueue<Event: Sendable>: Sendable {
    private var heap: [(at: Instant, order: UInt64, event: Event)] = []
    private var nextOrder: UInt64 = 0

    var earliest: Instant? { heap.first?.at }
    var count: Int { heap.count }

    mutating func set(_ event: Event, at instant: Instant) {
        heap.append((instant, nextOrder, event))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard precedes(child, parent) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest timer that is due at `now`.
    mutating func next(at now: Instant) -> Event? {
        guard let first = heap.first, first.at <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != parent else { break }
            heap.swapAt(parent, least)
            parent = least
        }
        return first.event
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        (heap[a].at, heap[a].order) < (heap[b].at, heap[b].order)
    }
}
