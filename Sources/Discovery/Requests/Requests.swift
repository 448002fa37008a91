import Primitives

// Requests: our own, from the call to their answer. They go through sessions, and where there is none, behind a
// handshake that this part begins. What an answer means, or its absence, is not decided here: see `Directory`.
//
//      send ─▶ session? ─ yes ─▶ in flight ─▶ answered (`close`) or timed out (`failed`)
//                  └ no ─▶ queued behind an attempt: opening packet ─▶ WHOAREYOU ─▶ handshake packet ─▶ first packet
//                          under the new keys: the session *stands*, the queue leaves
//
// Every request ends exactly once: whoever takes its answer closes it, or it comes out as an outcome.
//
// One that is in flight is sent again, the same message in a new packet, when its answer takes longer than answers of
// this peer do (`AnswerTimes`). Whoever gets it twice knows it by its id (`RecentRequests`).

/// Requests of ours and the handshakes that they wait for.
struct Requests: Sendable {
    /// What has come about that others have to act on.
    enum Outcome: Sendable {
        /// The handshake that we began with this node has succeeded.
        case established(NodeAddress)
        /// We write to this node of our own accord, at this address.
        case contacted(NodeRecord, Endpoint)
        /// A request ended without its whole answer.
        case failed(PendingRequest, DiscoveryError)
        /// Nobody answered at this address. The requests may go to the node's other one, or fail.
        case unreached(NodeRecord, Endpoint, waiting: [UInt32])
    }

    /// What a deadline is for. It is void when the request or attempt is gone by then.
    private enum Deadline: Sendable {
        case request(UInt32)
        case repetition(UInt32)
        /// Nobody has asked who we are for a while.
        case reopen(NodeAddress, serial: UInt64)
        case attempt(NodeAddress, serial: UInt64)
    }

    var sessions: Sessions
    var addresses: Addresses
    private(set) var conversations: [NodeAddress: Conversation] = [:]
    var pending: [UInt32: PendingRequest] = [:]
    private var deadlines = TimerQueue<Deadline>()
    private var outcomes: [Outcome] = []
    /// Nonce tails of sessions and attempts: whom a WHOAREYOU that names one of our packets is from.
    private(set) var tails: [UInt64: NodeAddress] = [:]
    /// Distinguishes the tails of attempts from anything a stranger can guess.
    private let tailSecret: Bytes32
    private var lastID: UInt32
    private var nextSerial: UInt64 = 0

    init(_ sessions: Sessions) {
        self.sessions = sessions
        addresses = Addresses(sessions.configuration)
        tailSecret = self.sessions.random.entropy.bytes32()
        lastID = UInt32(truncatingIfNeeded: self.sessions.random.next64())
    }

    private var configuration: Discovery.Configuration { sessions.configuration }

    /// When `advance` is next due.
    var nextDeadline: Instant? { deadlines.earliest }

    /// Deadlines that are waited for, void ones included.
    var deadlineCount: Int { deadlines.count }

    /// Fires what is due at `now`.
    mutating func advance(to now: Instant) {
        while let deadline = deadlines.next(due: now) {
            switch deadline {
            case .request(let id):
                guard let request = pending[id], let due = request.deadline, due <= now else { continue }
                sessions.unanswered(request.address)
                fail(id, .timeout)
                // If it was the one inside the handshake packet, what waits need not wait any longer: either the packet
                // was lost, and the next one is challenged again, or only its answer.
                if conversations[request.address]?.attempt?.phase == .awaitingAnswer {
                    endAttempt(request.address, at: now)
                }
            case .repetition(let id):
                guard let due = pending[id]?.repeatsAt, due <= now else { continue }
                repeatRequest(id, at: now)
            case .reopen(let address, let serial):
                guard let attempt = conversations[address]?.attempt, attempt.serial == serial,
                    attempt.phase == .awaitingChallenge, mayOpen(address, isProven: attempt.isProven, at: now)
                else { continue }
                sessions.sendOpening(to: address, tail: attempt.tail)
                deadlines.add(
                    .reopen(address, serial: serial), at: now + DiscoveryLimits.openingPatience)
            case .attempt(let address, let serial):
                if conversations[address]?.attempt?.serial == serial { abandonAttempt(address, at: now) }
            }
        }
    }

