import Discovery
import Primitives
import UTP

// Events from the machines below, and timers, to the exchange or the peer they are about.
extension Overlay {
    /// Works until neither machine below has anything to say.
    mutating func pump() {
        while true {
            // Streams first: what they send may begin a handshake.
            let ended = utp.drain(into: &discovery)
            let below = discovery.drainDirectives()
            if below.isEmpty && ended.isEmpty { return }
            for directive in below { handle(directive) }
            for directive in ended { handle(directive) }
        }
    }

    private mutating func handle(_ directive: Discovery.Directive) {
        switch directive {
        case .send(let datagram, let endpoint):
            directives.append(.send(datagram, to: endpoint))
        case .talkRequested(let address, let name, let request, let token):
            handle(request, of: name, from: address, token)
        case .talkAnswered(let id, let result):
            if let talk = talks.removeValue(forKey: id) { handle(result, of: talk) }
        case .sessionEstablished(let address, let record):
            guard let record else { return }
            for network in networks.indices {
                consider(record, .met(address.endpoint), network: network)
            }
        case .nodeSeen(let record):
            for network in networks.indices { consider(record, .named, network: network) }
        case .addressVoted(let endpoint):
            directives.append(.addressVoted(endpoint))
        case .addressChecked(let endpoint, let isReachable):
            directives.append(.addressChecked(endpoint, isReachable: isReachable))
        case .lookupFinished, .nodeLost:
            // Its lookups serve its own table, and a peer's life is judged by its answers here.
            return
        }
    }

    private mutating func handle(_ directive: UTP.Directive) {
        switch directive {
        case .send(let packet, let address):
            // They went to the sink; were there one, it would go the same way.
            discovery.talkOneWay(to: address, protocol: Overlay.utpProtocol, request: packet, at: clock)
        case .received(let stream, let bytes):
            ended(stream, .success(bytes))
        case .sent(let stream):
            ended(stream, .success([]))
        case .failed(let stream, let error):
            ended(stream, .failure(error))
        }
    }

    private mutating func ended(_ stream: StreamID, _ result: Result<[UInt8], UTPError>) {
        switch streams.removeValue(forKey: stream) {
        case .request(let id): requestStreamEnded(id, result)
        case .served(let id): servedStreamEnded(id, result)
        case .offer(let id): offerStreamEnded(id, stream, result)
        case .inboundOffer(let id): inboundOfferStreamEnded(id, result)
        case nil: return
        }
    }

    /// Gives a stream up of which nobody wants to hear any more.
    mutating func close(_ stream: StreamID) {
        guard streams.removeValue(forKey: stream) != nil else { return }
        utp.close(stream, at: clock)
    }

    // MARK: Requests of others

    private mutating func handle(
        _ request: [UInt8], of name: [UInt8], from address: NodeAddress, _ token: TalkToken
    ) {
        if name == Overlay.utpProtocol {
            // No TALKRESP for it: nobody waits for one, and it would double the packets.
            utp.receive(request, from: address, at: clock)
            return
        }
        guard let id = NetworkID(bytes: name), let network = index(of: id) else {
            discovery.respond(to: token, response: [], at: clock)
            return
        }
        guard isWelcome(address) else {
            statistics.strangersRefused += 1
            discovery.respond(to: token, response: [], at: clock)
            return
        }
        do throws(PortalMessageError) {
            switch try PortalMessage(decoding: request) {
            case .ping(let sequence, let type, let payload):
                guard isInRate(address.id) else { return }
                statistics.pingsAnswered += 1
                pinged(network, address, recordSequence: sequence, type: type, payload, token)
            case .findNodes(let distances):
                guard isInRate(address.id) else { return }
                statistics.queriesAnswered += 1
                answerNodes(network, to: address, distances: distances, token)
            case .findContent(let key):
                contentAsked(network, address, key: key, token)
            case .offer(let keys):
                itemsOffered(network, address, keys: keys, token)
            case .pong, .nodes, .content, .accept:
                statistics.messagesRefused += 1
                discovery.respond(to: token, response: [], at: clock)
                breach(address.id)
            }
        } catch {
            statistics.messagesRefused += 1
            discovery.respond(to: token, response: [], at: clock)
            breach(address.id)
        }
    }

