import Primitives

/// How long it takes to bring what is held to a new anchor, beside how long an epoch lasts: a node that needs more than
/// an epoch for it never catches up.
public struct RollForward: Sendable, Equatable {
    /// When the newest anchor became final here; nil before one did in this run.
    public private(set) var finalSince: Instant?
    /// From the second newest anchor's finality to the newest one's; nil before two followed each other.
    public private(set) var epoch: Interval?
    /// From the last anchor's finality until nothing held was behind it; nil before the first such crossing.
    public private(set) var last: Interval?
    /// Whether something held is still behind the newest anchor.
    public private(set) var isUnderWay = false

    /// No anchor became final yet.
    public init() {}

    /// So many anchors became final at once. `holds`: whether anything is held that has to follow.
    mutating func becameFinal(_ anchors: Int, holds: Bool, at now: Instant) {
        // Headers of several epochs that come together say nothing of how long one lasts.
        epoch = anchors == 1 ? finalSince.map { now - $0 } : nil
        finalSince = now
        isUnderWay = holds
    }

    /// Nothing that is held is behind the newest anchor any more.
    mutating func arrived(at now: Instant) {
        guard isUnderWay, let finalSince else { return }
        isUnderWay = false
        last = now - finalSince
    }

    /// The time it takes, or has taken so far where that is more, as a share of an epoch; nil where either is unknown.
    public func share(at now: Instant) -> Double? {
        guard let epoch, epoch > .zero else { return nil }
        let running = isUnderWay ? finalSince.map { now - $0 } ?? .zero : .zero
        let took = max(last ?? .zero, running)
        return last == nil && running == .zero ? nil : took.seconds / epoch.seconds
    }
}