    /// Takes what has come about since the last time.
    mutating func takeOutcomes() -> [Outcome] {
        guard !outcomes.isEmpty else { return [] }
        defer { outcomes = [] }
        return outcomes
    }

    // MARK: Sending and ending

    private mutating func newID() -> RequestID {
        lastID &+= 1
        return RequestID(own: lastID)
    }

    /// Takes a request on its way: into a session, or behind a handshake. Throws, with nothing changed, when it cannot.
    mutating func send(
        _ purpose: RequestPurpose, to route: Route, distances: [Int] = [], timeout: Interval? = nil, at now: Instant,
        message: (RequestID) -> Message
    ) throws(DiscoveryError) {
        let address = route.address
        guard address.id != sessions.local.id else { throw .ownNode }
        guard pending.count < configuration.requestLimit, hasQueueRoom(for: address) else { throw .tooManyRequests }
        // Ids wrap after 2^32; one still pending that long ago does not exist.
        let bytes = message(newID()).encoded
        let id = lastID
        guard bytes.count <= DiscoveryLimits.messageSize else {
            throw .messageTooLarge(limit: DiscoveryLimits.messageSize)
        }
        var request = PendingRequest(
            address: address, purpose: purpose, message: bytes, timeout: timeout ?? configuration.requestTimeout)
        request.distances = distances
        pending[id] = request
        if conversations[address]?.attempt == nil {
            if sendInSession(id, at: now) { return }
            guard route.record != nil, beginAttempt(route, at: now) else {
                pending[id] = nil
                throw route.record == nil ? .noEndpoint : .unprovenAddress
            }
        }
        conversations[address, default: Conversation()].queue.append(.request(id))
    }

    private func hasQueueRoom(for address: NodeAddress) -> Bool {
        conversations[address]?.queue.count ?? 0 < configuration.queueLimit
    }

    /// Sends a TALKREQ whose answer nobody waits for: at once, in a session, or else behind a handshake. `route` is
    /// asked for where there is no session. False when it was dropped.
    mutating func sendOneWay(
        _ name: [UInt8], count: Int, first: UInt8?, to address: NodeAddress, at now: Instant,
        route: () -> Route, write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        let writer = TalkRequestWriter(id: newID(), protocol: name, requestSize: count, first: first)
        guard writer.size <= DiscoveryLimits.messageSize else { return false }
        let attempting = conversations[address]?.attempt != nil
        if !attempting, sessions.send(writer, to: address, write: write) { return true }
        guard hasQueueRoom(for: address), address.id != sessions.local.id else { return false }
        let message = [UInt8](unsafeUninitializedCapacity: writer.size) { target, count in
            if let base = UnsafeMutableRawPointer(target.baseAddress) { writer.write(to: base, request: write) }
            count = writer.size
        }
        if !attempting {
            guard conversations.count < configuration.requestLimit, beginAttempt(route(), at: now) else {
                return false
            }
        }
        conversations[address, default: Conversation()].queue.append(.oneWay(message))
        return true
    }

    /// Sends a pending request in the session with its node. False where there is none.
    private mutating func sendInSession(_ id: UInt32, at now: Instant) -> Bool {
        guard let request = pending[id], let nonce = sessions.send(request.message, to: request.address) else {
            return false
        }
        noteSent(id, nonce: nonce, at: now)
        return true
    }

    private mutating func noteSent(_ id: UInt32, nonce: Nonce, at now: Instant) {
        guard let request = pending[id] else { return }
        let deadline = now + request.timeout
        pending[id]?.nonce = nonce
        pending[id]?.deadline = deadline
        pending[id]?.sentFirst = now
        pending[id]?.sentLast = now
        pending[id]?.repetitions = 0
        conversations[request.address, default: Conversation()].inFlight.append(id)
        deadlines.add(.request(id), at: deadline)
        scheduleRepetition(id, at: now)
    }

    /// Plans the next sending of a request without an answer, if there is time for it before the request fails.
    private mutating func scheduleRepetition(_ id: UInt32, at now: Instant) {
        guard let request = pending[id], let deadline = request.deadline else { return }
        pending[id]?.repeatsAt = nil
        guard request.repetitions < DiscoveryLimits.repetitions else { return }
        let patience = sessions.answerTimes(of: request.address).patience
        let due = now + Interval(microseconds: patience.microseconds << request.repetitions)
        guard due < deadline else { return }
        pending[id]?.repeatsAt = due
        deadlines.add(.repetition(id), at: due)
    }

