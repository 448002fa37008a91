import Primitives

/// Smoothed round trip and the timeout that follows from it. Source: RFC 6298.
struct RoundTrip: Sendable {
    /// Microseconds; 0 before the first sample.
    private(set) var smoothed: UInt64 = 0
    /// Before the first sample nothing is too short to be one.
    private(set) var minimum = UInt64.max
    private(set) var isMeasured = false
    private var variation: UInt64 = 0

    /// What is known from elsewhere, before the first sample.
    mutating func expect(_ interval: Interval) {
        guard smoothed == 0, interval > .zero else { return }
        smoothed = min(interval, UTPLimits.timeoutInitial).microseconds
        variation = smoothed / 8
    }

    mutating func sample(_ microseconds: UInt64) {
        minimum = min(minimum, microseconds)
        if !isMeasured {
            isMeasured = true
            smoothed = max(microseconds, 1)
            variation = microseconds / 2
        } else {
            let difference = smoothed > microseconds ? smoothed - microseconds : microseconds - smoothed
            variation = (3 * variation + difference) / 4
            smoothed = max((7 * smoothed + microseconds) / 8, 1)
        }
    }

    /// How long to wait for an ack after `attempt` timeouts in a row. The first ones only probe and cost nothing else,
    /// so they may come early; those that follow mean trouble and back off.
    func timeout(attempt: Int) -> Interval {
        guard smoothed > 0 else {
            return attempt == 0 ? UTPLimits.probeInitial : backedOff(UTPLimits.timeoutInitial, by: attempt - 1)
        }
        let measured = Interval(microseconds: smoothed + 4 * variation)
        // As RFC 8985 times its probe.
        if attempt == 0 { return max(min(measured, Interval(microseconds: 2 * smoothed)), UTPLimits.probeTime) }
        return backedOff(max(measured, UTPLimits.timeoutMinimum), by: attempt - UTPLimits.probes)
    }

    private func backedOff(_ interval: Interval, by attempt: Int) -> Interval {
        min(interval * (1 << min(max(attempt, 0), 5)), max(interval, UTPLimits.timeoutMaximum))
    }

    /// How long after its sending a transmission that a later one has overtaken counts as lost (RFC 9002); on a path
    /// known to reorder, as long as acks at all take.
    func overtakenWait(reorders: Bool) -> Interval {
        let usual = max(smoothed + smoothed / 4, 1_000)
        return Interval(microseconds: reorders ? max(usual, smoothed + 4 * variation) : usual)
    }
}
