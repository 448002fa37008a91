import Primitives

// Sessions: the lowest part of Discovery. It turns datagrams into messages of nodes that have proven who they are, and
// messages into datagrams.
//
// A session is a pair of keys shared with one node at one address. A packet that no session opens is answered with a
// *challenge* (WHOAREYOU), one per node and address, repeated as it is while it stands; the handshake packet that
// answers it makes the session. This part knows nothing of requests, of tables and of what messages mean. The other
// half of the handshake, where we are challenged, begins with a request of ours: see `Requests`.

/// A WHOAREYOU of ours that has not been answered yet.
struct Challenge: Sendable {
    /// The packet, repeated as it is while the challenge stands.
    let packet: [UInt8]
    /// Its header in the clear.
    let data: [UInt8]
    let expires: Instant
    /// The record we know of the node, which then need not send it.
    let record: NodeRecord?
}

/// Packets in and out: keys, challenges, and what strangers may cost us.
struct Sessions: Sendable {
    /// What an ordinary packet turned out to be.
    enum Opened {
        /// A message of this node, which lies in the buffer. `confirms`: it is the first under the newest keys.
        case message(NodeAddress, confirms: Bool)
        /// No session opens it: its sender is to be challenged.
        case unreadable(NodeAddress)
        /// From ourselves, or more than its sender may send.
        case dropped
    }

    let configuration: Discovery.Configuration
    var local: LocalNode
    /// The counts of the whole machine.
    var statistics = Discovery.Statistics()
    /// What the whole machine wants done, in the order in which it came about.
    var directives: [Discovery.Directive] = []
    /// Packets of streams, on their way out.
    var outbox = DatagramBuffer(limit: DiscoveryLimits.outboxBytes)
    var random: RandomPool
    private(set) var buffer = PacketBuffer()
    private var mask: MaskCipher
    /// The sessions, the one longest unused first to make room.
    var held: LRU<NodeAddress, Session>
    private(set) var challenges: LRU<NodeAddress, Challenge>
    private(set) var limiter: RateLimiter

    init(local: LocalNode, configuration: Discovery.Configuration, random: RandomPool) {
        self.local = local
        self.configuration = configuration
        self.random = random
        mask = MaskCipher(to: local.id)
        held = LRU(limit: configuration.sessionLimit)
        challenges = LRU(limit: configuration.challengeLimit)
        limiter = RateLimiter(configuration)
    }

    func has(_ address: NodeAddress) -> Bool { held.slot(of: address) != nil }

    // MARK: In

    /// Takes a datagram into the buffer; nil for what is not a packet, or not for us. Any reply to that would tell a
    /// scanner that somebody is here.
    mutating func read(_ datagram: UnsafeRawBufferPointer) -> PacketHeader? {
        statistics.packetsReceived += 1
        do throws(PacketError) {
            return try buffer.unmask(datagram, with: &mask)
        } catch {
            statistics.packetsRefused += 1
            return nil
        }
    }

    /// Decrypts the message of the ordinary packet in the buffer.
    mutating func openOrdinary(_ header: PacketHeader, from source: Endpoint, at now: Instant) -> Opened {
        let address = NodeAddress(id: buffer.sourceID, endpoint: source)
        guard address.id != local.id else { return .dropped }
        guard let slot = held.slot(of: address) else { return .unreadable(address) }
        let (rate, burst) = (configuration.peerPacketRate, configuration.peerPacketBurst)
        guard held.update(slot, { $0.admitsPacket(rate: rate, burst: burst, at: now) }) == true else {
            statistics.packetsOverRate += 1
            return .dropped
        }
        guard let opened = held.update(slot, { $0.open(&buffer, header) }) ?? nil else { return .unreadable(address) }
        held.touch(slot)
        return .message(address, confirms: opened == .confirming)
    }

    /// Reads the message that was just decrypted. One that does not decode is dropped: its sender is who it says, but
    /// there is nothing to answer.
    mutating func message() -> Message? {
        do throws(MessageError) {
            return try buffer.message()
        } catch {
            statistics.messagesRefused += 1
            return nil
        }
    }

    /// Whether the node at `address` may send another PING or FINDNODE; it then counts as sent.
    mutating func isInRate(_ address: NodeAddress, at now: Instant) -> Bool {
        guard let slot = held.slot(of: address) else { return false }
        let (rate, burst) = (configuration.peerRequestRate, configuration.peerRequestBurst)
        return held.update(slot) { $0.budget.take(rate: rate, burst: burst, at: now) } ?? false
    }

    /// How long answers of a node take, as far as its session knows.
    mutating func answerTimes(of address: NodeAddress) -> AnswerTimes {
        held.slot(of: address).flatMap { held.update($0) { $0.answerTimes } } ?? AnswerTimes()
    }

    /// An answer of a node has come to a request; see `AnswerTimes`.
    mutating func timed(_ address: NodeAddress, sent: Instant, repeated: Instant?, answered now: Instant) {
        guard let slot = held.slot(of: address) else { return }
        _ = held.update(slot) { $0.answerTimes.note(sent: sent, repeated: repeated, answered: now) }
    }

    /// A request to a node has failed for want of an answer.
    mutating func unanswered(_ address: NodeAddress) {
        guard let slot = held.slot(of: address) else { return }
        _ = held.update(slot) { $0.answerTimes.failed() }
    }

    // MARK: The recipient's half of the handshake

