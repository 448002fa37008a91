import Chain
import Primitives
import StateStore

/// The planner of the walk: told what is held, what peers claim and how requests ended, it says what to ask whom.
public struct StateSync: Sendable {
    /// What the walk covers and how hard it pulls.
    public struct Configuration: Sendable {
        /// Leading nibbles of a section's path.
        public var depth: Int
        /// Section indices of the arc.
        public var arc: Range<Int>
        public var lanes: Int
        /// Upper bound of one range answer, bytes.
        public var rangeBytes: UInt32
        /// nil: no limit.
        public var downloadBytesPerSecond: UInt64?

        public init(
            depth: Int, arc: Range<Int>, lanes: Int = 16, rangeBytes: UInt32 = 1 << 20,
            downloadBytesPerSecond: UInt64? = nil
        ) {
            self.depth = depth
            self.arc = arc
            self.lanes = lanes
            self.rangeBytes = rangeBytes
            self.downloadBytesPerSecond = downloadBytesPerSecond
        }
    }

    /// Where the walk stands; see the essay in `Sync.swift`.
    public enum Phase: Sendable, Equatable {
        case waiting
        case walking
        case following
    }

    struct Flight: Sendable {
        let assignment: Assignment
        /// Bytes taken from the rate budget.
        let budgeted: UInt32
        let startedAt: Instant
    }

    /// A section that was to be led on to another anchor, and did not get there.
    struct Hindered: Sendable {
        /// When that was first tried.
        let since: Instant
        /// Who was asked and gave nothing: no answer, a useless one, or "busy".
        var by: Set<Bytes32> = []
    }

    struct PeerState: Sendable {
        var claim: SyncPeer
        var inFlight = 0
        /// In a row; each doubles the pause.
        var failures = 0
        /// Not asked before this.
        var pausedUntil = Instant.zero
    }

    public let configuration: Configuration
    public private(set) var phase = Phase.waiting
    public internal(set) var newest: Anchor?
    /// The attested block just below the head: what a holder that follows can prove by now.
    var nearHead: StatePoint?
    /// Epoch boundaries passed while part of the arc was held and ranges were still missing.
    public private(set) var crossingsWhileFetching = 0

    var sections: [SectionStatus]
    /// How many sections are complete at each anchor.
    private var completeAt: [Anchor: Int] = [:]
    var crowns: Set<Anchor> = []
    var peers: [Bytes32: PeerState] = [:]
    var flights: [UInt64: Flight] = [:]
    var lanes: Lanes
    var budget: RateBudget
    /// Code that accounts of held sections name and the store lacks, in the order it became known.
    public internal(set) var wantedCodes: [WantedCode] = []
    var wantedCodeSet: Set<Bytes32> = []
    /// Sizes to ask for where the configured one did not hold a single item.
    var rangeBytes: [Int: UInt32] = [:]
    private var nextID: UInt64 = 1
    /// By the anchor that sections are at: the peers whose history does not reach back to it, as they have said. It
    /// never will again.
    var tooOldFor: [Anchor: Set<Bytes32>] = [:]
    /// By section: the peers for whom its diff fits no answer, as they have said since it last went on.
    var tooLargeFor: [Int: Set<Bytes32>] = [:]
    /// By section, since it last went on.
    var hindered: [Int: Hindered] = [:]
    /// When a partial section was first seen to have no holder left at its anchor.
    var orphanedSince: [Int: Instant] = [:]
    /// When all holders of a section at the newest anchor were first found to refuse a diff to it.
    var refusedSince: [Int: Instant] = [:]

    /// `sections`: what the store holds of each section of the arc, in order.
    public init(configuration: Configuration, sections: [SectionStatus], wantedCodes: [WantedCode], at now: Instant) {
        self.configuration = configuration
        self.sections = sections
        for case .complete(let anchor) in sections.map(\.coverage) { completeAt[anchor, default: 0] += 1 }
        let missing = configuration.arc.filter { index in
            if case .complete = sections[index - configuration.arc.lowerBound].coverage { false } else { true }
        }
        lanes = Lanes(sections: missing, count: configuration.lanes)
        budget = RateBudget(
            bytesPerSecond: configuration.downloadBytesPerSecond, requestBytes: configuration.rangeBytes, at: now)
        want(codes: wantedCodes)
    }

