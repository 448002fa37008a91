import Primitives

@testable import Sync

/// The least loaded peer, the lowest id of several: what a plan is tested with where the choice is not the point.
struct LeastLoaded: PeerChooser {
    func choose(among candidates: [(id: Bytes32, load: Int)], bytes: Int, at now: Instant) -> Bytes32? {
        candidates.min { ($0.load, $0.id) < ($1.load, $1.id) }?.id
    }
}

extension StateSync {
    /// With the choice of the least loaded.
    mutating func plan(at now: Instant) -> SyncPlan {
        var chooser = LeastLoaded()
        return plan(at: now, choosing: &chooser)
    }
}
