import Chain
import Node
import Primitives

extension Scenario {
    /// What a run of a client came to.
    public struct Outcome: Sendable, Equatable {
        /// The client verified everything it holds at the last block's state root.
        public let reachedHead: Bool
        /// The anchors at which the client reported the whole state, with the root it recomputed.
        public let completions: [Completion]
        public let crossings: Int
        public let virtualSeconds: Int
        public let events: Int
        /// From the client's start to its first report of the whole state; nil where none came.
        public let wholeStateAfter: Interval?
        /// What the client sent and received, in bytes of UDP payload.
        public let traffic: World.Traffic
        /// From each holder's start to its first report of the whole arc, in the order of the holders; nil where none
        /// came.
        public let holdersFilledAfter: [Interval?]
        /// The same for two runs from one seed.
        public let logHash: Bytes32

        /// One report of a whole state.
        public struct Completion: Sendable, Equatable {
            public let anchor: Anchor
            public let root: Bytes32?
        }
    }

    /// Starts a client at `joining`, and runs until it stands at the last block or `limit` is reached.
    public mutating func runClient(joining: Instant, limit: Instant) throws -> (client: HostID, outcome: Outcome) {
        _ = world.run(until: joining)
        let client = try addWalker()
        let last = lastBlock.number
        let reached = world.run(until: limit) { $0.progress(client)?.verifiedHead == last }
        return (client, outcome(of: client, reachedHead: reached))
    }

    /// Runs until every holder has reported its whole arc, or `limit` is reached; whether all have.
    public mutating func fillHolders(limit: Instant) -> Bool {
        let count = holders.count
        // Nobody else is there yet who would report the whole of anything.
        return world.run(until: limit) { $0.completeCount >= count }
    }

    /// Starts a client now, and runs until it reports the whole state or `limit` is reached.
    public mutating func runClientToWholeState(limit: Instant) throws -> (client: HostID, outcome: Outcome) {
        let client = try addWalker()
        _ = world.run(until: limit) { $0.completion(of: client) != nil }
        let reached = world.progress(client)?.verifiedHead == lastBlock.number
        return (client, outcome(of: client, reachedHead: reached))
    }

    /// What a client's reports say so far.
    public func outcome(of client: HostID, reachedHead: Bool) -> Outcome {
        let completions = world.reports.compactMap { entry -> Outcome.Completion? in
            guard entry.host == client, case .complete(let anchor, let root) = entry.report else { return nil }
            return Outcome.Completion(anchor: anchor, root: root)
        }
        return Outcome(
            reachedHead: reachedHead, completions: completions,
            crossings: world.node(client)?.totals.crossingsWhileFetching ?? 0,
            virtualSeconds: Int(world.now.microseconds / 1_000_000), events: world.eventCount,
            wholeStateAfter: filledAfter(client), traffic: world.traffic(of: client),
            holdersFilledAfter: holders.map { filledAfter($0) }, logHash: world.logHash)
    }

    private func filledAfter(_ host: HostID) -> Interval? {
        guard let start = world.firstStart(of: host), let end = world.completion(of: host) else { return nil }
        return end - start
    }
}
