import Discovery
import Primitives
import UTP

// PortalWire: the lowest part of the overlay, which all the others work through. It sends requests and remembers what
// each was for, opens streams and remembers whose they are, and keeps the book of how peers behave. What an answer
// means is decided by the part that asked.

/// A TALKREQ of ours that waits for its answer.
struct Talk: Sendable {
    enum Purpose: Sendable {
        case ping(type: UInt16)
        case findNodes(Query)
        case content(UInt64)
        case offer(UInt64)
    }

    let network: Int
    var contact: Contact
    let purpose: Purpose
    /// How long the answer took; nil before it, and where nobody can say.
    var roundTrip: Interval?
}

/// Which exchange a stream belongs to.
enum StreamOwner: Sendable {
    case request(UInt64)
    case served(UInt64)
    case offer(UInt64)
    case inboundOffer(UInt64)
}

/// Requests and streams of all networks, and what is known of how peers behave.
struct PortalWire: Sendable {
    /// What a deadline is for. It is void when its exchange is over by then, or its peer has gone.
    enum Deadline: Sendable {
        case ping(network: Int, peer: Bytes32)
        case revisit(network: Int)
        case refresh(network: Int)
        case request(UInt64)
        case promiseContent(UInt64)
        case serve(UInt64)
        case relieveAnswers
        case offer(UInt64)
        case decideOffer(UInt64)
        case inboundOffer(UInt64)
        case offerAgain(UInt64)
    }

    /// What one part has found out that the networks' tables must hear of.
    enum Finding: Sendable {
        /// A record came to our notice.
        case record(NodeRecord, Notice, network: Int)
        /// The node is to leave every table: it does not answer, or is banned.
        case lost(Bytes32)
        /// A peer's radius is another than we believe.
        case wrongRadius(Bytes32, network: Int)
    }

    /// The protocol id of uTP packets.
    static let utpProtocol = Array("utp".utf8)

    let configuration: OverlayConfiguration
    var discovery: Discovery
    var utp: UTP
    var book: PeerBook
    var statistics = OverlayStatistics()
    /// What the whole machine wants done, in the order in which it came about.
    var directives: [Overlay.Directive] = []
    var deadlines = TimerQueue<Deadline>()
    var generator: SeededGenerator
    /// The time of the last event.
    var clock = Instant.zero
    private var findings: [Finding] = []
    private var talks: [TalkID: Talk] = [:]
    private var streams: [StreamID: StreamOwner] = [:]
    private var lastID: UInt64 = 0

    /// Throws where the local record cannot be made.
    init(key: IdentityKey, configuration: OverlayConfiguration, entropy: Entropy) throws(DiscoveryError) {
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
        below.talkProtocols = configuration.networks.map(\.id.bytes) + [PortalWire.utpProtocol]
        discovery = try Discovery(
            key: key, record: record, configuration: below, entropy: Entropy(seed: entropy.bytes32()))
        var transport = UTPConfiguration()
        transport.streamsPerPeer = OverlayLimits.streamsPerPeer
        transport.sentBytesPerSecond = configuration.sentBytesPerSecond
        utp = UTP(configuration: transport, entropy: Entropy(seed: entropy.bytes32()))
        generator = entropy.generator()
        book = PeerBook(networks: configuration.networks.count)
    }

    var localRecord: NodeRecord { discovery.localRecord }

    /// TALKREQs of ours without an answer yet.
    var talkCount: Int { talks.count }
    /// Streams that belong to an exchange.
    var streamCount: Int { streams.count }

    /// A number for an exchange or lookup, never used twice.
    mutating func nextID() -> UInt64 {
        lastID += 1
        return lastID
    }

    /// When the first deadline is due, here or in the machines below.
    var nextDeadline: Instant? {
        // Asked after every batch: without an array.
        PortalWire.earlier(deadlines.earliest, PortalWire.earlier(discovery.nextDeadline, utp.nextDeadline))
    }

    private static func earlier(_ a: Instant?, _ b: Instant?) -> Instant? {
        guard let a, let b else { return a ?? b }
        return min(a, b)
    }

    // MARK: Findings

    /// A record came to our notice.
    mutating func noticed(_ record: NodeRecord, _ notice: Notice, network: Int) {
        findings.append(.record(record, notice, network: network))
    }

    /// A peer's radius is another than we believe: it is to be asked.
    mutating func doubtsRadius(of peer: Bytes32, network: Int) {
        findings.append(.wrongRadius(peer, network: network))
    }

    /// What was found since the last time.
    mutating func takeFindings() -> [Finding] {
        guard !findings.isEmpty else { return [] }
        defer { findings = [] }
        return findings
    }

    // MARK: Requests of ours

    /// Whether the record names our chain and a version we speak.
    func isCompatible(_ record: NodeRecord) -> Bool {
        guard let portal = record.portal, portal.chainID == configuration.chainID else { return false }
        return portal.lowestVersion <= configuration.versions.upperBound
            && portal.highestVersion >= configuration.versions.lowerBound
            && portal.lowestVersion <= portal.highestVersion
    }

