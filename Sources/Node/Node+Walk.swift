import Chain
import ChainNetwork
import MerklePatricia
import Overlay
import Primitives
import StateNetwork
import StateStore
import Sync

extension Node {
    /// Asks the planner what to do and does it.
    mutating func planWork(at moment: Moment) {
        overlook(at: moment)
        pumpDiffs(at: moment)
        noticeBehind(at: moment)
        flushGossip(at: moment)
        guard configuration.role != .bridge else { return replayNext(at: moment) }
        let plan = sync.plan(at: moment.instant, choosing: &overlay)
        for index in plan.drops { drop(section: index) }
        for assignment in plan.assignments { start(assignment, at: moment) }
    }

    private mutating func start(_ assignment: Assignment, at moment: Moment) {
        guard let key = contentKey(of: assignment.task) else {
            sync.finish(assignment.id, .aborted, at: moment.instant)
            return
        }
        let sections = assignment.task.sections
        guard holdings.lock(sections) else {
            // The planner leaves locked sections alone; a lock taken since then gives this assignment back.
            sync.finish(assignment.id, .aborted, at: moment.instant)
            return
        }
        for index in sections { tellSync(index, at: moment) }
        let id = overlay.findContent(
            network: .state, peer: assignment.peer, key: key.encoded,
            limit: key.askedBytes(sectionDepth: holdings.depth), timeout: SyncLimits.requestTimeout, at: moment.instant)
        requests[id] = .assignment(assignment, key)
    }

    private func contentKey(of task: SyncTask) -> StateContentKey? {
        switch task {
        case .crown(let anchor): return .crown(anchor)
        case .range(_, let anchor, let origin, let limit, let maxBytes):
            return RangeKey(anchor: anchor, origin: origin, limit: limit, maxBytes: maxBytes).map { .range($0) }
        case .diffs(let sections, let from, let target):
            return DiffsKey(
                from: holdings.point(of: from), to: point(of: target), sections: sections,
                maxBytes: NodeLimits.diffBytes, withProof: withProof(target)
            ).map { .diffs($0) }
        case .carry(let section, let from, let anchor):
            let target = SyncTask.DiffTarget.anchor(anchor)
            return DiffsKey(
                from: holdings.point(of: from), to: point(of: target), sections: [section],
                maxBytes: NodeLimits.diffBytes, withProof: withProof(target)
            ).map { .diffs($0) }
        case .codes(let hashes, let section):
            return CodesKey(near: holdings.section(section).firstKey, hashes: hashes).map { .codes($0) }
        }
    }

    private func point(of target: SyncTask.DiffTarget) -> StatePoint {
        switch target {
        case .anchor(let anchor): holdings.point(of: anchor)
        case .block(let point): point
        }
    }

    /// An anchor's crown is held before its diffs are asked for; a block's proof comes with the diffs.
    private func withProof(_ target: SyncTask.DiffTarget) -> Bool {
        if case .anchor(let anchor) = target { holdings.crown(at: anchor) == nil } else { true }
    }

    /// An answer to an assignment came, or none.
    mutating func answered(
        _ assignment: Assignment, _ key: StateContentKey, _ result: Result<ContentAnswer, OverlayError>, bytes: Int,
        at moment: Moment
    ) {
        switch result {
        case .failure(let error):
            log(.debug, "no answer from \(assignment.peer.short): \(error)")
            end(assignment, .failed, at: moment)
        case .success(.records):
            disbelieve(assignment, at: moment)
            end(assignment, .refused, at: moment)
        case .success(.content(let value)):
            do throws(StateContentError) {
                switch try StateStatus(decoding: value) {
                case .data: take(value, for: assignment, key, bytes: bytes, at: moment)
                case .busy(let seconds): end(assignment, .busy(.seconds(Int(seconds))), at: moment)
                case .itemTooLarge: end(assignment, .tooLarge, at: moment)
                case .historyTooShort: end(assignment, .tooOld, at: moment)
                case .notAtThisAnchor(let served):
                    holders.keep(anchors: served, of: assignment.peer)
                    // It names the very anchor that it was asked for and says that it is not there.
                    disbelieve(assignment, at: moment)
                    refreshSyncPeer(assignment.peer)
                    end(assignment, .refused, at: moment)
                default: end(assignment, .refused, at: moment)
                }
            } catch {
                // A status of a later version says that there is no data here, and no more.
                if case .unknownStatus = error { return end(assignment, .refused, at: moment) }
                lie(assignment, "\(error)", at: moment)
            }
        }
    }