    /// Answers a packet that no session opens. While a challenge to this node at this address stands, it is repeated
    /// as it is: a second one would make the handshake under way fail. `record`: what we know of the node.
    mutating func challenge(_ address: NodeAddress, for nonce: Nonce, knowing record: NodeRecord?, at now: Instant) {
        guard limiter.admits(address, at: now) else {
            statistics.packetsOverRate += 1
            return
        }
        statistics.challengesSent += 1
        if let standing = challenges.use(address), now < standing.expires {
            directives.append(.send(standing.packet, to: address.endpoint))
            return
        }
        var mask = MaskCipher(to: address.id)
        let idNonce = random.next16()
        let sequence = record?.sequence ?? 0
        let (packet, data) = PacketWriter.plain(
            iv: random.next16(), flag: .whoAreYou, nonce: nonce, authSize: PacketHeader.whoAreYouAuthSize, tail: [],
            mask: &mask
        ) { target in
            idNonce.store(to: target)
            target.storeBytes(of: sequence.bigEndian, toByteOffset: 16, as: UInt64.self)
        }
        challenges.insert(
            address,
            Challenge(packet: packet, data: data, expires: now + configuration.handshakeTimeout, record: record))
        directives.append(.send(packet, to: address.endpoint))
    }

    /// The challenge that the handshake packet in the buffer answers, and who sent it; nil where none stands. It is
    /// used up by one try, since checking a signature is what a flood would want us to do.
    mutating func takeChallenge(from source: Endpoint, at now: Instant) -> (address: NodeAddress, Challenge)? {
        let address = NodeAddress(id: buffer.sourceID, endpoint: source)
        guard address.id != local.id, let challenge = challenges.remove(address), now < challenge.expires else {
            return nil
        }
        return (address, challenge)
    }

    /// The session that the handshake packet in the buffer opens, its message decrypted; `data` is its authdata.
    mutating func opened(
        _ header: PacketHeader, _ data: HandshakeData, answering challenge: Challenge, of record: NodeRecord,
        at address: NodeAddress, now: Instant
    ) throws(PacketError) -> Session {
        try Session.opened(
            by: data, in: &buffer, header, challenge: challenge.data, of: record, with: local.key,
            tail: random.next64(), budget: TokenBucket(burst: configuration.peerRequestBurst, at: now),
            replacing: held.peek(address))
    }

    // MARK: The initiator's half

    /// Answers the WHOAREYOU in the buffer: the session, and the packet that proves who we are, with a message in it.
    mutating func proven(
        to record: NodeRecord, at address: NodeAddress, _ header: PacketHeader, localRecord: [UInt8],
        message: [UInt8], now: Instant
    ) -> (session: Session, packet: [UInt8])? {
        Session.answering(
            buffer.headerBytes(header), of: record, with: local.key, localRecord: localRecord, message: message,
            budget: TokenBucket(burst: configuration.peerRequestBurst, at: now), replacing: held.peek(address),
            random: &random)
    }

    /// Sends a packet that cannot be read, so that the node there asks who we are. Its WHOAREYOU will name `tail`.
    mutating func sendOpening(to address: NodeAddress, tail: UInt64) {
        var mask = MaskCipher(to: address.id)
        let nonce = Nonce(counter: UInt32(truncatingIfNeeded: random.next64()), tail: tail)
        let source = local.id
        let content = random.entropy.bytes(
            DiscoveryLimits.openingSize - PacketHeader.authStart - PacketHeader.ordinaryAuthSize)
        let (packet, _) = PacketWriter.plain(
            iv: random.next16(), flag: .ordinary, nonce: nonce, authSize: PacketHeader.ordinaryAuthSize,
            tail: content, mask: &mask
        ) { source.store(to: $0) }
        directives.append(.send(packet, to: address.endpoint))
    }

    // MARK: Out

    /// Sends a message in the session with a node; the packet's nonce, nil where there is no session or no room.
    @discardableResult
    mutating func send(_ message: [UInt8], to address: NodeAddress) -> Nonce? {
        guard message.count <= DiscoveryLimits.messageSize, let slot = held.slot(of: address) else { return nil }
        held.touch(slot)
        let iv = random.next16()
        let source = local.id
        let sealed = held.update(slot) { session in
            let nonce = Nonce(counter: session.counter, tail: session.tail)
            return session.seal(message, from: source, iv: iv).map { (packet: $0, nonce: nonce) }
        }
        guard let (packet, nonce) = sealed ?? nil else { return nil }
        directives.append(.send(packet, to: address.endpoint))
        return nonce
    }

    /// Seals a TALKREQ where it leaves from. False where there is no session, or no room.
    mutating func send(
        _ writer: TalkRequestWriter, to address: NodeAddress, write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        guard let slot = held.slot(of: address) else { return false }
        held.touch(slot)
        return Sessions.seal(
            writer, in: &held, slot, from: local.id, iv: random.next16(), to: address.endpoint, &outbox, write)
    }

    /// Apart from the sessions, whose parts are changed here all at once.
    private static func seal(
        _ writer: TalkRequestWriter, in sessions: inout LRU<NodeAddress, Session>, _ slot: Int, from source: Bytes32,
        iv: Random16, to endpoint: Endpoint, _ outbox: inout DatagramBuffer,
        _ write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        let size = PacketWriter.size(authSize: PacketHeader.ordinaryAuthSize, messageSize: writer.size)
        return outbox.append(size, to: endpoint) { target in
            sessions.update(slot) { session in
                session.seal(at: target, from: source, iv: iv, size: writer.size) { place in
                    writer.write(to: place, request: write)
                }
            } ?? false
        }
    }
}
