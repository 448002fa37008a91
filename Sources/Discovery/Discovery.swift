import Primitives

// Discovery: who the other nodes are, where they are, and an encrypted way of asking them something (discv5.1).
//
// Terms. A *node record* (ENR) is what a node says of itself, signed by its *identity key*; the *node id*, its place on
// the ring, is the hash of that key. A *session* is a pair of keys shared with one node id at one IP address and port.
// A *challenge* (WHOAREYOU) is what a packet without a session is answered with; the *handshake* answers it and makes
// the session. The *table* holds nodes that have answered a PING of ours, in *buckets* by logarithmic distance.
// TALKREQ and TALKRESP carry the protocols above: Portal wire and uTP.
//
//      datagram ─▶ unmask ─┬─ ordinary ──▶ session? ─ yes ─▶ message ─▶ answer / match to its request
//                          │                  └ no ──▶ WHOAREYOU (one per node and address, repeated as it is)
//                          ├─ WHOAREYOU ──▶ names a packet of ours? ─▶ handshake packet carrying that request
//                          └─ handshake ──▶ to a challenge of ours? ─▶ verify, session, message
//
// Parts, each a value with its own essay. `Sessions`: packets and keys. `Requests`: our own requests, and the
// handshakes that they wait for; it owns the sessions, since it is what sends. `Directory`: the nodes known, the table,
// lookups. `OwnAddress`: where we are seen. What has to pass from one to another is in this file: a message goes to
// whom it concerns, and what became of a request to whoever sent it.
//
// A request goes through: no session → *queued* behind an attempt (random packet → WHOAREYOU → handshake with the first
// request in it → first packet under the new keys: the session *stands*, the queue leaves) → *in flight* → answered or
// timed out. A peer that lost its keys answers an ordinary packet with WHOAREYOU; that begins the same attempt one step
// later, and what was in flight is sent again behind it. Both sides may begin at once: each then keeps the other's keys
// beside the newest for receiving.
//
// Invariants. Answers go to the address the packet came from, nowhere else. Before an address is proven, no more bytes
// leave for it than came from it, or in records that name it. A node enters the table only after answering our PING
// at an endpoint of its record; only such nodes are named to others. Every map is bounded. Every request ends exactly
// once. Undecipherable, malformed and unexpected packets change nothing but counters and recency.
//
// Every rule and limit with its source: Specs/wire.md, 1.1.
//
// Why not otherwise. A request is sent again here and not above: a floor that asks anew has a new id, and whoever got
// the first one would carry it out a second time. Keys are kept in
// libcrypto contexts per session and direction, since setting one up costs as much as sealing a packet. Nonces are a
// counter and a tail that is random per session, not per packet: as unique, and a WHOAREYOU is matched without
// remembering every packet sent. There is no clock, no socket and no randomness here but what is handed in: the same
// events give the same directives. The parts know each other in one direction only (the directory sends by requests,
// which use sessions), so that each can be read without those above it; what goes the other way is an outcome.

/// Names one TALKREQ of ours.
public struct TalkID: Hashable, Comparable, Sendable {
    public let value: UInt64
    public static func < (a: TalkID, b: TalkID) -> Bool { a.value < b.value }
}

/// Names one lookup of ours.
public struct LookupID: Hashable, Comparable, Sendable {
    public let value: UInt64
    public static func < (a: LookupID, b: LookupID) -> Bool { a.value < b.value }
}

/// Says which request of whom `respond(to:)` answers. It holds all that is needed, so one that is never used costs
/// nothing, and one that is used late or twice does no harm.
public struct TalkToken: Hashable, Sendable {
    public let address: NodeAddress
    let requestID: RequestID
}

/// Who takes the requests of one protocol as they come, instead of by a directive.
public protocol TalkSink {
    /// A request from a proven peer. The bytes are lent for the call.
    mutating func take(_ request: UnsafeRawBufferPointer, from address: NodeAddress, at now: Instant)
}

/// The discv5 node as one machine: events in with the time, directives out.
public struct Discovery: Machine {
    /// What can happen to it. What is asked of it, and has a result at once, is a method of its own.
    public enum Event: Sendable {
        /// A datagram came from there.
        case received([UInt8], from: Endpoint)
        /// The system would not send a datagram there: it has no route, say. What waits for an answer from there need
        /// not wait any longer.
        case unsent(to: Endpoint)
        /// Nodes to begin from; they are pinged at once, and again while the table is empty.
        case bootNodes([NodeRecord])
        /// Nodes of an earlier run. Each is pinged once, those named first before the others, and stands no higher than
        /// any other that would enter the table.
        case knownNodes([NodeRecord])
    }

