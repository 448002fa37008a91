import Primitives

// A datagram's way in.

extension Discovery {
    /// Handles a datagram that came from `source`.
    public mutating func receive(_ datagram: [UInt8], from source: Endpoint, at now: Instant) {
        let header = datagram.withUnsafeBytes { readHeader($0, at: now) }
        if let header { receive(header, from: source, at: now) }
    }

    /// Takes a datagram into the buffer; nil for what is not a packet, or not for us. Any reply to that would tell a
    /// scanner that somebody is here.
    mutating func readHeader(_ datagram: UnsafeRawBufferPointer, at now: Instant) -> PacketHeader? {
        begin(at: now)
        statistics.packetsReceived += 1
        do throws(PacketError) {
            return try buffer.unmask(datagram, with: &localMask)
        } catch {
            statistics.packetsRefused += 1
            return nil
        }
    }

    /// Handles the packet in the buffer.
    mutating func receive(_ header: PacketHeader, from source: Endpoint, at now: Instant) {
        switch header.flag {
        case .ordinary:
            if let address = openOrdinary(header, from: source, at: now) { receiveMessage(from: address, at: now) }
        case .whoAreYou: receiveWhoAreYou(header, from: source, at: now)
        case .handshake: receiveHandshake(header, from: source, at: now)
        }
    }

    /// Decrypts an ordinary packet's message; who sent it, nil where no session opens it.
    mutating func openOrdinary(_ header: PacketHeader, from source: Endpoint, at now: Instant) -> NodeAddress? {
        let address = NodeAddress(id: buffer.sourceID, endpoint: source)
        guard address.id != key.nodeID else { return nil }
        guard let slot = sessions.slot(of: address) else {
            challenge(address, for: header.nonce, at: now)
            return nil
        }
        guard admitsPacket(slot, at: now) else {
            statistics.packetsOverRate += 1
            return nil
        }
        guard let opened = openMessage(header, slot: slot) else {
            challenge(address, for: header.nonce, at: now)
            return nil
        }
        sessions.touch(slot)
        // Before the message is looked at: what waits in the queue is older than what the answer will bring about.
        if opened.confirms { sessionStands(address, at: now) }
        return address
    }

    private mutating func admitsPacket(_ slot: Int, at now: Instant) -> Bool {
        let (rate, burst) = (configuration.peerPacketRate, configuration.peerPacketBurst)
        return sessions.update(slot) { $0.admitsPacket(rate: rate, burst: burst, at: now) } ?? false
    }

    /// Decrypts the message in the buffer. `confirms`: it is the first under the session's newest keys.
    private mutating func openMessage(_ header: PacketHeader, slot: Int) -> (confirms: Bool, Void)? {
        sessions.update(slot) { session in
            let before = session.isConfirmed
            return session.open(&buffer, header).map { _ in (confirms: session.isConfirmed && !before, ()) }
        } ?? nil
    }

    /// Reads the message that was just decrypted and acts on it. One that does not decode is dropped: its sender is
    /// who it says, but there is nothing to answer.
    mutating func receiveMessage(from address: NodeAddress, at now: Instant) {
        do throws(MessageError) {
            handle(try buffer.message(), from: address, at: now)
        } catch {
            statistics.messagesRefused += 1
        }
    }

    /// Answers a packet that no session opens. While a challenge to this node at this address stands, it is repeated
    /// as it is: a second one would make the handshake under way fail.
    private mutating func challenge(_ address: NodeAddress, for nonce: Nonce, at now: Instant) {
        guard limiter.admits(address, at: now) else {
            statistics.packetsOverRate += 1
            return
        }
        statistics.challengesSent += 1
        if let standing = challenges.use(address), now < standing.expires {
            directives.append(.send(standing.packet, to: address.endpoint))
            return
        }
        let record = record(of: address.id)
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

    /// The other side answers a challenge of ours.
    private mutating func receiveHandshake(_ header: PacketHeader, from source: Endpoint, at now: Instant) {
        let address = NodeAddress(id: buffer.sourceID, endpoint: source)
        // One try a challenge: checking a signature is what a flood would want us to do.
        guard address.id != key.nodeID, let challenge = challenges.remove(address), now < challenge.expires else {
            statistics.handshakesRefused += 1
            return
        }
        let session: Session
        do throws(PacketError) {
            session = try openedSession(header, with: address, challenge, at: now)
        } catch {
            statistics.handshakesRefused += 1
            return
        }
        install(session, for: address)
        named.open(source)
        ways.heard(source)
        remember(session.record, at: now)
        statistics.handshakes += 1
        noteInbound(from: source, at: now)
        directives.append(.sessionEstablished(address, session.record))
        endAttempt(address, at: now)
        receiveMessage(from: address, at: now)
        meet(session.record, at: source, now: now)
    }

    /// The session that the handshake packet in the buffer opens, its message decrypted.
    private mutating func openedSession(
        _ header: PacketHeader, with address: NodeAddress, _ challenge: Challenge, at now: Instant
    ) throws(PacketError) -> Session {
        let data = try buffer.handshake(header)
        var record = challenge.record
        if let bytes = data.record {
            guard let sent = try? heard(bytes, from: address.endpoint), sent.id == address.id else {
                throw .handshakeRecord
            }
            if sent.sequence >= record?.sequence ?? 0 { record = sent }
        }
        guard let record else { throw .handshakeRecord }
        return try Session.opened(
            by: data, in: &buffer, header, challenge: challenge.data, of: record, with: key, tail: random.next64(),
            budget: TokenBucket(burst: configuration.peerRequestBurst, at: now), replacing: sessions.peek(address))
    }

    /// Puts a session in the place of an older one.
    mutating func install(_ session: Session, for address: NodeAddress) {
        if let old = sessions.peek(address) { forgetTails(of: old, at: address) }
        if let evicted = sessions.insert(address, session) { forgetTails(of: evicted.value, at: evicted.key) }
        tails[session.tail] = address
    }

    private mutating func forgetTails(of session: Session, at address: NodeAddress) {
        tails[session.tail] = nil
        // The tail of an attempt outlives it while its session is not confirmed.
        if !session.isConfirmed, peers[address]?.attempt == nil { tails[attemptTail(address)] = nil }
    }
}
