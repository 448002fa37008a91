import Chain
import Discovery
import Overlay
import Primitives
import StateStore

// What this node asks of peers: a plan becomes requests, an answer becomes a job, a job's result a transaction.
extension StateSync {
    /// Begins what the plan asks for.
    mutating func begin(_ ask: WalkPlan.Ask, at now: Instant) {
        guard let key = contentKey(of: ask.task), holdings.book.lock(ask.task.sections) else { return }
        let id = operations.begin(
            .ask(ask.task, key: key), stage: .asked, sections: ask.task.sections, peer: ask.peer,
            budgeted: ask.budgeted, at: now)
        directives.append(
            .request(
                id, peer: ask.peer, key: key.encoded, limit: key.askedBytes(sectionDepth: holdings.book.depth),
                timeout: WalkLimits.requestTimeout))
    }

    private func contentKey(of task: WalkTask) -> StateContentKey? {
        switch task {
        case .crown(let anchor): return .crown(anchor)
        case .range(_, let anchor, let origin, let limit, let maxBytes):
            return RangeKey(anchor: anchor, origin: origin, limit: limit, maxBytes: maxBytes).map { .range($0) }
        case .diffs(let sections, let from, let target): return diffsKey(sections, from: from, to: target)
        case .carry(let section, let from, let anchor): return diffsKey([section], from: from, to: .anchor(anchor))
        case .codes(let hashes, let section):
            return CodesKey(near: holdings.book.section(section).firstKey, hashes: hashes).map { .codes($0) }
        }
    }

    private func diffsKey(_ sections: [Int], from anchor: Anchor, to target: WalkTask.DiffTarget) -> StateContentKey? {
        // An anchor's crown is held before its diffs are asked for; a block's proof comes with the diffs.
        let withProof = if case .anchor(let goal) = target { !holdings.crowns.contains(goal) } else { true }
        return DiffsKey(
            from: holdings.book.point(of: anchor), to: point(of: target), sections: sections,
            maxBytes: StateNetworkLimits.diffBytes, withProof: withProof
        ).map { .diffs($0) }
    }

    private func point(of target: WalkTask.DiffTarget) -> StatePoint {
        switch target {
        case .anchor(let anchor): holdings.book.point(of: anchor)
        case .block(let point): point
        }
    }

    // MARK: Answers

    /// An answer came, or none.
    mutating func answered(
        _ id: OperationID, _ result: Result<ContentAnswer, OverlayError>, bytes: Int, _ chain: some AttestedHeaders,
        at now: Instant
    ) {
        guard let operation = operations[id], let peer = operation.peer else { return }
        if case .names(let search) = operation.purpose {
            let records = if case .success(.records(let records)) = result { records } else { [NodeRecord]() }
            holders.named(search, records, at: now)
        }
        guard case .ask(let task, let key) = operation.purpose else { return end(id, .refused, at: now) }
        switch result {
        case .failure(let error):
            log(.debug, "no answer from \(peer.short): \(error)")
            end(id, .failed, at: now)
        case .success(.records):
            disbelieve(peer, task, at: now)
            end(id, .refused, at: now)
        case .success(.content(let value)):
            do throws(StateContentError) {
                switch try StateStatus(decoding: value) {
                case .data: take(value, id, task, key, bytes: bytes, chain, at: now)
                case .busy(let seconds): end(id, .busy(.seconds(Int(seconds))), at: now)
                case .itemTooLarge: end(id, .tooLarge, at: now)
                case .historyTooShort: end(id, .tooOld, at: now)
                case .notAtThisAnchor(let served):
                    holders.keep(anchors: served, of: peer)
                    // It names the very anchor that it was asked for and says that it is not there.
                    disbelieve(peer, task, at: now)
                    end(id, .refused, at: now)
                case .placementNotSupported: end(id, .refused, at: now)
                }
            } catch .unknownStatus {
                // A status of a later version says that there is no data here, and no more.
                end(id, .refused, at: now)
            } catch {
                lied(id, "\(error)", at: now)
            }
        }
    }