    /// What the world is to do, or to know, in the order in which it came about.
    public enum Directive: Sendable {
        case send([UInt8], to: Endpoint)
        /// A TALKREQ under one of the configured protocols. It may be left unanswered.
        case talkRequested(from: NodeAddress, protocol: [UInt8], request: [UInt8], TalkToken)
        /// A TALKREQ of ours has ended. `roundTrip`: from its sending to its answer; nil where it was sent more than
        /// once, or has failed.
        case talkAnswered(TalkID, Result<[UInt8], DiscoveryError>, roundTrip: Interval?)
        /// The nodes nearest to the target that answered, nearest first.
        case lookupFinished(LookupID, [NodeRecord])
        /// The other side has proven its key and address.
        case sessionEstablished(NodeAddress, NodeRecord?)
        /// The node entered the table, or its record is a newer one.
        case nodeSeen(NodeRecord)
        /// The node left the table.
        case nodeLost(Bytes32)
        /// Voters of enough prefixes see us at this address. The local record has changed if it was adopted.
        case addressVoted(Endpoint)
        /// Strangers reach us at the address that the votes put into the record; or none did, and it left the record.
        case addressChecked(Endpoint, isReachable: Bool)
    }

    var requests: Requests
    var directory: Directory
    var ownAddress: OwnAddress
    private var recent = RecentRequests()
    private var nextTalk: UInt64 = 0

    /// Throws if `record` is not one that `key` signed.
    public init(
        key: IdentityKey, record: NodeRecord, configuration: Configuration = Configuration(), entropy: Entropy
    ) throws(DiscoveryError) {
        let local = try LocalNode(key: key, record: record)
        requests = Requests(Sessions(local: local, configuration: configuration, random: RandomPool(entropy)))
        directory = Directory(localID: local.id, configuration: configuration)
        ownAddress = OwnAddress(configuration)
    }

    /// The key that we are known by.
    public var key: IdentityKey { requests.sessions.local.key }
    /// What we say of ourselves.
    public var localRecord: NodeRecord { requests.sessions.local.record }
    /// As it was given.
    public var configuration: Configuration { requests.sessions.configuration }
    /// What has been refused, and how much there was.
    public var statistics: Statistics { requests.sessions.statistics }

    // MARK: Events

    /// Takes one event in.
    public mutating func handle(_ event: Event, at now: Instant) {
        switch event {
        case .received(let datagram, let source): receive(datagram, from: source, at: now)
        case .unsent(let endpoint):
            requests.unsent(to: endpoint, at: now)
            settle(at: now)
        case .bootNodes(let records):
            directory.begin(at: now)
            directory.addBootNodes(records, at: now, through: &requests)
            settle(at: now)
        case .knownNodes(let records):
            directory.begin(at: now)
            directory.addKnownNodes(records, at: now, through: &requests)
            settle(at: now)
        }
    }

    /// Handles a datagram that came from `source`.
    public mutating func receive(_ datagram: [UInt8], from source: Endpoint, at now: Instant) {
        directory.begin(at: now)
        let header = datagram.withUnsafeBytes { requests.sessions.read($0) }
        if let header { receive(header, from: source, at: now) }
    }

    /// Handles a datagram that came from `source` and lies somewhere else; it is not kept. A TALKREQ under the protocol
    /// `name` goes to `sink` at once, everything else into directives. Streams send thousands of such packets a second:
    /// they are decrypted into one buffer and read there, and allocate nothing on the way.
    public mutating func receive(
        _ datagram: UnsafeRawBufferPointer, from source: Endpoint, at now: Instant, streams name: [UInt8],
        to sink: inout some TalkSink
    ) {
        directory.begin(at: now)
        guard let header = requests.sessions.read(datagram) else { return }
        guard header.flag == .ordinary else { return receive(header, from: source, at: now) }
        guard let address = openOrdinary(header, from: source, at: now) else { return }
        guard let range = requests.sessions.buffer.talkRequest(under: name) else {
            receiveMessage(from: address, at: now)
            settle(at: now)
            return
        }
        requests.sessions.buffer.plaintext.withUnsafeBytes { bytes in
            sink.take(UnsafeRawBufferPointer(rebasing: bytes[range]), from: address, at: now)
        }
    }

