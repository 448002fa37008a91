import Chain
import ChainNetwork
import Discovery
import Overlay
import Primitives
import StateContent
import StateNetwork
import StateStore

// What each machine wants, carried to the one that does it.
extension CarouselNode {
    /// What the Portal wire brought.
    mutating func perform(_ directive: Overlay.Directive, at moment: Moment) {
        switch directive {
        case .send(let bytes, let target): send(bytes, to: target)
        case .contentRequested(.state, let asker, let key, let token):
            if voice != nil, let read = try? StateContentKey(decoding: key) { voice?.hears(read, token) }
            state.handle(.asked(key: key, by: asker.id, token), chain.attested, at: moment)
        case .contentRequested(_, _, let key, let token): serveHeaders(key, token, at: moment.instant)
        case .contentAnswered(let id, let result, let report):
            switch requests.removeValue(forKey: id) {
            case .state(let operation)?:
                voice?.gets(result, for: operation)
                state.handle(.answered(operation, result, bytes: report.bytes), chain.attested, at: moment)
            case .chain(let tag)?:
                if case .failure(let error) = result, error.isFalseContent {
                    log(.warning, "peer \(report.peer.short) sent headers that do not hold: \(error)")
                    overlay.judge(report.peer, .lie, at: moment.instant)
                }
                chain.handle(.answered(tag, content: result.content), at: moment.instant)
            case .blocks(let tag)?:
                // More than was allowed for may be one large block, which is no lie.
                BlockCarrying.tell(.answered(tag, content: result.content), &self, at: moment.instant)
            case .query(let ask)?: answered(ask, result, at: moment.instant)
            case nil: break
            }
        case .offered(.state, let peer, let keys, let token):
            offers.heard(keys, by: peer.id, on: .state)
            state.handle(.offered(keys: keys, by: peer.id, token), chain.attested, at: moment)
        case .offered(_, let peer, let keys, let token):
            offers.heard(keys, by: peer.id, on: .chain)
            BlockCarrying.offered(keys, by: peer.id, &self, at: moment.instant)
            let codes = codes(forBlocks: keys, from: peer.id, at: moment.instant)
            overlay.respond(toOffer: token, codes: codes, limit: Self.bytes(ofBlocks: codes), at: moment.instant)
        case .offerReceived(.state, let peer, let items):
            state.handle(.received(items, from: peer.id), chain.attested, at: moment)
        case .offerReceived(_, let peer, let items):
            for item in items {
                expectedBlocks.ended(item.key, from: peer.id)
                chain.handle(.offered(key: item.key, value: item.value, by: peer.id), at: moment.instant)
            }
        case .offerBroken(.state, let peer, let keys, _):
            state.handle(.broken(keys: keys, from: peer.id), chain.attested, at: moment)
        case .offerBroken(_, let peer, let keys, _): for key in keys { expectedBlocks.ended(key, from: peer.id) }
        case .offerDeclined(.state, let peer, let keys):
            state.handle(.declined(keys: keys, by: peer), chain.attested, at: moment)
        case .offerDeclined: break
        case .offerFinished(let id, let result): offers.ended(id, try? result.get(), at: moment.instant)
        case .lookupFinished(let id, let result):
            if let search = lookups.removeValue(forKey: id) {
                state.handle(.lookedUp(search, result), chain.attested, at: moment)
            }
        case .peerUpdated(.state, let info): state.handle(.peerUpdated(info), chain.attested, at: moment)
        case .peerUpdated(_, let info):
            if let payload = info.lastExtension?.payload {
                chain.handle(.peerUpdated(info.id, payload: payload), at: moment.instant)
            }
            BlockCarrying.peerUpdated(info, &self, at: moment.instant)
        case .peerMet(.state, let info): state.handle(.peerMet(info), chain.attested, at: moment)
        case .peerMet: break
        case .peerLost(let network, let id):
            offers.lost(id, on: network)
            if network == .state {
                state.handle(.peerLost(id), chain.attested, at: moment)
            } else {
                chain.handle(.peerLost(id), at: moment.instant)
                BlockCarrying.tell(.peerLost(id), &self, at: moment.instant)
            }
        case .addressVoted(let endpoint): addressVoted(endpoint)
        case .addressChecked(let endpoint, let isReachable): addressChecked(endpoint, isReachable: isReachable)
        }
    }

