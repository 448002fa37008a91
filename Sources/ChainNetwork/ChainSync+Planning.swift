import Chain
import Primitives

extension ChainSync {
    /// Forgets batches under way and begins again where the chain stands.
    mutating func resetWalk() {
        mode = .parallel
        weighing = nil
        segments = []
        unproven = []
        for tag in requests.keys { requests[tag]?.isWanted = false }
        frontier = base
    }

    /// The first header to ask for: the checkpoint itself at first; else what comes after the head, or after what some
    /// key vouches for if no peer claims that more is attested.
    private var base: UInt64 {
        let head = attested.head
        if isWithoutCheckpoint {
            // Most nodes do not have it: they joined later. It is worth a try or two, but no walk waits for it.
            let mayBeHad = peers.mayServe(head.number, failures: ChainNetworkLimits.checkpointAttempts)
            return mayBeHad ? head.number : head.number + 1
        }
        return (peers.certifyMore(than: head.number) ? head.number : attested.servedTip) + 1
    }

    /// The next header that is needed, and the lowest that any peer serves, where no peer goes down to it and some have
    /// what comes after.
    public var gap: HeaderGap? {
        let wanted = max(base, attested.floor.number + 1)
        return peers.lowestServed(beyond: wanted).map { HeaderGap(wanted: wanted, lowest: $0) }
    }

    /// Whether nothing is known yet, not even the checkpoint's header.
    private var isWithoutCheckpoint: Bool { attested.lowest == nil && attested.head == configuration.checkpoint }

    /// Whether the walk begins with the checkpoint's header and nobody is left who may have it.
    private var waitsInVainForCheckpoint: Bool {
        guard isWithoutCheckpoint, let first = segments.first, case .wanted = first.state else { return false }
        return first.first == attested.head.number && base != first.first
    }

    /// Asks for what is missing.
    mutating func plan(at now: Instant) {
        guard attested.conflict == nil else { return }
        settled = Settled(until: now, deadline: nil)
        if case .single = mode { planSingle(at: now) }
        WorkWalk.goOn(&self, at: now)
        if attested.floorStanding != nil {
            if mode == .parallel, !lacksWork { planParallel(at: now) }
            if mode == .parallel {
                WorkWalk.plan(&self, at: now)
                WorkWalk.goOn(&self, at: now)
            }
        }
        askForCheckpoint(at: now)
        // A plan that has changed something may be followed by another one that does.
        guard settled != nil else { return }
        settled = nil
        let double = nextDouble(after: now)
        settled = Settled(
            until: [nextEnd, double].compactMap { $0 }.min(), deadline: [nextDeadline, double].compactMap { $0 }.min())
    }

    /// When the first request is overdue or the first peer has rested.
    private var nextEnd: Instant? {
        var first: Instant?
        for request in requests.values { first = min(first ?? request.deadline, request.deadline) }
        return [first, peers.firstRestEnd()].compactMap { $0 }.min()
    }

    private mutating func planParallel(at now: Instant) {
        let head = attested.head.number
        if unproven.contains(where: { $0.upTo <= head }) { unproven.removeAll { $0.upTo <= head } }
        if waitsInVainForCheckpoint { resetWalk() }
        if segments.isEmpty, unproven.isEmpty {
            let base = base
            if frontier != base { frontier = base }
        }
        let target = peers.highestServed(from: frontier, at: now).map { min($0, highestHeld) }
        while let last = segments.last, case .wanted = last.state, last.first > target ?? 0 { segments.removeLast() }
        while let target, segments.count < ChainNetworkLimits.window {
            let first = segments.last?.end ?? frontier
            guard first <= target else { break }
            let count = min(UInt64(ChainNetworkLimits.batch), target - first + 1)
            let end = attested.rule.batchEnd(from: first, first + count - 1)
            segments.append(Segment(first: first, count: Int(end - first + 1)))
        }
        if segments.isEmpty, let suspect = unproven.last {
            prove(suspect.peer, at: now)
            return
        }
        for index in segments.indices {
            guard case .wanted = segments[index].state,
                let peer = peers.choose(for: segments[index].first, at: now, using: &generator),
                let tag = request(segments[index].first, segments[index].count, of: peer, at: now)
            else { continue }
            segments[index].state = .asked([tag])
        }
        planDoubles(at: now)
    }

