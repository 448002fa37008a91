import Chain
import Primitives

extension ChainSync {
    // MARK: Peers

    /// A peer's ping payload (type 10102) came.
    mutating func peerUpdated(_ id: Bytes32, _ payload: [UInt8], at now: Instant) {
        guard peers[id]?.payload != payload, peers[id] != nil || peers.count < ChainNetworkLimits.peers else { return }
        var peer = peers[id] ?? HeaderPeers.Peer()
        peer.payload = payload
        do throws(ChainNetworkError) {
            let claim = try ChainPingPayload(decoding: payload)
            guard claim.genesisHash == configuration.genesisHash else { throw .anotherGenesis(claim.genesisHash) }
            peer.claim(lowest: claim.lowest, highest: claim.highest, certified: claim.certified)
            peer.headHash = claim.headHash
            peer.heardOf = max(peer.heardOf, peer.certified)
            peers[id] = peer
        } catch {
            // It stays known, so that the same payload is judged once, but serves nothing.
            peer.claim(lowest: 1, highest: 0, certified: 0)
            peers[id] = peer
            penalise(id, error, at: now)
        }
        plan(at: now)
    }

    /// The peer is gone; what it was asked is asked of others.
    mutating func peerLost(_ id: Bytes32) {
        peers[id] = nil
        for tag in requests.filter({ $0.value.peer == id }).keys { _ = release(tag) }
        if walkedPeer == id { resetWalk() }
    }

    /// Ends a request; its segment, if it has one, is wanted again.
    private mutating func release(_ tag: RequestTag) -> Request? {
        guard let request = requests.removeValue(forKey: tag) else { return nil }
        if checkpointRequest == tag { checkpointRequest = nil }
        if let requests = peers[request.peer]?.requests { peers[request.peer]?.requests = max(0, requests - 1) }
        for index in segments.indices {
            guard case .asked(let tags) = segments[index].state, tags.contains(tag) else { continue }
            let others = tags.filter { $0 != tag }
            segments[index].state = others.isEmpty ? .wanted : .asked(others)
        }
        return request
    }

    // MARK: Answers

    /// What a request gave: the content, or nil where none came (no answer, an error, a list of other nodes).
    mutating func answered(_ tag: RequestTag, _ content: [UInt8]?, at now: Instant) {
        defer { plan(at: now) }
        let index = segments.firstIndex { if case .asked(let tags) = $0.state { tags.contains(tag) } else { false } }
        let isCheckpoint = checkpointRequest == tag
        guard let request = release(tag), attested.conflict == nil else { return }
        let peer = request.peer
        guard let content else {
            peers.failed(peer, at: now)
            return
        }
        do throws(ChainNetworkError) {
            switch try HeadersValue(decoding: content) {
            case .busy(let seconds):
                peers.pause(peer, for: min(.seconds(Int(seconds)), ChainNetworkLimits.longestPause), at: now)
            case .notServed(let lowest, let highest): notServed(request, lowest: lowest, highest: highest, at: now)
            case .headers(let run):
                guard run.count <= request.count, run.first?.header.number == request.first,
                    !request.isRun || zip(run, run.dropFirst()).allSatisfy({ $1.header.parentHash == $0.header.hash })
                else { throw .notWhatWasAsked }
                if isCheckpoint { return takeCheckpoint(run, from: peer, at: now) }
                guard request.isWanted else { return }
                if case .single = mode {
                    take(run, provenBy: peer, at: now)
                } else if case .probing(peer, _, let goal) = mode {
                    guard accept(run, from: peer, at: now), let last = run.last?.header.number else { return }
                    mode = .probing(peer: peer, next: last + 1, goal: goal)
                } else if mode == .weighing {
                    WorkWalk.take(run, &self, at: now)
                } else if let index {
                    segments[index].state = .received(from: peer, run)
                    takeReceived(at: now)
                }
            }
        } catch .unknownStatus(_?) {
            // A status of a later version says that there are no headers here, and no more.
            peers.failed(peer, at: now)
        } catch {
            penalise(peer, error, at: now)
        }
    }

    /// The peer says it does not have what its claims promised: then these are its claims.
    private mutating func notServed(_ request: Request, lowest: UInt64, highest: UInt64, at now: Instant) {
        guard lowest > request.first || highest < request.first else {
            peers.failed(request.peer, at: now)
            return
        }
        if var peer = peers[request.peer] {
            peer.claim(lowest: lowest, highest: highest, certified: peer.certified)
            peers[request.peer] = peer
        }
        guard walkedPeer == request.peer else { return }
        resetWalk()
        peers.failed(request.peer, at: now)
    }