    /// What the state network wants.
    mutating func perform(_ directive: StateSync.Directive, at moment: Moment) {
        let now = moment.instant
        switch directive {
        case .request(let operation, let peer, let key, let limit, let timeout):
            let id = overlay.findContent(
                network: .state, peer: peer, key: key, limit: limit, timeout: timeout, at: now)
            requests[id] = .state(operation)
        case .offer(let items, let peer): offers.add(items, to: peer, on: .state, at: now)
        case .answer(let token, let answer): overlay.answer(token, answer, at: now)
        case .name(let token, let records, let position, let asker):
            overlay.answer(token, .records(filled(records, near: position, asker: asker)), at: now)
        case .decide(let token, let codes, let limit):
            overlay.respond(toOffer: token, codes: codes, limit: limit, at: now)
        case .run(let operation, let job): run(job, for: .state(operation))
        case .commit(let operation, let batch): commit(batch, for: .state(operation))
        case .judge(let peer, let verdict): overlay.judge(peer, verdict, at: now)
        case .note(let radius, let peer): overlay.noteRadius(radius, network: .state, peer: peer)
        case .announce(let payload, let isUrgent, let fellows):
            announce(payload, isUrgent: isUrgent, fellows, at: now)
        case .lookup(let search, let position, let width, let avoided):
            let id = overlay.lookup(
                network: .state, target: position, width: width, avoiding: avoided, at: now)
            lookups[id] = search
        case .meet(let records): overlay.meet(network: .state, records, at: now)
        case .keep(let peer):
            if !overlay.keep(network: .state, peer: peer, at: now) {
                state.handle(.notKept(peer), chain.attested, at: moment)
            }
        case .release(let peer): overlay.release(network: .state, peer: peer, at: now)
        case .learned(let header, let peer): chain.handle(.learned(header, from: peer), at: now)
        case .produced(let header): chain.handle(.produced(header), at: now)
        case .report(let report): BlockCarrying.reported(report, &self, at: now)
        }
    }

    /// Makes the offers that are due.
    mutating func makeOffers(at now: Instant) {
        for ready in offers.takeDue(at: now) {
            offers.began(overlay.offer(network: ready.network, peer: ready.peer, items: ready.items, at: now), ready)
        }
    }

    /// What the chain network wants.
    mutating func perform(_ directive: ChainSync.Directive, at moment: Moment) {
        switch directive {
        case .request(let peer, let key, let tag):
            let id = overlay.findContent(
                network: .chain, peer: peer, key: key, limit: NodeLimits.headerAnswerBytes,
                timeout: NodeLimits.headerTimeout, at: moment.instant)
            requests[id] = .chain(tag)
        case .offer(let peer, let key, let value):
            offers.add([ContentItem(key: key, value: value)], to: peer, on: .chain, at: moment.instant)
        case .persist(let headers, let forgotten, let floor): persist(headers, forgetting: forgotten, floor: floor)
        case .anchorsLost(let anchors): state.handle(.anchorsLost(anchors), chain.attested, at: moment)
        case .headAdvanced(_, let leaving):
            state.handle(.headAdvanced(leaving: leaving), chain.attested, at: moment)
            blocks?.advance(to: moment.instant, chain.attested)
        case .finalAdvanced(let anchors):
            state.handle(.finalAdvanced(anchors), chain.attested, at: moment)
            blocks?.advance(to: moment.instant, chain.attested)
            pruneHeaders()
        case .lacksFinality(let final):
            log(
                .warning,
                "\(ChainLimits.unfinalHeaders) blocks are above block \(final), the last one that is final, and no "
                    + "more may be: waiting for a later one; are all bridges up whose keys the network's configuration "
                    + "asks for?")
        case .penalise(let peer, let reason):
            log(.warning, "peer \(peer.short) sent headers that do not hold: \(reason)")
            overlay.judge(peer, .lie, at: moment.instant)
        case .conflict(let error): report(.failed("nothing of the chain can be believed any more: \(error)"))
        }
    }

    /// Those named, and after them those who live near: where nobody covers a position, or few, they are the next to
    /// ask.
    private func filled(_ records: [NodeRecord], near position: Bytes32, asker: Bytes32) -> [NodeRecord] {
        guard records.count < StateNetworkLimits.recordsInAnswer else {
            return Array(records.prefix(StateNetworkLimits.recordsInAnswer))
        }
        let near = overlay.closestRecords(to: position, network: .state, besides: asker)
        let others = near.filter { record in !records.contains { $0.id == record.id } }
        return Array((records + others).prefix(StateNetworkLimits.recordsInAnswer))
    }

    /// Puts what is held, and what headers are here, into the ping payloads.
    private mutating func announce(
        _ payload: StatePingPayload, isUrgent: Bool, _ fellows: [Bytes32], at now: Instant
    ) {
        overlay.setLocal(
            network: .state, radius: payload.radius, extensionPayload: payload.encoded, isUrgent: isUrgent,
            eager: fellows, at: now)
        overlay.setLocal(network: .chain, radius: .max, extensionPayload: chain.localPayload, at: now)
    }