    // MARK: What the node tells

    /// The newest final anchor. Nothing under way is cancelled.
    public mutating func anchorAdvanced(to anchor: Anchor) {
        guard newest.map({ $0.epoch < anchor.epoch }) ?? true else { return }
        if let newest, phase == .walking, isMidway {
            crossingsWhileFetching += Int(clamping: anchor.epoch - newest.epoch)
        }
        newest = anchor
        let held = Set(sections.compactMap(\.coverage.anchor))
        tooOldFor = tooOldFor.filter { held.contains($0.key) }
        updatePhase()
    }

    /// Something is held, and ranges are still missing.
    private var isMidway: Bool {
        sections.contains { $0.coverage != .none }
            && sections.contains { if case .complete = $0.coverage { false } else { true } }
    }

    /// The attested head moved; `parent` is the block below it.
    public mutating func headAdvanced(parent: StatePoint) { nearHead = parent }

    /// The crown of `anchor` is held and verified.
    public mutating func crownStored(_ anchor: Anchor) { crowns.insert(anchor) }

    /// Crowns older than `epoch` were dropped.
    public mutating func crownsDropped(before epoch: UInt64) { crowns = crowns.filter { $0.epoch >= epoch } }

    /// A section's holding changed.
    public mutating func update(section index: Int, _ status: SectionStatus) {
        guard configuration.arc.contains(index) else { return }
        let slot = index - configuration.arc.lowerBound
        guard sections[slot] != status else { return }
        let before = sections[slot].coverage
        sections[slot] = status
        if before != status.coverage {
            tooLargeFor[index] = nil
            refusedSince[index] = nil
            hindered[index] = nil
        }
        count(before, -1)
        count(status.coverage, 1)
        switch (before, status.coverage) {
        case (_, .complete): lanes.release(index)
        case (.none, .none): break
        case (_, .none): lanes.giveBack(index)
        default: break
        }
        updatePhase()
    }

    private mutating func count(_ coverage: SectionStatus.Coverage, _ change: Int) {
        guard case .complete(let anchor) = coverage else { return }
        let sum = completeAt[anchor, default: 0] + change
        completeAt[anchor] = sum == 0 ? nil : sum
    }

    /// Code that accounts of held sections name and the store lacks. None is left out, or the arc would count as
    /// complete without it; the walk pauses above `SyncLimits.codesWanted`, so that answers under way are the most that
    /// comes on top.
    public mutating func want(codes: [WantedCode]) {
        for code in codes {
            if wantedCodeSet.insert(code.hash).inserted { wantedCodes.append(code) }
        }
    }

    /// Code that is in the store now, whoever sent it.
    public mutating func codesStored(_ hashes: [Bytes32]) {
        let stored = Set(hashes)
        wantedCodeSet.subtract(stored)
        wantedCodes.removeAll { stored.contains($0.hash) }
        updatePhase()
    }

    /// What a peer claims to serve.
    public mutating func peerUpdated(_ claim: SyncPeer) {
        guard peers[claim.id] == nil else {
            peers[claim.id]?.claim = claim
            return
        }
        // One that was lost and is back may still owe answers.
        let inFlight = flights.values.count { $0.assignment.peer == claim.id }
        peers[claim.id] = PeerState(claim: claim, inFlight: inFlight)
    }

    /// Whether block diffs that peers offer are to be taken. While the walk is held back by a limit they are not: each
    /// brings a header and a proof of its own, and the diff to the next anchor brings the same changes for less. Who
    /// follows takes them all, since the chain's own pace cannot be slowed down without falling behind.
    public var takesBlockDiffs: Bool { phase == .following || configuration.downloadBytesPerSecond == nil }

