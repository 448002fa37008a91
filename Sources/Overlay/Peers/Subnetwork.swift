import Discovery
import Primitives

// Subnetwork: the peers of one network. Who is let in, who is kept and who stays; what is said of ourselves by PING and
// PONG, and what is heard of others by them.
//
//      record ─▶ consider ─▶ visit (first PING) ─ PONG ─▶ routing table, or beside it ─▶ PING from time to time
//                                   └ silence ─▶ visited again, later                        └ silence ─▶ out
//
// It sends by the `PortalWire` that is lent to it. Of several deadlines of one peer only the right one acts: the table
// says when its next PING is due.

/// One network of ours: its table, who is on the way in, and what we say of ourselves there.
struct Subnetwork: Sendable {
    /// What an asker gets while all slots are in use; see `OverlayConfiguration.Network`.
    let configuration: OverlayConfiguration.Network
    private(set) var profile: LocalProfile
    private(set) var table: NetworkTable
    private(set) var visits = Visits()
    /// Nodes that are never given up.
    private var bootNodes: Set<Bytes32> = []
    /// When new nodes are looked for next.
    private var nextRefresh = Instant.zero

    init(_ configuration: OverlayConfiguration, index: Int, local: Bytes32) {
        self.configuration = configuration.networks[index]
        profile = LocalProfile(configuration.networks[index], index: index, clientInfo: configuration.clientInfo)
        table = NetworkTable(local: local, limitsSubnets: configuration.limitsSubnets)
    }

    /// Its place in the configuration.
    private var index: Int { profile.index }
    private var id: NetworkID { profile.id }

    // MARK: Admission

    /// A record came to our notice: its owner gets a first PING, if that may be of use.
    mutating func consider(_ record: NodeRecord, _ notice: Notice, through wire: inout PortalWire) {
        guard record.id != wire.localRecord.id else { return }
        let listed = table.contact(of: record.id)?.record
        guard wire.isCompatible(record) else {
            // It may have been let in under an older record.
            if let listed, listed.sequence < record.sequence { dismiss(record.id, through: &wire) }
            return
        }
        if let listed {
            if record.sequence > listed.sequence { renew(record, seenAt: notice.endpoint, through: &wire) }
            return
        }
        guard !wire.book.isBanned(record.id, at: wire.clock),
            visits.areWorth(record.id, notice, for: table, at: wire.clock),
            let place = notice.endpoint ?? wire.discovery.endpoint(of: record)
        else { return }
        visits.add(Contact(record, at: place))
        visitNext(through: &wire)
    }

    /// A node to begin from.
    mutating func addBootNode(_ record: NodeRecord, through wire: inout PortalWire) {
        bootNodes.insert(record.id)
        consider(record, .met(nil), through: &wire)
    }

    /// Meets nodes that the network above looks for; see `Overlay.meet`.
    mutating func meet(_ records: [NodeRecord], through wire: inout PortalWire) {
        for record in records.reversed() where record.id != wire.localRecord.id { seek(record, through: &wire) }
        visitNext(through: &wire)
    }

    private mutating func seek(_ record: NodeRecord, through wire: inout PortalWire) {
        guard table.contact(of: record.id) == nil, !visits.seeksAlready(record.id) else { return }
        guard wire.isCompatible(record), !wire.book.isBanned(record.id, at: wire.clock), visits.maySeek,
            let place = wire.discovery.endpoint(of: record)
        else {
            wire.directives.append(.peerLost(id, record.id))
            return
        }
        visits.seek(Contact(record, at: place))
    }

    /// A peer has signed a newer record.
    private mutating func renew(_ record: NodeRecord, seenAt endpoint: Endpoint?, through wire: inout PortalWire) {
        guard let place = wire.discovery.endpoint(of: record) ?? endpoint else { return }
        table.update(record.id) { peer in
            peer.contact = Contact(record, at: place)
            peer.fetchingRecord = false
        }
        announce(record.id, through: &wire)
    }

    /// A peer answered from its other address: it is reached there from now on.
    mutating func follow(_ old: Contact, to contact: Contact) {
        guard table.contact(of: old.record.id) == old else { return }
        table.update(old.record.id) { $0.contact = contact }
    }

    /// Sends first PINGs, as many at once as may be.
    private mutating func visitNext(through wire: inout PortalWire) {
        while let contact = visits.next() { sendPing(to: contact, type: PingPayload.clientInfoType, through: &wire) }
    }