    /// Takes in the batches whose turn has come.
    private mutating func takeReceived(at now: Instant) {
        while let first = segments.first, case .received(let peer, let run) = first.state {
            let outcome = accept(run, from: peer, at: now)
            // A conflict, or another line, has ended the walk.
            guard !segments.isEmpty else { return }
            guard outcome, let last = run.last?.header.number else {
                segments[0].state = .wanted
                return
            }
            peers[peer]?.failures = 0
            frontier = last + 1
            if frontier < first.end {
                segments[0] = Segment(first: frontier, count: Int(first.end - frontier))
            } else {
                segments.removeFirst()
            }
            noteProof(of: last, by: peer, at: now)
        }
    }

    /// Remembers who called attested what is not, and asks no further for what nobody vouches for.
    private mutating func noteProof(of last: UInt64, by id: Bytes32, at now: Instant) {
        guard let peer = peers[id], last > attested.servedTip else { return }
        if peer.certified > attested.head.number {
            unproven.append((peer: id, upTo: min(last, peer.certified)))
        } else if last >= peer.highest {
            let tip = attested.servedTip
            peers[id]?.highest = tip
            peers.failed(id, at: now)
        }
    }

    /// In single mode: the next part of one peer's line.
    private mutating func take(_ run: [CertifiedHeader], provenBy peer: Bytes32, at now: Instant) {
        guard accept(run, from: peer, at: now), case .single(peer, _, let goal, let certified) = mode,
            let last = run.last?.header
        else { return }
        lastOfSingle = last.hash
        mode = .single(peer: peer, next: last.number + 1, goal: goal, certified: certified)
    }

    /// Gives a run to the chain. true if it was taken; if not, the peer has been dealt with.
    private mutating func accept(_ run: [CertifiedHeader], from peer: Bytes32, at now: Instant) -> Bool {
        do throws(ChainError) {
            report(try attested.accept(run, at: unixSeconds))
            return true
        } catch .unknownParent {
            // Inside the run the links were checked first: it is the first parent that is not ours.
            if mode == .parallel, (peers[peer]?.certified ?? 0) > attested.head.number {
                prove(peer, at: now)
            } else {
                resetWalk()
                peers.failed(peer, at: now)
            }
        } catch .tooManyUnverified {
            resetWalk()
            peers.failed(peer, at: now)
            tellFull()
        } catch .belowFinal {
            // Another line, which lost: who has not heard of that yet is no liar.
            WorkWalk.leaves(peer, &self, at: now)
        } catch .ahead {
            resetWalk()
            peers.failed(peer, at: now)
        } catch .conflictingFinals(let a, let b) {
            resetWalk()
            directives.append(.conflict(.conflictingFinals(a, b)))
        } catch {
            if mode != .parallel { resetWalk() }
            penalise(peer, .invalid(error), at: now)
        }
        return false
    }

    /// Tells once that nothing goes on before a later block is final; junk alone is not worth it.
    private mutating func tellFull() {
        guard attested.isFull, toldFull != attested.final.number else { return }
        toldFull = attested.final.number
        directives.append(.lacksFinality(above: attested.final.number))
    }

    mutating func report(_ advance: ChainAdvance) {
        if !advance.keep.isEmpty || !advance.drop.isEmpty {
            directives.append(.persist(advance.keep, forgetting: advance.drop, floor: attested.storedFloor))
        }
        if !advance.lostAnchors.isEmpty { directives.append(.anchorsLost(advance.lostAnchors)) }
        if let head = advance.head { directives.append(.headAdvanced(head, leaving: advance.leftAt)) }
        if advance.final != nil || !advance.anchors.isEmpty { directives.append(.finalAdvanced(advance.anchors)) }
        // The checkpoint's header may come after those above it.
        let checkpoint = configuration.checkpoint.number
        if storedFrom == nil || (storedFrom == checkpoint + 1 && attested.lowest == checkpoint) {
            storedFrom = attested.lowest
        }
        tellFull()
        if let lowest = attested.lowest,
            attested.floor.number - lowest > ChainNetworkLimits.keptHeaders + ChainNetworkLimits.forgottenTogether
        {
            attested.prune(below: attested.floor.number - ChainNetworkLimits.keptHeaders)
        }
    }

