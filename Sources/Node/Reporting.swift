import Primitives
import StateNetwork

/// What a node keeps for what it tells of itself about once a second.
struct Reporting: Sendable {
    /// When that is next due.
    private(set) var next: Instant
    /// When the walk will have all.
    var estimate = WalkEstimate()
    /// Whether it catches up or keeps up.
    private(set) var modes: ModeKeeper

    init(at now: Instant) {
        next = now + NodeLimits.reportInterval
        modes = ModeKeeper(at: now)
    }

    /// Whether it is time; if so, the next time is set.
    mutating func isDue(at now: Instant) -> Bool {
        guard next <= now else { return false }
        next = now + NodeLimits.reportInterval
        return true
    }

    /// Takes in what is seen of the node; a line to be told where its mode is another one by it.
    mutating func note(_ sight: ModeKeeper.Sight, at now: Instant) -> String? {
        guard modes.note(sight, at: now) else { return nil }
        return switch modes.mode {
        case .pacemaker: "caught up with the chain: from now on blocks are taken as they come"
        case .sync where !sight.isInTouch: "out of touch with the chain: nobody answers, or nothing new is attested"
        case .sync: "\(sight.behind) blocks behind the chain: catching up"
        }
    }
}
