import Discovery
import Primitives

// Who is let in, who is kept, and who stays.
extension Overlay {
    /// Whether the record names our chain and a version we speak.
    func isCompatible(_ record: NodeRecord) -> Bool {
        guard let portal = record.portal, portal.chainID == configuration.chainID else { return false }
        return portal.lowestVersion <= configuration.versions.upperBound
            && portal.highestVersion >= configuration.versions.lowerBound
            && portal.lowestVersion <= portal.highestVersion
    }

    // MARK: Admission

    /// How a record came to our notice.
    enum Notice {
        /// Another node named it.
        case named
        /// Its owner is alive: it has spoken to us, from this endpoint, or is to be tried in any case.
        case met(Endpoint?)
        /// Its owner has sent a PING of this very network, and so wants to hear from us.
        case pinged(Endpoint)

        /// Where the owner was really met.
        var endpoint: Endpoint? {
            switch self {
            case .named: nil
            case .met(let endpoint): endpoint
            case .pinged(let endpoint): endpoint
            }
        }
    }

    /// A record came to our notice: its owner gets a first PING, if that may be of use.
    mutating func consider(_ record: NodeRecord, _ notice: Notice, network: Int) {
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
            renew(peer, with: record, seenAt: notice.endpoint, network: network)
            return
        }
        guard !book.isBanned(id, at: clock),
            !networks[network].isExpected(id), networks[network].waiting.count < OverlayLimits.candidates,
            networks[network].isWorthAVisit(id, notice, at: clock)
        else { return }
        guard let place = notice.endpoint ?? discovery.endpoint(of: record) else { return }
        let contact = Contact(record, at: place)
        networks[network].waiting.append(contact)
        visitNext(network)
    }

    /// Meets nodes that the network above looks for, before all others: each is pinged, room for it or not, and ends in
    /// `peerUpdated`, `peerMet` or `peerLost`. Peers are left out.
    public mutating func meet(network id: NetworkID, _ records: [NodeRecord], at now: Instant) {
        clock = now
        guard let network = index(of: id) else { return }
        for record in records.reversed() where record.id != localRecord.id {
            seek(record, network: network)
        }
        visitNext(network)
    }

    private mutating func seek(_ record: NodeRecord, network: Int) {
        let id = record.id
        guard networks[network].table[id] == nil else { return }
        if networks[network].visiting[id] != nil {
            networks[network].sought.insert(id)
            return
        }
        guard isCompatible(record), !book.isBanned(id, at: clock), let place = discovery.endpoint(of: record),
            networks[network].sought.count < OverlayLimits.candidates
        else {
            directives.append(.peerLost(networks[network].configuration.id, id))
            return
        }
        networks[network].waiting.removeAll { $0.record.id == id }
        networks[network].sought.insert(id)
        networks[network].waiting.insert(Contact(record, at: place), at: 0)
    }

    /// Makes a node that was met a peer, and has a peer pinged as often as those that are of use: every
    /// `keptPingInterval`, and soon after what we say of ourselves has changed. False where that cannot be.
    @discardableResult
    public mutating func keep(network id: NetworkID, peer: Bytes32, at now: Instant) -> Bool {
        clock = now
        guard let network = index(of: id), !book.isBanned(peer, at: now) else { return false }
        switch networks[network].table.keep(peer) {
        case .refused: return false
        case .stays:
            if var kept = networks[network].table[peer] {
                let due = kept.lastPing + keptPingInterval(network)
                schedule(&kept, at: max(now, due), network: network, anew: false)
                networks[network].table[peer] = kept
            }
        case .entered(let entered): enter(entered, network: network)
        }
        return true
    }

    /// Takes `keep` back. A node without a place in the routing table is no peer from then on.
    public mutating func release(network id: NetworkID, peer: Bytes32, at now: Instant) {
        clock = now
        guard let network = index(of: id), networks[network].table.release(peer) else { return }
        networks[network].noteMet(peer, at: now)
        directives.append(.peerLost(id, peer))
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

    /// Sends first PINGs, as many at once as may be. Those who are sought do not wait for others.
    mutating func visitNext(_ network: Int) {
        while let first = networks[network].waiting.first {
            let isSought = networks[network].sought.contains(first.record.id)
            let limit = isSought ? OverlayLimits.soughtPings : OverlayLimits.candidatePings
            guard networks[network].visiting.count < limit else { return }
            let contact = networks[network].waiting.removeFirst()
            networks[network].visiting[contact.record.id] = contact
            sendPing(network, contact, type: PingPayload.clientInfoType)
        }
    }

    /// Visits the nodes that did not answer before.
    mutating func revisit(_ network: Int) {
        for contact in networks[network].dueRevisits(at: clock) {
            consider(contact.record, .met(contact.address.endpoint), network: network)
        }
    }

    mutating func postpone(_ contact: Contact, network: Int) {
        let isBootNode = bootNodes.contains(contact.record.id)
        if let due = networks[network].postpone(contact, isBootNode: isBootNode, at: clock) {
            timers.add(.revisit(network: network), at: due)
        }
    }

    mutating func admit(
        _ contact: Contact, network: Int, client: [UInt8], radius: UInt256, capabilities: [UInt16]
    ) {
        let id = contact.record.id
        networks[network].revisits[id] = nil
        networks[network].sought.remove(id)
        // Most nodes understand what we do: one array serves for all of those.
        let own = networks[network].capabilities
        let peer = TablePeer(
            contact: contact, radius: radius, capabilities: capabilities == own ? own : capabilities,
            clientInfo: client, lastPing: clock, nextPing: clock)
        guard networks[network].table.insert(peer) else {
            networks[network].noteMet(id, at: clock)
            directives.append(.peerMet(networks[network].configuration.id, info(peer)))
            return
        }
        enter(peer, network: network)
    }

    /// A node became a peer: it is announced, and pinged from now on.
    private mutating func enter(_ peer: TablePeer, network: Int) {
        var peer = peer
        schedule(&peer, at: clock + pause(after: peer, network: network), network: network, anew: true)
        networks[network].table[peer.id] = peer
        announce(peer, network: network)
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
        let wasSought = networks[network].sought.remove(id) != nil
        let (wasPeer, promoted) = networks[network].table.remove(id)
        guard wasPeer else {
            if wasSought { directives.append(.peerLost(networks[network].configuration.id, id)) }
            return
        }
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
            standing: book.standing(of: peer.id) ?? PeerStanding(), isKept: peer.isKept)
    }

    mutating func announce(_ peer: TablePeer, network: Int) {
        directives.append(.peerUpdated(networks[network].configuration.id, info(peer)))
    }
}