    /// Visits the nodes that did not answer before.
    mutating func revisit(through wire: inout PortalWire) {
        for contact in visits.due(at: wire.clock) {
            consider(contact.record, .met(contact.address.endpoint), through: &wire)
        }
    }

    private mutating func postpone(_ contact: Contact, through wire: inout PortalWire) {
        let isBootNode = bootNodes.contains(contact.record.id)
        if let due = visits.postpone(contact, isBootNode: isBootNode, at: wire.clock) {
            wire.deadlines.add(.revisit(network: index), at: due)
        }
    }

    private mutating func admit(
        _ contact: Contact, client: [UInt8], radius: UInt256, capabilities: [UInt16], through wire: inout PortalWire
    ) {
        visits.answered(contact.record.id)
        // Most nodes understand what we do: one array serves for all of those.
        let own = profile.capabilities
        let peer = TablePeer(
            contact: contact, radius: radius, capabilities: capabilities == own ? own : capabilities,
            clientInfo: client, lastPing: wire.clock, nextPing: wire.clock)
        guard table.insert(peer) else {
            visits.noteMet(peer.id, at: wire.clock)
            wire.directives.append(.peerMet(id, wire.book.info(peer)))
            return
        }
        enter(peer.id, through: &wire)
    }

    /// A node became a peer: it is announced, and pinged from now on.
    private mutating func enter(_ peer: Bytes32, through wire: inout PortalWire) {
        scheduleNext(peer, through: &wire)
        announce(peer, through: &wire)
        // The first peers are where everyone else is heard of.
        if table.count == 1 { scheduleRefresh(at: wire.clock, through: &wire) }
        // After the first PING the peer gets what our network has to say, and says so itself.
        if let entered = table[peer], entered.lastExtension == nil,
            profile.pingType(for: entered.capabilities) != PingPayload.clientInfoType
        {
            ping(peer, through: &wire)
        }
    }

    // MARK: Keeping

    /// Keeps a node that was met; see `Overlay.keep`.
    mutating func keep(_ peer: Bytes32, through wire: inout PortalWire) -> Bool {
        guard !wire.book.isBanned(peer, at: wire.clock) else { return false }
        switch table.keep(peer) {
        case .refused: return false
        case .stays: schedule(peer, after: keptPingInterval(wire.configuration), through: &wire)
        case .entered: enter(peer, through: &wire)
        }
        return true
    }

    /// Takes `keep` back. A node without a place in the routing table is no peer from then on.
    mutating func release(_ peer: Bytes32, through wire: inout PortalWire) {
        guard table.release(peer) else { return }
        visits.noteMet(peer, at: wire.clock)
        wire.directives.append(.peerLost(id, peer))
    }

    // MARK: Departure

    /// Takes a node out: it does not answer, or is banned.
    mutating func drop(_ peer: Bytes32, through wire: inout PortalWire) {
        let contact = table.contact(of: peer)
        dismiss(peer, through: &wire)
        if let contact, !wire.book.isBanned(peer, at: wire.clock) { postpone(contact, through: &wire) }
    }

    private mutating func dismiss(_ peer: Bytes32, through wire: inout PortalWire) {
        let wasSought = visits.forget(peer)
        let (wasPeer, promoted) = table.remove(peer)
        if wasPeer || wasSought { wire.directives.append(.peerLost(id, peer)) }
        guard let promoted else { return }
        announce(promoted.id, through: &wire)
        schedule(promoted.id, at: wire.clock, anew: true, through: &wire)
    }

    private func announce(_ peer: Bytes32, through wire: inout PortalWire) {
        if let info = table.look(at: peer, { wire.book.info($0) }) { wire.directives.append(.peerUpdated(id, info)) }
    }

    // MARK: When a PING is due

    /// Moves the next PING to `instant`, if that is earlier or `anew`.
    private mutating func schedule(
        _ peer: Bytes32, at instant: Instant, anew: Bool = false, through wire: inout PortalWire
    ) {
        let isMoved = table.update(peer) { peer in
            guard anew || instant < peer.nextPing else { return false }
            peer.nextPing = instant
            return true
        }
        if isMoved == true { wire.deadlines.add(.ping(network: index, peer: peer), at: instant) }
    }

