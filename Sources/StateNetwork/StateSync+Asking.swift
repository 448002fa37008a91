import Chain
import Discovery
import Overlay
import Primitives
import StateContent
import StateStore

// What this node asks of peers: a plan becomes requests, an answer becomes a job, a job's result a transaction.
extension StateSync {
    /// Begins what the plan asks for.
    mutating func begin(_ ask: WalkPlan.Ask, at now: Instant) {
        let locked = ask.task.locksWhileAsked ? ask.task.sections : []
        guard let key = holdings.contentKey(of: ask.task), holdings.book.lock(locked) else {
            return planner.ended(
                ask.task, of: ask.peer, .aborted, budgeted: ask.budgeted, arrived: 0, since: now, at: now)
        }
        if case .compare(let index, _, let anchor, _) = ask.task { holdings.compare(index, with: anchor) }
        let id = operations.begin(
            .ask(ask.task, key: key), stage: .asked, sections: locked, peer: ask.peer, budgeted: ask.budgeted, at: now)
        outbox.append(
            .request(
                id, peer: ask.peer, key: key.encoded, limit: key.askedBytes(sectionDepth: holdings.book.depth),
                timeout: WalkLimits.requestTimeout))
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
        // It did answer: whoever took that for silence would ask it again.
        if case .failure(let error) = result, error.isFalseContent { return lied(id, "\(error)", at: now) }
        guard case .ask(let task, let key) = operation.purpose else { return end(id, .refused, at: now) }
        switch result {
        case .failure(let error):
            outbox.log(.debug, "no answer from \(peer.short): \(error)")
            end(id, .failed, at: now)
        case .success(.records):
            disbelieve(peer, task, isByNames: true, at: now)
            end(id, task.outcomeOfNames, at: now)
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
                    end(id, task.isOfPart(holdings.book) ? .lacksPart : .refused, at: now)
                case .placementNotSupported: end(id, task.isOfPart(holdings.book) ? .lacksPart : .refused, at: now)
                }
            } catch .unknownStatus {
                // A status of a later version says that there is no data here, and no more.
                end(id, .refused, at: now)
            } catch {
                lied(id, "\(error)", at: now)
            }
        }
    }

    /// A peer does not have the range of a section that it announces at that anchor. It may have lost it since it
    /// said so; but who says anew what it holds and again does not have it, lies. Until it says anew what it holds it
    /// is asked for nothing.
    private mutating func disbelieve(_ peer: Bytes32, _ task: WalkTask, isByNames: Bool = false, at now: Instant) {
        let (section, anchor): (Int, Anchor)
        switch task {
        case .range(let index, let named, _, _, _): (section, anchor) = (index, named)
        // Names only say that it does not know what a bundle is; a status says more.
        case .sections(let indices, let named, _) where !isByNames: (section, anchor) = (indices[0], named)
        default: return
        }
        guard !holdings.book.isPart(section) else { return }
        // A bridge goes by the radius that it has heard of. It is asked again once it has said something.
        if !holdings.book.announced.contains(section), holders[peer]?.role == .bridge {
            return holders.keep(anchors: [], of: peer)
        }
        let times = holders.disbelieve(section, at: anchor, by: peer, now: now)
        guard times > 0 else { return }
        totals.falseAnnouncements += 1
        let isLie = times >= StateNetworkLimits.falseAnnouncements
        outbox.log(
            isLie ? .warning : .debug,
            "peer \(peer.short) does not have section \(section), which it announces\(isLie ? " again" : "")")
        outbox.append(.judge(peer, isLie ? .lie : .unhelpful))
    }

    /// An answer with data becomes the job that checks it.
    private mutating func take(
        _ value: [UInt8], _ id: OperationID, _ task: WalkTask, _ key: StateContentKey, bytes: Int,
        _ chain: some AttestedHeaders, at now: Instant
    ) {
        if case .blockDiffs(let key) = key {
            return PulledDiffs(value: value, key: key).apply(to: &self, id, bytes: bytes, at: now)
        }
        var sections = task.sections
        if case .diffs(_, let anchor, .block(let goal)) = task {
            sections = holdings.takeable(sections, from: anchor, to: goal)
        }
        if case .sections = task { sections = holdings.missing(sections) }
        let isLocked = task.locksWhileAsked || (!sections.isEmpty && holdings.book.lock(sections))
        operations.checks(id, sections: isLocked ? sections : [], bytes: bytes)
        // Somebody else's answer was here first: it is being looked at, or the section goes on elsewhere by now.
        guard isLocked else { return end(id, .aborted, at: now) }
        if case .range = task, task.isOvertaken(holdings.book) { return end(id, .aborted, at: now) }
        guard let job = holdings.job(checking: value, for: task, key, taking: sections, chain) else {
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
        outbox.append(.run(id, job))
    }

    /// What a peer sent does not hold: it pays, and what it was asked for is given back.
    mutating func lied(_ id: OperationID, _ what: String, at now: Instant) {
        if let peer = operations[id]?.peer { blame(peer, "sent an answer that does not hold: \(what)") }
        end(id, .invalid, at: now)
    }

    /// A peer did what no honest one does.
    mutating func blame(_ peer: Bytes32, _ what: String) {
        totals.invalidAnswers += 1
        outbox.log(.warning, "peer \(peer.short) \(what)")
        outbox.append(.judge(peer, .lie))
    }

    /// A section that can neither be led on from its anchor nor compared is begun again.
    mutating func drop(_ index: Int, at now: Instant) {
        guard holdings.book.lock([index]) else { return }
        totals.drops += 1
        let section = holdings.book.section(index)
        dropped.note(section)
        let id = operations.begin(.drop, stage: .writing(.drop), sections: [index], at: now)
        outbox.append(.commit(id, StateWrites.dropSection(section)))
    }
}