    /// Handles the packet in the buffer.
    private mutating func receive(_ header: PacketHeader, from source: Endpoint, at now: Instant) {
        switch header.flag {
        case .ordinary:
            if let address = openOrdinary(header, from: source, at: now) { receiveMessage(from: address, at: now) }
        case .whoAreYou:
            guard let address = requests.challenger(header, from: source) else { return }
            requests.answerChallenge(header, of: address, knowing: directory.record(of: address.id), at: now)
        case .handshake:
            receiveHandshake(header, from: source, at: now)
        }
        settle(at: now)
    }

    /// Decrypts an ordinary packet's message; who sent it, nil where no session opens it.
    private mutating func openOrdinary(_ header: PacketHeader, from source: Endpoint, at now: Instant) -> NodeAddress? {
        switch requests.sessions.openOrdinary(header, from: source, at: now) {
        case .message(let address, let confirms):
            // Before the message is looked at: what waits in the queue is older than what the answer will bring about.
            if confirms {
                requests.sessionStands(address, at: now)
                settle(at: now)
            }
            return address
        case .unreadable(let address):
            let known = directory.record(of: address.id)
            requests.sessions.challenge(address, for: header.nonce, knowing: known, at: now)
            return nil
        case .dropped:
            return nil
        }
    }

    /// The other side answers a challenge of ours.
    private mutating func receiveHandshake(_ header: PacketHeader, from source: Endpoint, at now: Instant) {
        guard let (address, challenge) = requests.sessions.takeChallenge(from: source, at: now) else {
            requests.sessions.statistics.handshakesRefused += 1
            return
        }
        let session: Session
        do throws(PacketError) {
            let data = try requests.sessions.buffer.handshake(header)
            let record = try newest(challenge.record, data.record, of: address)
            session = try requests.sessions.opened(
                header, data, answering: challenge, of: record, at: address, now: now)
        } catch {
            requests.sessions.statistics.handshakesRefused += 1
            return
        }
        requests.install(session, for: address)
        requests.addresses.proved(source)
        directory.remember(session.record, at: now, through: &requests)
        requests.sessions.statistics.handshakes += 1
        tell(ownAddress.noteInbound(from: source, &requests.sessions.local, at: now))
        tell(.sessionEstablished(address, session.record))
        requests.endAttempt(address, at: now)
        receiveMessage(from: address, at: now)
        directory.meet(session.record, at: source, now: now, through: &requests)
    }

    /// The record that we know of a node, or the one that came with its handshake if that is as new.
    private mutating func newest(
        _ known: NodeRecord?, _ sent: [UInt8]?, of address: NodeAddress
    ) throws(PacketError) -> NodeRecord {
        var newest = known
        if let sent {
            let record = try? directory.heard(sent, from: address.endpoint, &requests.addresses)
            guard let record, record.id == address.id else { throw .handshakeRecord }
            if record.sequence >= known?.sequence ?? 0 { newest = record }
        }
        guard let newest else { throw .handshakeRecord }
        return newest
    }

