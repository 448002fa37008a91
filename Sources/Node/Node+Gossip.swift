import Chain
import ChainNetwork
import Overlay
import Primitives
import StateNetwork
import StateStore

/// What is to be offered to whom, and what is expected from offers that were accepted.
struct GossipQueue: Sendable {
    /// Keys for each peer, in the order they came about.
    var outgoing: [Bytes32: [BlockDiffKey]] = [:]
    /// When the queue is sent.
    var deadline: Instant?
    /// Accepted keys whose items have not come: from whom, and since when. Others that offer them are put off.
    private(set) var expected: [[UInt8]: [Bytes32: Instant]] = [:]

    mutating func add(_ key: BlockDiffKey, for peer: Bytes32, at now: Instant) {
        outgoing[peer, default: []].append(key)
        if deadline == nil { deadline = now + StateNetworkLimits.gossipGather }
    }

    mutating func expect(_ key: [UInt8], from peer: Bytes32, at now: Instant) {
        if expected.count >= NodeLimits.expectedOffers {
            expected = expected.compactMapValues { peers in
                let fresh = peers.filter { now - $0.value < NodeLimits.expectedWait }
                return fresh.isEmpty ? nil : fresh
            }
        }
        guard expected.count < NodeLimits.expectedOffers else { return }
        expected[key] = expected[key, default: [:]].filter { now - $0.value < NodeLimits.expectedWait }
        expected[key]?[peer] = now
    }

    /// Whether the item is on its way from as many peers as are of use.
    func isExpected(_ key: [UInt8], from useful: Int = 1, at now: Instant) -> Bool {
        expected[key].map { $0.values.count { now - $0 < NodeLimits.expectedWait } >= useful } ?? false
    }

    /// The peer's item has come, or will not.
    mutating func ended(_ key: [UInt8], from peer: Bytes32) {
        expected[key]?[peer] = nil
        if expected[key]?.isEmpty == true { expected[key] = nil }
    }
}

extension Node {
    // MARK: In

    /// Whether an offered key is wanted, as the wire's code.
    mutating func acceptCode(forKey bytes: [UInt8], from peer: Bytes32, at now: Instant) -> AcceptCode {
        guard let key = try? StateContentKey(decoding: bytes) else { return .declined }
        // A bridge has its state from its own chain. Who has not said yet what it is counts as a bridge for those that
        // take nothing from one.
        guard configuration.role != .bridge,
            holders[peer].map({ configuration.role.takesState(from: $0.role) }) ?? (configuration.role == .holder)
        else { return .declined }
        if gossip.isExpected(bytes, at: now) { return .inProgress }
        switch key {
        case .blockDiff(let key):
            let code = acceptCode(for: key, from: peer)
            if code == .accepted { gossip.expect(bytes, from: peer, at: now) }
            return code
        case .crown(let anchor):
            guard chain.isFinal(anchor) else { return .notVerifiable }
            guard holdings.crown(at: anchor) == nil else { return .alreadyStored }
            gossip.expect(bytes, from: peer, at: now)
            return .accepted
        default: return .declined
        }
    }

    /// Whether an offered new block is wanted. As many peers at once as there are keys to hear may bring one: each may
    /// have the word of another key.
    mutating func acceptCode(forBlock bytes: [UInt8], from peer: Bytes32, at now: Instant) -> AcceptCode {
        let code = AcceptCode(chain.admission(of: bytes))
        guard code == .accepted else { return code }
        guard !gossip.isExpected(bytes, from: configuration.network.rule.threshold, at: now) else {
            return .inProgress
        }
        gossip.expect(bytes, from: peer, at: now)
        return code
    }

    /// Bytes that the accepted ones of these keys may bring in all.
    func offerBytes(_ keys: [[UInt8]], _ codes: [AcceptCode]) -> Int {
        let accepted = zip(keys, codes).filter { $0.1 == .accepted }.map(\.0)
        return accepted.reduce(0) { sum, bytes in
            if ChainSync.isNewBlock(bytes) { return sum + ChainNetworkLimits.newBlockBytes }
            guard case .success(.crown) = Result(catching: { try StateContentKey(decoding: bytes) }) else {
                return sum + OverlayLimits.offerStreamBytes
            }
            return sum + StateNetworkLimits.crownBytes(depth: holdings.depth)
        }
    }

