import Discovery
import Primitives

// PING and PONG: what is said of ourselves, what is heard of others, and when.
extension Overlay {
    // MARK: PING out

    /// The payload type that a PING to this peer bears.
    func pingType(for peer: TablePeer, network: Int) -> UInt16 {
        let state = networks[network]
        guard let type = state.configuration.extensionType, state.extensionPayload != nil,
            peer.capabilities.contains(type)
        else { return PingPayload.clientInfoType }
        return type
    }

    private func payload(of type: UInt16, network: Int) -> [UInt8]? {
        let state = networks[network]
        if type == state.configuration.extensionType { return state.extensionPayload }
        do throws(SSZError) {
            switch type {
            case PingPayload.clientInfoType:
                let client = Array(configuration.clientInfo.utf8.prefix(OverlayLimits.clientInfoBytes))
                return try PingPayload.clientInfo(
                    client: client, radius: state.radius, capabilities: state.capabilities
                ).encoded()
            case PingPayload.radiusType:
                return try PingPayload.radius(state.radius).encoded()
            default:
                return nil
            }
        } catch {
            return nil
        }
    }

    mutating func sendPing(_ network: Int, _ contact: Contact, type: UInt16) {
        guard let payload = payload(of: type, network: network) else {
            networks[network].visiting[contact.record.id] = nil
            return
        }
        let message = PortalMessage.ping(recordSequence: localRecord.sequence, type: type, payload: payload)
        do throws(PortalMessageError) {
            _ = try ask(message, network: network, contact, .ping(type: type))
        } catch {
            // Our own payload is over its limit; `setLocal` refuses those.
            networks[network].visiting[contact.record.id] = nil
        }
    }

    mutating func ping(_ peer: TablePeer, network: Int) {
        guard !peer.pingInFlight else { return }
        var peer = peer
        peer.pingInFlight = true
        peer.lastPing = clock
        schedule(&peer, at: clock + pause(after: peer, network: network), network: network, anew: true)
        networks[network].table[peer.id] = peer
        sendPing(network, peer.contact, type: pingType(for: peer, network: network))
    }

    /// Moves the next PING to `instant`, if that is earlier or `anew`. Of several timers only the right one acts.
    mutating func schedule(_ peer: inout TablePeer, at instant: Instant, network: Int, anew: Bool) {
        guard anew || instant < peer.nextPing else { return }
        peer.nextPing = instant
        timers.add(.ping(network: network, peer: peer.id), at: instant)
    }

    mutating func pingDue(_ network: Int, _ id: Bytes32) {
        guard let peer = networks[network].table[id], peer.nextPing <= clock else { return }
        ping(peer, network: network)
    }

    /// From one PING to the next.
    mutating func pause(after peer: TablePeer, network: Int) -> Interval {
        jittered(peer.isKept ? keptPingInterval(network) : configuration.pingInterval)
    }

    /// From one PING of a kept peer to the next: longer where there are many of them.
    func keptPingInterval(_ network: Int) -> Interval {
        max(configuration.keptPingInterval, shareOfKeptPings(network))
    }

    /// How long one round of PINGs to all kept peers takes by their budget.
    private func shareOfKeptPings(_ network: Int) -> Interval {
        .seconds(networks[network].table.keptCount / OverlayLimits.keptPingRate)
    }

    /// ±25 %, so that peers met together are not pinged together for ever.
    private mutating func jittered(_ interval: Interval) -> Interval {
        let quarter = interval.microseconds / 4
        return Interval(microseconds: interval.microseconds - quarter + generator.next() % (2 * quarter + 1))
    }

