import Primitives

/// How long ranges and bundles take, from the question to the end: what takes much longer is worth asking another for.
struct RangeTimes: Sendable {
    /// Microseconds; a quarter of it is the last one. nil before the first.
    private var mean: Double?

    mutating func note(_ time: Interval) {
        let sample = Double(time.microseconds)
        mean = mean.map { $0 + (sample - $0) / 4 } ?? sample
    }

    /// How long one is waited for before a second peer is asked too: twice the usual time, since on lines that are full
    /// everything takes long, and doubling it would fill them more.
    var patience: Interval {
        min(max(WalkLimits.doubledAfter, Interval(microseconds: UInt64(2 * (mean ?? 0)))), WalkLimits.doubledAtLast)
    }
}