    /// A peer does not have the range of a section that it claims to hold at that anchor. It may have lost it since it
    /// said so; but who says anew what it holds and again does not have it, lies. Until it says anew what it holds it
    /// is asked for nothing.
    private mutating func disbelieve(_ peer: Bytes32, _ task: WalkTask, at now: Instant) {
        guard case .range(let section, let anchor, _, _, _) = task else { return }
        let claims = holders.disclaim(section, at: anchor, by: peer, now: now)
        guard claims > 0 else { return }
        totals.falseClaims += 1
        log(.debug, "peer \(peer.short) does not have section \(section), which it claims")
        directives.append(.judge(peer, claims < StateNetworkLimits.falseClaims ? .unhelpful : .lie))
    }

    /// An answer with data becomes the job that checks it.
    private mutating func take(
        _ value: [UInt8], _ id: OperationID, _ task: WalkTask, _ key: StateContentKey, bytes: Int,
        _ chain: some AttestedHeaders, at now: Instant
    ) {
        guard let job = job(checking: value, for: task, key, chain) else {
            if case .carry(let index, _, let anchor) = task, case .diffs(let key) = key,
                let peer = operations[id]?.peer
            {
                // Nothing of it can be checked before a range of that anchor is here.
                let diff = CarryingDiff(value: value, key: key, anchor: anchor, sender: peer)
                holdings.book.change(index) { $0.carrying = diff }
                return end(id, .done(bytes: bytes), at: now)
            }
            // What the answer is checked by is gone meanwhile: that is not the sender's fault.
            return end(id, .aborted, at: now)
        }
        operations.checks(id, bytes: bytes)
        directives.append(.run(id, job))
    }

    /// nil where there is nothing to check it by.
    private func job(
        checking value: [UInt8], for task: WalkTask, _ key: StateContentKey, _ chain: some AttestedHeaders
    ) -> StateJob? {
        let book = holdings.book
        switch (task, key) {
        case (.crown(let anchor), _):
            return chain.header(of: anchor).map { header in
                .checkCrown(CheckCrown(value: value, stateRoot: header.stateRoot, depth: book.depth))
            }
        case (.codes, .codes(let key)): return .checkCodes(CheckCodes(value: value, key: key))
        case (.range(let index, let anchor, _, _, _), .range(let key)):
            let carrying = holdings.held(index)?.carrying
            return chain.header(of: anchor).map { header in
                .takeRange(
                    TakeRange(
                        value: value, key: key, section: book.section(index), point: book.point(of: anchor),
                        stateRoot: header.stateRoot, carrying: carrying?.anchor == anchor ? carrying : nil))
            }
        case (.diffs(_, _, let target), .diffs(let key)):
            let (crown, isAnchor) =
                if case .anchor(let anchor) = target { (holdings.crowns.crown(at: anchor), true) } else { (nil, false) }
            let goal = point(of: target)
            guard let header = chain.header(of: goal), key.withProof || crown != nil else { return nil }
            return .takeDiffs(
                TakeDiffs(
                    value: value, key: key, depth: book.depth, stateRoot: header.stateRoot, crown: crown,
                    folds: isAnchor, keepHistoryFrom: historyStart(at: goal)))
        default: return nil
        }
    }

    /// What a peer sent does not hold: it pays, and what it was asked for is given back.
    mutating func lied(_ id: OperationID, _ what: String, at now: Instant) {
        if let peer = operations[id]?.peer { blame(peer, "sent an answer that does not hold: \(what)") }
        end(id, .invalid, at: now)
    }

    /// A peer did what no honest one does.
    mutating func blame(_ peer: Bytes32, _ what: String) {
        totals.invalidAnswers += 1
        log(.warning, "peer \(peer.short) \(what)")
        directives.append(.judge(peer, .lie))
    }

    /// A section whose anchor nobody leads on from is begun again.
    mutating func drop(_ index: Int, at now: Instant) {
        guard holdings.book.lock([index]) else { return }
        totals.drops += 1
        let section = holdings.book.section(index)
        dropped.note(section)
        let id = operations.begin(.drop, stage: .writing(.drop), sections: [index], at: now)
        directives.append(.commit(id, StateWrites.dropSection(section)))
    }
}