    /// What our PING and PONG carry: the radius in type 0 and 1, `extensionPayload` (at most 700 bytes) in the
    /// network's own type. When one of them changes, kept peers are pinged at the next chance, each at most once in
    /// 5 s; all peers and at once where the news `isUrgent`.
    /// False for a network or payload that cannot be.
    @discardableResult
    public mutating func setLocal(
        network id: NetworkID, radius: UInt256, extensionPayload: [UInt8]?, isUrgent: Bool = false, at now: Instant
    ) -> Bool {
        clock = now
        guard let network = index(of: id), (extensionPayload?.count ?? 0) <= OverlayLimits.extensionPayloadBytes else {
            return false
        }
        let state = networks[network]
        guard state.radius != radius || state.extensionPayload != extensionPayload else { return true }
        networks[network].radius = radius
        networks[network].extensionPayload = extensionPayload
        let usualGap = max(OverlayLimits.payloadPingGap, shareOfKeptPings(network))
        let gap = isUrgent ? OverlayLimits.urgentPingGap : usualGap
        let peers = networks[network].table.peers.filter { $0.isKept || isUrgent }
        for (rank, var peer) in peers.enumerated() {
            let turn = Interval(microseconds: UInt64(rank) * 1_000_000 / UInt64(OverlayLimits.urgentPingRate))
            schedule(&peer, at: max(now + turn, peer.lastPing + gap), network: network, anew: false)
            networks[network].table[peer.id] = peer
        }
        return true
    }

    /// A peer's radius is another than we believe: it is pinged at the next chance, at most once in 5 s.
    mutating func askRadius(of id: Bytes32, network: Int) {
        guard var peer = networks[network].table[id] else { return }
        schedule(&peer, at: max(clock, peer.lastPing + OverlayLimits.payloadPingGap), network: network, anew: false)
        networks[network].table[id] = peer
    }

    /// Pings a peer out of turn.
    public mutating func ping(network id: NetworkID, peer: Bytes32, at now: Instant) {
        clock = now
        guard let network = index(of: id), let peer = networks[network].table[peer] else { return }
        ping(peer, network: network)
    }

    // MARK: PONG in

    mutating func pingAnswered(_ talk: Talk, type: UInt16, _ answer: Result<PortalMessage, OverlayError>) {
        let (network, id) = (talk.network, talk.contact.record.id)
        let isVisit = networks[network].visiting[id] != nil && type == PingPayload.clientInfoType
        if isVisit { networks[network].visiting[id] = nil }
        networks[network].table[id]?.pingInFlight = false
        var failure: OverlayError?
        switch answer {
        case .success(.pong(let sequence, let answerType, let payload)):
            do throws(OverlayError) {
                try ponged(talk, asked: type, answerType, payload)
            } catch {
                failure = error
            }
            if failure == nil { fetchRecord(talk.contact, announced: sequence, network: network) }
        case .success(let other):
            failure = .unexpectedAnswer(selector: other.selector)
        case .failure(let error):
            failure = error
        }
        // Not to speak the network is no fault of a node that was merely seen.
        if !(isVisit && failure == .unsupported) { note(failure, of: id) }
        if failure == nil, talk.hadSession { book.measured(clock - talk.sentAt, \.roundTrip, of: id, at: clock) }
        if failure != nil {
            if isVisit, networks[network].table[id] == nil { postpone(talk.contact, network: network) }
            if var peer = networks[network].table[id] {
                let soon = min(OverlayLimits.failedPingDelay, configuration.pingInterval)
                schedule(&peer, at: clock + soon, network: network, anew: false)
                networks[network].table[id] = peer
            }
        }
        // Whatever came of it: who was sought is so no more, and whoever seeks it is told.
        if isVisit, networks[network].sought.remove(id) != nil {
            if let peer = networks[network].table[id] {
                announce(peer, network: network)
            } else {
                directives.append(.peerLost(networks[network].configuration.id, id))
            }
        }
        visitNext(network)
    }

    private mutating func ponged(
        _ talk: Talk, asked: UInt16, _ type: UInt16, _ payload: [UInt8]
    ) throws(OverlayError) {
        guard type == asked || type == PingPayload.errorType else { throw .unexpectedAnswer(selector: 1) }
        try heard(talk.contact, network: talk.network, type: type, payload, admits: true)
        // It does not know the type after all: type 0 from now on.
        if type == PingPayload.errorType, var peer = networks[talk.network].table[talk.contact.record.id] {
            peer.capabilities.removeAll { $0 == asked }
            networks[talk.network].table[peer.id] = peer
        }
    }

