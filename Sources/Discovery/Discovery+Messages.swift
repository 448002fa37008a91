import Primitives

// What messages bring about: answers to theirs, and the end of ours.

extension Discovery {
    mutating func handle(_ message: Message, from address: NodeAddress, at now: Instant) {
        switch message {
        case .ping(let id, let sequence):
            guard withinBudget(address, at: now) else { return }
            let endpoint = address.endpoint
            reply(
                .pong(id, sequence: localRecord.sequence, address: endpoint.address, port: endpoint.port), to: address)
            noteSequence(sequence, of: address, at: now)
            if let record = record(of: address.id) { meet(record, at: endpoint, now: now) }
        case .findNode(let id, let distances):
            guard withinBudget(address, at: now) else { return }
            answerFindNode(id, distances, to: address)
        case .talkRequest(let id, let name, let request):
            let token = TalkToken(address: address, requestID: id)
            if configuration.talkProtocols.contains(name) {
                directives.append(.talkRequested(from: address, protocol: name, request: request, token))
            } else {
                respond(to: token, response: [], at: now)
            }
        case .pong(let id, let sequence, let bytes, let port):
            receivePong(id, sequence, Endpoint(address: bytes, port: port), from: address, at: now)
        case .nodes(let id, let total, let records):
            receiveNodes(id, total, records, from: address, at: now)
        case .talkResponse(let id, let response):
            guard let own = request(id, of: address), case .talk(let talk) = own.request.purpose else { return }
            _ = close(own.id)
            noteAnswer(address, at: now)
            directives.append(.talkAnswered(talk, .success(response)))
        }
    }

    /// The pending request that an answer with `id` from `address` belongs to.
    private func request(_ id: RequestID, of address: NodeAddress) -> (id: UInt32, request: PendingRequest)? {
        guard id.count == DiscoveryLimits.ownRequestIDSize, let own = UInt32(exactly: id.value),
            let request = pending[own], request.address == address
        else { return nil }
        return (own, request)
    }

    private mutating func withinBudget(_ address: NodeAddress, at now: Instant) -> Bool {
        guard let slot = sessions.slot(of: address) else { return false }
        let rate = configuration.peerRequestRate
        let burst = configuration.peerRequestBurst
        return sessions.update(slot) { $0.budget.take(rate: rate, burst: burst, at: now) } ?? false
    }

    private mutating func reply(_ message: Message, to address: NodeAddress) {
        _ = seal(message.encoded, to: address)
    }

    private mutating func seal(_ bytes: [UInt8], to address: NodeAddress) -> Bool {
        guard bytes.count <= DiscoveryLimits.messageSize, let slot = sessions.slot(of: address) else { return false }
        let iv = random.next16()
        let source = key.nodeID
        guard let packet = sessions.update(slot, { $0.seal(bytes, from: source, iv: iv) }) ?? nil else { return false }
        directives.append(.send(packet, to: address.endpoint))
        return true
    }

    /// Answers a TALKREQ, to the address it came from. False when the answer is too large or the session is gone.
    @discardableResult
    public mutating func respond(to token: TalkToken, response: [UInt8], at now: Instant) -> Bool {
        seal(Message.talkResponse(token.requestID, response: response).encoded, to: token.address)
    }

    // MARK: FINDNODE and NODES

    private mutating func answerFindNode(_ id: RequestID, _ distances: [Int], to address: NodeAddress) {
        var found: [[UInt8]] = []
        var asked: Set<Int> = []
        for distance in distances where asked.insert(distance).inserted {
            if distance == 0 { found.append(localRecord.encoded) }
            for entry in table.entries(at: distance)
            where entry.address.id != address.id && AddressScope.mayRelay(entry.record, with: address.endpoint) {
                found.append(entry.record.encoded)
            }
            if found.count >= DiscoveryLimits.nodesPerAnswer { break }
        }
        let packets = Discovery.packed(found.prefix(DiscoveryLimits.nodesPerAnswer))
        for records in packets { reply(.nodes(id, total: packets.count, records: records), to: address) }
    }

