import Discovery
import Primitives

// What the floors above ask of the overlay: each verb names its network and goes to the part that it concerns.
extension Overlay {
    // MARK: Content

    /// Asks `peer` (of the table, or any node whose record is known) for the content of `key`, at most `limit` bytes of
    /// it. `timeout` covers the whole exchange, its stream too. Ends in one `contentAnswered`.
    public mutating func findContent(
        network id: NetworkID, peer: Bytes32, key: [UInt8], limit: Int, timeout: Interval, at now: Instant
    ) -> RequestID {
        wire.clock = now
        guard let network = index(of: id) else {
            let number = wire.nextID()
            ContentRequests.refuse(number, .unknownNetwork, of: peer, on: id, through: &wire)
            return RequestID(value: number)
        }
        let number = requests.find(
            key, of: peer, limit: limit, timeout: timeout, on: networks[network], through: &wire)
        return RequestID(value: number)
    }

    /// Gives a request of ours up; there will be no `contentAnswered`.
    public mutating func cancel(_ request: RequestID, at now: Instant) {
        wire.clock = now
        requests.cancel(request.value, through: &wire)
    }

    /// Answers a request for content: inline, or by a stream, as the size demands.
    public mutating func answer(_ token: ContentToken, _ answer: ContentAnswer, at now: Instant) {
        wire.clock = now
        guard let network = served.network(of: token.value) else { return }
        served.answer(token.value, answer, on: networks[network], through: &wire)
    }

    /// Offers items to a peer, in as many OFFERs as they need, one after the other. Ends in one `offerFinished`.
    public mutating func offer(
        network id: NetworkID, peer: Bytes32, items: [ContentItem], at now: Instant
    ) -> OfferID {
        wire.clock = now
        guard let network = index(of: id) else {
            let number = wire.nextID()
            Offers.refuse(number, .unknownNetwork, through: &wire)
            return OfferID(value: number)
        }
        return OfferID(value: offers.offer(items, to: peer, on: networks[network], through: &wire))
    }

    /// Decides an offer: one code for each key of it, or else it is declined. Ignored when it comes too late; then no
    /// items come, as after a decline. The accepted items may have `limit` bytes in all; where that is more than is
    /// left of what all offers, or this peer's, may have at once, they are answered with code 4, and the offer ends in
    /// `offerBroken` here.
    public mutating func respond(
        toOffer token: OfferToken, codes: [AcceptCode], limit: Int = OverlayLimits.offerStreamBytes, at now: Instant
    ) {
        wire.clock = now
        inboundOffers.decide(token.value, codes, limit: limit, through: &wire)
    }

    // MARK: Peers

    /// Looks for the nodes of the network nearest to `target`, a position of its content: asks the `width` nearest for
    /// those they know, and none of `avoided`. Ends in one `lookupFinished`.
    public mutating func lookup(
        network id: NetworkID, target: Bytes32, width: Int = OverlayLimits.bucketSize,
        avoiding avoided: Set<Bytes32> = [], at now: Instant
    ) -> LookupID {
        wire.clock = now
        let number = wire.nextID()
        let hasBegun = index(of: id).map { network in
            let lookup = NetworkLookup(
                network: network, target: target, isReported: true, width: width, avoided: avoided,
                limitsSubnets: configuration.limitsSubnets)
            return lookups.begin(lookup, number, on: networks[network], through: &wire)
        }
        let id = LookupID(value: number)
        if hasBegun != true { wire.directives.append(.lookupFinished(id, LookupResult(nodes: [], queries: 0))) }
        return id
    }

    /// Meets nodes that the network above looks for, before all others: each is pinged, room for it or not, and ends in
    /// `peerUpdated`, `peerMet` or `peerLost`. Peers are left out.
    public mutating func meet(network id: NetworkID, _ records: [NodeRecord], at now: Instant) {
        wire.clock = now
        if let network = index(of: id) { networks[network].meet(records, through: &wire) }
    }

    /// Makes a node that was met a peer, and has a peer pinged as often as those that are of use: every
    /// `keptPingInterval`, and soon after what we say of ourselves has changed. False where that cannot be.
    @discardableResult
    public mutating func keep(network id: NetworkID, peer: Bytes32, at now: Instant) -> Bool {
        wire.clock = now
        return index(of: id).map { networks[$0].keep(peer, through: &wire) } ?? false
    }

    /// Takes `keep` back. A node without a place in the routing table is no peer from then on.
    public mutating func release(network id: NetworkID, peer: Bytes32, at now: Instant) {
        wire.clock = now
        if let network = index(of: id) { networks[network].release(peer, through: &wire) }
    }

    /// What our PING and PONG carry: the radius in type 0 and 1, `extensionPayload` (at most 700 bytes) in the
    /// network's own type. When one of them changes, kept peers are pinged at the next chance, each at most once in
    /// 5 s; all peers and at once where the news `isUrgent`; those that are `eager` for any at most once in a second.
    /// False for a network or payload that cannot be.
    @discardableResult
    public mutating func setLocal(
        network id: NetworkID, radius: UInt256, extensionPayload: [UInt8]?, isUrgent: Bool = false,
        eager: [Bytes32] = [],
        at now: Instant
    ) -> Bool {
        wire.clock = now
        guard let network = index(of: id) else { return false }
        return networks[network].setLocal(
            radius: radius, extensionPayload: extensionPayload, isUrgent: isUrgent, eager: eager, through: &wire)
    }

    /// Pings a peer out of turn.
    public mutating func ping(network id: NetworkID, peer: Bytes32, at now: Instant) {
        wire.clock = now
        if let network = index(of: id) { networks[network].ping(peer, through: &wire) }
    }

    /// The radius that a peer's extension payload names, which only the network above can read.
    public mutating func noteRadius(_ radius: UInt256, network id: NetworkID, peer: Bytes32) {
        if let network = index(of: id) { networks[network].noteRadius(radius, of: peer) }
    }

    /// The one of `candidates` to ask for about `bytes` of the network's content: mostly the one that should be the
    /// quickest by the time to an answer, throughput, failure rate, `load` (requests of ours it has to answer besides)
    /// and how long it has owed an answer already; for a share of the choices (`OverlayLimits.explorationShare`) the
    /// one that was not chosen for longest; one that mostly fails only once a minute. Of equals one goes first that
    /// does not share a network prefix with another that has something to answer, and chance decides. Banned ones are
    /// out; nil where none is left.
    public mutating func choose(
        network id: NetworkID, among candidates: [AskCandidate], bytes: Int, at now: Instant
    ) -> Bytes32? {
        guard let network = index(of: id) else { return nil }
        return wire.book.choose(
            among: candidates, network: network, bytes: bytes, using: &wire.generator, at: now)
    }

    /// What a peer's content turned out to be worth.
    public mutating func judge(_ peer: Bytes32, _ verdict: PeerVerdict, at now: Instant) {
        wire.clock = now
        switch verdict {
        case .useful: wire.book.reward(peer, points: OverlayLimits.usefulPoints, at: now)
        case .unhelpful: wire.punish(peer, points: OverlayLimits.unhelpfulPoints)
        case .lie: wire.punish(peer, points: OverlayLimits.liePoints)
        }
        settle()
    }
}
