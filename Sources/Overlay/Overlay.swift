import Discovery
import Primitives
import UTP

// Overlay: the Portal wire, version 2, of one node for several sub-networks at once.
//
// Terms. A *network* is a sub-network of the Portal kind, named by the two bytes that its messages bear as protocol id.
// A *peer* is a node whose record's `p` entry names our chain and a version we speak, and which has answered a PING on
// a network and is pinged there from then on: because it has a place in the *routing table*, or because the network
// above *keeps* it. A *candidate* is a node on its way in. A *standing* is what is known of a node's behaviour,
// over all networks. An *exchange* is a request with all that follows from it, its stream too.
//
//     datagrams ─▶ Discovery ─┬─ TALKREQ "utp" ─────────▶ UTP ──▶ streams
//                             ├─ TALKREQ of a network ──▶ PING FIND_NODES FIND_CONTENT OFFER ──▶ directives
//                             ├─ TALKRESP of ours ──────▶ the exchange that waits for it
//                             └─ nodes seen ────────────▶ candidates ──PING──▶ table
//
// Phases of an exchange. Ours: asked → (stream) → one directive. A peer's: token waits → answered inline, or stream
// promised → stream → over. Each is an entry of a `SlotTable` from its first to its last moment and has a timer;
// removing the entry is the only way to end it, so a slot can neither be lost nor be given back twice. Streams are
// entries of one dictionary that says whose they are; what arrives for a stream or a request that is over is ignored.
//
// Invariants.
// - Every `findContent`, `offer` and `lookup` ends in exactly one directive (a cancelled one in none). Every accepted
//   inbound offer ends in `offerReceived` or `offerBroken`.
// - Nobody becomes a peer unanswered, on another chain, or banned. Whoever is one no more is named by `peerLost`.
// - The routing table is Kademlia's, whoever is kept: who stands in it does not depend on what the network above wants.
// - Whatever a peer can make grow has a bound in `OverlayLimits`.
// - Directives come in the order of their causes; no dictionary order reaches the outside, so a run replays.
//
// The machine works in `drain`: the others only take events in. So a shell that hands over a batch of datagrams before
// it drains makes the streams answer with one ack for all of them.
//
// Why one machine for all networks, and not one each: they share sessions, streams, standings and the bounds on them; a
// peer that lies on one network is no better on the other.

/// The Portal wire of one node, all its sub-networks, as one machine.
public struct Overlay: Sendable {
    /// Names one request for content of ours.
    public struct RequestID: Hashable, Comparable, Sendable {
        /// Unique in this machine, ascending.
        public let value: UInt64
        public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    }

    /// Names one offer of ours; it may take several OFFER messages.
    public struct OfferID: Hashable, Comparable, Sendable {
        /// Unique in this machine, ascending.
        public let value: UInt64
        public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    }

    /// Names one lookup of ours.
    public struct LookupID: Hashable, Comparable, Sendable {
        /// Unique in this machine, ascending.
        public let value: UInt64
        public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    }

    /// Says which request for content is answered. It expires by itself; answering late is ignored.
    public struct ContentToken: Hashable, Sendable {
        let value: UInt64
    }

    /// Says which offer is decided. It expires by itself (300 ms); deciding late is ignored.
    public struct OfferToken: Hashable, Sendable {
        let value: UInt64
    }

    /// What the world is to do, or to know, in the order in which it came about.
    public enum Directive: Sendable {
        case send([UInt8], to: Endpoint)
        /// A peer asks for content: `answer` it with the token. After 200 ms the answer goes by stream in any case.
        case contentRequested(NetworkID, from: NodeAddress, key: [UInt8], ContentToken)
        /// The one end of a `findContent`.
        case contentAnswered(RequestID, Result<ContentAnswer, OverlayError>, ExchangeReport)
        /// A peer offers items: `respond` with a code for each key, within 300 ms.
        case offered(NetworkID, from: NodeAddress, keys: [[UInt8]], OfferToken)
        /// The accepted items of an offer arrived, all of them, in the order of their keys.
        case offerReceived(NetworkID, from: NodeAddress, items: [ContentItem])
        /// Keys that were accepted will not come: the one other end of an accepted offer.
        case offerBroken(NetworkID, from: NodeAddress, keys: [[UInt8]], OverlayError)
        /// The one end of an `offer`: a code for each item, in order.
        case offerFinished(OfferID, Result<[AcceptCode], OverlayError>)
        /// A node became a peer of the network, or what it says of itself has changed.
        case peerUpdated(NetworkID, PeerInfo)
        /// A node answered its first PING, and the routing table has no place for it: `keep` makes it a peer.
        case peerMet(NetworkID, PeerInfo)
        /// A node is no peer of the network any more, or did not answer when it was to be met.
        case peerLost(NetworkID, Bytes32)
        /// The one end of a `lookup`.
        case lookupFinished(LookupID, LookupResult)
        /// Enough others see us at this address.
        case addressVoted(Endpoint)
        /// Strangers reach us at the address that the record got from others; or none did, and it left the record.
        case addressChecked(Endpoint, isReachable: Bool)
    }

    /// A TALKREQ of ours that waits for its answer.
    struct Talk: Sendable {
        enum Purpose: Sendable {
            case ping(type: UInt16)
            case findNodes(Query)
            case content(UInt64)
            case offer(UInt64)
        }

        let network: Int
        let contact: Contact
        let purpose: Purpose
        let sentAt: Instant
        /// Whether a session stood, so that the answer's time is a round trip.
        let hadSession: Bool
    }

    /// Whose a stream is.
    enum StreamOwner: Sendable {
        case request(UInt64)
        case served(UInt64)
        case offer(UInt64)
        case inboundOffer(UInt64)
    }

