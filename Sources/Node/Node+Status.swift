import Chain
import ChainNetwork
import Primitives
import StateNetwork
import StateStore
import Sync

/// Figures for the one who watches.
struct StatusKeeper: Sendable {
    /// Jobs that serve peers under way.
    var serving = 0
    /// When the verified head last moved, or was last looked into.
    var headVerifiedAt: Instant
    /// The head whose diffs are waited for.
    var awaitedHead: StatePoint?
    /// When all that is held is to be looked over after progress; nil where nothing has come about since.
    var overlookAt: Instant?
    var overlookedAt: Instant?
    /// The anchor at which completeness was last reported.
    var completeAt: Anchor?
    /// The newest anchor that peers were told all that is held has reached, and whether they know that this node
    /// follows the head.
    var toldAnchor: Anchor?
    var toldFollowing = false
    /// After a start, the anchor at which everything was complete before.
    var resumedAnchor: Anchor?
    /// After a start, the block at which everything was verified before; nil once that is done again.
    var resumed: StatePoint?
    /// Sections begun again that are still to be told.
    var dropped = DroppedSections()
    /// The highest sequence number of the node's record that was written down.
    var keptSequence: UInt64
    /// Whether headers are being forgotten.
    var isPruning = false
    /// Since when no peer has had the header that is needed next, and which gap was told.
    var gapSince: Instant?
    var toldGap: HeaderGap?
    private(set) var nextReport: Instant
    private var lastVerified: Instant
    private var stateBytes: UInt64 = 0
    /// Verified bytes of the last seconds, oldest first: (second, bytes).
    private var window: [(second: UInt64, bytes: UInt64)] = []

    /// Seconds over which the rate is taken.
    static let windowSeconds: UInt64 = 10

    init(startedAt now: Instant, keptSequence: UInt64) {
        self.keptSequence = keptSequence
        nextReport = now + NodeLimits.reportInterval
        lastVerified = now
        headVerifiedAt = now
    }

    mutating func verified(bytes: Int, at now: Instant) {
        lastVerified = now
        stateBytes += UInt64(bytes)
        let second = now.microseconds / 1_000_000
        if window.last?.second == second {
            window[window.count - 1].bytes += UInt64(bytes)
        } else {
            window.append((second, UInt64(bytes)))
        }
        window.removeAll { $0.second + StatusKeeper.windowSeconds < second }
    }

    /// Whether a report is due; if so, when the next one is.
    mutating func isDue(at now: Instant) -> Bool {
        guard nextReport <= now else { return false }
        nextReport = now + NodeLimits.reportInterval
        return true
    }

    var totalBytes: UInt64 { stateBytes }

    func rate(at now: Instant) -> Double {
        let second = now.microseconds / 1_000_000
        let recent = window.filter { $0.second + StatusKeeper.windowSeconds > second }.reduce(0) { $0 + $1.bytes }
        return Double(recent) / Double(StatusKeeper.windowSeconds)
    }

    func quiet(at now: Instant) -> Interval { now - lastVerified }

    /// Which search it is, from the second on.
    static func ordinal(_ attempt: Int) -> String { attempt > 0 ? " (search \(attempt + 1))" : "" }
}

extension Node {
    /// Where this node stands.
    public func progress(at moment: Moment) -> Progress {
        let now = moment.instant
        let fraction = sync.heldFraction
        let useful = holders.peers.values.count {
            configuration.role.takesState(from: $0.role) && !$0.served.isEmpty
        }
        let phase: Progress.Phase
        switch sync.phase {
        case .waiting: phase = .headers
        case .walking: phase = .walking
        case .following: phase = .following
        }
        return Progress(
            phase: phase, anchor: sync.newest, held: fraction.any, atNewestAnchor: fraction.newest,
            sectionsComplete: holdings.completeCount, sectionsWanted: arc.count, stateBytes: status.totalBytes,
            bytesPerSecond: status.rate(at: now), ranges: totals.ranges, diffs: totals.sectionDiffs,
            crossings: sync.crossingsWhileFetching, peers: overlay.peerCount(network: .state).all, usefulPeers: useful,
            lanes: sync.activeLanes, searches: holders.activeSearches, waiting: waiting(at: now),
            unheld: holders.unheld(at: now),
            headAge: headAge(at: moment), isStale: chain.isStale(at: moment.unixSeconds), head: chain.head.number,
            verifiedHead: verifiedPoint?.number ?? 0, stall: stall(at: moment))
    }

    /// The first section that a lane is on and nobody known has; else the one that a peer lets wait longest.
    private func waiting(at now: Instant) -> Progress.Waiting? {
        guard configuration.role != .bridge, sync.newest != nil else { return nil }
        if let index = sync.idleSections.first(where: { holders.claimants(of: $0) == 0 }) {
            return waiting(for: index, search(for: index, at: now))
        }
        return sync.slowest(at: now).map { slow in
            let seconds = Int(slow.since.seconds)
            let why = "peer \(slow.peer.short) was asked for it \(seconds) s ago"
            return waiting(for: slow.section ?? arc.lowerBound, why)
        }
    }

    private func waiting(for index: Int, _ why: String) -> Progress.Waiting {
        Progress.Waiting(
            section: "\(holdings.section(index))", claimants: holders.claimants(of: index),
            keepers: holders.keepers(of: index), why: why)
    }

    /// What is being done to find somebody who has a section.
    func search(for index: Int, at now: Instant) -> String {
        switch holders.state(of: index, at: now) {
        case .supplied: "waiting for its holders to answer"
        case .due: "a search for more is about to begin"
        case .searching(.lookup, let attempt): "looking up the nodes near it\(StatusKeeper.ordinal(attempt))"
        case .searching(.meeting, let attempt): "asking found nodes what they have\(StatusKeeper.ordinal(attempt))"
        case .searching(.asking, let attempt): "asking its neighbours for names\(StatusKeeper.ordinal(attempt))"
        case .pausing(let rest, let attempts):
            "nobody found who has it in \(attempts) searches; the next in \(Int(rest.seconds.rounded(.up))) s"
        }
    }

    mutating func reportStatus(at moment: Moment) {
        guard status.isDue(at: moment.instant) else { return }
        keepRecordSequence()
        tellGap(at: moment)
        totals.crossingsWhileFetching = sync.crossingsWhileFetching
        if let line = status.dropped.line(at: moment.instant) { log(.info, line) }
        report(.progress(progress(at: moment)))
    }
}