    /// Acts on the message that was just decrypted.
    private mutating func receiveMessage(from address: NodeAddress, at now: Instant) {
        switch requests.sessions.message() {
        case .ping(let id, let sequence):
            guard requests.sessions.isInRate(address, at: now) else { return }
            let endpoint = address.endpoint
            let pong = Message.pong(
                id, sequence: localRecord.sequence, address: endpoint.address, port: endpoint.port)
            requests.sessions.send(pong.encoded, to: address)
            directory.noteSequence(sequence, of: address, at: now, through: &requests)
            if let record = directory.record(of: address.id) {
                directory.meet(record, at: endpoint, now: now, through: &requests)
            }
        case .findNode(let id, let distances):
            guard requests.sessions.isInRate(address, at: now) else { return }
            let packets = directory.nodes(at: distances, for: address, local: localRecord)
            for records in packets {
                let nodes = Message.nodes(id, total: packets.count, records: records)
                requests.sessions.send(nodes.encoded, to: address)
            }
        case .talkRequest(let id, let name, let request):
            let token = TalkToken(address: address, requestID: id)
            guard configuration.talkProtocols.contains(name) else {
                respond(to: token, response: [], at: now)
                return
            }
            switch recent.see(request, of: name, token, at: now) {
            case .new:
                tell(.talkRequested(from: address, protocol: name, request: request, token))
            case .known:
                requests.sessions.statistics.repetitionsReceived += 1
            case .answered(let answer):
                requests.sessions.statistics.repetitionsReceived += 1
                requests.sessions.send(answer, to: address)
            }
        case .pong(let id, let sequence, let bytes, let port):
            guard let number = requests.number(of: id, from: address),
                directory.takePong(number, sequence: sequence, from: address, at: now, through: &requests)
            else { return }
            guard let seen = Endpoint(address: bytes, port: port) else { return }
            tell(ownAddress.seen(at: seen, by: address, &requests.sessions.local, at: now))
        case .nodes(let id, let total, let records):
            guard let number = requests.number(of: id, from: address) else { return }
            directory.takeNodes(number, total: total, records, from: address, at: now, through: &requests)
        case .talkResponse(let id, let response):
            guard let number = requests.number(of: id, from: address),
                case .talk(let talk) = requests.pending[number]?.purpose
            else { return }
            let request = requests.answered(number, at: now)
            directory.noteAnswer(address, at: now)
            tell(.talkAnswered(talk, .success(response), roundTrip: request?.roundTrip(answered: now)))
        case nil:
            return
        }
    }

    private mutating func tell(_ directive: Directive?) {
        if let directive { requests.sessions.directives.append(directive) }
    }

    /// Acts on what has become of requests, until nothing is left to act on.
    private mutating func settle(at now: Instant) {
        while true {
            let outcomes = requests.takeOutcomes()
            if outcomes.isEmpty { return }
            for outcome in outcomes { act(on: outcome, at: now) }
        }
    }

    private mutating func act(on outcome: Requests.Outcome, at now: Instant) {
        switch outcome {
        case .established(let address):
            tell(.sessionEstablished(address, directory.record(of: address.id)))
        case .contacted(let record, let endpoint):
            directory.remember(record, at: now, through: &requests)
            ownAddress.noteSent(to: endpoint, at: now)
        case .failed(let request, let error):
            if case .talk(let id) = request.purpose { tell(.talkAnswered(id, .failure(error), roundTrip: nil)) }
            directory.failed(request, at: now, through: &requests)
        case .unreached(let record, let endpoint, let waiting):
            let other = requests.addresses.other(than: endpoint, of: record)
            let route = other.map { directory.route(to: NodeAddress(id: record.id, endpoint: $0), by: record) }
            for id in waiting {
                if let route, requests.move(id, to: route, at: now) { continue }
                requests.fail(id, .timeout)
            }
        }
    }

    // MARK: Time and directives

    /// When `advance(to:)` is next due. Before the first event: at once.
    public var nextDeadline: Instant? {
        var next = directory.nextDeadline
        if let deadline = requests.nextDeadline { next = min(next, deadline) }
        if let deadline = ownAddress.nextDeadline { next = min(next, deadline) }
        return next
    }

    /// Fires everything that is due at `now`.
    public mutating func advance(to now: Instant) {
        guard let deadline = nextDeadline, deadline <= now else { return }
        requests.advance(to: now)
        settle(at: now)
        while let directive = ownAddress.advance(to: now, &requests.sessions.local) { tell(directive) }
        directory.advance(to: now, through: &requests)
        settle(at: now)
    }

    /// Takes the directives that have come about since the last time, datagrams of streams too.
    public mutating func drain() -> [Directive] {
        drainDirectives() + drainDatagrams().map { .send($0.bytes, to: $0.to) }
    }

    /// The directives without the datagrams of streams, which `swapDatagrams` takes.
    public mutating func drainDirectives() -> [Directive] {
        guard !requests.sessions.directives.isEmpty else { return [] }
        defer { requests.sessions.directives = [] }
        return requests.sessions.directives
    }

    /// Gives the datagrams of streams away for an empty buffer.
    public mutating func swapDatagrams(_ empty: inout DatagramBuffer) { swap(&requests.sessions.outbox, &empty) }

