import Primitives

// A request's way out, through sessions and the handshakes we begin.

extension Discovery {
    /// Sends a TALKREQ to the endpoint in `record`; `talkAnswered` follows exactly once. `timeout` counts from when the
    /// request leaves in a session. With `isHearsay` the record came from a stranger (`heard`), and what is sent to its
    /// address is limited by that; without, the caller vouches for it.
    public mutating func talk(
        to record: NodeRecord, isHearsay: Bool = false, protocol name: [UInt8], request: [UInt8],
        timeout: Interval? = nil, at now: Instant
    ) -> TalkID {
        let address = endpoint(of: record).map { NodeAddress(id: record.id, endpoint: $0) }
        if !isHearsay { open(record) }
        return talk(to: address, record, name, request, timeout, now)
    }

    /// The same to a node at an address taken from a directive: in a session there, or by its record if known here.
    public mutating func talk(
        to address: NodeAddress, protocol name: [UInt8], request: [UInt8], timeout: Interval? = nil, at now: Instant
    ) -> TalkID {
        talk(to: address, record(of: address.id), name, request, timeout, now)
    }

    private mutating func talk(
        to address: NodeAddress?, _ record: NodeRecord?, _ name: [UInt8], _ request: [UInt8], _ timeout: Interval?,
        _ now: Instant
    ) -> TalkID {
        begin(at: now)
        nextTalk += 1
        let id = TalkID(value: nextTalk)
        do throws(DiscoveryError) {
            guard let address else { throw .noEndpoint }
            try send(
                .talk(id), to: address, record, timeout: timeout ?? configuration.requestTimeout, at: now
            ) { .talkRequest($0, protocol: name, request: request) }
        } catch {
            directives.append(.talkAnswered(id, .failure(error)))
        }
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

    /// Whoever gave the record vouches for every address in it.
    mutating func open(_ record: NodeRecord) {
        for endpoint in endpoints(of: record) { named.open(endpoint) }
    }

    mutating func newRequestID() -> RequestID {
        nextRequest &+= 1
        return RequestID(own: nextRequest)
    }

    /// Takes a request on its way: into a session, or behind a handshake. Throws, with nothing changed, when it cannot.
    mutating func send(
        _ purpose: Purpose, to address: NodeAddress, _ record: NodeRecord?, distances: [Int] = [],
        timeout: Interval? = nil, at now: Instant, message: (RequestID) -> Message
    ) throws(DiscoveryError) {
        guard address.id != key.nodeID else { throw .ownNode }
        guard pending.count < configuration.requestLimit,
            peers[address]?.queue.count ?? 0 < configuration.queueLimit
        else { throw .tooManyRequests }
        // Ids wrap after 2^32; one still pending that long ago does not exist.
        let id = newRequestID()
        let bytes = message(id).encoded
        guard bytes.count <= DiscoveryLimits.messageSize else {
            throw .messageTooLarge(limit: DiscoveryLimits.messageSize)
        }
        var request = PendingRequest(
            address: address, purpose: purpose, message: bytes, timeout: timeout ?? configuration.requestTimeout)
        request.distances = distances
        if peers[address]?.attempt == nil {
            pending[nextRequest] = request
            if sendInSession(nextRequest, at: now) { return }
            pending[nextRequest] = nil
            guard let record else { throw .noEndpoint }
            guard beginAttempt(address, record, at: now) else { throw .unprovenAddress }
        }
        pending[nextRequest] = request
        peers[address, default: Peer()].queue.append(.request(nextRequest))
    }

    /// Seals a pending request in the session with its node. False where there is none.
    mutating func sendInSession(_ id: UInt32, at now: Instant) -> Bool {
        guard let request = pending[id], let slot = sessions.slot(of: request.address) else { return false }
        sessions.touch(slot)
        let iv = random.next16()
        let source = key.nodeID
        let sealed = sessions.update(slot) { session in
            let nonce = Nonce(counter: session.counter, tail: session.tail)
            return session.seal(request.message, from: source, iv: iv).map { ($0, nonce) }
        }
        guard let (packet, nonce) = sealed ?? nil else { return false }
        noteSent(id, nonce: nonce, at: now)
        directives.append(.send(packet, to: request.address.endpoint))
        return true
    }

    private mutating func noteSent(_ id: UInt32, nonce: Nonce, at now: Instant) {
        guard let request = pending[id] else { return }
        let deadline = now + request.timeout
        pending[id]?.nonce = nonce
        pending[id]?.deadline = deadline
        peers[request.address, default: Peer()].inFlight.append(id)
        timers.add(.request(id), at: deadline)
    }

    /// Sends a packet that cannot be read, so that the node there asks who we are. Another follows when half the time
    /// is over without a WHOAREYOU: this is the one loss that would fail everything that waits. False where nothing may
    /// be sent there.
    mutating func beginAttempt(_ address: NodeAddress, _ record: NodeRecord, at now: Instant) -> Bool {
        guard mayOpen(address, at: now) else { return false }
        remember(record, at: now)
        let attempt = Attempt(
            serial: nextSerial, record: record, tail: attemptTail(address), phase: .awaitingChallenge)
        register(attempt, for: address, at: now)
        ways.count(\.tried, address.endpoint)
        reachability.noteSent(to: address.endpoint, at: now)
        let half = Interval(microseconds: configuration.handshakeTimeout.microseconds / 2)
        timers.add(.reopen(address, serial: attempt.serial), at: now + half)
        sendOpening(attempt, to: address)
        return true
    }

    /// Half of an attempt's time is over.
    mutating func reopen(_ address: NodeAddress, at now: Instant) {
        guard let attempt = peers[address]?.attempt, attempt.phase == .awaitingChallenge,
            mayOpen(address, at: now)
        else { return }
        sendOpening(attempt, to: address)
    }

    /// Whether one more packet may go there that nobody has asked for; it then counts as sent.
    private mutating func mayOpen(_ address: NodeAddress, at now: Instant) -> Bool {
        if table.address(of: address.id) == address { return true }
        if named.admits(DiscoveryLimits.openingSize, to: address.endpoint, at: now) { return true }
        statistics.contactsRefused += 1
        return false
    }

    private mutating func sendOpening(_ attempt: Attempt, to address: NodeAddress) {
        var mask = MaskCipher(to: address.id)
        let nonce = Nonce(counter: UInt32(truncatingIfNeeded: random.next64()), tail: attempt.tail)
        let source = key.nodeID
        let content = random.entropy.bytes(
            DiscoveryLimits.openingSize - PacketHeader.authStart - PacketHeader.ordinaryAuthSize)
        let (packet, _) = PacketWriter.plain(
            iv: random.next16(), flag: .ordinary, nonce: nonce, authSize: PacketHeader.ordinaryAuthSize,
            tail: content, mask: &mask
        ) { source.store(to: $0) }
        directives.append(.send(packet, to: address.endpoint))
    }

    private mutating func register(_ attempt: Attempt, for address: NodeAddress, at now: Instant) {
        nextSerial += 1
        peers[address, default: Peer()].attempt = attempt
        tails[attempt.tail] = address
        timers.add(.attempt(address, serial: attempt.serial), at: now + configuration.handshakeTimeout)
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

    /// Somebody has no session with us, or has lost it.
    mutating func receiveWhoAreYou(_ header: PacketHeader, from source: Endpoint, at now: Instant) {
        guard let address = tails[header.nonce.tail], address.endpoint == source else { return }
        // Nobody else can know the number.
        named.open(source)
        ways.heard(source)
        if let attempt = peers[address]?.attempt {
            guard attempt.phase == .awaitingChallenge, attempt.tail == header.nonce.tail else { return }
        } else {
            // It must answer a packet sent in this session; or, where our handshake packet was lost, repeat the
            // challenge that it answered because something was sent after it.
            guard let session = sessions.peek(address),
                session.tail == header.nonce.tail
                    ? header.nonce.counter < session.counter : !session.isConfirmed && session.counter > 1
            else { return }
            let record = record(of: address.id) ?? session.record
            let attempt = Attempt(
                serial: nextSerial, record: record, tail: attemptTail(address), phase: .awaitingChallenge)
            register(attempt, for: address, at: now)
            requeueInFlight(address, first: header.nonce, at: now)
        }
        answerChallenge(header, of: address, at: now)
    }

    /// Puts what was in flight back before the queue, the request that the WHOAREYOU names at the front. What has been
    /// through two handshakes is given up.
    private mutating func requeueInFlight(_ address: NodeAddress, first nonce: Nonce, at now: Instant) {
        guard let flying = peers[address]?.inFlight, !flying.isEmpty else { return }
        for id in flying where pending[id]?.handshakes ?? 0 >= 2 { fail(id, .timeout, at: now) }
        let rest = flying.filter { pending[$0] != nil }
        let ordered = rest.filter { pending[$0]?.nonce == nonce } + rest.filter { pending[$0]?.nonce != nonce }
        for id in ordered { pending[id]?.deadline = nil }
        peers[address]?.inFlight = []
        peers[address, default: Peer()].queue.insert(contentsOf: ordered.map { .request($0) }, at: 0)
    }

    /// Proves who we are and makes the session, with a request in the same packet.
    private mutating func answerChallenge(_ header: PacketHeader, of address: NodeAddress, at now: Instant) {
        guard let attempt = peers[address]?.attempt else { return }
        let knownSequence = buffer.knownSequence
        let sendsRecord = knownSequence < localRecord.sequence || knownSequence == 0
        let record = sendsRecord ? localRecord.encoded : []
        let opener = takeOpener(address, authSize: PacketHeader.handshakeAuthSize + record.count)
        guard let message = pending[opener]?.message else { return }
        let answer = Session.answering(
            buffer.headerBytes(header), of: attempt.record, with: key, localRecord: record, message: message,
            budget: TokenBucket(burst: configuration.peerRequestBurst, at: now), replacing: sessions.peek(address),
            random: &random)
        guard let (session, packet) = answer else { return fail(opener, .timeout, at: now) }
        // The handshake packet was its first.
        let nonce = Nonce(counter: session.counter - 1, tail: session.tail)
        install(session, for: address)
        peers[address]?.attempt?.phase = .awaitingAnswer
        pending[opener]?.handshakes += 1
        noteSent(opener, nonce: nonce, at: now)
        directives.append(.send(packet, to: address.endpoint))
    }

    /// The request that goes inside the handshake packet: the first that waits, if it fits beside the proof, else a
    /// PING. One-way messages never do: nothing would come back to show that the session stands.
    private mutating func takeOpener(_ address: NodeAddress, authSize: Int) -> UInt32 {
        let room =
            DiscoveryLimits.packetSizes.upperBound - PacketHeader.authStart - authSize - MessageCipher.tagSize
        if case .request(let id) = peers[address]?.queue.first, let request = pending[id],
            request.message.count <= room
        {
            peers[address]?.queue.removeFirst()
            return id
        }
        let message = Message.ping(newRequestID(), sequence: localRecord.sequence).encoded
        pending[nextRequest] = PendingRequest(
            address: address, purpose: .open, message: message, timeout: configuration.requestTimeout)
        return nextRequest
    }

    /// The first packet under the newest keys has come: the handshake that we began has succeeded.
    mutating func sessionStands(_ address: NodeAddress, at now: Instant) {
        tails[attemptTail(address)] = nil
        statistics.handshakes += 1
        ways.count(\.answered, address.endpoint)
        directives.append(.sessionEstablished(address, record(of: address.id)))
        endAttempt(address, at: now)
    }

    /// A request to `address` went unanswered. If it was the one inside the handshake packet, what waits need not wait
    /// any longer: either the packet was lost, and the next one is challenged again, or only its answer.
    mutating func openerLost(_ address: NodeAddress, at now: Instant) {
        if peers[address]?.attempt?.phase == .awaitingAnswer { endAttempt(address, at: now) }
    }

    /// Lets out what waited for a session.
    mutating func endAttempt(_ address: NodeAddress, at now: Instant) {
        guard let peer = peers[address], let attempt = peer.attempt else { return }
        if sessions.peek(address)?.isConfirmed ?? true { tails[attempt.tail] = nil }
        peers[address]?.attempt = nil
        peers[address]?.queue = []
        for queued in peer.queue {
            switch queued {
            case .request(let id):
                if pending[id] != nil, !sendInSession(id, at: now) { fail(id, .timeout, at: now) }
            case .oneWay(let message):
                sendOneWay(message, to: address)
            }
        }
        dropIfIdle(address)
    }

    private mutating func sendOneWay(_ message: [UInt8], to address: NodeAddress) {
        guard let slot = sessions.slot(of: address) else { return }
        let iv = random.next16()
        let source = key.nodeID
        if let packet = sessions.update(slot, { $0.seal(message, from: source, iv: iv) }) ?? nil {
            directives.append(.send(packet, to: address.endpoint))
        }
    }

    /// The time for a handshake is over. Without a WHOAREYOU all that waited for it goes to the node's other address,
    /// if there is one that is not known to be dead, or fails. If ours was answered with
    /// a handshake packet, only the first answer is missing, which may be slow in coming: what waits leaves under the
    /// new keys, and has its own time to be answered in.
    mutating func abandonAttempt(_ address: NodeAddress, at now: Instant) {
        guard let peer = peers[address], let attempt = peer.attempt else { return }
        guard attempt.phase == .awaitingChallenge else { return endAttempt(address, at: now) }
        tails[attempt.tail] = nil
        peers[address]?.attempt = nil
        peers[address]?.queue = []
        ways.failed(address.endpoint, at: now)
        let other = otherWay(to: attempt.record, than: address.endpoint)
        for case .request(let id) in peer.queue {
            if let other, move(id, to: other, of: attempt.record, at: now) { continue }
            fail(id, .timeout, at: now)
        }
        dropIfIdle(address)
    }

    /// Takes a request off the books. Every request passes here exactly once.
    mutating func close(_ id: UInt32) -> PendingRequest? {
        guard let request = pending.removeValue(forKey: id) else { return nil }
        peers[request.address]?.inFlight.removeAll { $0 == id }
        dropIfIdle(request.address)
        return request
    }

    private mutating func dropIfIdle(_ address: NodeAddress) {
        if peers[address]?.isIdle == true { peers[address] = nil }
    }
}
