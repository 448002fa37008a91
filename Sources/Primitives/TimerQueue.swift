/// A binary heap of events by the time at which they are due, earliest first; of two at the same time the one added
/// first comes first, so that a run replays.
///
/// Nothing is taken out early: when an event fires, its owner checks whether it still means anything. That is cheaper
/// than finding it, and a request that is answered, as most are, need not know where its timer stands.
public struct TimerQueue<Event> {
    @usableFromInline
    struct Entry {
        @usableFromInline let time: Instant
        @usableFromInline let order: UInt64
        @usableFromInline let event: Event

        @inlinable
        init(time: Instant, order: UInt64, event: Event) {
            self.time = time
            self.order = order
            self.event = event
        }

        @inlinable
        func precedes(_ other: Entry) -> Bool { time == other.time ? order < other.order : time < other.time }
    }

    @usableFromInline var heap: [Entry] = []
    @usableFromInline var nextOrder: UInt64 = 0

    /// A queue without events.
    @inlinable
    public init() {}

    /// When the first event is due; nil where there is none.
    @inlinable
    public var earliest: Instant? { heap.first?.time }

    /// Events in the queue, those that have lost their meaning included.
    @inlinable
    public var count: Int { heap.count }

    /// Adds `event`, due at `time`. O(log n).
    @inlinable
    public mutating func add(_ event: Event, at time: Instant) {
        heap.append(Entry(time: time, order: nextOrder, event: event))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Removes the first event that is due at `now`. O(log n).
    @inlinable
    public mutating func next(due now: Instant) -> Event? {
        guard let first = heap.first, first.time <= now else { return nil }
        return next()?.event
    }

    /// Removes the first event, due or not. O(log n).
    @inlinable
    public mutating func next() -> (time: Instant, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    @inlinable
    mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            let left = 2 * parent + 1
            if left < heap.count, heap[left].precedes(heap[least]) { least = left }
            if left + 1 < heap.count, heap[left + 1].precedes(heap[least]) { least = left + 1 }
            guard least != parent else { return }
            heap.swapAt(least, parent)
            parent = least
        }
    }
}

extension TimerQueue: Sendable where Event: Sendable {}
extension TimerQueue.Entry: Sendable where Event: Sendable {}