    /// Sends a request again, in the session that it was sent in.
    private mutating func repeatRequest(_ id: UInt32, at now: Instant) {
        guard let address = pending[id]?.address, let message = pending[id]?.message else { return }
        // It was inside a handshake packet that may be lost: what follows is then challenged again. See `advance`.
        if conversations[address]?.attempt?.phase == .awaitingAnswer { endAttempt(address, at: now) }
        guard let nonce = sessions.send(message, to: address) else { return }
        sessions.statistics.requestsRepeated += 1
        pending[id]?.nonce = nonce
        pending[id]?.sentLast = now
        pending[id]?.repetitions += 1
        scheduleRepetition(id, at: now)
    }

    /// The pending request that an answer with `id` from `address` belongs to.
    func number(of id: RequestID, from address: NodeAddress) -> UInt32? {
        guard id.count == DiscoveryLimits.ownRequestIDSize, let own = UInt32(exactly: id.value),
            pending[own]?.address == address
        else { return nil }
        return own
    }

    /// Ends a request whose answer has come.
    @discardableResult
    mutating func answered(_ id: UInt32, at now: Instant) -> PendingRequest? {
        guard let request = close(id) else { return nil }
        // What waits behind a handshake again, and is answered meanwhile, was sent at a time that nobody knows.
        if request.deadline != nil {
            sessions.timed(
                request.address, sent: request.sentFirst, repeated: request.repetitions > 0 ? request.sentLast : nil,
                answered: now)
        }
        return request
    }

    /// Takes a request off the books. Every request passes here exactly once.
    private mutating func close(_ id: UInt32) -> PendingRequest? {
        guard let request = pending.removeValue(forKey: id) else { return nil }
        conversations[request.address]?.inFlight.removeAll { $0 == id }
        dropIfIdle(request.address)
        return request
    }

    /// Ends a request without an answer.
    mutating func fail(_ id: UInt32, _ error: DiscoveryError) {
        if let request = close(id) { outcomes.append(.failed(request, error)) }
    }

    private mutating func dropIfIdle(_ address: NodeAddress) {
        if conversations[address]?.isIdle == true { conversations[address] = nil }
    }

    // MARK: Attempts

    /// Sends a packet that cannot be read, so that the node there asks who we are. Others follow while no WHOAREYOU
    /// comes: this is the one loss that would fail everything that waits. False where nothing may be sent there.
    private mutating func beginAttempt(_ route: Route, at now: Instant) -> Bool {
        let address = route.address
        guard let record = route.record, mayOpen(address, isProven: route.isProven, at: now) else { return false }
        outcomes.append(.contacted(record, address.endpoint))
        let attempt = register(record, isProven: route.isProven, for: address, at: now)
        addresses.count(\.tried, address.endpoint)
        deadlines.add(.reopen(address, serial: attempt.serial), at: now + DiscoveryLimits.openingPatience)
        sessions.sendOpening(to: address, tail: attempt.tail)
        return true
    }

    /// Whether one more packet may go there that nobody has asked for; it then counts as sent.
    private mutating func mayOpen(_ address: NodeAddress, isProven: Bool, at now: Instant) -> Bool {
        if isProven || addresses.admits(DiscoveryLimits.openingSize, to: address.endpoint, at: now) { return true }
        sessions.statistics.contactsRefused += 1
        return false
    }

    private mutating func register(
        _ record: NodeRecord, isProven: Bool, for address: NodeAddress, at now: Instant
    ) -> Attempt {
        let attempt = Attempt(
            serial: nextSerial, record: record, isProven: isProven, tail: attemptTail(address))
        nextSerial += 1
        conversations[address, default: Conversation()].attempt = attempt
        tails[attempt.tail] = address
        deadlines.add(.attempt(address, serial: attempt.serial), at: now + configuration.handshakeTimeout)
        return attempt
    }