    /// Moves the next PING to the next chance, if that is earlier: `gap` after the last one.
    private mutating func schedule(_ peer: Bytes32, after gap: Interval, through wire: inout PortalWire) {
        guard let last = table.look(at: peer, { $0.lastPing }) else { return }
        schedule(peer, at: max(wire.clock, last + gap), through: &wire)
    }

    /// The next PING comes after the usual pause, ±25 %, so that peers met together are not pinged together for ever.
    private mutating func scheduleNext(_ peer: Bytes32, through wire: inout PortalWire) {
        let isKept = table.look(at: peer) { $0.isKept } == true
        let pause = isKept ? keptPingInterval(wire.configuration) : wire.configuration.pingInterval
        let quarter = pause.microseconds / 4
        let jittered = pause.microseconds - quarter + wire.generator.next() % (2 * quarter + 1)
        schedule(peer, at: wire.clock + Interval(microseconds: jittered), anew: true, through: &wire)
    }

    /// From one PING of a kept peer to the next: longer where there are many of them.
    private func keptPingInterval(_ configuration: OverlayConfiguration) -> Interval {
        max(configuration.keptPingInterval, shareOfKeptPings)
    }

    /// How long one round of PINGs to all kept peers takes by their budget.
    private var shareOfKeptPings: Interval { .seconds(table.keptCount / OverlayLimits.keptPingRate) }

    // MARK: PING out

    /// A deadline of a peer's PING has come.
    mutating func pingDue(_ peer: Bytes32, through wire: inout PortalWire) {
        if let due = table.look(at: peer, { $0.nextPing }), due <= wire.clock { ping(peer, through: &wire) }
    }

    /// Pings a peer, unless it is being pinged.
    mutating func ping(_ peer: Bytes32, through wire: inout PortalWire) {
        guard let pinged = table[peer], !pinged.pingInFlight else { return }
        table.update(peer) { [clock = wire.clock] in
            $0.pingInFlight = true
            $0.lastPing = clock
        }
        scheduleNext(peer, through: &wire)
        sendPing(to: pinged.contact, type: profile.pingType(for: pinged.capabilities), through: &wire)
    }

    private mutating func sendPing(to contact: Contact, type: UInt16, through wire: inout PortalWire) {
        do throws(PortalMessageError) {
            guard let ping = profile.ping(of: type, sequence: wire.localRecord.sequence) else {
                _ = visits.end(contact.record.id)
                return
            }
            try wire.ask(ping, as: profile, contact, .ping(type: type))
        } catch {
            // Our own payload is over its limit; `setLocal` refuses those.
            _ = visits.end(contact.record.id)
        }
    }

    /// Says something else of ourselves from now on; see `Overlay.setLocal`.
    mutating func setLocal(
        radius: UInt256, extensionPayload: [UInt8]?, isUrgent: Bool, eager: [Bytes32], through wire: inout PortalWire
    ) -> Bool {
        guard extensionPayload?.count ?? 0 <= OverlayLimits.extensionPayloadBytes else { return false }
        guard profile.set(radius: radius, extensionPayload: extensionPayload) else { return true }
        let gap = isUrgent ? OverlayLimits.urgentPingGap : max(OverlayLimits.payloadPingGap, shareOfKeptPings)
        for (rank, peer) in table.ids(onlyKept: !isUrgent).enumerated() {
            let turn = Interval(microseconds: UInt64(rank) * 1_000_000 / UInt64(OverlayLimits.urgentPingRate))
            guard let last = table.look(at: peer, { $0.lastPing }) else { continue }
            schedule(peer, at: max(wire.clock + turn, last + gap), through: &wire)
        }
        for peer in eager { schedule(peer, after: OverlayLimits.eagerPingGap, through: &wire) }
        return true
    }

    /// A peer's radius is another than we believe: it is pinged at the next chance, at most once in 5 s.
    mutating func askRadius(of peer: Bytes32, through wire: inout PortalWire) {
        schedule(peer, after: OverlayLimits.payloadPingGap, through: &wire)
    }

    /// The radius that a peer's extension payload names, which only the network above can read.
    mutating func noteRadius(_ radius: UInt256, of peer: Bytes32) { table.update(peer) { $0.radius = radius } }

    // MARK: PONG in