    /// A peer is gone, or is not to be asked any more. What it owes still ends by `finish`.
    public mutating func peerLost(_ id: Bytes32) { peers[id] = nil }

    /// Whether every section is complete and every code held.
    public var isComplete: Bool { wantedCodes.isEmpty && hasAllSections }

    private var hasAllSections: Bool { completeAt.values.reduce(0, +) == sections.count }

    /// The anchor at which the whole arc is complete; nil while there is none.
    public var completeAnchor: Anchor? {
        guard wantedCodes.isEmpty, completeAt.count == 1, let only = completeAt.first else { return nil }
        return only.value == sections.count ? only.key : nil
    }

    private mutating func updatePhase() {
        guard newest != nil else { return }
        switch phase {
        case .waiting, .walking: phase = completeAnchor != nil ? .following : .walking
        // New code is missing for a moment again and again; that is no new walk.
        case .following: if !hasAllSections { phase = .walking }
        }
    }

    // MARK: Ends of assignments

    /// Gives an assignment back. Must be called once for each, whatever happened. The peer that it was given to; nil
    /// where it was given back before.
    @discardableResult
    public mutating func finish(_ id: UInt64, _ outcome: AssignmentOutcome, at now: Instant) -> Bytes32? {
        guard let flight = flights.removeValue(forKey: id) else { return nil }
        let peer = flight.assignment.peer
        peers[peer]?.inFlight -= 1
        if flight.budgeted > 0 || outcomeBytes(outcome) > 0 {
            budget.settle(taken: flight.budgeted, arrived: outcomeBytes(outcome))
        }
        if outcome.hasHelped == false { flight.hinder(&hindered) }
        switch outcome {
        case .done:
            if case .range(let section, _, _, _, _) = flight.assignment.task { rangeBytes[section] = nil }
            peers[peer]?.failures = 0
        // Who is busy for no time at all would be asked again at once, and, being quick about it, before all others.
        case .busy(let wait): peers[peer]?.pausedUntil = now + max(wait, SyncLimits.refusalPause)
        case .refused: peers[peer]?.pausedUntil = now + SyncLimits.refusalPause
        case .tooOld:
            switch flight.assignment.task {
            case .diffs(_, let anchor, _), .carry(_, let anchor, _): tooOldFor[anchor, default: []].insert(peer)
            default: break
            }
        case .tooLarge:
            // Only the first section's diff was looked at: with none of it the answer would be empty.
            switch flight.assignment.task {
            case .diffs(let sections, _, _): tooLargeFor[sections.first ?? -1, default: []].insert(peer)
            case .carry(let section, _, _): tooLargeFor[section, default: []].insert(peer)
            default: break
            }
            // One that says so of every size is not asked without end.
            if case .range(_, _, _, _, SyncLimits.rangeBytesMaximum) = flight.assignment.task {
                peers[peer]?.pausedUntil = now + SyncLimits.refusalPause
            }
            guard case .range(let section, _, _, _, let maxBytes) = flight.assignment.task else {
                peers[peer]?.pausedUntil = now + SyncLimits.refusalPause
                break
            }
            rangeBytes[section] = min(maxBytes &* 2, SyncLimits.rangeBytesMaximum)
        case .failed, .invalid:
            let failures = min((peers[peer]?.failures ?? 0) + (outcome == .invalid ? 4 : 1), 8)
            peers[peer]?.failures = failures
            let pause = min(SyncLimits.backoff * (1 << failures), SyncLimits.backoffMaximum)
            peers[peer]?.pausedUntil = now + pause
        case .aborted: break
        }
        return peer
    }

    private func outcomeBytes(_ outcome: AssignmentOutcome) -> Int {
        if case .done(let bytes) = outcome { bytes } else { 0 }
    }

