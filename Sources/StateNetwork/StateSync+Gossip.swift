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
        let decoded = keys.map { try? gossip.read($0) }
        let takesItems = gossip.takesItems(from: holders[peer]?.role)
        let codes = zip(keys, decoded).map { bytes, key in
            guard let key else { return AcceptCode.declined }
            // Who declines a stretch is taken not to know what it is.
            guard takesItems else { return key.selector == .blockDiffs ? .notVerifiable : .declined }
            guard !gossip.expected.isExpected(bytes, at: now) else { return .inProgress }
            let code = holdings.acceptCode(
                for: key, from: peer, beside: pending, expected: gossip.expectedStretches(for: key, at: now),
                takesDiffs: planner.takesBlockDiffs, chain)
            if code == .accepted { gossip.expect(key, bytes, from: peer, at: now) }
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
            switch try gossip.read(item.key) {
            case .blockDiff(let key):
                let value = try BlockDiffValue(decoding: item.value)
                let header = try BlockDiffCheck.header(of: value, key: key, depth: holdings.book.depth)
                let isVouched = chain.isCanonical(key.point) == true || chain.isSpokenFor(header)
                outbox.append(.learned(header, from: peer))
                guard let section = holdings.book.id(of: key) else { return }
                let diff = PendingDiff(
                    key: key, section: section, value: value, byteCount: item.value.count, sender: peer,
                    receivedAt: now,
                    isVouched: isVouched)
                pending.enqueue(diff, holdings.book)
            case .blockDiffs(let key):
                // Here its proof is looked at too, once for all sections: from then on each goes its own way.
                let claims = try BlockDiffsCheck.verify(
                    try BlockDiffsValue(decoding: item.value), key: key, depth: holdings.book.depth)
                gossip.expectedDiffs.came(key, from: peer, at: now)
                let isVouched = chain.isCanonical(key.point) == true || chain.isSpokenFor(claims.header)
                outbox.append(.learned(claims.header, from: peer))
                pending.enqueue(claims, of: key.trie, from: peer, isVouched: isVouched, at: now, holdings.book)
            case .crown(let anchor):
                guard let header = chain.header(of: anchor), !holdings.crowns.contains(anchor) else { return }
                let job = CheckCrown(value: item.value, stateRoot: header.stateRoot, depth: holdings.book.depth)
                run(.checkCrown(job), for: .crown(anchor), peer: peer, at: now)
            case .range, .diffs, .codes, .sections, .subtrees, .availability, .wideDirectory, .storageCrown: return
            }
        } catch {
            gossip.broken([item.key], by: peer)
            blame(peer, "sent an item that does not hold: \(error)")
        }
    }

    /// Has what waits and fits checked, one diff a section at a time: those of one block and sender by one job.
    mutating func pumpDiffs(_ chain: some AttestedHeaders, at now: Instant) {
        var ready = ReadyDiffs()
        for index in pending.takeDue(at: now) {
            var next = pending.next(
                of: index, &holdings.book, expected: gossip.expectedDiffs, at: now, isCanonical: chain.isCanonical)
            let refuted = next == nil ? pending.takeRefuted(index, &holdings.book, by: holdings.crowns, chain) : []
            for diff in refuted {
                gossip.expectedDiffs.failed(diff.key, from: diff.sender)
                blame(diff.sender, diff.falsehood)
            }
            if !refuted.isEmpty {
                next = pending.next(
                    of: index, &holdings.book, expected: gossip.expectedDiffs, at: now, isCanonical: chain.isCanonical)
            }
            guard let diff = next, let header = chain.header(of: diff.key.point), holdings.book.lock([index]),
                let held = holdings.held(index)
            else { continue }
            let check = CheckBlockDiff(
                key: diff.key, value: diff.value, sectionHashAfter: diff.sectionHashAfter, depth: holdings.book.depth,
                stateRoot: header.stateRoot, layers: held.layers, index: held.index,
                mayBeReplaced: SpreadHeld.mayBeReplaced(index, at: diff.key.point, holdings), keeping: holdings.kept)
            ready.add(diff, check)
        }
        for group in ready.groups {
            run(
                .checkBlockDiffs(CheckBlockDiffs(diffs: group.checks)), for: .blockDiffs(group.diffs),
                sections: group.diffs.map(\.section), peer: group.diffs.first?.sender, at: now)
        }
        for sender in pending.takeSendersInVain() {
            outbox.log(.debug, "peer \(sender.short) sent diffs of a block that no key speaks for")
            outbox.append(.judge(sender, .unhelpful))
        }
    }

    /// Verified diffs are committed layers: count them and pass them on.
    mutating func layersStored(
        _ diffs: [PendingDiff], _ checked: [CheckedDiff], _ id: OperationID, _ chain: some AttestedHeaders,
        at now: Instant
    ) {
        totals.blockDiffs += checked.count
        let bySection = Dictionary(uniqueKeysWithValues: diffs.map { ($0.section, $0) })
        var (lost, stored): ([BlockLayer], [PendingDiff]) = ([], [])
        if let point = checked.first?.layer.point { holdings.note(checked.proof, at: point.number) }
        for outcome in checked {
            guard let diff = holdings.book.id(of: outcome.layer.section).flatMap({ bySection[$0] }) else { continue }
            for rival in pending.takeRefuted(rivalsOf: diff, &holdings.book, by: holdings.crowns, chain) {
                blame(rival.sender, rival.falsehood)
            }
            guard chain.isCanonical(outcome.layer.point) != false,
                holdings.committed(outcome.layer, replacing: false, noting: false)
            else {
                // The chain's head changed while the layer was written: it was right, of a block that lost.
                lost.append(outcome.layer)
                continue
            }
            holdings.codes.stored(outcome.codeHashes)
            holdings.codes.want(outcome.wantedCodes)
            stored.append(diff.keepingCodes(outcome.codeHashes))
        }
        end(id, .done(bytes: 0), at: now)
        if !lost.isEmpty { note(StateWrites.dropLayers(lost), at: now) }
        guard let sender = stored.first?.sender else { return }
        helped(sender, stored.reduce(0) { $0 + $1.byteCount }, at: now)
        // What lacks storage is of use to nobody else.
        guard holdings.kept.isAll else { return }
        for diff in stored {
            gossip.remember(diff, chain)
            gossip.passOn(
                diff.key, to: holders, except: sender, fanout: StateNetworkLimits.gossipFanout, at: now)
        }
    }
}