    enum Timer: Sendable {
        case ping(network: Int, peer: Bytes32)
        case revisit(network: Int)
        case refresh(network: Int)
        case requestDeadline(UInt64)
        case promiseContent(UInt64)
        case serveDeadline(UInt64)
        case relieveAnswers
        case offerDeadline(UInt64)
        case decideOffer(UInt64)
        case inboundOfferDeadline(UInt64)
        case offerAgain(UInt64)
    }

    /// Counts since the start.
    public internal(set) var statistics = OverlayStatistics()
    /// As it was given.
    public let configuration: OverlayConfiguration
    var discovery: Discovery
    var utp: UTP
    var generator: SeededGenerator
    /// The time of the last event.
    var clock = Instant.zero
    var directives: [Directive] = []
    var timers = TimerQueue<Timer>()
    var lastID: UInt64 = 0

    var networks: [NetworkState]
    var book: PeerBook
    var bootNodes: Set<Bytes32> = []
    var talks: [TalkID: Talk] = [:]
    var streams: [StreamID: StreamOwner] = [:]
    var lookups: [UInt64: Lookup] = [:]
    var requests = SlotTable<ContentRequest>(
        limit: OverlayLimits.contentRequests, perPeer: OverlayLimits.contentRequestsPerPeer)
    var served = SlotTable<ServedContent>(
        limit: OverlayLimits.servedContents, perPeer: OverlayLimits.servedContentsPerPeer)
    var answers = AnswerBudget()
    /// Whether the timer runs that looks for slow readers.
    var isReliefDue = false
    var offers = SlotTable<Offer>(limit: OverlayLimits.offers, perPeer: OverlayLimits.offersPerPeer)
    /// Offers that wait to be made once more.
    var restingOffers = SlotTable<Offer>(
        limit: OverlayLimits.restingOffers, perPeer: OverlayLimits.restingOffersPerPeer)
    var inboundOffers = SlotTable<InboundOffer>(
        limit: OverlayLimits.inboundOffers, perPeer: OverlayLimits.inboundOffersPerPeer,
        bytes: OverlayLimits.inboundOfferBytes, bytesPerPeer: OverlayLimits.inboundOfferBytesPerPeer)

    /// Throws where the local record cannot be made.
    public init(
        key: IdentityKey, configuration: OverlayConfiguration, entropy: Entropy
    ) throws(DiscoveryError) {
        self.configuration = configuration
        var entropy = entropy
        var fields = NodeRecordFields(sequence: configuration.recordSequence)
        if let endpoint = configuration.endpoint { fields.set(endpoint: endpoint) }
        fields.set(
            portal: NodeRecord.PortalEntry(
                lowestVersion: configuration.versions.lowerBound, highestVersion: configuration.versions.upperBound,
                chainID: configuration.chainID))
        let record: NodeRecord
        do throws(NodeRecordError) { record = try fields.signed(by: key) } catch { throw .record(error) }
        var below = configuration.discovery
        below.talkProtocols = configuration.networks.map(\.id.bytes) + [Overlay.utpProtocol]
        discovery = try Discovery(
            key: key, record: record, configuration: below, entropy: Entropy(seed: entropy.bytes32()))
        var transport = UTPConfiguration()
        transport.streamsPerPeer = OverlayLimits.streamsPerPeer
        utp = UTP(configuration: transport, entropy: Entropy(seed: entropy.bytes32()))
        generator = entropy.generator()
        networks = configuration.networks.map {
            NetworkState($0, local: record.id, limitsSubnets: configuration.limitsSubnets)
        }
        book = PeerBook(networks: networks.count)
        for network in networks.indices { timers.add(.refresh(network: network), at: .zero) }
    }

    /// The protocol id of uTP packets.
    static let utpProtocol = Array("utp".utf8)

    /// The record we are found by.
    public var localRecord: NodeRecord { discovery.localRecord }

    /// When `advance(to:)` is next due; events already taken in are worked off by `drain`.
    public var nextDeadline: Instant? {
        // Asked after every batch: without an array.
        Overlay.earlier(timers.earliest, Overlay.earlier(discovery.nextDeadline, utp.nextDeadline))
    }

    private static func earlier(_ a: Instant?, _ b: Instant?) -> Instant? {
        guard let a, let b else { return a ?? b }
        return min(a, b)
    }

    /// Fires everything that is due at `now`.
    public mutating func advance(to now: Instant) {
        // Most calls come when nothing is due; what came in waits for `drain`, so that a batch gets one ack.
        guard let deadline = nextDeadline, deadline <= now else { return }
        clock = now
        discovery.advance(to: now)
        utp.advance(to: now)
        pump()
        while let timer = timers.next(due: now) {
            fire(timer)
            pump()
        }
    }

    /// Nodes to begin from. They are never given up.
    public mutating func addBootNodes(_ records: [NodeRecord], at now: Instant) {
        clock = now
        discovery.addBootNodes(records, at: now)
        for record in records {
            bootNodes.insert(record.id)
            for network in networks.indices { consider(record, .met(nil), network: network) }
        }
    }

    /// Nodes of an earlier run; each is tried once.
    public mutating func addKnownNodes(_ records: [NodeRecord], at now: Instant) {
        clock = now
        discovery.addKnownNodes(records, at: now)
    }

    /// Up to `limit` nodes that answer, with the time of their last answer, the newest first.
    public func knownNodes(limit: Int) -> [(record: NodeRecord, lastAnswer: Instant)] {
        discovery.knownNodes(limit: limit)
    }

    func index(of network: NetworkID) -> Int? { networks.firstIndex { $0.configuration.id == network } }

    mutating func nextID() -> UInt64 {
        lastID += 1
        return lastID
    }
}
