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
// Parts, each a value with its own rules. `PortalWire`: requests and streams, and the book of how peers behave; all the
// others work through it, and it is lent to them with each call. `Subnetwork`: the peers of one network, PING and PONG.
// `NetworkLookups`: FIND_NODES. `ContentRequests` and `ContentServer`: FIND_CONTENT, ours and those of others. `Offers`
// and `InboundOffers`: OFFER, the same. This file passes what comes in to the part it concerns. What a part finds out
// that the networks' tables must hear of is a *finding*, passed on when the part is done.
//
// Phases of an exchange. Ours: asked → (stream) → one directive. A peer's: token waits → answered inline, or stream
// promised → stream → over. Each is an entry of a `SlotTable` from its first to its last moment and has a deadline;
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
public struct Overlay: Machine {
    /// What can happen to it. What is asked of it, and has a result at once, is a method of its own.
    public enum Event: Sendable {
        /// A datagram came from there.
        case received([UInt8], from: Endpoint)
        /// The system would not send there: what waits goes to the node's other address, if it has one.
        case unsent(to: [Endpoint])
        /// Nodes to begin from. They are never given up.
        case bootNodes([NodeRecord])
        /// Nodes of an earlier run; each is tried once.
        case knownNodes([NodeRecord])
    }

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
        /// A peer answered these keys of an offer of ours with code 1, as it answers what it does not know. Comes with
        /// its ACCEPT, before the offer ends.
        case offerDeclined(NetworkID, by: Bytes32, keys: [[UInt8]])
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

    var wire: PortalWire
    var networks: [Subnetwork]
    var lookups = NetworkLookups()
    var requests = ContentRequests()
    var served = ContentServer()
    var offers = Offers()
    var inboundOffers = InboundOffers()

    /// Throws where the local record cannot be made.
    public init(
        key: IdentityKey, configuration: OverlayConfiguration, entropy: Entropy
    ) throws(DiscoveryError) {
        wire = try PortalWire(key: key, configuration: configuration, entropy: entropy)
        let local = wire.localRecord.id
        networks = configuration.networks.indices.map { Subnetwork(configuration, index: $0, local: local) }
        for network in networks.indices { wire.deadlines.add(.refresh(network: network), at: .zero) }
    }

    /// Counts since the start.
    public var statistics: OverlayStatistics { wire.statistics }
    /// As it was given.
    public var configuration: OverlayConfiguration { wire.configuration }
    /// The record we are found by.
    public var localRecord: NodeRecord { wire.localRecord }

    func index(of network: NetworkID) -> Int? { networks.firstIndex { $0.profile.id == network } }

    // MARK: Events, time and directives

    /// Takes one event in.
    public mutating func handle(_ event: Event, at now: Instant) {
        wire.clock = now
        switch event {
        case .received(let datagram, let source):
            datagram.withUnsafeBytes { receive($0, from: source, at: now) }
        case .unsent(let endpoints):
            for endpoint in endpoints { wire.discovery.unsent(to: endpoint, at: now) }
            pump()
        case .bootNodes(let records):
            wire.discovery.addBootNodes(records, at: now)
            for record in records {
                for network in networks.indices { networks[network].addBootNode(record, through: &wire) }
            }
        case .knownNodes(let records):
            wire.discovery.addKnownNodes(records, at: now)
        }
    }