    /// The datagrams of streams as values, for owners that want those.
    public mutating func drainDatagrams() -> [(bytes: [UInt8], to: Endpoint)] {
        guard !requests.sessions.outbox.isEmpty else { return [] }
        defer { requests.sessions.outbox.removeAll() }
        return requests.sessions.outbox.entries.indices.map {
            (requests.sessions.outbox.bytes(at: $0), requests.sessions.outbox.entries[$0].endpoint)
        }
    }

    // MARK: Asking others

    /// Sends a TALKREQ to the endpoint in `record`; `talkAnswered` follows exactly once. `timeout` counts from when the
    /// request leaves in a session. With `isHearsay` the record came from a stranger (`heard`), and what is sent to its
    /// address is limited by that; without, the caller vouches for it.
    public mutating func talk(
        to record: NodeRecord, isHearsay: Bool = false, protocol name: [UInt8], request: [UInt8],
        timeout: Interval? = nil, at now: Instant
    ) -> TalkID {
        let route = endpoint(of: record).map {
            directory.route(to: NodeAddress(id: record.id, endpoint: $0), by: record)
        }
        if !isHearsay { requests.addresses.open(record) }
        return talk(along: route, protocol: name, request: request, timeout: timeout, at: now)
    }

    /// The same to a node at an address taken from a directive: in a session there, or by its record if known here.
    public mutating func talk(
        to address: NodeAddress, protocol name: [UInt8], request: [UInt8], timeout: Interval? = nil, at now: Instant
    ) -> TalkID {
        talk(along: directory.route(to: address), protocol: name, request: request, timeout: timeout, at: now)
    }

    private mutating func talk(
        along route: Route?, protocol name: [UInt8], request: [UInt8], timeout: Interval?, at now: Instant
    ) -> TalkID {
        directory.begin(at: now)
        nextTalk += 1
        let id = TalkID(value: nextTalk)
        do throws(DiscoveryError) {
            guard let route else { throw .noEndpoint }
            try requests.send(.talk(id), to: route, timeout: timeout, at: now) {
                .talkRequest($0, protocol: name, request: request)
            }
        } catch {
            tell(.talkAnswered(id, .failure(error), roundTrip: nil))
        }
        settle(at: now)
        return id
    }

    /// Sends a TALKREQ whose answer nobody waits for; see `talkOneWay(to:protocol:count:at:write:)`.
    @discardableResult
    public mutating func talkOneWay(
        to address: NodeAddress, protocol name: [UInt8], request: [UInt8], at now: Instant
    ) -> Bool {
        talkOneWay(to: address, protocol: name, count: request.count, first: request.first, at: now) { target in
            request.withUnsafeBytes { Session.copy($0, to: target) }
        }
    }

    /// Sends a TALKREQ of `count` bytes whose answer nobody waits for; `write` puts its content in place. `first`: its
    /// first byte, needed only where it is the only one. In a session it costs one packet and nothing is remembered;
    /// without one it waits behind a handshake. False when it was dropped: too large, no record known, queue or buffer
    /// full.
    @discardableResult
    public mutating func talkOneWay(
        to address: NodeAddress, protocol name: [UInt8], count: Int, first: UInt8? = nil, at now: Instant,
        write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        directory.begin(at: now)
        let isSent = requests.sendOneWay(
            name, count: count, first: first, to: address, at: now, route: { directory.route(to: address) },
            write: write)
        settle(at: now)
        return isSent
    }

    /// Answers a TALKREQ, to the address it came from. False when the answer is too large or the session is gone.
    @discardableResult
    public mutating func respond(to token: TalkToken, response: [UInt8], at now: Instant) -> Bool {
        let message = Message.talkResponse(token.requestID, response: response).encoded
        recent.answered(token, with: message)
        return requests.sessions.send(message, to: token.address) != nil
    }

    /// Looks for the nodes nearest to `target`; `lookupFinished` follows exactly once.
    public mutating func lookup(_ target: Bytes32, at now: Instant) -> LookupID {
        directory.begin(at: now)
        let id = directory.lookup(target, isPublic: true, at: now, through: &requests)
        settle(at: now)
        return id
    }

    /// Changes the local record, raises its sequence number and signs it. Peers learn of it by our next PING.
    public mutating func updateLocalRecord(_ change: (inout NodeRecordFields) -> Void) throws(DiscoveryError) {
        try requests.sessions.local.update(change)
    }
}