    /// Asks a second peer for batches that take long: one who opens a stream and sends nothing would hold up all that
    /// comes after his for as long as a request may take. Whichever answer comes first is taken.
    private mutating func planDoubles(at now: Instant) {
        for index in segments.indices {
            guard case .asked(let tags) = segments[index].state, let due = doubling(tags), due <= now else { continue }
            let asked = tags.compactMap { requests[$0]?.peer }
            guard let peer = peers.choose(for: segments[index].first, except: asked, at: now, using: &generator),
                let tag = request(segments[index].first, segments[index].count, of: peer, at: now)
            else { continue }
            segments[index].state = .asked(tags + [tag])
        }
    }

    /// When a batch is asked of one more peer; nil where enough were.
    private func doubling(_ tags: [RequestTag]) -> Instant? {
        guard tags.count < ChainNetworkLimits.askedOfAtOnce, let last = tags.last.flatMap({ requests[$0] }) else {
            return nil
        }
        return last.sentAt + ChainNetworkLimits.batchPatience
    }

    /// When the next batch has taken long. One that has, and that nobody else could be asked for, waits for peers.
    private func nextDouble(after now: Instant) -> Instant? {
        segments.compactMap { segment in
            if case .asked(let tags) = segment.state { doubling(tags) } else { nil }
        }.filter { $0 > now }.min()
    }

    /// The highest block for which there can be room above the final one.
    private var highestHeld: UInt64 { attested.floor.number + UInt64(ChainLimits.heldHeaders) }

    /// Asks one peer for its whole line above the final block, to see whether it proves what it claims.
    mutating func prove(_ id: Bytes32, at now: Instant) {
        if workRule != nil { return WorkWalk.probe(id, &self) }
        resetWalk()
        guard let peer = peers[id], peer.certified > attested.head.number else { return }
        // A claim beyond what may be held above the final block could not be proven anyway.
        let limit = highestHeld
        mode = .single(
            peer: id, next: attested.floor.number + 1, goal: min(peer.highest, limit),
            certified: min(peer.certified, limit))
        planSingle(at: now)
    }

    private mutating func planSingle(at now: Instant) {
        guard case .single(let id, let next, let goal, let certified) = mode else { return }
        guard let peer = peers[id], !peer.isResting(at: now) else {
            resetWalk()
            return
        }
        if attested.head.number >= certified {
            peers[id]?.failures = 0
            resetWalk()
        } else if next > goal {
            resetWalk()
            disprove(id, certified, at: now)
        } else if !requests.values.contains(where: { $0.isWanted && $0.peer == id }) {
            let count = min(UInt64(ChainNetworkLimits.batch), goal - next + 1)
            let end = attested.rule.batchEnd(from: next, next + count - 1)
            _ = request(next, Int(end - next + 1), of: id, at: now)
        }
    }

    /// The peer has served its whole line and it is not attested. No honest peer calls attested what no key has signed;
    /// but where the line's last header does carry a checked claim, keys may just have changed their mind.
    private mutating func disprove(_ id: Bytes32, _ certified: UInt64, at now: Instant) {
        if var peer = peers[id] {
            peer.claim(
                lowest: peer.lowest, highest: min(peer.highest, attested.servedTip), certified: attested.head.number)
            peers[id] = peer
        }
        guard let last = lastOfSingle, attested.held(last)?.certificate != nil else {
            penalise(id, .notAttested(number: certified), at: now)
            return
        }
        peers.failed(id, at: now)
    }

    mutating func penalise(_ peer: Bytes32, _ reason: ChainNetworkError, at now: Instant) {
        directives.append(.penalise(peer: peer, reason: reason))
        peers.pause(peer, for: ChainNetworkLimits.liarPause, at: now)
    }
}

/// Peers serve later headers only than the one that is needed next.
public struct HeaderGap: Equatable, Sendable {
    /// Number of the header that is needed.
    public let wanted: UInt64
    /// Number of the lowest that any peer serves.
    public let lowest: UInt64
}
