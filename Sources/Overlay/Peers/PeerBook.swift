import Primitives

/// The standing of nodes over all networks, and the bytes exchanged with each. It outlives tables and sessions, so that
/// a node that left and came back is still known for what it did.
struct PeerBook: Sendable {
    private struct Entry: Sendable {
        var standing = PeerStanding()
        /// By network, in the configuration's order.
        var traffic: [PeerTraffic]
        var lastUsed: Instant
        /// PING and FIND_NODES it may still send, as of `refilledAt`.
        var allowance = OverlayLimits.requestBurst
        var refilledAt = Instant.zero
        /// Failures of one stall are one failure: no second is counted before this.
        var nextFailureCounts = Instant.zero
        /// When it was last chosen among others.
        var chosenAt = Instant.zero
    }

    private var entries: [Bytes32: Entry] = [:]
    private let networks: Int

    init(networks: Int) { self.networks = networks }

    var count: Int { entries.count }

    func standing(of id: Bytes32) -> PeerStanding? { entries[id]?.standing }

    /// Requests that failed since the last success.
    func failuresInARow(of id: Bytes32) -> Int { entries[id]?.standing.failuresInARow ?? 0 }

    /// A peer of a network as the floors above see it.
    func info(_ peer: TablePeer) -> PeerInfo {
        PeerInfo(
            record: peer.contact.record, address: peer.contact.address, radius: peer.radius,
            capabilities: peer.capabilities, clientInfo: peer.clientInfo, lastExtension: peer.lastExtension,
            standing: standing(of: peer.id) ?? PeerStanding(), isKept: peer.isKept)
    }

    /// Nodes that are banned, by id.
    func bans(at now: Instant) -> [(id: Bytes32, until: Instant)] {
        entries.compactMap { id, entry in
            entry.standing.bannedUntil.flatMap { $0 > now ? (id: id, until: $0) : nil }
        }.sorted { $0.id < $1.id }
    }

    func isBanned(_ id: Bytes32, at now: Instant) -> Bool { entries[id]?.standing.isBanned(at: now) ?? false }

    func traffic(of id: Bytes32, network: Int) -> PeerTraffic { entries[id]?.traffic[network] ?? PeerTraffic() }

    mutating func count(
        _ bytes: Int, _ counter: WritableKeyPath<PeerTraffic, UInt64>, of id: Bytes32, network: Int, at now: Instant
    ) {
        update(id, at: now) { $0.traffic[network][keyPath: counter] += UInt64(max(bytes, 0)) }
    }

    /// An exchange went as it should. `network`: it was a request of ours for its content.
    mutating func succeeded(_ id: Bytes32, network: Int? = 0, at now: Instant) {
        update(id, at: now) { entry in
            entry.standing.score = min(entry.standing.score + 1, OverlayLimits.highestScore)
            entry.standing.failuresInARow = 0
            if let network { entry.standing.note(failed: false, network: network) }
        }
    }

    /// An exchange failed without anyone's lie. Being unreachable never leads to a ban. `silent`: not even an answer
    /// came.
    mutating func failed(_ id: Bytes32, silent: Bool, network: Int? = 0, at now: Instant) {
        update(id, at: now) { entry in
            let floor = min(entry.standing.score, PeerBook.failureFloor)
            entry.standing.score = max(entry.standing.score - 2, floor)
            if let network { entry.standing.note(failed: true, network: network) }
            guard silent, now >= entry.nextFailureCounts else { return }
            entry.standing.failuresInARow += 1
            entry.nextFailureCounts = now + PeerBook.stall
        }
    }

    /// An offer of the node's that was accepted has come, or never will.
    mutating func offerEnded(_ id: Bytes32, broken: Bool, at now: Instant) {
        update(id, at: now) { entry in
            entry.standing.offers.note(failed: broken)
        }
    }

    private static let failureFloor = -40.0
    private static let stall = Interval.milliseconds(400)

    /// Changes the score by `points`; true when that bans the node.
    mutating func punish(_ id: Bytes32, points: Double, at now: Instant) -> Bool {
        update(id, at: now) { entry in
            entry.standing.score -= points
            for network in entry.traffic.indices { entry.standing.note(failed: true, network: network) }
            guard entry.standing.score < OverlayLimits.banScore, !entry.standing.isBanned(at: now) else { return false }
            entry.standing.bannedUntil = now + OverlayLimits.banInterval
            // After the ban it is heard again, but the next lie is one too many.
            entry.standing.score = OverlayLimits.banScore / 2
            return true
        }
    }

    /// Takes one PING or FIND_NODES from the node's allowance; false where it has none left.
    mutating func admits(_ id: Bytes32, at now: Instant) -> Bool {
        update(id, at: now) { entry in
            let gained = (now - entry.refilledAt).seconds * OverlayLimits.requestRate
            entry.allowance = min(entry.allowance + gained, OverlayLimits.requestBurst)
            entry.refilledAt = now
            guard entry.allowance >= 1 else { return false }
            entry.allowance -= 1
            return true
        }
    }