    // MARK: New blocks

    /// Whether an offered item is wanted, and why not.
    public func admission(of key: [UInt8]) -> NewBlockAdmission {
        guard case .success(.newBlock(let point)) = Result(catching: { try ChainContentKey(decoding: key) }) else {
            return .notOffered
        }
        guard attested.conflict == nil else { return .notVerifiable }
        return point.number > attested.floor.number && !attested.isAttested(point) ? .wanted : .known
    }

    /// Whether an offered item is wanted: a new block that is not attested here yet.
    public func wants(_ key: [UInt8]) -> Bool { admission(of: key) == .wanted }

    /// An offered item came.
    mutating func offered(_ key: [UInt8], _ value: [UInt8], by peer: Bytes32, at now: Instant) {
        do throws(ChainNetworkError) {
            guard case .newBlock(let point) = try ChainContentKey(decoding: key) else { throw .malformedKey }
            learned(try NewBlockValue.decode(value, point: point), from: peer, at: now)
        } catch {
            penalise(peer, error, at: now)
        }
    }

    /// A header came by the way, with a block diff for instance.
    mutating func learned(_ entry: CertifiedHeader, from id: Bytes32, at now: Instant) {
        let number = entry.header.number
        guard attested.conflict == nil, number > attested.floor.number else { return }
        peers.heard(of: number, by: id)
        do throws(ChainError) {
            try takeNew(entry, from: id)
            peers.began(id, at: configuration.checkpoint.number, upTo: number)
        } catch .unknownParent {
            // A gap, or another line. Asking from the head on finds out which, if keys vouch for the block: the peer
            // that has it has what leads to it.
            if attested.isVouchedFor(entry) {
                peers.began(id, at: configuration.checkpoint.number, upTo: number)
                peers[id]?.brought(number)
            }
        } catch .conflictingFinals(let a, let b) {
            directives.append(.conflict(.conflictingFinals(a, b)))
        } catch .tooManyUnverified {
            // Nothing to hold against the peer: there is no room as long as no later block is final.
            tellFull()
        } catch .ahead, .committee(.noCertificate) {
            // A clock that goes otherwise; and what goes round with state need not bring what a committee said of it.
        } catch .belowFinal {
            // Nor here: its keys have spoken for this block before others made a rival final, which it may not know.
        } catch {
            penalise(id, .invalid(error), at: now)
        }
        plan(at: now)
    }

    /// Takes a block of the node's own making (a bridge's) and passes it on. One that does not fit the attested chain
    /// is a conflict: the node replays another chain than the one its network attests.
    mutating func produced(_ entry: CertifiedHeader, at now: Instant) {
        guard attested.conflict == nil else { return }
        do throws(ChainError) {
            try takeNew(entry, from: nil)
        } catch {
            directives.append(.conflict(error))
        }
        plan(at: now)
    }

    private mutating func takeNew(_ entry: CertifiedHeader, from source: Bytes32?) throws(ChainError) {
        // Below the least work a header is kept only as one of a line that was weighed.
        if source != nil, lacksWork {
            throw .unknownParent(number: entry.header.number, parentHash: entry.header.parentHash)
        }
        let advance = try attested.accept([entry], at: unixSeconds)
        report(advance)
        // What carries no new word of a key is no news: neither an echo nor a header that nobody vouches for is passed
        // on. Under other rules that is news which has become attested.
        guard advance.newVotes + advance.judged > 0, let held = attested.held(entry.header.hash),
            held.certificate != nil || attested.rule.evidence == .nothing
        else { return }
        push(held, source: source)
    }

    /// Offers a block to peers that are behind it.
    private mutating func push(_ entry: CertifiedHeader, source: Bytes32?) {
        let number = entry.header.number
        let chosen = peers.behind(
            number, isProven: attested.isAttested(entry.point), besides: source, using: &generator)
        let key = ChainContentKey.newBlock(entry.point).encoded
        let value = NewBlockValue.encode(entry)
        for id in chosen {
            peers.heard(of: number, by: id)
            directives.append(.offer(peer: id, key: key, value: value))
        }
    }
}

/// Whether a new block on offer is wanted, and why not.
public enum NewBlockAdmission: Sendable, Equatable {
    case wanted
    /// It is attested here already, or below the final block.
    case known
    /// The attestations contradict each other: nothing can be believed any more.
    case notVerifiable
    /// No key of this network, or one of content that nobody offers.
    case notOffered
}