    /// Bytes that the accepted ones of the offered blocks may bring in all.
    static func bytes(ofBlocks codes: [AcceptCode]) -> Int {
        codes.count { $0 == .accepted } * ChainNetworkLimits.newBlockBytes
    }

    /// Which of the offered new blocks are wanted. As many peers at once as there are keys to hear may bring one: each
    /// may have the word of another key.
    mutating func codes(forBlocks keys: [[UInt8]], from peer: Bytes32, at now: Instant) -> [AcceptCode] {
        keys.map { key in
            let code = AcceptCode(chain.admission(of: key))
            guard code == .accepted else { return code }
            let useful = configuration.network.rule.threshold
            guard !expectedBlocks.isExpected(key, from: useful, at: now) else { return .inProgress }
            expectedBlocks.expect(key, from: peer, at: now)
            return code
        }
    }

    /// Enough others see us somewhere else than the record says.
    private mutating func addressVoted(_ endpoint: Endpoint) {
        if configuration.learnsAddress {
            log(.info, "peers see us at \(endpoint); so the node record says, as long as strangers reach us there")
        } else {
            log(.warning, "peers see us at \(endpoint), which is not what the node record says: see --nat")
        }
    }

    /// Whether strangers reached us at the address that peers saw.
    private mutating func addressChecked(_ endpoint: Endpoint, isReachable: Bool) {
        if isReachable {
            log(.info, "strangers reach us at \(endpoint)")
        } else {
            log(
                .warning,
                "nobody reached us at \(endpoint), so the node record does not name it any more: forward the UDP "
                    + "port to this machine, then restart, or give --nat extip:IP")
        }
    }

    // MARK: Headers and the store

    /// Writes headers that are vouched for now, and forgets those that are not any more, in one transaction: what a
    /// crash leaves is one state of the chain or the other.
    private mutating func persist(
        _ headers: [CertifiedHeader], forgetting forgotten: [StatePoint], floor: StoredFloor?
    ) {
        var batch = WriteBatch()
        for point in forgotten { batch.append(HeaderRecords.deleting(point)) }
        for entry in headers { batch.append(HeaderRecords.writing(entry)) }
        if let floor { batch.append(HeaderRecords.writing(floor: floor)) }
        // Who does not have them after a kill asks for them again.
        batch.mayWait = true
        commit(batch)
    }

    /// Answers a request for headers: from memory, or by a job where they are in the store only.
    private mutating func serveHeaders(_ key: [UInt8], _ token: Overlay.ContentToken, at now: Instant) {
        guard let reading = chain.reading(for: key) else {
            return overlay.answer(token, .content(chain.serve(key)), at: now)
        }
        guard headerStore.reads < NodeLimits.headerJobs else {
            return overlay.answer(token, .content(reading.refusal), at: now)
        }
        headerStore.reads += 1
        run(.read(reading), for: .headers(token))
    }

    /// Begins to forget old headers, where that is due.
    mutating func pruneHeaders() {
        let needed = BlockCarrying.firstNeededHeader(self)
        guard let (first, end, epochLength) = headerStore.toPrune(chain, needed: needed) else { return }
        headerStore.isPruning = true
        run(.pruneHeaders(PruneHeaders(from: first, upTo: end, epochLength: epochLength)), for: .pruning)
    }

    /// What is about to go is not served any more.
    mutating func headersPruned(_ outcome: Result<HeaderRecords.Pruning, StateJobError>, at now: Instant) {
        switch outcome {
        case .success(let pruning):
            chain.handle(.pruned(below: pruning.lowest), at: now)
            commit(pruning.batch, for: .pruning)
        case .failure(let error):
            headerStore.isPruning = false
            report(.failed("old headers cannot be forgotten: \(error)"))
        }
    }
}

/// The planner asks whom the peer book of the wire chooses.
extension Overlay: PeerChooser {
    /// See `PeerChooser`.
    public mutating func choose(
        among candidates: [AskCandidate], bytes: Int, at now: Instant
    ) -> Bytes32? {
        choose(network: .state, among: candidates, bytes: bytes, at: now)
    }
}

extension AcceptCode {
    /// What is said to the offerer of a new block.
    init(_ admission: NewBlockAdmission) {
        switch admission {
        case .wanted: self = .accepted
        case .known: self = .alreadyStored
        case .notVerifiable: self = .notVerifiable
        case .notOffered: self = .declined
        }
    }
}

extension Result where Success == ContentAnswer, Failure == OverlayError {
    /// The content, where some came.
    fileprivate var content: [UInt8]? { if case .success(.content(let bytes)) = self { bytes } else { nil } }
}
