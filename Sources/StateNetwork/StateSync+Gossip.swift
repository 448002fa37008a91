import Chain
import MerklePatricia
import Overlay
import Primitives
import StateContent
import StateStore

// Block diffs and crowns as they go round: offered, received, checked by a job, committed as a layer, passed on.
extension StateSync {
    /// Says which of the offered items are wanted.
    mutating func offered(
        _ keys: [[UInt8]], by peer: Bytes32, _ token: Overlay.OfferToken, _ chain: some AttestedHeaders,
        at now: Instant
    ) {
        // A key that does not decode is none that anybody here wants.
        let decoded = keys.map { try? StateContentKey(decoding: $0) }
        let codes = zip(keys, decoded).map { bytes, key in
            guard let key, gossip.takesItems(from: holders[peer]?.role) else { return AcceptCode.declined }
            guard !gossip.expected.isExpected(bytes, at: now) else { return .inProgress }
            let code = holdings.acceptCode(
                for: key, from: peer, beside: pending, takesDiffs: planner.takesBlockDiffs, chain)
            if code == .accepted { gossip.expected.expect(bytes, from: peer, at: now) }
            return code
        }
        outbox.append(.decide(token, codes, limit: gossip.bytes(of: decoded, accepted: codes)))
    }

    /// An item that was offered and accepted has come. Here only its header is looked at, which the chain network may
    /// have been waiting for; everything else is for the job to check, once it is its turn.
    mutating func received(
        _ item: ContentItem, from peer: Bytes32, _ chain: some AttestedHeaders, at now: Instant
    ) {
        gossip.expected.ended(item.key, from: peer)
        do {
            switch try StateContentKey(decoding: item.key) {
            case .blockDiff(let key):
                let value = try BlockDiffValue(decoding: item.value)
                let header = try BlockDiffCheck.header(of: value, key: key, depth: holdings.book.depth)
                let isVouched = chain.isCanonical(key.point) == true || chain.isSpokenFor(header)
                outbox.append(.learned(header, from: peer))
                let diff = PendingDiff(
                    key: key, value: value, encoded: item.value, sender: peer, receivedAt: now, isVouched: isVouched)
                pending.enqueue(diff, holdings.book)
            case .crown(let anchor):
                guard let header = chain.header(of: anchor), !holdings.crowns.contains(anchor) else { return }
                let job = CheckCrown(value: item.value, stateRoot: header.stateRoot, depth: holdings.book.depth)
                run(.checkCrown(job), for: .crown(anchor), peer: peer, at: now)
            case .range, .diffs, .codes, .subtrees, .availability: return
            }
        } catch {
            blame(peer, "sent an item that does not hold: \(error)")
        }
    }

    /// Has what waits and fits checked, one diff a section at a time.
    mutating func pumpDiffs(_ chain: some AttestedHeaders, at now: Instant) {
        for index in pending.takeDue(at: now) {
            var next = pending.next(of: index, &holdings.book, at: now, isCanonical: chain.isCanonical)
            let refuted = next == nil ? pending.takeRefuted(index, &holdings.book, by: holdings.crowns, chain) : []
            for diff in refuted { blame(diff.sender, diff.falsehood) }
            if !refuted.isEmpty {
                next = pending.next(of: index, &holdings.book, at: now, isCanonical: chain.isCanonical)
            }
            guard let diff = next, let header = chain.header(of: diff.key.point), holdings.book.lock([index]),
                let held = holdings.held(index)
            else { continue }
            let job = CheckBlockDiff(
                key: diff.key, value: diff.value, depth: holdings.book.depth, stateRoot: header.stateRoot,
                layers: held.layers, index: held.index)
            run(.checkBlockDiff(job), for: .blockDiff(diff), sections: [index], peer: diff.sender, at: now)
        }
        for sender in pending.takeSendersInVain() {
            outbox.log(.debug, "peer \(sender.short) sent diffs of a block that no key speaks for")
            outbox.append(.judge(sender, .unhelpful))
        }
    }

    /// A verified diff is a committed layer: count it and pass it on.
    mutating func layerStored(
        _ diff: PendingDiff, _ checked: CheckedDiff, _ id: OperationID, _ chain: some AttestedHeaders, at now: Instant
    ) {
        totals.blockDiffs += 1
        for rival in pending.takeRefuted(rivalsOf: diff, &holdings.book, by: holdings.crowns, chain) {
            blame(rival.sender, rival.falsehood)
        }
        let stands =
            chain.isCanonical(checked.layer.point) != false && holdings.committed(checked.layer, replacing: false)
        end(id, .done(bytes: 0), at: now)
        guard stands else {
            // The chain's head changed while the layer was written: it was right, of a block that lost.
            return note(StateWrites.dropLayers([checked.layer]), at: now)
        }
        holdings.codes.stored(checked.codeHashes)
        holdings.codes.want(checked.wantedCodes)
        helped(diff.sender, diff.encoded.count, at: now)
        gossip.remember(diff, chain)
        gossip.passOn(
            diff.key, to: holders, except: diff.sender, fanout: StateNetworkLimits.gossipFanout, at: now)
    }
}