    /// Records dealt to as few packets as hold them; at least one.
    static func packed(_ records: ArraySlice<[UInt8]>) -> [[[UInt8]]] {
        // Type 1, list 3, request id 9, total 1, inner list 3.
        let room = DiscoveryLimits.messageSize - 17
        var packets: [[[UInt8]]] = [[]]
        var used = 0
        for record in records {
            if used + record.count > room {
                packets.append([])
                used = 0
            }
            packets[packets.count - 1].append(record)
            used += record.count
        }
        return packets
    }

    private mutating func receiveNodes(
        _ id: RequestID, _ total: Int, _ encoded: [[UInt8]], from address: NodeAddress, at now: Instant
    ) {
        guard let (own, found) = request(id, of: address), !found.distances.isEmpty,
            !found.packetsTaken.contains(encoded)
        else { return }
        var request = found
        request.packetsTaken.append(encoded)
        if request.packets == 0 { request.packets = max(1, total) }
        for bytes in encoded where request.records.count < DiscoveryLimits.nodesPerAnswer {
            // One bad record says nothing about the others; what was not asked for is not taken.
            guard let record = try? verifiedRecord(bytes),
                request.distances.contains(RoutingTable.distance(address.id, record.id)),
                !request.records.contains(where: { $0.id == record.id })
            else {
                statistics.recordsRefused += 1
                continue
            }
            request.records.append(record)
            if AddressScope.mayRelay(record, with: address.endpoint) { noteNamed(record) }
        }
        request.packets -= 1
        pending[own] = request
        if request.packets == 0 { finishNodes(own, at: now) }
    }

    /// The last packet has come, or the time is over and some have.
    private mutating func finishNodes(_ id: UInt32, at now: Instant) {
        guard let request = close(id) else { return }
        noteAnswer(request.address, at: now)
        for record in request.records where AddressScope.mayRelay(record, with: request.address.endpoint) {
            remember(record, at: now)
        }
        switch request.purpose {
        case .record:
            fetching.remove(request.address.id)
        case .lookup(let lookup):
            let endpoint = request.address.endpoint
            let useful = request.records.filter {
                AddressScope.mayRelay($0, with: endpoint) && self.endpoint(of: $0) != nil
            }
            lookups[lookup]?.answered(request.address.id, with: useful)
            if let record = record(of: request.address.id) { meet(record, at: endpoint, now: now) }
            drive(lookup, at: now)
        case .verify, .check, .open, .talk:
            // These ask for no nodes.
            return
        }
    }

    // MARK: PONG

    private mutating func receivePong(
        _ id: RequestID, _ sequence: UInt64, _ seenAs: Endpoint?, from address: NodeAddress, at now: Instant
    ) {
        guard let (own, request) = request(id, of: address) else { return }
        switch request.purpose {
        case .verify(let record, _):
            _ = close(own)
            verifying.remove(address.id)
            enter(self.record(of: address.id) ?? record, at: address, now: now)
        case .check:
            _ = close(own)
            checking.remove(address.id)
        case .open:
            _ = close(own)
        case .record, .lookup, .talk:
            return
        }
        noteAnswer(address, at: now)
        noteSequence(sequence, of: address, at: now)
        if let seenAs { noteVote(seenAs, by: address, at: now) }
        verifyNext(at: now)
    }

    // MARK: Requests that fail

    /// Ends a request without an answer.
    mutating func fail(_ id: UInt32, _ error: DiscoveryError, at now: Instant) {
        // What has come of NODES counts: packets are lost one by one.
        if let request = pending[id], !request.records.isEmpty { return finishNodes(id, at: now) }
        guard let request = close(id) else { return }
        statistics.requestsFailed += 1
        let address = request.address
        var isCheck = false
        switch request.purpose {
        case .verify(let record, let tries):
            verifying.remove(address.id)
            if tries > 0 { verify(record, at: address, tries: tries - 1, now: now) }
            verifyNext(at: now)
        case .check:
            checking.remove(address.id)
            isCheck = true
        case .open:
            break
        case .record:
            fetching.remove(address.id)
        case .lookup(let lookup):
            lookups[lookup]?.failed(address.id)
            drive(lookup, at: now)
        case .talk(let talk):
            directives.append(.talkAnswered(talk, .failure(error)))
        }
        noteFailure(address, ofCheck: isCheck, at: now)
    }
}
