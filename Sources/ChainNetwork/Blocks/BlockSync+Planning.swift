import Chain
import Primitives

// What is asked for next, and what is applied next.
extension BlockSync {
    /// Does all that can be done now.
    mutating func plan(_ chain: AttestedChain, at now: Instant) {
        if let next = queue?.next, next > target, next <= chain.floor.number { movedAt = now }
        target = chain.floor.number
        guard queue != nil else { return due = nil }
        if let retryAt, retryAt <= now { self.retryAt = nil }
        if let lineRetryAt, lineRetryAt <= now { self.lineRetryAt = nil }
        // What is handed out makes room for what is asked for.
        apply(chain)
        learnLine(chain)
        enqueue()
        ask(at: now)
        double(at: now)
        due = nextTime(after: now)
    }

    private func nextTime(after now: Instant) -> Instant? {
        var first = retryAt
        func take(_ time: Instant?) { if let time { first = min(first ?? time, time) } }
        take(lineRetryAt)
        for (index, run) in (queue?.runs ?? []).enumerated() {
            if let time = doubling(run, isFirst: index == 0), time > now { take(time) }
        }
        if queue?.runs.contains(where: \.isWanted) == true { take(peers.firstRestEnd(after: now)) }
        return first
    }

    // MARK: The line

    /// Learns the hashes of the blocks that are next: from memory, or where the chain does not reach down so far, from
    /// the store.
    private mutating func learnLine(_ chain: AttestedChain) {
        guard let next = queue?.next, !isReadingLine, lineRetryAt == nil else { return }
        let last = min(target, next + UInt64(ChainNetworkLimits.blocksAhead) - 1)
        while let number = queue?.hashesEnd, number <= last {
            if let entry = chain.certifiedHeader(at: number) {
                queue?.append(hash: entry.header.hash)
            } else {
                let below = chain.lowest.map { $0 > number ? min($0 - 1, last) : last } ?? last
                isReadingLine = true
                directives.append(.readLine(number...below))
                return
            }
        }
    }

    /// What the store has of the line. It may have less than was asked for: what was written just now.
    mutating func lineRead(_ points: [StatePoint], at now: Instant) {
        isReadingLine = false
        let before = queue?.hashesEnd
        for point in points {
            guard point.number == queue?.hashesEnd else { continue }
            queue?.append(hash: point.hash)
        }
        if queue?.hashesEnd == before { lineRetryAt = now + ChainNetworkLimits.blockPeersRetry }
    }

    // MARK: Asking

    /// Blocks asked for at once: so many that an answer is half as large as it may be.
    private var blocksAtOnce: Int {
        guard let blockBytes = sizes.block else { return ChainNetworkLimits.firstBlocks }
        return min(max(ChainNetworkLimits.blockAnswerBytes / 2 / max(blockBytes, 1), 1), ChainNetworkLimits.blocksAsked)
    }

    /// Wants more blocks, as far as their hashes are known and there is room for them.
    private mutating func enqueue() {
        let atOnce = blocksAtOnce
        while let end = queue?.end, let known = queue?.hashesEnd, end < known, let runs = queue?.runs.count,
            runs < ChainNetworkLimits.blockRuns,
            runs == 0 || (queue?.readyBytes ?? 0) < ChainNetworkLimits.blockBytesAhead
        {
            queue?.want(min(atOnce, Int(known - end)))
        }
    }

    /// Those whose word for a block of the run was worth nothing.
    private func liars(of run: BlockQueue.Run) -> Set<Bytes32> {
        var liars: Set<Bytes32> = []
        for (number, found) in wrong where run.numbers.contains(number) { liars.formUnion(found.senders) }
        return liars
    }

    private mutating func ask(at now: Instant) {
        if let first = queue?.runs.first, first.isWanted, first.isDifficult { queue?.cut(0, to: 1) }
        for index in (queue?.runs ?? []).indices {
            guard requests.count < ChainNetworkLimits.blockRequests, peers.isAnyFree(at: now) else { break }
            guard let run = queue?.runs[index], run.isWanted,
                let peer = peers.choose(for: run.first, besides: liars(of: run), at: now, using: &generator),
                let tag = request(run, of: peer, at: now)
            else { continue }
            queue?.set(.asked([tag]), at: index)
        }
        if !wrong.isEmpty { for run in queue?.runs ?? [] where run.isWanted { tellIfWrongFromAll(run, at: now) } }
        if requests.isEmpty, queue?.runs.contains(where: \.isWanted) == true {
            retryAt = retryAt ?? now + ChainNetworkLimits.blockPeersRetry
        }
    }

    private mutating func request(_ run: BlockQueue.Run, of peer: Bytes32, at now: Instant) -> RequestTag? {
        guard let start = queue?.hashes(from: run.first, count: 1).first,
            let key = BlockRun(start: start, count: run.count), let timeout = peers[peer]?.timeout
        else { return nil }
        let tag = RequestTag(value: newName())
        requests[tag] = Request(
            peer: peer, first: run.first, count: run.count, sentAt: now)
        peers.asked(peer)
        let limit =
            run.isDifficult && run.count == 1
            ? ChainNetworkLimits.largestAnswerBytes : ChainNetworkLimits.blockAnswerBytes
        directives.append(
            .request(
                peer: peer, key: ChainContentKey.blocks(.run(key)).encoded, tag: tag, limit: limit, timeout: timeout))
        return tag
    }

    // MARK: Asking a second peer

    /// When a request that holds up others, or one near the tip, has lasted so long that a second peer is asked.
    private func doubling(_ run: BlockQueue.Run, isFirst: Bool) -> Instant? {
        guard isFirst || target < run.end + ChainNetworkLimits.doubledNearTip, case .asked(let tags) = run.state,
            tags.count == 1, let request = tags.first.flatMap({ requests[$0] }), let peer = peers[request.peer]
        else { return nil }
        return request.sentAt + peer.patience
    }

    private mutating func double(at now: Instant) {
        for index in (queue?.runs ?? []).indices {
            guard let run = queue?.runs[index], let time = doubling(run, isFirst: index == 0), time <= now,
                case .asked(let tags) = run.state, let asked = tags.first.flatMap({ requests[$0]?.peer }),
                let peer = peers.choose(
                    for: run.first, besides: liars(of: run).union([asked]), at: now, using: &generator),
                let tag = request(run, of: peer, at: now)
            else { continue }
            queue?.set(.asked(tags + [tag]), at: index)
        }
    }

    /// Where nobody is left who has the block and has not sent a false one, that is told once.
    private mutating func tellIfWrongFromAll(_ run: BlockQueue.Run, at now: Instant) {
        for number in run.numbers {
            guard let found = wrong[number], !found.isTold, !found.senders.isEmpty,
                peers.having(number, at: now).allSatisfy({ found.senders.contains($0) }),
                let hash = queue?.hashes(from: number, count: 1).first
            else { continue }
            wrong[number]?.isTold = true
            directives.append(
                .wrongFromAll(
                    StatePoint(number: number, hash: hash), peers: found.senders.count, reason: found.reason))
        }
    }

    // MARK: Applying

    /// Hands out the next blocks, if the last ones are done with. A batch ends with the first block of an epoch, whose
    /// state is an anchor.
    private mutating func apply(_ chain: AttestedChain) {
        guard applying.isEmpty, let next = queue?.next else { return }
        let epochs = chain.configuration.epochs
        let most = next <= singlesUpTo ? 1 : ChainNetworkLimits.blocksApplied
        applying = queue?.take(most: most) { epochs.isBoundary($0) } ?? []
        if !applying.isEmpty { directives.append(.apply(applying.map(\.block))) }
    }
}