    /// A PING of ours was answered, or was not.
    mutating func pingAnswered(
        _ talk: Talk, type: UInt16, _ answer: Result<PortalMessage, OverlayError>, through wire: inout PortalWire
    ) {
        let peer = talk.contact.record.id
        let isVisit = type == PingPayload.clientInfoType && visits.end(peer)
        table.update(peer) { $0.pingInFlight = false }
        var failure: OverlayError?
        switch answer {
        case .success(.pong(let sequence, let answerType, let payload)):
            do throws(OverlayError) {
                try ponged(talk.contact, asked: type, answerType, payload, through: &wire)
                fetchRecord(talk.contact, announced: sequence, through: &wire)
            } catch {
                failure = error
            }
        case .success(let other): failure = .unexpectedAnswer(selector: other.selector)
        case .failure(let error): failure = error
        }
        // Not to speak the network is no fault of a node that was merely seen.
        if !(isVisit && failure == .unsupported) { wire.note(failure, of: peer) }
        if failure == nil {
            if let roundTrip = talk.roundTrip {
                wire.book.measured(roundTrip, \.roundTrip, of: peer, at: wire.clock)
            }
        } else if table.contact(of: peer) != nil {
            let soon = min(OverlayLimits.failedPingDelay, wire.configuration.pingInterval)
            schedule(peer, at: wire.clock + soon, through: &wire)
        } else if isVisit {
            postpone(talk.contact, through: &wire)
        }
        // Whatever came of it: who was sought is so no more, and whoever seeks it is told.
        if isVisit, visits.endSearch(peer) {
            if table.contact(of: peer) != nil {
                announce(peer, through: &wire)
            } else {
                wire.directives.append(.peerLost(id, peer))
            }
        }
        visitNext(through: &wire)
    }

    private mutating func ponged(
        _ contact: Contact, asked: UInt16, _ type: UInt16, _ payload: [UInt8], through wire: inout PortalWire
    ) throws(OverlayError) {
        guard type == asked || type == PingPayload.errorType else { throw .unexpectedAnswer(selector: 1) }
        let said: PingPayload?
        do throws(SSZError) {
            said = try PingPayload.decode(type: type, payload)
        } catch {
            throw .malformed(.container(error))
        }
        if table.contact(of: contact.record.id) != nil {
            heard(said, type: type, payload, from: contact.record.id, through: &wire)
        } else if case .clientInfo(let client, let radius, let capabilities) = said {
            admit(contact, client: client, radius: radius, capabilities: capabilities, through: &wire)
        }
        // It does not know the type after all: type 0 from now on.
        if type == PingPayload.errorType {
            table.update(contact.record.id) { peer in peer.capabilities.removeAll { $0 == asked } }
        }
    }

    /// What a PING or PONG says of a peer; `said` is nil for the network's own payload.
    private mutating func heard(
        _ said: PingPayload?, type: UInt16, _ payload: [UInt8], from peer: Bytes32, through wire: inout PortalWire
    ) {
        let isOwn = type == profile.extensionType
        let isNews = table.update(peer) { [clock = wire.clock] peer in
            switch said {
            case .clientInfo(let client, let radius, let capabilities):
                let isNews = peer.radius != radius || peer.capabilities != capabilities
                peer.radius = radius
                if peer.clientInfo != client { peer.clientInfo = client }
                if peer.capabilities != capabilities { peer.capabilities = capabilities }
                return isNews
            case .radius(let radius):
                defer { peer.radius = radius }
                return peer.radius != radius
            case .error:
                return false
            case nil:
                guard isOwn else { return false }
                let isNews = peer.lastExtension?.payload != payload
                peer.lastExtension = PeerExtension(type: type, payload: payload, receivedAt: clock)
                return isNews
            }
        }
        if isNews == true { announce(peer, through: &wire) }
    }

    /// Asks a peer for its record when it says that it has a newer one.
    private mutating func fetchRecord(_ contact: Contact, announced sequence: UInt64, through wire: inout PortalWire) {
        guard let peer = table[contact.record.id], sequence > peer.contact.record.sequence, !peer.fetchingRecord
        else { return }
        let query = Query(lookup: nil, distances: [0])
        do throws(PortalMessageError) {
            try wire.ask(.findNodes(distances: query.distances), as: profile, contact, .findNodes(query))
            table.update(peer.id) { $0.fetchingRecord = true }
        } catch {
            // One distance always fits; were it not so, the next PING would try again.
            return
        }
    }

    /// A FIND_NODES for a peer's own record has been answered, or was not.
    mutating func recordFetched(_ peer: Bytes32) { table.update(peer) { $0.fetchingRecord = false } }

    // MARK: PING in

