import Chain
import Overlay
import Primitives
import StateContent
import StateNetwork

// A visitor's question, carried to the wire and back.
extension CarouselNode {
    /// Asks the ring; ends in one report, `answered` or `unanswered`. `block`: the first block of an epoch; nil: of the
    /// newest that is served.
    mutating func ask(_ question: StateQuestion, block: UInt64?, at now: Instant) {
        query = RingQuery(question, block: block, at: now)
    }

    /// Asks what is to be asked now.
    mutating func advanceQuery(at moment: Moment) {
        guard var query, query.outcome == nil else { return }
        let asks = asks(of: &query, at: moment)
        self.query = query
        for ask in asks {
            let key = ask.need.key
            let id = overlay.findContent(
                network: .state, peer: ask.peer, key: key.encoded,
                limit: key.askedBytes(sectionDepth: configuration.network.sectionDepth),
                timeout: NodeLimits.queryTimeout, at: moment.instant)
            requests[id] = .query(ask)
        }
        tellOutcome()
    }

    /// What a query asks for now, by what can be seen here; what it sees is let go before anything is sent.
    private func asks(of query: inout RingQuery, at moment: Moment) -> [RingQuery.Ask] {
        let headers = chain.attested
        let sight = RingQuery.Sight(
            network: configuration.network, role: configuration.role, peers: state.holders.peers,
            roundTrip: { overlay.peer($0, network: .state)?.standing.roundTrip },
            near: { overlay.closest(to: $0, network: .state, limit: NodeLimits.queryNeighbours).map(\.id) })
        let limit = configuration.network.rule.maxAgeSeconds
        let age = Standing.headAge(self, at: moment) ?? 0
        query.advance(
            headers, peers: overlay.peerCount(network: .state).all,
            stale: headers.isStale(at: moment.unixSeconds) ? (age, limit) : nil, at: moment.instant)
        return query.asks(sight, headers, at: moment.instant)
    }

    /// A peer that was asked has given something, or will not.
    mutating func answered(
        _ ask: RingQuery.Ask, _ result: Result<ContentAnswer, OverlayError>, at now: Instant
    ) {
        guard let lie = query?.answered(ask, RingReply(result), chain.attested, at: now) else { return tellOutcome() }
        log(.warning, "peer \(ask.peer.short) sent an answer that does not hold: \(lie)")
        overlay.judge(ask.peer, .lie, at: now)
    }

    private mutating func tellOutcome() {
        guard let outcome = query?.outcome else { return }
        query = nil
        switch outcome {
        case .success(let answer): report(.answered(answer))
        case .failure(let failure): report(.unanswered(failure))
        }
    }
}
