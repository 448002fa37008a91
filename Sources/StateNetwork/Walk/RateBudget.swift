import Primitives

/// A token bucket over all state that is asked for: `--max-download-rate`. A range is held back until the bytes it may
/// bring are covered, and what it really brought is settled when it ends. What has no size beforehand (diffs, codes) is
/// charged when it came, and no more of it is asked for while the bucket is overdrawn.
struct RateBudget: Sendable {
    private let bytesPerSecond: UInt64?
    private var available: Double
    private var updated: Instant
    private let burst: Double

    /// nil: no limit. The burst is a quarter of a second's worth, but always one request of `requestBytes`.
    init(bytesPerSecond: UInt64?, requestBytes: UInt32, at now: Instant) {
        self.bytesPerSecond = bytesPerSecond
        burst = max(Double(bytesPerSecond ?? 0) / 4, Double(requestBytes))
        available = burst
        updated = now
    }

    private mutating func refill(at now: Instant) {
        guard let bytesPerSecond else { return }
        available = min(burst, available + (now - updated).seconds * Double(bytesPerSecond))
        updated = now
    }

    /// Takes `bytes` if they are covered.
    mutating func take(_ bytes: UInt32, at now: Instant) -> Bool {
        guard bytesPerSecond != nil else { return true }
        refill(at: now)
        guard available >= min(Double(bytes), burst) else { return false }
        available -= Double(bytes)
        return true
    }

    /// Whether more came than the limit allows, so far.
    mutating func isOverdrawn(at now: Instant) -> Bool {
        guard bytesPerSecond != nil else { return false }
        refill(at: now)
        return available < 0
    }

    /// Corrects what was taken to what arrived.
    mutating func settle(taken: UInt32, arrived: Int) {
        guard bytesPerSecond != nil else { return }
        available = min(burst, available + Double(taken) - Double(arrived))
    }

    /// When `bytes` will be covered; nil where they are, or where there is no limit.
    func ready(for bytes: UInt32, at now: Instant) -> Instant? {
        guard let bytesPerSecond, bytesPerSecond > 0 else { return nil }
        let missing = min(Double(bytes), burst) - available
        guard missing > 0 else { return nil }
        let wait = missing / Double(bytesPerSecond) * 1_000_000
        let ready = updated + Interval(microseconds: UInt64(wait) + 1_000)
        return ready > now ? ready : nil
    }
}
