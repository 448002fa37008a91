import Primitives

/// The rate that is fair at a queue: it falls from `rateHighest` without one to `rateLowest` at the target, by the same
/// factor for each millisecond. Rates are told in doublings, as binary logarithms of their ratio.
enum FairRate {
    /// Doublings between the lowest rate and the highest.
    static let span = doublings(UTPLimits.rateHighest / UTPLimits.rateLowest)

    /// Microseconds of queue at which only the lowest rate is left: less than the path's buffer holds, where losses
    /// have shown its `depth`.
    static func target(depth: UInt64?) -> Double {
        let most = Double(UTPLimits.targetDelay.microseconds)
        guard let depth else { return most }
        return min(max(0.9 * Double(depth), Double(UTPLimits.targetMinimum.microseconds)), most)
    }

    /// How many doublings a window is below the fair rate; `queue` is a share of the target.
    static func doublingsLeft(window: Double, roundTrip: UInt64, queue: Double) -> Double {
        guard roundTrip > 0 else { return span }
        // What is shorter than an event loop's turn says nothing of a rate.
        let rate = window * 1e6 / Double(max(roundTrip, 200))
        return doublings(UTPLimits.rateHighest / rate) - span * queue
    }

    /// The binary logarithm, between powers of two by a straight line: this floor has no mathematics library, and a
    /// controller needs no better.
    private static func doublings(_ ratio: Double) -> Double { Double(ratio.exponent) + ratio.significand - 1 }
}
