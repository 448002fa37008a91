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
        rise()
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

    // An entry on its way is taken out and the others move past it into the gap: events that hold objects are not
    // counted up and down at every step.

    /// Brings the last entry to its place.
    @inlinable
    mutating func rise() {
        heap.withUnsafeMutableBufferPointer { buffer in
            guard let heap = buffer.baseAddress, buffer.count > 1 else { return }
            var gap = buffer.count - 1
            guard heap[gap].precedes(heap[(gap - 1) / 2]) else { return }
            let entry = (heap + gap).move()
            while gap > 0, entry.precedes(heap[(gap - 1) / 2]) {
                (heap + gap).moveInitialize(from: heap + (gap - 1) / 2, count: 1)
                gap = (gap - 1) / 2
            }
            (heap + gap).initialize(to: entry)
        }
    }

    /// Brings the first entry to its place.
    @inlinable
    mutating func sink() {
        heap.withUnsafeMutableBufferPointer { buffer in
            guard let heap = buffer.baseAddress, buffer.count > 1 else { return }
            let entry = heap.move()
            var gap = 0
            while true {
                var least = 2 * gap + 1
                guard least < buffer.count else { break }
                if least + 1 < buffer.count, heap[least + 1].precedes(heap[least]) { least += 1 }
                guard heap[least].precedes(entry) else { break }
                (heap + gap).moveInitialize(from: heap + least, count: 1)
                gap = least
            }
            (heap + gap).initialize(to: entry)
        }
    }
}

extension TimerQueue: Sendable where Event: Sendable {}
extension TimerQueue.Entry: Sendable where Event: Sendable {}