    /// A peer does not have the range of a section that it claims to hold at that anchor. It may have lost it since it
    /// said so; but who says anew what it holds and again does not have it, lies. Until it says anew what it holds it
    /// is asked for nothing.
    private mutating func disbelieve(_ assignment: Assignment, at moment: Moment) {
        guard case .range(let section, let anchor, _, _, _) = assignment.task else { return }
        let claims = holders.disclaim(section, at: anchor, by: assignment.peer, now: moment.instant)
        guard claims > 0 else { return }
        totals.falseClaims += 1
        log(.debug, "peer \(assignment.peer.short) does not have section \(section), which it claims")
        overlay.judge(assignment.peer, claims < NodeLimits.falseClaims ? .unhelpful : .lie, at: moment.instant)
        refreshSyncPeer(assignment.peer)
    }

    /// Gives an assignment and its sections back.
    private mutating func end(_ assignment: Assignment, _ outcome: AssignmentOutcome, at moment: Moment) {
        end(assignment.id, sections: assignment.task.sections, outcome, at: moment)
    }

    mutating func end(_ id: UInt64, sections: [Int], _ outcome: AssignmentOutcome, at moment: Moment) {
        for index in sections {
            holdings.unlock(index)
            tellSync(index, at: moment)
        }
        guard let peer = sync.finish(id, outcome, at: moment.instant), let helped = outcome.hasHelped else { return }
        holders.note(peer, helped: helped, sections: sections, at: moment.instant)
    }

    private mutating func lie(_ assignment: Assignment, _ what: String, at moment: Moment) {
        lie(assignment.id, sections: assignment.task.sections, peer: assignment.peer, what, at: moment)
    }

    mutating func lie(_ id: UInt64, sections: [Int], peer: Bytes32, _ what: String, at moment: Moment) {
        blame(peer, what, at: moment)
        end(id, sections: sections, .invalid, at: moment)
    }

    mutating func blame(_ peer: Bytes32, _ what: String, at moment: Moment) {
        totals.invalidAnswers += 1
        log(.warning, "peer \(peer.short) sent an answer that does not hold: \(what)")
        overlay.judge(peer, .lie, at: moment.instant)
    }

    private mutating func take(
        _ value: [UInt8], for assignment: Assignment, _ key: StateContentKey, bytes: Int, at moment: Moment
    ) {
        switch (assignment.task, key) {
        case (.crown(let anchor), _): takeCrown(value, at: anchor, assignment, moment)
        case (.codes, .codes(let key)): takeCodes(value, key, assignment, bytes: bytes, at: moment)
        case (.range(let index, let anchor, _, _, _), .range(let key)):
            guard let header = chain.header(of: anchor) else { return end(assignment, .aborted, at: moment) }
            let carrying = holdings.held(index)?.carrying
            let job = TakeRange(
                value: value, key: key, section: holdings.section(index), point: holdings.point(of: anchor),
                stateRoot: header.stateRoot, carrying: carrying?.anchor == anchor ? carrying : nil)
            run(
                .takeRange(job),
                then: .range(assignment: assignment.id, section: index, peer: assignment.peer, bytes: bytes))
        case (.carry(let index, _, let anchor), .diffs(let key)):
            // Nothing of it can be checked before a range of that anchor is here.
            let diff = CarryingDiff(value: value, key: key, anchor: anchor, sender: assignment.peer)
            holdings.carry(diff, section: index)
            end(assignment, .done(bytes: bytes), at: moment)
        case (.diffs(let sections, _, let target), .diffs(let key)):
            takeDiffs(value, sections, key, to: target, assignment, bytes: bytes, at: moment)
        default: end(assignment, .aborted, at: moment)
        }
    }