    /// The nonce tail of attempts to reach `address`: the same each time, since the other side repeats its WHOAREYOU to
    /// an earlier attempt while it stands, and a guess for anybody else.
    func attemptTail(_ address: NodeAddress) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 32 + 32 + 16 + 2, alignment: 8) { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            tailSecret.store(to: base)
            address.id.store(to: base + 32)
            let size = 64 + address.endpoint.storeAddress(to: base + 64)
            (base + size).storeBytes(of: address.endpoint.port, as: UInt16.self)
            return Keccak.hash(UnsafeRawBufferPointer(rebasing: buffer[..<(size + 2)])).word0
        }
    }

    /// Puts a session in the place of an older one.
    mutating func install(_ session: Session, for address: NodeAddress) {
        if let old = sessions.held.peek(address) { forgetTails(of: old, at: address) }
        if let evicted = sessions.held.insert(address, session) { forgetTails(of: evicted.value, at: evicted.key) }
        tails[session.tail] = address
    }

    private mutating func forgetTails(of session: Session, at address: NodeAddress) {
        tails[session.tail] = nil
        // The tail of an attempt outlives it while its session is not confirmed.
        if !session.isConfirmed, conversations[address]?.attempt == nil { tails[attemptTail(address)] = nil }
    }

    /// Lets out what waited for a session.
    mutating func endAttempt(_ address: NodeAddress, at now: Instant) {
        guard let attempt = conversations[address]?.attempt else { return }
        if sessions.held.peek(address)?.isConfirmed ?? true { tails[attempt.tail] = nil }
        for queued in leaveAttempt(address) {
            switch queued {
            case .request(let id):
                if pending[id] != nil, !sendInSession(id, at: now) { fail(id, .timeout) }
            case .oneWay(let message):
                sessions.send(message, to: address)
            }
        }
        dropIfIdle(address)
    }

    /// Ends the attempt; what waited behind it.
    private mutating func leaveAttempt(_ address: NodeAddress) -> [Queued] {
        let queue = conversations[address]?.queue ?? []
        conversations[address]?.attempt = nil
        conversations[address]?.queue = []
        return queue
    }

    /// The time for a handshake is over. Without a WHOAREYOU nobody is there. If ours was answered with a handshake
    /// packet, only the first answer is missing, which may be slow in coming: what waits leaves under the new keys, and
    /// has its own time to be answered in.
    private mutating func abandonAttempt(_ address: NodeAddress, at now: Instant) {
        guard let attempt = conversations[address]?.attempt else { return }
        guard attempt.phase == .awaitingChallenge else { return endAttempt(address, at: now) }
        tails[attempt.tail] = nil
        let waiting = leaveAttempt(address).compactMap { queued -> UInt32? in
            if case .request(let id) = queued { id } else { nil }
        }
        addresses.failed(address.endpoint, at: now)
        outcomes.append(.unreached(attempt.record, address.endpoint, waiting: waiting))
        dropIfIdle(address)
    }

    /// The system would not send a datagram there: it has no route, say. What waits for an answer from there need not
    /// wait any longer.
    mutating func unsent(to endpoint: Endpoint, at now: Instant) {
        addresses.count(\.unsent, endpoint)
        addresses.failed(endpoint, at: now)
        let waiting = conversations.lazy
            .filter { $0.key.endpoint == endpoint && $0.value.attempt?.phase == .awaitingChallenge }.map(\.key)
        for address in waiting.sorted(by: { $0.id < $1.id }) { abandonAttempt(address, at: now) }
    }

    /// Sends a request that waited behind a failed handshake to the node's other address, once. False where that cannot
    /// be, or was done. A check asks whether a node of the table is still where the table has it, so it goes nowhere
    /// else.
    mutating func move(_ id: UInt32, to route: Route, at now: Instant) -> Bool {
        let address = route.address
        guard let request = pending[id], request.address.id == address.id, !request.hasMoved else { return false }
        if case .check = request.purpose { return false }
        guard hasQueueRoom(for: address) else { return false }
        if conversations[address]?.attempt == nil, !sessions.has(address) {
            guard beginAttempt(route, at: now) else { return false }
        }
        pending[id]?.hasMoved = true
        pending[id]?.address = address
        if conversations[address]?.attempt == nil { return sendInSession(id, at: now) }
        conversations[address, default: Conversation()].queue.append(.request(id))
        return true
    }

    // MARK: Handshakes

    /// Who sends the WHOAREYOU in the buffer; nil where it names no packet of ours, which nobody else can know.
    mutating func challenger(_ header: PacketHeader, from source: Endpoint) -> NodeAddress? {
        guard let address = tails[header.nonce.tail], address.endpoint == source else { return nil }
        addresses.proved(source)
        return address
    }

    /// Somebody has no session with us, or has lost it. `record`: what is known of the node.
    mutating func answerChallenge(
        _ header: PacketHeader, of address: NodeAddress, knowing record: NodeRecord?, at now: Instant
    ) {
        if let attempt = conversations[address]?.attempt {
            guard attempt.phase == .awaitingChallenge, attempt.tail == header.nonce.tail else { return }
        } else {
            // It must answer a packet sent in this session; or, where our handshake packet was lost, repeat the
            // challenge that it answered because something was sent after it.
            guard let session = sessions.held.peek(address),
                session.tail == header.nonce.tail
                    ? header.nonce.counter < session.counter : !session.isConfirmed && session.counter > 1
            else { return }
            _ = register(record ?? session.record, isProven: true, for: address, at: now)
            requeueInFlight(address, first: header.nonce)
        }
        sendHandshake(header, to: address, at: now)
    }

    /// Puts what was in flight back before the queue, the request that the WHOAREYOU names at the front. What has been
    /// through two handshakes is given up.
    private mutating func requeueInFlight(_ address: NodeAddress, first nonce: Nonce) {
        guard let flying = conversations[address]?.inFlight, !flying.isEmpty else { return }
        for id in flying where pending[id]?.handshakes ?? 0 >= 2 { fail(id, .timeout) }
        let rest = flying.filter { pending[$0] != nil }
        let ordered = rest.filter { pending[$0]?.nonce == nonce } + rest.filter { pending[$0]?.nonce != nonce }
        for id in ordered {
            pending[id]?.deadline = nil
            pending[id]?.repeatsAt = nil
        }
        conversations[address]?.inFlight = []
        conversations[address]?.queue.insert(contentsOf: ordered.map { .request($0) }, at: 0)
    }

    /// Proves who we are and makes the session, with a request in the same packet.
    private mutating func sendHandshake(_ header: PacketHeader, to address: NodeAddress, at now: Instant) {
        guard let attempt = conversations[address]?.attempt else { return }
        let knownSequence = sessions.buffer.knownSequence
        let local = sessions.local.record
        let localRecord = knownSequence < local.sequence || knownSequence == 0 ? local.encoded : []
        let opener = takeOpener(address, authSize: PacketHeader.handshakeAuthSize + localRecord.count)
        guard let message = pending[opener]?.message else { return }
        let proven = sessions.proven(
            to: attempt.record, at: address, header, localRecord: localRecord, message: message, now: now)
        guard let (session, packet) = proven else { return fail(opener, .timeout) }
        // The handshake packet was its first.
        let nonce = Nonce(counter: session.counter - 1, tail: session.tail)
        install(session, for: address)
        conversations[address]?.attempt?.phase = .awaitingAnswer
        pending[opener]?.handshakes += 1
        noteSent(opener, nonce: nonce, at: now)
        sessions.directives.append(.send(packet, to: address.endpoint))
    }

    /// The request that goes inside the handshake packet: the first that waits, if it fits beside the proof, else a
    /// PING. One-way messages never do: nothing would come back to show that the session stands.
    private mutating func takeOpener(_ address: NodeAddress, authSize: Int) -> UInt32 {
        let room =
            DiscoveryLimits.packetSizes.upperBound - PacketHeader.authStart - authSize - MessageCipher.tagSize
        if case .request(let id) = conversations[address]?.queue.first, let request = pending[id],
            request.message.count <= room
        {
            conversations[address]?.queue.removeFirst()
            return id
        }
        let message = Message.ping(newID(), sequence: sessions.local.record.sequence).encoded
        pending[lastID] = PendingRequest(
            address: address, purpose: .open, message: message, timeout: configuration.requestTimeout)
        return lastID
    }

    /// The first packet under the newest keys has come: the handshake that we began has succeeded.
    mutating func sessionStands(_ address: NodeAddress, at now: Instant) {
        tails[attemptTail(address)] = nil
        sessions.statistics.handshakes += 1
        addresses.count(\.answered, address.endpoint)
        outcomes.append(.established(address))
        endAttempt(address, at: now)
    }
}