    /// Where to reach a node, if we talk to it at all: as the network's table has it, else by its record.
    func contact(_ id: Bytes32, on network: Subnetwork) throws(OverlayError) -> Contact {
        guard !book.isBanned(id, at: clock) else { throw .peerBanned }
        if let contact = network.table.contact(of: id) { return contact }
        guard let record = discovery.record(of: id), isCompatible(record),
            let endpoint = discovery.endpoint(of: record)
        else { throw .unknownPeer }
        return Contact(record, at: endpoint)
    }

    /// Sends a request. A large one to a node without a session goes behind a PING, since a handshake packet that
    /// carries our record has no room for it.
    mutating func ask(
        _ message: PortalMessage, as profile: LocalProfile, _ contact: Contact, _ purpose: Talk.Purpose
    ) throws(PortalMessageError) {
        let bytes = try message.encoded()
        switch purpose {
        case .ping: statistics.pingsSent += 1
        case .findNodes: statistics.queriesSent += 1
        case .content, .offer: break
        }
        let hadSession = discovery.hasSession(with: contact.address)
        if !hadSession && bytes.count > OverlayLimits.handshakeRequestBytes {
            let type = PingPayload.clientInfoType
            if let greeting = profile.ping(of: type, sequence: localRecord.sequence) {
                try ask(greeting, as: profile, contact, .ping(type: type))
            }
        }
        // Without a session at the one address that the record names, the other may be the better.
        let mayMove = !hadSession && contact.isNamed
        let id =
            mayMove || discovery.endpoint(of: contact.record) == contact.address.endpoint
            ? discovery.talk(
                to: contact.record, isHearsay: true, protocol: profile.protocolID, request: bytes,
                timeout: configuration.requestTimeout, at: clock)
            : discovery.talk(
                to: contact.address, protocol: profile.protocolID, request: bytes,
                timeout: configuration.requestTimeout, at: clock)
        talks[id] = Talk(network: profile.index, contact: contact, purpose: purpose)
    }

    /// The request that an answer is for. Where it was answered from the node's other address, what is still to come of
    /// it goes there: its contact is that one then, and `old` the one it was sent to.
    mutating func talk(answeredBy id: TalkID, after roundTrip: Interval?) -> (talk: Talk, old: Contact?)? {
        guard var talk = talks.removeValue(forKey: id) else { return nil }
        talk.roundTrip = roundTrip
        let old = talk.contact
        guard old.isNamed, !discovery.hasSession(with: old.address),
            let place = discovery.endpoint(of: old.record), place != old.address.endpoint,
            discovery.hasSession(with: NodeAddress(id: old.record.id, endpoint: place))
        else { return (talk, nil) }
        talk.contact = Contact(old.record, at: place)
        return (talk, old)
    }

    /// What a TALKRESP says, or why there is none.
    static func read(_ result: Result<[UInt8], DiscoveryError>) -> Result<PortalMessage, OverlayError> {
        switch result {
        case .failure(let error):
            return .failure(.unanswered(error))
        case .success(let bytes):
            guard !bytes.isEmpty else { return .failure(.unsupported) }
            do throws(PortalMessageError) {
                return .success(try PortalMessage(decoding: bytes))
            } catch {
                return .failure(.malformed(error))
            }
        }
    }

    // MARK: Requests of others

    /// Neither banned nor of another chain. A node whose record is not known may ask, but never enters a table.
    func isWelcome(_ address: NodeAddress) -> Bool {
        guard !book.isBanned(address.id, at: clock) else { return false }
        return discovery.record(of: address.id).map(isCompatible) ?? true
    }

    /// Whether the node may send another PING or FIND_NODES.
    mutating func isInRate(_ id: Bytes32) -> Bool {
        guard !book.admits(id, at: clock) else { return true }
        statistics.messagesOverRate += 1
        return false
    }

    /// Sends an answer; false where it could not go.
    @discardableResult
    mutating func respond(_ message: PortalMessage, to token: TalkToken) -> Bool {
        do throws(PortalMessageError) {
            return discovery.respond(to: token, response: try message.encoded(), at: clock)
        } catch {
            // What we answer is cut to its limits before; an answer beyond them is none.
            refuse(token)
            return false
        }
    }

    /// Answers with nothing: we do not speak this.
    mutating func refuse(_ token: TalkToken) { discovery.respond(to: token, response: [], at: clock) }

    /// Answers CONTENT with records, as many as fit.
    mutating func respond(_ records: [NodeRecord], to asker: NodeAddress, _ token: TalkToken) {
        respond(.content(.records(PortalWire.fitting(told(records, to: asker), reserved: 2))), to: token)
    }

    /// Those of the records that `asker` is told of: not its own, and none with an address that it cannot reach.
    func told(_ records: [NodeRecord], to asker: NodeAddress) -> [[UInt8]] {
        records.filter { $0.id != asker.id && Discovery.mayName($0, with: asker.endpoint) }.map(\.encoded)
    }

