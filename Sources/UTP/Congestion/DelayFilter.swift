import Primitives

/// Queueing delay from one-way delays whose zero point is unknown: the two clocks differ, only differences count.
///
/// The *base* is the smallest delay of the last one or two slots; what is above it is queue. The *depth* is the queue
/// that stood when packets were lost: what the path's buffer holds. Both are kept as delays and not as differences, so
/// that a base found to be lower corrects the depth too.
struct DelayFilter: Sendable {
    private var recent = InlineArray<8, UInt32>(repeating: 0)
    private var count = 0
    private var current: UInt32 = 0
    private var previous: UInt32 = 0
    private var slotEnd = Instant.zero
    /// The smallest of the last eight samples: single late packets say nothing about the queue.
    private var least: UInt32 = 0
    /// The largest `least` since it was last asked for.
    private var highest: UInt32 = 0
    private var full: UInt32?
    private var fullUntil = Instant.zero

    mutating func add(_ sample: UInt32, at now: Instant) {
        if count == 0 { (current, previous) = (sample, sample) }
        if now >= slotEnd {
            previous = current
            current = sample
            slotEnd = now + UTPLimits.baseDelaySlot
        } else if DelayFilter.less(sample, current) {
            current = sample
        }
        recent[count % 8] = sample
        count += 1
        guard count >= 8 else { return }
        least = recent[0]
        for index in 1..<8 where DelayFilter.less(recent[index], least) { least = recent[index] }
        if count == 8 || DelayFilter.less(highest, least) { highest = least }
        if full != nil, now >= fullUntil { full = nil }
    }

    private var base: UInt32 { DelayFilter.less(previous, current) ? previous : current }

    /// Microseconds.
    var queueing: UInt64 { count >= 8 ? UInt64(DelayFilter.difference(least, base)) : 0 }

    /// Microseconds; nil where no loss has shown it lately, or where it is so long that the target fits in it.
    var depth: UInt64? {
        guard let full else { return nil }
        let depth = UInt64(DelayFilter.difference(full, base))
        return depth < UTPLimits.mediumQueue.microseconds ? depth : nil
    }

    /// Packets were lost while the queue was as long as it ever was since `forgetPeak`: that is what it holds. A queue
    /// of next to nothing did not lose them.
    mutating func noteLoss(below limit: Interval, at now: Instant) {
        let depth = UInt64(DelayFilter.difference(highest, base))
        guard count >= 8, depth >= UTPLimits.targetMinimum.microseconds, depth < limit.microseconds else { return }
        // The longest queue seen at a loss, which is the same for all on the path, but for one clearly shorter.
        if let known = self.depth, depth <= known, depth * 2 > known { return }
        full = highest
        fullUntil = now + UTPLimits.depthTime
    }

    /// A new round for `noteLoss`.
    mutating func forgetPeak() { highest = least }

    /// Order modulo 2^32.
    private static func less(_ a: UInt32, _ b: UInt32) -> Bool { Int32(bitPattern: a &- b) < 0 }

    private static func difference(_ a: UInt32, _ base: UInt32) -> UInt32 { less(a, base) ? 0 : a &- base }
}