    private func acceptCode(for key: BlockDiffKey, from peer: Bytes32) -> AcceptCode {
        guard key.trie == .accounts else { return .notVerifiable }
        guard sync.takesBlockDiffs else { return .rateLimited }
        switch holdings.admission(of: key, from: peer, isCanonical: isCanonical(key.point)) {
        case .wanted: return .accepted
        case .known: return .alreadyStored
        case .inProgress: return .inProgress
        case .outsideArc: return .outsideRadius
        case .notVerifiable: return .notVerifiable
        case .busy: return .rateLimited
        }
    }

    /// true: attested; false: another block stands at its height; nil: not known yet.
    func isCanonical(_ point: StatePoint) -> Bool? { Node.isCanonical(point, in: chain) }

    static func isCanonical(_ point: StatePoint, in chain: ChainSync) -> Bool? {
        if chain.isAttested(point) { return true }
        return point.number <= chain.head.number ? false : nil
    }

    /// An item that was offered and accepted has come.
    mutating func receiveState(_ item: ContentItem, from peer: Bytes32, at moment: Moment) {
        gossip.ended(item.key, from: peer)
        do {
            switch try StateContentKey(decoding: item.key) {
            case .blockDiff(let key):
                let value = try BlockDiffValue(decoding: item.value)
                let claims = try BlockDiffCheck.verify(value, key: key, depth: holdings.depth)
                chain.learned(claims.header, from: peer, at: moment.instant)
                // Under an attested root its nodes prove sections, this one or others, whatever else it says.
                if isCanonical(key.point) == true { holdings.note(value.pathProof, at: key.point.number) }
                holdings.enqueue(
                    Holdings.PendingDiff(
                        key: key, value: value, encoded: item.value, sender: peer, receivedAt: moment.instant,
                        isVouched: isCanonical(key.point) == true || chain.isSpokenFor(claims.header)))
            case .crown(let anchor):
                guard chain.isFinal(anchor), holdings.crown(at: anchor) == nil else { return }
                _ = try acceptCrown(item.value, at: anchor, assignment: nil)
            default: return
            }
        } catch {
            totals.invalidAnswers += 1
            log(.warning, "peer \(peer.short) sent an item that does not hold: \(error)")
            overlay.judge(peer, .lie, at: moment.instant)
        }
    }

    /// Verifies what waits and fits, one diff a section at a time.
    mutating func pumpDiffs(at moment: Moment) {
        let due = holdings.takeDue(at: moment.instant)
        guard !due.isEmpty else { return }
        let chain = chain
        for index in due {
            var next = holdings.nextDiff(of: index, at: moment.instant) { Node.isCanonical($0, in: chain) }
            if case .none = next, refuteBlocking(index, at: moment) {
                next = holdings.nextDiff(of: index, at: moment.instant) { Node.isCanonical($0, in: chain) }
            }
            guard case .verify(let diff) = next, let header = chain.header(of: diff.key.point) else {
                tellSync(index, at: moment)
                continue
            }
            guard holdings.lock(index), let held = holdings.held(index) else { continue }
            tellSync(index, at: moment)
            let job = CheckBlockDiff(
                key: diff.key, value: diff.value, depth: holdings.depth, stateRoot: header.stateRoot,
                layers: held.layers, index: held.index)
            run(.checkBlockDiff(job), then: .blockDiff(diff))
        }
        for sender in holdings.takeSendersInVain() {
            log(.debug, "peer \(sender.short) sent diffs of a block that no key speaks for")
            overlay.judge(sender, .unhelpful, at: moment.instant)
        }
    }

    /// A block diff was checked.
    mutating func checked(
        _ diff: Holdings.PendingDiff, _ outcome: Result<CheckedDiff, StateJobError>, at moment: Moment
    ) {
        let index = diff.key.section
        switch outcome {
        case .success(let checked):
            commit(
                checked.batch,
                then: .layerCommitted(diff, checked.layer, codes: checked.codeHashes, wanted: checked.wantedCodes))
        case .failure(.lie(let what)), .failure(.falseDiff(let what)):
            totals.invalidAnswers += 1
            if let sender = diff.sender {
                log(.warning, "peer \(sender.short) sent a diff of block \(diff.key.point) that does not hold: \(what)")
                overlay.judge(sender, .lie, at: moment.instant)
            }
            holdings.missesBlocks(index)
            holdings.unlock(index)
            tellSync(index, at: moment)
        case .failure(.outdated):
            holdings.unlock(index)
            tellSync(index, at: moment)
        case .failure(.store(let error)):
            holdings.unlock(index)
            report(.storeFailed(error))
        }
    }

