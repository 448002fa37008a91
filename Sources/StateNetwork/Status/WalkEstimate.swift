import Primitives

/// When a walk will have all, as far as that can be said.
///
/// The whole is known (all of the keyspace), and keys are hashes, so what is left takes as long as as much took before,
/// if the pace is steady. It is *steady* where the older and the newer half of the last minute brought about the same.
/// Where it is not, or where too little is known, or where less is held than before, there is no estimate: none is
/// better than a wrong one.
public struct WalkEstimate: Sendable, Equatable {
    /// What was held when, oldest first.
    private var samples: [Sample] = []

    private struct Sample: Sendable, Equatable {
        let at: Instant
        let held: Double
    }

    /// Nothing is known.
    public init() {}

    /// So much is held now, 0…1. Called about once a second.
    public mutating func note(_ held: Double, at now: Instant) {
        // What was given up is fetched at a pace of its own.
        if let last = samples.last, held < last.held - WalkLimits.estimateTolerance { samples = [] }
        samples.append(Sample(at: now, held: held))
        let isOld = samples.prefix { now - $0.at > WalkLimits.estimateWindow }
        samples.removeFirst(isOld.count)
    }

    /// How long the rest takes; nil where that is unknown.
    public func remaining() -> Interval? {
        guard let first = samples.first, let last = samples.last, last.held < 1,
            last.at - first.at >= WalkLimits.estimateFrom
        else { return nil }
        let middle = first.at + Interval(microseconds: (last.at - first.at).microseconds / 2)
        guard let half = samples.first(where: { $0.at >= middle }), half.at < last.at, half.at > first.at else {
            return nil
        }
        let before = (half.held - first.held) / (half.at - first.at).seconds
        let after = (last.held - half.held) / (last.at - half.at).seconds
        let (slow, quick) = (min(before, after), max(before, after))
        guard slow > 0, quick <= slow * WalkLimits.estimateSteadiness else { return nil }
        let rate = (last.held - first.held) / (last.at - first.at).seconds
        let seconds = (1 - last.held) / rate
        guard seconds <= WalkLimits.longestEstimate.seconds else { return nil }
        return Interval(microseconds: UInt64(seconds * 1_000_000))
    }
}
