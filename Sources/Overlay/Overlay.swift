import Discovery
import Primitives
import UTP

/// The Portal wire of one node, all its sub-networks, as one machine.
public struct Overlay: Sendable {
    /// Names one request for content of ours.
    public struct RequestID: Hashable, Comparable, Sendable {
        public let value: UInt64
        public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    }

    /// Names one offer of ours; it may take several OFFER messages.
    public struct OfferID: Hashable, Comparable, Sendable {
        public let value: UInt64
        public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    }

    /// Names one lookup of ours.
    public struct LookupID: Hashable, Comparable, Sendable {
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
        /// A peer asks for content: `answer` it with the token, within two minutes.
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
        /// A peer entered the network's table, or what it says of itself has changed.
        case peerUpdated(NetworkID, PeerInfo)
        /// A peer left the network's table.
        case peerLost(NetworkID, Bytes32)
        /// The nodes nearest to the target that answered, nearest first.
        case lookupFinished(LookupID, [NodeRecord])
        /// Our address as others see it was adopted into our record.
        case addressVoted(Endpoint)
    }

    public let configuration: OverlayConfiguration
    var discovery: Discovery
    var utp: UTP
    var directives: [Directive] = []

    /// Throws where the record cannot be made.
    public init(
        key: IdentityKey, configuration: OverlayConfiguration, entropy: Entropy
    ) throws(DiscoveryError) {
        self.configuration = configuration
        var entropy = entropy
        var fields = NodeRecordFields(sequence: configuration.recordSequence)
        if let endpoint = configuration.endpoint { fields.set(endpoint: endpoint) }
        let record: NodeRecord
        do throws(NodeRecordError) { record = try fields.signed(by: key) } catch { throw .record(error) }
        discovery = try Discovery(
            key: key, record: record, configuration: configuration.discovery,
            entropy: Entropy(seed: entropy.bytes32()))
        utp = UTP(entropy: Entropy(seed: entropy.bytes32()))
    }

    /// The record we are found by.
    public var localRecord: NodeRecord { discovery.localRecord }

    /// When `advance(to:)` is next due.
    public var nextDeadline: Instant? { nil }

    /// Fires everything that is due at `now`.
    public mutating func advance(to now: Instant) {}

    /// Takes the directives that have come about.
    public mutating func drain() -> [Directive] {
        defer { directives = [] }
        return directives
    }

    /// Handles a datagram that came from `source`.
    public mutating func receive(_ datagram: [UInt8], from source: Endpoint, at now: Instant) {}

    /// Nodes to begin from.
    public mutating func addBootNodes(_ records: [NodeRecord], at now: Instant) {}

    /// What our PING and PONG carry: the radius in type 0 and 1, `extensionPayload` in the network's own type. When one
    /// of them changes, peers are pinged at the next chance, each at most once in 5 s.
    public mutating func setLocal(
        network: NetworkID, radius: UInt256, extensionPayload: [UInt8]?, at now: Instant
    ) {}

    /// Pings a peer out of turn.
    public mutating func ping(network: NetworkID, peer: Bytes32, at now: Instant) {}

    /// The peers in the network's table, by id.
    public func peers(network: NetworkID) -> [PeerInfo] { [] }

    /// One peer of the network's table.
    public func peer(_ id: Bytes32, network: NetworkID) -> PeerInfo? { nil }

    /// How a node behaved so far; nil for one never met.
    public func standing(of id: Bytes32) -> PeerStanding? { nil }

    /// The radius that a peer's extension payload names, which only the network above can read.
    public mutating func noteRadius(_ radius: UInt256, network: NetworkID, peer: Bytes32) {}

    /// What a peer's content turned out to be worth.
    public mutating func judge(_ peer: Bytes32, _ verdict: PeerVerdict, at now: Instant) {}

    /// Bytes of content exchanged with a peer on a network since the start.
    public func traffic(with peer: Bytes32, network: NetworkID) -> PeerTraffic { PeerTraffic() }

    /// Asks `peer` for the content of `key`, at most `limit` bytes of it; `timeout` covers the exchange and its stream.
    public mutating func findContent(
        network: NetworkID, peer: Bytes32, key: [UInt8], limit: Int, timeout: Interval, at now: Instant
    ) -> RequestID { RequestID(value: 0) }

    /// Gives a request of ours up; there will be no `contentAnswered`.
    public mutating func cancel(_ request: RequestID, at now: Instant) {}

    /// Answers a request for content: inline, or by a stream, as the size demands.
    public mutating func answer(_ token: ContentToken, _ answer: ContentAnswer, at now: Instant) {}

    /// Offers items to a peer.
    public mutating func offer(
        network: NetworkID, peer: Bytes32, items: [ContentItem], at now: Instant
    ) -> OfferID { OfferID(value: 0) }

    /// Decides an offer: one code for each key of it.
    public mutating func respond(toOffer token: OfferToken, codes: [AcceptCode], at now: Instant) {}

    /// Looks for the nodes of the network nearest to `target`.
    public mutating func lookup(network: NetworkID, target: Bytes32, at now: Instant) -> LookupID {
        LookupID(value: 0)
    }
}