    private mutating func takeDiffs(
        _ value: [UInt8], _ sections: [Int], _ key: DiffsKey, to target: SyncTask.DiffTarget,
        _ assignment: Assignment, bytes: Int, at moment: Moment
    ) {
        let goal = point(of: target)
        guard let header = chain.header(of: goal) else { return end(assignment, .aborted, at: moment) }
        var crown: Crown?
        if case .anchor(let anchor) = target { crown = holdings.crown(at: anchor) }
        // A crown that was dropped meanwhile is not the sender's fault.
        guard key.withProof || crown != nil else { return end(assignment, .aborted, at: moment) }
        let isAnchor = if case .anchor = target { true } else { false }
        let job = TakeDiffs(
            value: value, key: key, depth: holdings.depth, stateRoot: header.stateRoot, crown: crown,
            folds: isAnchor, keepHistoryFrom: historyStart(at: goal))
        run(
            .takeDiffs(job),
            then: .diffs(
                assignment: assignment.id, sections: sections, peer: assignment.peer, bytes: bytes, goal: goal))
    }

    /// History older than this block is dropped when a section is folded.
    func historyStart(at point: StatePoint) -> UInt64 {
        let span = UInt64(NodeLimits.historyFolds) * holdings.epochLength
        return point.number > span ? point.number - span : 0
    }

    private mutating func takeCrown(_ value: [UInt8], at anchor: Anchor, _ assignment: Assignment, _ moment: Moment) {
        do {
            guard try acceptCrown(value, at: anchor, assignment: assignment.id) else {
                return end(assignment, .aborted, at: moment)
            }
        } catch {
            lie(assignment, "\(error)", at: moment)
        }
    }

    private mutating func takeCodes(
        _ value: [UInt8], _ key: CodesKey, _ assignment: Assignment, bytes: Int, at moment: Moment
    ) {
        do {
            let codes = try CodesValue.verify(value, key: key)
            guard !codes.isEmpty else { return end(assignment, .refused, at: moment) }
            commit(
                StateWrites.codes(codes),
                then: .codesCommitted(
                    assignment: assignment.id, peer: assignment.peer, hashes: codes.map(\.hash), bytes: bytes))
        } catch {
            lie(assignment, "\(error)", at: moment)
        }
    }

    /// A section whose anchor nobody leads on from is begun again.
    private mutating func drop(section index: Int) {
        guard holdings.lock(index) else { return }
        totals.drops += 1
        log(.info, "section \(holdings.section(index)) is begun again: nobody leads on from its anchor")
        commit(StateWrites.dropSection(holdings.section(index)), then: .dropCommitted(section: index))
    }

    /// Tells the planner what is held of a section now.
    mutating func tellSync(_ index: Int, at moment: Moment) {
        guard arc.contains(index) else { return }
        sync.update(section: index, Node.status(of: index, in: holdings, at: moment.instant))
    }

    /// A section in the planner's terms.
    static func status(of index: Int, in holdings: Holdings, at now: Instant) -> SectionStatus {
        let held = holdings.held(index)
        let coverage: SectionStatus.Coverage
        switch held?.record?.coverage {
        case nil: coverage = .none
        case .partial(let next)?: coverage = .partial(anchor: holdings.anchor(of: held?.record), next: next)
        case .complete?: coverage = .complete(anchor: holdings.anchor(of: held?.record))
        }
        return SectionStatus(
            coverage: coverage, isLocked: held?.isLocked ?? false, hasGap: holdings.hasGap(index, at: now),
            top: holdings.top(of: index), carriedTo: held?.carrying?.anchor)
    }
}

extension Holdings {
    /// The anchor that a section is held at.
    fileprivate func anchor(of record: SectionRecord?) -> Anchor {
        let point = record?.working ?? StatePoint(number: 0, hash: .zero)
        return Anchor(epoch: point.number / epochLength, hash: point.hash)
    }
}