    mutating func assign(_ task: SyncTask, to peer: Bytes32, budgeted: UInt32, at now: Instant) -> Assignment {
        let assignment = Assignment(id: nextID, peer: peer, task: task)
        nextID += 1
        flights[assignment.id] = Flight(assignment: assignment, budgeted: budgeted, startedAt: now)
        peers[peer]?.inFlight += 1
        return assignment
    }

    /// Sections that lanes are on and of which nothing is under way.
    public var idleSections: [Int] {
        let busy = Set(flights.values.flatMap(\.assignment.task.sections))
        return lanes.active.filter { index in
            let status = sections[index - configuration.arc.lowerBound]
            if case .complete = status.coverage { return false }
            return !status.isLocked && !busy.contains(index)
        }
    }

    /// What has been under way at one peer for longest, if that is long, with the section it is about (none for a
    /// crown); nil where nothing is slow.
    public func slowest(at now: Instant) -> (section: Int?, peer: Bytes32, since: Interval)? {
        let slow = flights.values.filter { now - $0.startedAt >= SyncLimits.slowAfter }
        guard let oldest = slow.min(by: { ($0.startedAt, $0.assignment.id) < ($1.startedAt, $1.assignment.id) }) else {
            return nil
        }
        return (oldest.assignment.task.subject, oldest.assignment.peer, now - oldest.startedAt)
    }

    /// Sections that something has to be asked about now or soon, the most pressing first: those that lanes are on,
    /// those behind the newest anchor or with a gap after it, those that lanes come to next.
    public var sectionsAhead: [Int] {
        let behind = sections.indices.lazy.filter { [self] slot in
            guard case .complete(let anchor) = sections[slot].coverage else { return false }
            return anchor != newest || sections[slot].hasGap
        }.prefix(SyncLimits.sectionsBehind).map { [configuration] in $0 + configuration.arc.lowerBound }
        return lanes.active + behind + lanes.ahead(SyncLimits.sectionsAheadOfLane)
    }

    /// The first section that is complete at an older anchor than this one, and which; nil where there is none.
    public func firstBehind(_ newest: Anchor) -> (section: Int, anchor: Anchor)? {
        for (slot, status) in sections.enumerated() {
            guard case .complete(let anchor) = status.coverage, anchor != newest else { continue }
            return (slot + configuration.arc.lowerBound, anchor)
        }
        return nil
    }

    /// Assignments under way, for status.
    public var inFlightCount: Int { flights.count }

    /// Lanes that have a section now.
    public var activeLanes: Int { lanes.active.count }

    /// Fraction of the arc held and verified at any anchor, and at the newest one.
    public var heldFraction: (any: Double, newest: Double) {
        var held = 0.0
        var current = 0.0
        for (slot, status) in sections.enumerated() {
            let index = configuration.arc.lowerBound + slot
            let part: Double
            let anchor: Anchor
            switch status.coverage {
            case .none: continue
            case .complete(let at): (part, anchor) = (1, at)
            case .partial(let at, let next):
                anchor = at
                part = Section(depth: configuration.depth, index: index).fraction(below: next.account)
            }
            held += part
            if anchor == newest { current += part }
        }
        let count = Double(max(sections.count, 1))
        return (held / count, current / count)
    }
}

extension StateSync.Flight {
    /// Notes that the peer did not lead the sections on.
    fileprivate func hinder(_ hindered: inout [Int: StateSync.Hindered]) {
        switch assignment.task {
        case .diffs(let sections, _, .anchor):
            for section in sections {
                hindered[section, default: StateSync.Hindered(since: startedAt)].by.insert(assignment.peer)
            }
        case .carry(let section, _, _):
            hindered[section, default: StateSync.Hindered(since: startedAt)].by.insert(assignment.peer)
        default: break
        }
    }
}

extension Section {
    /// The part of the section's keyspace below `key`, 0…1.
    func fraction(below key: Bytes32) -> Double {
        let low = Double(firstKey.word0)
        let high = Double(lastKey.word0)
        return high > low ? min(max((Double(key.word0) - low) / (high - low), 0), 1) : 0
    }
}