    /// Answers a PING, and takes in what it says.
    mutating func pinged(
        by address: NodeAddress, recordSequence: UInt64, type: UInt16, _ payload: [UInt8], _ token: TalkToken,
        through wire: inout PortalWire
    ) {
        let isOwn = type == profile.extensionType
        var said: PingPayload?
        var refusal: UInt16?
        do throws(SSZError) {
            said = try PingPayload.decode(type: type, payload)
            if said == nil && !isOwn || type == PingPayload.errorType { refusal = PingPayload.notSupported }
        } catch {
            refusal = PingPayload.notDecodable
            wire.breach(address.id)
        }
        // Without a payload of our own there is only the radius to give.
        let answer = refusal == nil ? profile.payload(of: type) : nil
        if let answer {
            wire.respond(.pong(recordSequence: wire.localRecord.sequence, type: type, payload: answer), to: token)
        } else {
            refusePing(token, code: refusal ?? PingPayload.notFound, through: &wire)
        }
        guard refusal == nil, let record = wire.discovery.record(of: address.id), wire.isCompatible(record) else {
            return
        }
        guard let contact = table.contact(of: address.id) else {
            return consider(record, .pinged(address.endpoint), through: &wire)
        }
        heard(said, type: type, payload, from: address.id, through: &wire)
        fetchRecord(contact, announced: recordSequence, through: &wire)
        if type == PingPayload.clientInfoType, table.look(at: address.id, { $0.lastExtension != nil }) == true {
            // A peer that had spoken its extension and now sends a first PING has been started anew: what it said is
            // out of date.
            schedule(address.id, after: OverlayLimits.payloadPingGap, through: &wire)
        }
        if isOwn && answer != nil {
            // Its PING told us what it has, and our PONG told it what we have: it need not be pinged for that soon.
            table.update(address.id) { [clock = wire.clock] in $0.lastPing = clock }
            scheduleNext(address.id, through: &wire)
        }
    }

    private func refusePing(_ token: TalkToken, code: UInt16, through wire: inout PortalWire) {
        do throws(SSZError) {
            let payload = try PingPayload.error(code: code, message: []).encoded()
            let sequence = wire.localRecord.sequence
            wire.respond(.pong(recordSequence: sequence, type: PingPayload.errorType, payload: payload), to: token)
        } catch {
            wire.refuse(token)
        }
    }

    // MARK: FIND_NODES in, and looking for new nodes

    /// Answers FIND_NODES.
    mutating func nodesAsked(
        by address: NodeAddress, distances: [UInt16], _ token: TalkToken, through wire: inout PortalWire
    ) {
        guard distances.allSatisfy({ $0 <= 256 }) else {
            wire.refuse(token)
            wire.breach(address.id)
            return
        }
        var asked: Set<UInt16> = []
        var records: [[UInt8]] = []
        for distance in distances where asked.insert(distance).inserted {
            if distance == 0 { records.append(wire.localRecord.encoded) }
            // Not all fit one packet: another choice each time, so that all are found by asking again.
            let peers = table.records(at: Int(distance)).shuffled(using: &wire.generator)
            records += wire.told(peers, to: address)
        }
        // Selector, total and offset go before the list.
        wire.respond(.nodes(total: 1, records: PortalWire.fitting(records, reserved: 6)), to: token)
    }

    /// Looks for new nodes where that is due: takes those that Discovery knows, and gives the place of a lookup to be
    /// made, nil where there is nobody to ask. Of several deadlines only the right one acts.
    mutating func refresh(through wire: inout PortalWire) -> Bytes32? {
        guard nextRefresh <= wire.clock else { return nil }
        let random = Bytes32(
            wire.generator.next(), wire.generator.next(), wire.generator.next(), wire.generator.next())
        for record in wire.discovery.closest(to: random, limit: OverlayLimits.bucketSize) {
            consider(record, .named, through: &wire)
        }
        let interval = wire.configuration.refreshInterval.microseconds
        let wait = table.routedCount < OverlayLimits.bucketSize ? interval / 4 : interval
        scheduleRefresh(at: wire.clock + Interval(microseconds: max(wait, 1)), through: &wire)
        guard table.count > 0 else { return nil }
        return wire.generator.next() % 2 == 0 ? wire.localRecord.id : random
    }

    private mutating func scheduleRefresh(at instant: Instant, through wire: inout PortalWire) {
        nextRefresh = instant
        wire.deadlines.add(.refresh(network: index), at: instant)
    }
}