    /// What a PING or PONG says of its sender.
    private mutating func heard(
        _ contact: Contact, network: Int, type: UInt16, _ payload: [UInt8], admits: Bool
    ) throws(OverlayError) {
        let id = contact.record.id
        let said: PingPayload?
        do throws(SSZError) {
            said = try PingPayload.decode(type: type, payload)
        } catch {
            throw .malformed(.container(error))
        }
        guard let old = networks[network].table[id] else {
            if admits, case .clientInfo(let client, let radius, let capabilities) = said {
                admit(contact, network: network, client: client, radius: radius, capabilities: capabilities)
            }
            return
        }
        var peer = old
        switch said {
        case .clientInfo(let client, let radius, let capabilities):
            peer.radius = radius
            if peer.clientInfo != client { peer.clientInfo = client }
            if peer.capabilities != capabilities { peer.capabilities = capabilities }
        case .radius(let radius):
            peer.radius = radius
        case .error:
            return
        case nil:
            guard type == networks[network].configuration.extensionType else { return }
            peer.lastExtension = PeerExtension(type: type, payload: payload, receivedAt: clock)
        }
        networks[network].table[id] = peer
        let changed =
            peer.radius != old.radius || peer.capabilities != old.capabilities
            || peer.lastExtension?.payload != old.lastExtension?.payload
        if changed { announce(peer, network: network) }
    }

    // MARK: PING in

    mutating func pinged(
        _ network: Int, _ address: NodeAddress, recordSequence: UInt64, type: UInt16, _ payload: [UInt8],
        _ token: TalkToken
    ) {
        let state = networks[network]
        let isOwn = type == state.configuration.extensionType
        var refusal: UInt16?
        do throws(SSZError) {
            let said = try PingPayload.decode(type: type, payload)
            if said == nil && !isOwn || type == PingPayload.errorType { refusal = PingPayload.notSupported }
        } catch {
            refusal = PingPayload.notDecodable
            breach(address.id)
        }
        // Without a payload of our own there is only the radius to give.
        let answer = refusal == nil ? self.payload(of: type, network: network) : nil
        if let answer {
            respond(.pong(recordSequence: localRecord.sequence, type: type, payload: answer), to: token)
        } else {
            refusePing(token, code: refusal ?? PingPayload.notFound)
        }
        guard refusal == nil, let record = discovery.record(of: address.id), isCompatible(record) else { return }
        if let peer = networks[network].table[address.id] {
            do throws(OverlayError) {
                try heard(peer.contact, network: network, type: type, payload, admits: false)
            } catch {
                // Its payload was read a moment ago; it reads again.
                return
            }
            fetchRecord(peer.contact, announced: recordSequence, network: network)
            if type == PingPayload.clientInfoType { hearExtensionAgain(peer.id, network: network) }
            if isOwn && answer != nil { exchanged(with: peer.id, network: network) }
        } else {
            consider(record, .pinged(address.endpoint), network: network)
        }
    }

    /// A peer's PING told us what it has, and our PONG told it what we have: it need not be pinged for that soon.
    private mutating func exchanged(with id: Bytes32, network: Int) {
        guard var peer = networks[network].table[id] else { return }
        peer.lastPing = clock
        schedule(&peer, at: clock + pause(after: peer, network: network), network: network, anew: true)
        networks[network].table[id] = peer
    }

    /// A peer that had spoken its extension and now sends a first PING has been started anew: what it said is out of
    /// date.
    mutating func hearExtensionAgain(_ id: Bytes32, network: Int) {
        guard var peer = networks[network].table[id], peer.lastExtension != nil else { return }
        schedule(&peer, at: max(clock, peer.lastPing + OverlayLimits.payloadPingGap), network: network, anew: false)
        networks[network].table[id] = peer
    }

    private mutating func refusePing(_ token: TalkToken, code: UInt16) {
        do throws(SSZError) {
            let payload = try PingPayload.error(code: code, message: []).encoded()
            respond(
                .pong(recordSequence: localRecord.sequence, type: PingPayload.errorType, payload: payload), to: token)
        } catch {
            discovery.respond(to: token, response: [], at: clock)
        }
    }

    /// Asks a peer for its record when it says that it has a newer one.
    private mutating func fetchRecord(_ contact: Contact, announced sequence: UInt64, network: Int) {
        let id = contact.record.id
        guard var peer = networks[network].table[id], sequence > peer.contact.record.sequence, !peer.fetchingRecord
        else { return }
        peer.fetchingRecord = true
        networks[network].table[id] = peer
        sendQuery(Query(lookup: nil, distances: [0]), to: contact, network: network)
    }
}