    /// A verified diff is a committed layer: count it and pass it on.
    mutating func layerStored(
        _ diff: Holdings.PendingDiff, _ layer: BlockLayer, codes: [Bytes32], wanted: [WantedCode], at moment: Moment
    ) {
        totals.blockDiffs += 1
        for rival in holdings.rivals(of: diff) where isRefuted(rival) { refute(rival, at: moment) }
        let stands = isCanonical(layer.point) != false && holdings.committed(layer, replacing: false)
        holdings.unlock(diff.key.section)
        guard stands else {
            // The chain's head changed while the layer was written: it was right, of a block that lost.
            commit(StateWrites.dropLayers([layer]), then: .written)
            return tellSync(diff.key.section, at: moment)
        }
        if let value = verified(diff) { holdings.remember(diff.key, value) }
        sync.codesStored(codes)
        sync.want(codes: wanted)
        if let sender = diff.sender {
            totals.stateBytesByPeer[sender, default: 0] += UInt64(diff.encoded.count)
            status.verified(bytes: diff.encoded.count, at: moment.instant)
            overlay.judge(sender, .useful, at: moment.instant)
        }
        passOn(diff.key, except: diff.sender, fanout: StateNetworkLimits.gossipFanout, at: moment)
        tellSync(diff.key.section, at: moment)
        afterProgress(at: moment)
    }

    // MARK: Out

    /// A checked diff as it is passed on. The job has checked all of it but the certificate, and that may have come
    /// after the block was attested here, when nobody looks at it any more. nil where the block is not on the attested
    /// line any more.
    private mutating func verified(_ diff: Holdings.PendingDiff) -> [UInt8]? {
        guard let known = chain.certifiedHeader(at: diff.key.point.number), known.point == diff.key.point else {
            return nil
        }
        let certificate = certificates.certificate(of: known, given: diff.value.certificate, in: chain)
        return certificate == diff.value.certificate ? diff.encoded : diff.value.certified(by: certificate).encoded
    }

    /// Queues a block diff for peers whose arc it lies in and who do not have the block yet, as far as is known.
    mutating func passOn(_ key: BlockDiffKey, except sender: Bytes32?, fanout: Int, at moment: Moment) {
        let interested = holders.covering(key.section).filter { peer in
            guard peer.id != sender, let head = peer.head else { return false }
            guard head.number < key.point.number else { return false }
            return configuration.role == .bridge ? peer.role == .holder : peer.role != .bridge
        }.map(\.id)
        // Every node has an order of its own for each block. By one order for all, everybody would pass a diff on to
        // the same few, and the rest would have to ask for it. The sections of a block share the order, so that their
        // diffs travel in one offer.
        let seed = record.id.word1 ^ key.point.hash.word1
        let order = interested.map { id in
            var generator = SeededGenerator(seed: seed ^ id.word2)
            return (rank: generator.next(), id: id)
        }.sorted { ($0.rank, $0.id) < ($1.rank, $1.id) }
        for peer in order.prefix(fanout) { gossip.add(key, for: peer.id, at: moment.instant) }
    }

    /// Offers what was gathered, all keys for one peer in one offer.
    mutating func flushGossip(at moment: Moment) {
        guard let deadline = gossip.deadline, deadline <= moment.instant else { return }
        gossip.deadline = nil
        let outgoing = gossip.outgoing
        gossip.outgoing = [:]
        for peer in outgoing.keys.sorted() {
            let items = (outgoing[peer] ?? []).compactMap { key in
                holdings.recentDiff(key).map { ContentItem(key: StateContentKey.blockDiff(key).encoded, value: $0) }
            }
            guard !items.isEmpty else { continue }
            _ = overlay.offer(network: .state, peer: peer, items: items, at: moment.instant)
        }
    }

    /// Offers an anchor's crown to peers that do not name the anchor among those they serve.
    mutating func offerCrown(_ anchor: Anchor, _ value: [UInt8], at moment: Moment) {
        let key = StateContentKey.crown(anchor).encoded
        let missing = holders.peers.values.filter { peer in
            guard peer.role != .bridge, !peer.served.contains(where: { $0.anchor == anchor }) else { return false }
            return configuration.role != .bridge || peer.role == .holder
        }.map(\.id).sorted { ($0 ^ anchor.hash) < ($1 ^ anchor.hash) }
        for peer in missing.prefix(StateNetworkLimits.gossipFanout) {
            _ = overlay.offer(
                network: .state, peer: peer, items: [ContentItem(key: key, value: value)], at: moment.instant)
        }
    }
}