    mutating func reward(_ id: Bytes32, points: Double, at now: Instant) {
        update(id, at: now) { $0.standing.score = min($0.standing.score + points, OverlayLimits.highestScore) }
    }

    /// `time`: which of its times this is a sample of.
    mutating func measured(
        _ sample: Interval, _ time: WritableKeyPath<PeerStanding, Interval?>, of id: Bytes32, at now: Instant
    ) {
        update(id, at: now) { entry in
            let old = entry.standing[keyPath: time].map { Double($0.microseconds) }
            let mean = PeerBook.weighted(old, Double(sample.microseconds))
            entry.standing[keyPath: time] = Interval(microseconds: UInt64(mean))
        }
    }

    mutating func measured(bytes: Int, in duration: Interval, of id: Bytes32, at now: Instant) {
        guard bytes >= OverlayLimits.throughputSampleBytes, duration > .zero else { return }
        update(id, at: now) { entry in
            entry.standing.throughput = PeerBook.weighted(entry.standing.throughput, Double(bytes) / duration.seconds)
        }
    }

    /// A quarter of the new sample, the whole of the first.
    private static func weighted(_ mean: Double?, _ sample: Double) -> Double {
        mean.map { $0 + (sample - $0) / 4 } ?? sample
    }

    // MARK: Choosing

    /// The one of `candidates` to ask on a network; see `Overlay.choose`.
    mutating func choose(
        among candidates: [AskCandidate], network: Int, bytes: Int, using generator: inout SeededGenerator,
        at now: Instant
    ) -> Bytes32? {
        let able = candidates.filter { !isBanned($0.id, at: now) }.sorted { $0.id < $1.id }
        guard !able.isEmpty else { return nil }
        let explores = Double(generator.next() >> 11) * 0x1p-53 < OverlayLimits.explorationShare
        let explored = explores ? able.filter { isWorthATry($0.id, network, at: now) } : []
        let costs: [(candidate: AskCandidate, cost: Double)] =
            explored.isEmpty
            ? able.map { candidate in
                let standing = standing(of: candidate.id) ?? PeerStanding()
                let cost = standing.expectedSeconds(for: bytes, load: candidate.load, network: network)
                return (candidate, cost + candidate.silentFor.seconds)
            }
            : explored.map { ($0, Double(chosenAt($0.id).microseconds)) }
        let least = costs.map(\.cost).min() ?? 0
        let equal = costs.filter { $0.cost == least }.map(\.candidate)
        let apart = equal.filter { !$0.sharesPrefix }
        let best = apart.isEmpty ? equal : apart
        let chosen = best[Int(generator.next() % UInt64(best.count))].id
        update(chosen, at: now) { $0.chosenAt = now }
        return chosen
    }

    private func isWorthATry(_ id: Bytes32, _ network: Int, at now: Instant) -> Bool {
        let rate = entries[id]?.standing.window(network).rate ?? 0
        guard rate > OverlayLimits.failingRate else { return true }
        return now - chosenAt(id) >= OverlayLimits.failingGap
    }

    /// When a node was last chosen among others; zero for never.
    private func chosenAt(_ id: Bytes32) -> Instant { entries[id]?.chosenAt ?? .zero }

    // MARK: Entries

    private mutating func update<Result>(
        _ id: Bytes32, at now: Instant, _ change: (inout Entry) -> Result
    ) -> Result {
        if entries[id] == nil && entries.count >= OverlayLimits.standings { makeRoom(at: now) }
        func changed(_ entry: inout Entry) -> Result {
            entry.lastUsed = now
            return change(&entry)
        }
        return changed(
            &entries[
                id,
                default: Entry(traffic: [PeerTraffic](repeating: PeerTraffic(), count: networks), lastUsed: now)])
    }

    /// Forgets an eighth: those longest unused, banned ones and those with traffic last.
    private mutating func makeRoom(at now: Instant) {
        let order = entries.map { id, entry in
            let weight =
                (entry.standing.isBanned(at: now) ? 2 : 0) + (entry.traffic.contains { $0.received > 0 } ? 1 : 0)
            return (weight: weight, lastUsed: entry.lastUsed, id: id)
        }.sorted { ($0.weight, $0.lastUsed, $0.id) < ($1.weight, $1.lastUsed, $1.id) }
        for old in order.prefix(OverlayLimits.standings / 8) { entries[old.id] = nil }
    }
}

extension PeerStanding {
    /// Notes how a request for content on a network went.
    mutating func note(failed: Bool, network: Int) {
        while windows.count <= network { windows.append(OutcomeWindow()) }
        windows[network].note(failed: failed)
    }
}
