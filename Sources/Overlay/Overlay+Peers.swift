import Discovery
import Primitives

// Who is let in, who stays, and what PING and PONG say.
extension Overlay {
    /// Whether the record names our chain and a version we speak.
    func isCompatible(_ record: NodeRecord) -> Bool {
        guard let portal = record.portal, portal.chainID == configuration.chainID else { return false }
        return portal.lowestVersion <= configuration.versions.upperBound
            && portal.highestVersion >= configuration.versions.lowerBound
            && portal.lowestVersion <= portal.highestVersion
    }

    // MARK: Admission

    /// A record came to our notice. `seenAt` is where its owner was really met, `atOnce` that it is alive this moment.
    mutating func consider(_ record: NodeRecord, seenAt endpoint: Endpoint?, network: Int, atOnce: Bool) {
        let id = record.id
        guard id != localRecord.id else { return }
        guard isCompatible(record) else {
            // It may have been let in under an older record.
            if let peer = networks[network].table[id], peer.contact.record.sequence < record.sequence {
                dismiss(id, network: network)
            }
            return
        }
        if let peer = networks[network].table[id] {
            renew(peer, with: record, seenAt: endpoint, network: network)
            return
        }
        guard !book.isBanned(id, at: clock), !networks[network].table.isReplacement(id),
            !networks[network].isExpected(id), networks[network].waiting.count < OverlayLimits.candidates
        else { return }
        if let revisit = networks[network].revisits[id], !atOnce, clock < revisit.at { return }
        guard let place = endpoint ?? discovery.endpoint(of: record) else { return }
        let contact = Contact(record, at: place)
        networks[network].waiting.append(contact)
        visitNext(network)
    }

    private mutating func renew(
        _ peer: TablePeer, with record: NodeRecord, seenAt endpoint: Endpoint?, network: Int
    ) {
        guard record.sequence > peer.contact.record.sequence else { return }
        guard let place = discovery.endpoint(of: record) ?? endpoint else { return }
        var peer = peer
        peer.contact = Contact(record, at: place)
        peer.fetchingRecord = false
        networks[network].table[record.id] = peer
        announce(peer, network: network)
    }

    /// Sends first PINGs, as many at once as may be.
    private mutating func visitNext(_ network: Int) {
        while networks[network].visiting.count < OverlayLimits.candidatePings, !networks[network].waiting.isEmpty {
            let contact = networks[network].waiting.removeFirst()
            networks[network].visiting[contact.record.id] = contact
            sendPing(network, contact, type: PingPayload.clientInfoType)
        }
    }

    /// Visits the nodes that did not answer before.
    mutating func revisit(_ network: Int) {
        for contact in networks[network].dueRevisits(at: clock) {
            consider(contact.record, seenAt: contact.address.endpoint, network: network, atOnce: true)
        }
    }

    private mutating func postpone(_ contact: Contact, network: Int) {
        let isBootNode = bootNodes.contains(contact.record.id)
        if let due = networks[network].postpone(contact, isBootNode: isBootNode, at: clock) {
            timers.add(.revisit(network: network), at: due)
        }
    }

    private mutating func admit(
        _ contact: Contact, network: Int, client: [UInt8], radius: UInt256, capabilities: [UInt16]
    ) {
        networks[network].revisits[contact.record.id] = nil
        let peer = TablePeer(
            contact: contact, radius: radius, capabilities: capabilities, clientInfo: client, lastPing: clock,
            nextPing: clock + jittered(configuration.pingInterval))
        guard networks[network].table.insert(peer) else { return }
        announce(peer, network: network)
        timers.add(.ping(network: network, peer: peer.id), at: peer.nextPing)
        // The first peers are where everyone else is heard of.
        if networks[network].table.count == 1 { refreshSoon(network) }
        speakExtension(to: peer.id, network: network)
    }