    /// Handles a datagram that came from `source` and lies somewhere else; it is not kept.
    public mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at now: Instant) {
        wire.receive(datagram, from: source, at: now)
    }

    /// When `advance(to:)` is next due; events already taken in are worked off by `drain`.
    public var nextDeadline: Instant? { wire.nextDeadline }

    /// Fires everything that is due at `now`.
    public mutating func advance(to now: Instant) {
        // Most calls come when nothing is due; what came in waits for `drain`, so that a batch gets one ack.
        guard let deadline = nextDeadline, deadline <= now else { return }
        wire.clock = now
        wire.discovery.advance(to: now)
        wire.utp.advance(to: now)
        pump()
        while let deadline = wire.deadlines.next(due: now) {
            act(on: deadline)
            pump()
        }
    }

    /// Works off what came in and takes the directives that have come about.
    public mutating func drain() -> [Directive] {
        drainDirectives() + drainDatagrams().map { .send($0.bytes, to: $0.to) }
    }

    /// The same without the datagrams of streams, which `swapDatagrams` takes.
    public mutating func drainDirectives() -> [Directive] {
        pump()
        guard !wire.directives.isEmpty else { return [] }
        defer { wire.directives = [] }
        return wire.directives
    }

    /// Gives the datagrams of streams away for an empty buffer.
    public mutating func swapDatagrams(_ empty: inout DatagramBuffer) { wire.discovery.swapDatagrams(&empty) }

    /// The datagrams of streams as values, for owners that want those.
    public mutating func drainDatagrams() -> [(bytes: [UInt8], to: Endpoint)] { wire.discovery.drainDatagrams() }

    // MARK: To the part it concerns

    /// Works until neither machine below has anything to say.
    private mutating func pump() {
        while true {
            settle()
            // Streams first: what they send may begin a handshake.
            let ended = wire.utp.drain(into: &wire.discovery)
            let below = wire.discovery.drainDirectives()
            if below.isEmpty && ended.isEmpty { return }
            for directive in below {
                handle(directive)
                settle()
            }
            for end in ended {
                handle(end)
                settle()
            }
        }
    }

    /// Tells the networks what the other parts have found out.
    mutating func settle() {
        while true {
            let findings = wire.takeFindings()
            if findings.isEmpty { return }
            for finding in findings {
                switch finding {
                case .record(let record, let notice, let network):
                    networks[network].consider(record, notice, through: &wire)
                case .wrongRadius(let peer, let network):
                    networks[network].askRadius(of: peer, through: &wire)
                case .lost(let peer):
                    for network in networks.indices { networks[network].drop(peer, through: &wire) }
                }
            }
        }
    }

    private mutating func handle(_ directive: Discovery.Directive) {
        switch directive {
        case .send(let datagram, let endpoint):
            wire.directives.append(.send(datagram, to: endpoint))
        case .talkRequested(let address, let name, let request, let token):
            asked(request, of: name, by: address, token)
        case .talkAnswered(let id, let result, let roundTrip):
            if let (talk, old) = wire.talk(answeredBy: id, after: roundTrip) {
                if let old { follow(talk, from: old) }
                answered(talk, PortalWire.read(result))
            }
        case .sessionEstablished(let address, let record):
            guard let record else { return }
            for network in networks.indices {
                networks[network].consider(record, .met(address.endpoint), through: &wire)
            }
        case .nodeSeen(let record):
            for network in networks.indices { networks[network].consider(record, .named, through: &wire) }
        case .addressVoted(let endpoint):
            wire.directives.append(.addressVoted(endpoint))
        case .addressChecked(let endpoint, let isReachable):
            wire.directives.append(.addressChecked(endpoint, isReachable: isReachable))
        case .lookupFinished, .nodeLost:
            // Its lookups serve its own table, and a peer's life is judged by its answers here.
            return
        }
    }

    /// A request of a peer's.
    private mutating func asked(
        _ request: [UInt8], of name: [UInt8], by address: NodeAddress, _ token: TalkToken
    ) {
        if name == PortalWire.utpProtocol {
            // No TALKRESP for it: nobody waits for one, and it would double the packets.
            wire.utp.receive(request, from: address, at: wire.clock)
            return
        }
        guard let id = NetworkID(bytes: name), let network = index(of: id) else { return wire.refuse(token) }
        guard wire.isWelcome(address) else {
            wire.statistics.strangersRefused += 1
            return wire.refuse(token)
        }
        switch Result(catching: { () throws(PortalMessageError) in try PortalMessage(decoding: request) }) {
        case .success(.ping(let sequence, let type, let payload)):
            guard wire.isInRate(address.id) else { return }
            wire.statistics.pingsAnswered += 1
            networks[network].pinged(
                by: address, recordSequence: sequence, type: type, payload, token, through: &wire)
        case .success(.findNodes(let distances)):
            guard wire.isInRate(address.id) else { return }
            wire.statistics.queriesAnswered += 1
            networks[network].nodesAsked(by: address, distances: distances, token, through: &wire)
        case .success(.findContent(let key)):
            served.asked(for: key, by: address, token, on: networks[network], through: &wire)
        case .success(.offer(let keys)):
            inboundOffers.offered(keys, by: address, token, on: networks[network].profile, through: &wire)
        case .success(.pong), .success(.nodes), .success(.content), .success(.accept), .failure:
            // An answer that nobody asked for, or what does not decode.
            wire.statistics.messagesRefused += 1
            wire.refuse(token)
            wire.breach(address.id)
        }
    }

    /// A request of ours was answered, or was not.
    private mutating func answered(_ talk: Talk, _ answer: Result<PortalMessage, OverlayError>) {
        let profile = networks[talk.network].profile
        switch talk.purpose {
        case .ping(let type):
            networks[talk.network].pingAnswered(talk, type: type, answer, through: &wire)
        case .findNodes(let query):
            if lookups.answered(talk, query, answer, as: profile, through: &wire) {
                networks[talk.network].recordFetched(talk.contact.record.id)
            }
        case .content(let number): requests.answered(number, answer, as: profile, through: &wire)
        case .offer(let number): offers.answered(number, answer, as: profile, through: &wire)
        }
    }

    /// A request was answered from the node's other address: what is still to come goes there.
    private mutating func follow(_ talk: Talk, from old: Contact) {
        for network in networks.indices { networks[network].follow(old, to: talk.contact) }
        switch talk.purpose {
        case .content(let number): requests.follow(number, to: talk.contact)
        case .offer(let number): offers.follow(number, to: talk.contact)
        case .ping, .findNodes: break
        }
    }

    private mutating func handle(_ end: UTP.StreamEnd) {
        switch end {
        case .received(let stream, let bytes): ended(stream, .success(bytes))
        case .sent(let stream): ended(stream, .success([]))
        case .failed(let stream, let error): ended(stream, .failure(error))
        }
    }

    private mutating func ended(_ stream: StreamID, _ result: Result<[UInt8], UTPError>) {
        switch wire.owner(ofEnded: stream) {
        case .request(let number): requests.streamEnded(number, result, through: &wire)
        case .served(let number): served.streamEnded(number, result, through: &wire)
        case .offer(let number): offers.streamEnded(number, stream, result, through: &wire)
        case .inboundOffer(let number): inboundOffers.streamEnded(number, result, through: &wire)
        case nil: return
        }
    }

    private mutating func act(on deadline: PortalWire.Deadline) {
        switch deadline {
        case .ping(let network, let peer): networks[network].pingDue(peer, through: &wire)
        case .revisit(let network): networks[network].revisit(through: &wire)
        case .refresh(let network): refresh(network)
        case .request(let number): requests.timedOut(number, through: &wire)
        case .promiseContent(let number):
            guard let network = served.network(of: number) else { return }
            served.promise(number, on: networks[network], through: &wire)
        case .serve(let number): served.timedOut(number, through: &wire)
        case .relieveAnswers: served.relieve(through: &wire)
        case .offer(let number): offers.timedOut(number, through: &wire)
        case .decideOffer(let number): inboundOffers.undecided(number, through: &wire)
        case .inboundOffer(let number): inboundOffers.timedOut(number, through: &wire)
        case .offerAgain(let number):
            guard let network = offers.network(of: number) else { return }
            offers.offerAgain(number, as: networks[network].profile, through: &wire)
        }
    }

    /// Looks for new nodes: of the network by a lookup, of Discovery by its table.
    private mutating func refresh(_ network: Int) {
        guard let target = networks[network].refresh(through: &wire) else { return }
        let lookup = NetworkLookup(
            network: network, target: target, isReported: false, limitsSubnets: configuration.limitsSubnets)
        _ = lookups.begin(lookup, wire.nextID(), on: networks[network], through: &wire)
    }
}
