import Discovery
import Primitives

/// How much of each bounded thing is in use.
public struct OverlayLoad: Hashable, Sendable {
    /// Requests for content of ours; those of others; offers of ours; those of others.
    public let requests, served, offers, inboundOffers: Int
    /// TALKREQs of ours without an answer yet, streams, lookups.
    public let talks, streams, lookups: Int
    /// Offers of ours that wait to be made once more.
    public let restingOffers: Int
    /// Bytes that accepted offers of others may have, as long as they are under way.
    public let inboundOfferBytes: Int
    /// Bytes of answers for others that are being made or read.
    public let answerBytes: Int
    /// Nodes on their way in, waiting for another visit, and with a standing.
    public let candidates, revisits, standings: Int
}

// What the floors above may know and say of peers.
extension Overlay {
    /// The network's peers, by id.
    public func peers(network id: NetworkID) -> [PeerInfo] {
        index(of: id).map { networks[$0].table.peers.map(info) } ?? []
    }

    /// How many peers the network has, and how many of them are kept.
    public func peerCount(network id: NetworkID) -> (all: Int, kept: Int) {
        index(of: id).map { (networks[$0].table.count, networks[$0].table.keptCount) } ?? (0, 0)
    }

    /// One peer of the network.
    public func peer(_ peer: Bytes32, network id: NetworkID) -> PeerInfo? {
        index(of: id).flatMap { networks[$0].table[peer] }.map(info)
    }

    /// Up to `limit` peers of the network nearest to `target`, nearest first.
    public func closest(to target: Bytes32, network id: NetworkID, limit: Int) -> [PeerInfo] {
        index(of: id).map { networks[$0].table.closest(to: target, limit: limit).map(info) } ?? []
    }

    /// Peers of the network whose radius, as they last told it, covers `position`, nearest to it first.
    public func covering(_ position: Bytes32, network id: NetworkID, limit: Int) -> [PeerInfo] {
        guard let network = index(of: id) else { return [] }
        let able = networks[network].table.peers.filter { ($0.id ^ position) <= $0.radius.big }
        return able.sorted { ($0.id ^ position) < ($1.id ^ position) }.prefix(limit).map(info)
    }

    /// Records of the network's peers nearest to `target`, nearest first, for an asker that gets no content from us.
    public func closestRecords(to target: Bytes32, network id: NetworkID, besides asker: Bytes32) -> [NodeRecord] {
        closest(to: target, network: id, limit: OverlayLimits.records + 1).map(\.record).filter { $0.id != asker }
    }

    /// The one of `candidates` to ask for about `bytes` of the network's content: mostly the one that should be the
    /// quickest by the time to an answer, throughput, failure rate and `load` (requests of ours it has to answer
    /// besides), for a share of the choices (`OverlayLimits.explorationShare`) the one that was not chosen for longest;
    /// one that mostly fails only once a minute. Of equals chance decides. Banned ones are out; nil where none is left.
    public mutating func choose(
        network id: NetworkID, among candidates: [(id: Bytes32, load: Int)], bytes: Int, at now: Instant
    ) -> Bytes32? {
        let able = candidates.filter { !book.isBanned($0.id, at: now) }.sorted { $0.id < $1.id }
        guard !able.isEmpty, let network = index(of: id) else { return nil }
        let explores = Double(generator.next() >> 11) * 0x1p-53 < OverlayLimits.explorationShare
        let explored = explores ? able.filter { isWorthATry($0.id, network, at: now) } : []
        let costs: [(id: Bytes32, cost: Double)] =
            explored.isEmpty
            ? able.map { candidate in
                let standing = book.standing(of: candidate.id) ?? PeerStanding()
                let cost = standing.expectedSeconds(for: bytes, load: candidate.load, network: network)
                return (candidate.id, cost)
            }
            : explored.map { ($0.id, Double(book.chosenAt($0.id).microseconds)) }
        let least = costs.map(\.cost).min() ?? 0
        let best = costs.filter { $0.cost == least }
        let chosen = best[Int(generator.next() % UInt64(best.count))].id
        book.chosen(chosen, at: now)
        return chosen
    }

    private func isWorthATry(_ id: Bytes32, _ network: Int, at now: Instant) -> Bool {
        let rate = book.standing(of: id)?.window(network).rate ?? 0
        guard rate > OverlayLimits.failingRate else { return true }
        return now - book.chosenAt(id) >= OverlayLimits.failingGap
    }

    /// How a node behaved so far; nil for one never dealt with.
    public func standing(of peer: Bytes32) -> PeerStanding? { book.standing(of: peer) }

    /// Bytes of content exchanged with a node on a network since the start.
    public func traffic(with peer: Bytes32, network id: NetworkID) -> PeerTraffic {
        index(of: id).map { book.traffic(of: peer, network: $0) } ?? PeerTraffic()
    }

    /// The radius that a peer's extension payload names, which only the network above can read.
    public mutating func noteRadius(_ radius: UInt256, network id: NetworkID, peer: Bytes32) {
        guard let network = index(of: id) else { return }
        networks[network].table[peer]?.radius = radius
    }

    /// What a peer's content turned out to be worth.
    public mutating func judge(_ peer: Bytes32, _ verdict: PeerVerdict, at now: Instant) {
        clock = now
        switch verdict {
        case .useful: book.reward(peer, points: OverlayLimits.usefulPoints, at: now)
        case .unhelpful: punish(peer, points: OverlayLimits.unhelpfulPoints)
        case .lie: punish(peer, points: OverlayLimits.liePoints)
        }
    }

    /// How much of each bounded thing is in use.
    public var load: OverlayLoad {
        OverlayLoad(
            requests: requests.count, served: served.count, offers: offers.count, inboundOffers: inboundOffers.count,
            talks: talks.count, streams: streams.count, lookups: lookups.count,
            restingOffers: restingOffers.count, inboundOfferBytes: inboundOffers.bytes, answerBytes: answers.bytes,
            candidates: networks.reduce(0) { $0 + $1.waiting.count + $1.visiting.count },
            revisits: networks.reduce(0) { $0 + $1.revisits.count }, standings: book.count)
    }
}