    /// As many records as fit an answer, of which `reserved` bytes are for something else.
    static func fitting(_ records: [[UInt8]], reserved: Int) -> [[UInt8]] {
        let count = PortalMessage.fitting(
            records, bytes: OverlayLimits.responseBytes - reserved, count: OverlayLimits.records)
        return Array(records.prefix(count))
    }

    /// Verifies the records of an answer. Those of another chain, without an address we can reach, or with one that the
    /// answerer cannot know, are left out; a record that does not verify, or (with `distances`) is not where it was
    /// asked for, spoils the answer.
    mutating func read(
        _ encoded: [[UInt8]], from answerer: NodeAddress, distances: [UInt16]?
    ) throws(OverlayError) -> [NodeRecord] {
        var records: [NodeRecord] = []
        for bytes in encoded {
            let record: NodeRecord
            do throws(NodeRecordError) {
                record = try discovery.heard(bytes, from: answerer.endpoint)
            } catch {
                throw .badRecord
            }
            let distance = UInt16(RingDistance.logarithmic(record.id, answerer.id))
            if let distances, !distances.contains(distance) { throw .badRecord }
            let isReachable = discovery.endpoint(of: record) != nil
            if isCompatible(record), isReachable, Discovery.mayName(record, with: answerer.endpoint) {
                records.append(record)
            }
        }
        return records
    }

    // MARK: Streams

    /// Opens a stream with the id that a peer gave out.
    mutating func connect(
        to address: NodeAddress, connectionID: UInt16, _ transfer: UTP.Transfer, for owner: StreamOwner
    ) throws(UTPError) -> StreamID {
        let stream = try utp.connect(
            to: address, connectionID: connectionID, transfer: transfer, roundTrip: roundTrip(to: address), at: clock)
        streams[stream] = owner
        return stream
    }

    /// Gives an id out that a peer is to open a stream with.
    mutating func accept(
        from address: NodeAddress, _ transfer: UTP.Transfer, for owner: StreamOwner
    ) throws(UTPError) -> (stream: StreamID, connectionID: UInt16) {
        let (stream, id) = try utp.accept(
            from: address, transfer: transfer, roundTrip: roundTrip(to: address), at: clock)
        streams[stream] = owner
        return (stream, id)
    }

    /// What requests to the node took: a stream's first losses are found out by it.
    private func roundTrip(to address: NodeAddress) -> Interval? { book.standing(of: address.id)?.roundTrip }

    /// The exchange of a stream that has ended; nil where it was given up.
    mutating func owner(ofEnded stream: StreamID) -> StreamOwner? { streams.removeValue(forKey: stream) }

    /// Gives a stream up of which nobody wants to hear any more.
    mutating func close(_ stream: StreamID) {
        guard streams.removeValue(forKey: stream) != nil else { return }
        utp.close(stream, at: clock)
    }

    /// The exchange whose stream carries least, of those that had their time and carry too little; nil where none is
    /// that slow. Of answers of ours (`isSent`) none is called slow for a limit of our own, which all streams share:
    /// only who takes less than half of an equal share.
    func slowest(
        of exchanges: some Sequence<(UInt64, StreamID, since: Instant)>, isSent: Bool
    ) -> UInt64? {
        var slowest: (number: UInt64, rate: Double)?
        var least = OverlayLimits.slowRate
        if isSent, let limit = utp.sentBytesPerSecond { least = min(least, limit / Double(2 * max(streams.count, 1))) }
        for (number, stream, since) in exchanges where clock - since >= OverlayLimits.slowPatience {
            let rate = Double(utp.progress(of: stream)) / (clock - since).seconds
            guard rate < least else { continue }
            if slowest.map({ (rate, number) < ($0.rate, $0.number) }) ?? true { slowest = (number, rate) }
        }
        return slowest?.number
    }

    // MARK: Standing

    /// Notes how an exchange with a peer ended. `network`: it was a request of ours for its content.
    mutating func note(_ error: OverlayError?, of peer: Bytes32, network: Int? = nil) {
        guard let error else {
            book.succeeded(peer, network: network, at: clock)
            return
        }
        guard !error.isOurs else { return }
        guard !error.isBreach else {
            breach(peer)
            return
        }
        book.failed(peer, silent: error == .unanswered(.timeout), network: network, at: clock)
        if book.failuresInARow(of: peer) >= configuration.failuresBeforeLoss { findings.append(.lost(peer)) }
    }

    /// A rule was broken.
    mutating func breach(_ peer: Bytes32) {
        statistics.breaches += 1
        punish(peer, points: OverlayLimits.breachPoints)
    }

    /// Takes points from a peer, which may ban it.
    mutating func punish(_ peer: Bytes32, points: Double) {
        guard book.punish(peer, points: points, at: clock) else { return }
        statistics.bans += 1
        findings.append(.lost(peer))
    }
}