    private mutating func isInRate(_ id: Bytes32) -> Bool {
        guard !book.admits(id, at: clock) else { return true }
        statistics.messagesOverRate += 1
        return false
    }

    /// Neither banned nor of another chain. A node whose record is not known may ask, but never enters a table.
    private func isWelcome(_ address: NodeAddress) -> Bool {
        guard !book.isBanned(address.id, at: clock) else { return false }
        return discovery.record(of: address.id).map(isCompatible) ?? true
    }

    /// Sends an answer; false where it could not go.
    @discardableResult
    mutating func respond(_ message: PortalMessage, to token: TalkToken) -> Bool {
        do throws(PortalMessageError) {
            return discovery.respond(to: token, response: try message.encoded(), at: clock)
        } catch {
            // What we answer is cut to its limits before; an answer beyond them is none.
            discovery.respond(to: token, response: [], at: clock)
            return false
        }
    }

    // MARK: Requests of ours

    /// Sends a request. A large one to a node without a session goes behind a PING, since a handshake packet that
    /// carries our record has no room for it.
    mutating func ask(
        _ message: PortalMessage, network: Int, _ contact: Contact, _ purpose: Talk.Purpose
    ) throws(PortalMessageError) -> TalkID {
        let bytes = try message.encoded()
        switch purpose {
        case .ping: statistics.pingsSent += 1
        case .findNodes: statistics.queriesSent += 1
        case .content, .offer: break
        }
        let hadSession = discovery.hasSession(with: contact.address)
        if !hadSession && bytes.count > OverlayLimits.handshakeRequestBytes {
            sendPing(network, contact, type: PingPayload.clientInfoType)
        }
        let name = networks[network].configuration.id.bytes
        let id =
            discovery.endpoint(of: contact.record) == contact.address.endpoint
            ? discovery.talk(
                to: contact.record, isHearsay: true, protocol: name, request: bytes,
                timeout: configuration.requestTimeout, at: clock)
            : discovery.talk(
                to: contact.address, protocol: name, request: bytes, timeout: configuration.requestTimeout, at: clock)
        talks[id] = Talk(
            network: network, contact: contact, purpose: purpose, sentAt: clock, hadSession: hadSession)
        return id
    }

    private mutating func handle(_ result: Result<[UInt8], DiscoveryError>, of talk: Talk) {
        let answer: Result<PortalMessage, OverlayError>
        switch result {
        case .failure(let error):
            answer = .failure(.unanswered(error))
        case .success(let bytes) where bytes.isEmpty:
            answer = .failure(.unsupported)
        case .success(let bytes):
            do throws(PortalMessageError) {
                answer = .success(try PortalMessage(decoding: bytes))
            } catch {
                answer = .failure(.malformed(error))
            }
        }
        switch talk.purpose {
        case .ping(let type): pingAnswered(talk, type: type, answer)
        case .findNodes(let query): nodesAnswered(talk, query, answer)
        case .content(let id): contentAnswered(id, answer)
        case .offer(let id): offerAnswered(id, answer)
        }
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
        var silent = false
        if case .unanswered(.timeout) = error { silent = true }
        book.failed(peer, silent: silent, network: network, at: clock)
        if let standing = book.standing(of: peer), standing.failuresInARow >= configuration.failuresBeforeLoss {
            drop(peer)
        }
    }

    /// A rule was broken.
    mutating func breach(_ peer: Bytes32) {
        statistics.breaches += 1
        punish(peer, points: OverlayLimits.breachPoints)
    }

    mutating func punish(_ peer: Bytes32, points: Double) {
        guard book.punish(peer, points: points, at: clock) else { return }
        statistics.bans += 1
        drop(peer)
    }

    // MARK: Timers

    mutating func fire(_ timer: Timer) {
        switch timer {
        case .ping(let network, let peer): pingDue(network, peer)
        case .revisit(let network): revisit(network)
        case .refresh(let network): refreshDue(network)
        case .requestDeadline(let id): finishRequest(id, .failure(.timeout))
        case .promiseContent(let id): promiseContent(id)
        case .serveDeadline(let id): stopServing(id)
        case .relieveAnswers: relieveAnswers()
        case .offerDeadline(let id): offerDue(id)
        case .decideOffer(let id): undecided(id)
        case .inboundOfferDeadline(let id): finishInboundOffer(id, .timeout)
        case .offerAgain(let id): offerAgain(id)
        }
    }
}
