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

// What the floors above may know of peers.
extension Overlay {
    /// The network's peers, by id.
    public func peers(network id: NetworkID) -> [PeerInfo] {
        index(of: id).map { networks[$0].table.peers.map(wire.book.info) } ?? []
    }

    /// How many peers the network has, and how many of them are kept.
    public func peerCount(network id: NetworkID) -> (all: Int, kept: Int) {
        index(of: id).map { (networks[$0].table.count, networks[$0].table.keptCount) } ?? (0, 0)
    }

    /// One peer of the network.
    public func peer(_ peer: Bytes32, network id: NetworkID) -> PeerInfo? {
        index(of: id).flatMap { networks[$0].table[peer] }.map(wire.book.info)
    }

    /// Up to `limit` peers of the network nearest to `target`, nearest first.
    public func closest(to target: Bytes32, network id: NetworkID, limit: Int) -> [PeerInfo] {
        guard let network = index(of: id) else { return [] }
        return networks[network].table.closest(to: target, limit: limit).compactMap { peer in
            networks[network].table.look(at: peer) { wire.book.info($0) }
        }
    }

    /// Records of the network's peers nearest to `target`, nearest first, for an asker that gets no content from us.
    public func closestRecords(to target: Bytes32, network id: NetworkID, besides asker: Bytes32) -> [NodeRecord] {
        guard let network = index(of: id) else { return [] }
        return networks[network].table.closest(to: target, limit: OverlayLimits.records + 1)
            .compactMap { $0 == asker ? nil : networks[network].table.contact(of: $0)?.record }
    }

    /// How a node behaved so far; nil for one never dealt with.
    public func standing(of peer: Bytes32) -> PeerStanding? { wire.book.standing(of: peer) }

    /// Nodes that are banned, each with the end of its ban, by id.
    public var bans: [(id: Bytes32, until: Instant)] { wire.book.bans(at: wire.clock) }

    /// Bytes of content exchanged with a node on a network since the start.
    public func traffic(with peer: Bytes32, network id: NetworkID) -> PeerTraffic {
        index(of: id).map { wire.book.traffic(of: peer, network: $0) } ?? PeerTraffic()
    }

    /// Up to `limit` nodes that answer, with the time of their last answer, the newest first.
    public func knownNodes(limit: Int) -> [(record: NodeRecord, lastAnswer: Instant)] {
        wire.discovery.knownNodes(limit: limit)
    }

    /// How each family of addresses fared that the socket speaks.
    public var familyReport: [(family: AddressFamilies, tally: FamilyTally)] { wire.discovery.familyReport }

    /// How much of each bounded thing is in use.
    public var load: OverlayLoad {
        OverlayLoad(
            requests: requests.count, served: served.count, offers: offers.count, inboundOffers: inboundOffers.count,
            talks: wire.talkCount, streams: wire.streamCount, lookups: lookups.count,
            restingOffers: offers.restingCount, inboundOfferBytes: inboundOffers.bytes,
            answerBytes: served.answerBytes, candidates: networks.reduce(0) { $0 + $1.visits.count },
            revisits: networks.reduce(0) { $0 + $1.visits.revisitCount }, standings: wire.book.count)
    }

    // MARK: Events, one by one

    /// The same as `receive` of bytes that lie somewhere else.
    public mutating func receive(_ datagram: [UInt8], from source: Endpoint, at now: Instant) {
        handle(.received(datagram, from: source), at: now)
    }

    /// Nodes to begin from. They are never given up.
    public mutating func addBootNodes(_ records: [NodeRecord], at now: Instant) { handle(.bootNodes(records), at: now) }

    /// Nodes of an earlier run; each is tried once.
    public mutating func addKnownNodes(_ records: [NodeRecord], at now: Instant) {
        handle(.knownNodes(records), at: now)
    }

    /// The system would not send to an address: what waits there goes to the node's other address, if it has one.
    public mutating func unsent(to endpoints: [Endpoint], at now: Instant) { handle(.unsent(to: endpoints), at: now) }
}