    /// After the first PING the peer gets what our network has to say, and says so itself.
    private mutating func speakExtension(to id: Bytes32, network: Int) {
        guard let peer = networks[network].table[id], peer.lastExtension == nil else { return }
        let type = pingType(for: peer, network: network)
        if type != PingPayload.clientInfoType { ping(peer, network: network) }
    }

    // MARK: Departure

    /// Takes a node out of every table.
    mutating func drop(_ id: Bytes32) {
        for network in networks.indices {
            let contact = networks[network].table[id]?.contact
            dismiss(id, network: network)
            if let contact, !book.isBanned(id, at: clock) { postpone(contact, network: network) }
        }
    }

    private mutating func dismiss(_ id: Bytes32, network: Int) {
        networks[network].waiting.removeAll { $0.record.id == id }
        let (wasPeer, promoted) = networks[network].table.remove(id)
        guard wasPeer else { return }
        directives.append(.peerLost(networks[network].configuration.id, id))
        guard var promoted else { return }
        promoted.nextPing = clock
        networks[network].table[promoted.id] = promoted
        announce(promoted, network: network)
        timers.add(.ping(network: network, peer: promoted.id), at: clock)
    }

    func info(_ peer: TablePeer) -> PeerInfo {
        PeerInfo(
            record: peer.contact.record, address: peer.contact.address, radius: peer.radius,
            capabilities: peer.capabilities, clientInfo: peer.clientInfo, lastExtension: peer.lastExtension,
            standing: book.standing(of: peer.id) ?? PeerStanding())
    }

    private mutating func announce(_ peer: TablePeer, network: Int) {
        directives.append(.peerUpdated(networks[network].configuration.id, info(peer)))
    }

    // MARK: PING out

    /// The payload type that a PING to this peer bears.
    private func pingType(for peer: TablePeer, network: Int) -> UInt16 {
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

    private mutating func ping(_ peer: TablePeer, network: Int) {
        guard !peer.pingInFlight else { return }
        var peer = peer
        peer.pingInFlight = true
        peer.lastPing = clock
        schedule(&peer, at: clock + jittered(configuration.pingInterval), network: network, anew: true)
        networks[network].table[peer.id] = peer
        sendPing(network, peer.contact, type: pingType(for: peer, network: network))
    }

    /// Moves the next PING to `instant`, if that is earlier or `anew`. Of several timers only the right one acts.
    private mutating func schedule(_ peer: inout TablePeer, at instant: Instant, network: Int, anew: Bool) {
        guard anew || instant < peer.nextPing else { return }
        peer.nextPing = instant
        timers.add(.ping(network: network, peer: peer.id), at: instant)
    }

    mutating func pingDue(_ network: Int, _ id: Bytes32) {
        guard let peer = networks[network].table[id], peer.nextPing <= clock else { return }
        ping(peer, network: network)
    }

    /// ±25 %, so that peers met together are not pinged together for ever.
    private mutating func jittered(_ interval: Interval) -> Interval {
        let quarter = interval.microseconds / 4
        return Interval(microseconds: interval.microseconds - quarter + generator.next() % (2 * quarter + 1))
    }

    /// What our PING and PONG carry: the radius in type 0 and 1, `extensionPayload` (at most 700 bytes) in the
    /// network's own type. When one of them changes, peers are pinged at the next chance, each at most once in 5 s; at
    /// once where the news `isUrgent`.
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
        for var peer in networks[network].table.peers {
            let gap = isUrgent ? OverlayLimits.urgentPingGap : OverlayLimits.payloadPingGap
            schedule(&peer, at: max(now, peer.lastPing + gap), network: network, anew: false)
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
            (peer.clientInfo, peer.radius, peer.capabilities) = (client, radius, capabilities)
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
        } else {
            consider(record, seenAt: address.endpoint, network: network, atOnce: true)
        }
    }

    /// A peer that had spoken its extension and now sends a first PING has been started anew: what it said is out of
    /// date.
    private mutating func hearExtensionAgain(_ id: Bytes32, network: Int) {
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
