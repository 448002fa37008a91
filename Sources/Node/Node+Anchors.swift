import Chain
import ChainNetwork
import MerklePatricia
import Overlay
import Primitives
import StateNetwork
import StateStore
import Sync

extension Node {
    /// The attested head moved: what waited for its header may go on. Where it left a branch (`leaving`: from that
    /// height on), the layers of that go.
    mutating func headAdvanced(to point: StatePoint, leaving: UInt64?, at moment: Moment) {
        if let leaving { rewind(from: leaving, at: moment) }
        holdings.reviewAll()
        for id in holders.peers.keys.sorted() { refreshSyncPeer(id) }
        afterProgress(at: moment)
    }

    /// Drops layers of blocks, from a height on, that are not on the chain. A bridge keeps its own: what it replays is
    /// its own chain's, whatever others attest meanwhile.
    mutating func rewind(from number: UInt64, at moment: Moment) {
        guard configuration.role != .bridge else { return }
        let chain = chain
        let lost = holdings.rewind { $0.number < number || Node.isCanonical($0, in: chain) != false }
        guard !lost.isEmpty else { return }
        log(.info, "the chain's head changed: \(lost.count) unfinal layers are gone")
        commit(StateWrites.dropLayers(lost), then: .written)
        for index in Set(lost.map(\.section.index)).sorted() { tellSync(index, at: moment) }
    }

    /// Who holds the whole ring can prove its head by what it holds. The proof that was written down may be of an
    /// earlier block: a kill may have come between a block and its proof.
    mutating func noteOwnCrown() {
        guard let header = bridge?.head.flatMap({ chain.header(of: $0) }) ?? chain.headHeader,
            let crown = holdings.rebuiltCrown(at: header.number), crown.root == header.stateRoot
        else { return }
        holdings.note(crown.nodes, at: header.number)
    }

    /// Boundary blocks became final.
    mutating func finalAdvanced(_ anchors: [Anchor], at moment: Moment) {
        holdings.reviewAll()
        for id in holders.peers.keys.sorted() { refreshSyncPeer(id) }
        pruneHeaders()
        guard let newest = anchors.last else { return }
        log(.info, "\(newest) is final")
        sync.anchorAdvanced(to: newest)
        tellAnchors()
        if bridge != nil { storeOwnCrown(of: newest) }
        foldWhereItFits(at: moment)
    }

    // MARK: Crowns

    /// Checks a crown against its anchor's attested root and has it written. False where the anchor is not usable.
    mutating func acceptCrown(_ value: [UInt8], at anchor: Anchor, assignment: UInt64?) throws -> Bool {
        guard let header = chain.header(of: anchor) else { return false }
        let crown = try CrownValue.verify(value, stateRoot: header.stateRoot, depth: holdings.depth)
        commit(
            StateWrites.crown(anchor, value), then: .crownCommitted(anchor, crown, assignment: assignment))
        return true
    }

    mutating func crownStored(_ anchor: Anchor, _ crown: Crown, assignment: UInt64?, at moment: Moment) {
        holdings.store(crown, at: anchor)
        sync.crownStored(anchor)
        if let assignment { end(assignment, sections: [], .done(bytes: 0), at: moment) }
        offerCrown(anchor, CrownValue.serve(crown), at: moment)
        foldWhereItFits(at: moment)
        guard !holdings.pruneCrowns(newestFinal: chain.newestAnchor).isEmpty,
            let oldest = holdings.crowns.first?.anchor.epoch
        else { return }
        commit(StateWrites.dropCrowns(before: oldest), then: .written)
        sync.crownsDropped(before: oldest)
    }

    // MARK: Folding

    /// Folds every section whose layers (or none) already give the newest anchor's section hash. The others are brought
    /// there by diffs: the planner sees them behind.
    mutating func foldWhereItFits(at moment: Moment) {
        guard let newest = chain.newestAnchor, let crown = holdings.crown(at: newest) else { return }
        let goal = holdings.point(of: newest)
        for index in arc {
            guard let held = holdings.held(index), let record = held.record, record.isComplete, !held.isLocked,
                record.working.number < goal.number,
                let proven = try? crown.sectionHash(index), holdings.stateHash(of: index, at: goal.number) == proven,
                holdings.lock(index)
            else { continue }
            tellSync(index, at: moment)
            let job = FoldSection(
                record: record, layers: held.layers.filter { $0.point.number <= goal.number }, target: goal,
                keepHistoryFrom: historyStart(at: goal))
            run(.fold(job), then: .fold(section: index))
        }
    }

    mutating func folded(_ section: Int, _ outcome: Result<SectionFolded, StateJobError>, at moment: Moment) {
        switch outcome {
        case .success(let folded):
            commit(
                folded.batch,
                then: .foldCommitted(section: section, folded.record, wanted: folded.wantedCodes))
        case .failure(let error):
            holdings.unlock(section)
            tellSync(section, at: moment)
            if case .store(let error) = error { return report(.storeFailed(error)) }
            report(
                .failed(
                    "section \(holdings.section(section)) could not be folded: \(error): 'carousel verify' tells "
                        + "whether the store is damaged"))
        }
    }

    // MARK: After progress

    /// Something was committed or attested: all that is held is to be looked over, soon.
    mutating func afterProgress(at moment: Moment) {
        guard status.overlookAt == nil else { return }
        let gap = Interval(microseconds: NodeLimits.overlookPerSection.microseconds * UInt64(arc.count))
        status.overlookAt = status.overlookedAt.map { max($0 + gap, moment.instant) } ?? moment.instant
    }

    /// Whether something is complete now that was not, and what is told to peers.
    mutating func overlook(at moment: Moment) {
        guard let due = status.overlookAt, due <= moment.instant else { return }
        status.overlookAt = nil
        status.overlookedAt = moment.instant
        foldWhereItFits(at: moment)
        if let anchor = sync.completeAnchor, status.completeAt != anchor, configuration.role != .bridge {
            complete(at: anchor)
        }
        verifyHead(at: moment)
        tellPeers(at: moment)
    }

    /// Everything of the arc is held at one anchor. For the whole ring the root is made of the section hashes.
    private mutating func complete(at anchor: Anchor) {
        // What is complete at an anchor is verified at its block, whether the head was ever followed to or not.
        let point = holdings.point(of: anchor)
        status.completeAt = anchor
        commit(CompleteMark.writing(anchor), then: .written)
        defer {
            if holdings.verifiedHead.map({ $0.number < point.number }) ?? true { report(.verified(point)) }
        }
        guard arc.count == Section.count(depth: holdings.depth) else {
            report(.complete(anchor: anchor, root: nil))
            return
        }
        let root = holdings.rootOfSections()
        guard let header = chain.header(of: anchor), root == header.stateRoot else {
            report(
                .failed(
                    "the sections held at \(anchor) do not make up the root of its header: 'carousel verify' tells "
                        + "whether the store is damaged"))
            return
        }
        report(.complete(anchor: anchor, root: root))
    }

    /// The newest attested block at which all that is held matches the proven section hashes.
    private mutating func verifyHead(at moment: Moment) {
        // Without the code of its accounts a state is not whole.
        guard configuration.role == .bridge || (sync.phase == .following && sync.isComplete) else { return }
        let head = chain.head
        let floor = max(holdings.verifiedHead?.number ?? 0, head.number > 8 ? head.number - 8 : 0)
        for number in stride(from: head.number, to: floor, by: -1) {
            guard let header = chain.header(at: number) else { continue }
            guard holdings.verify(at: header.point, root: header.stateRoot, isHead: header.point == head) else {
                continue
            }
            status.headVerifiedAt = moment.instant
            for index in arc { tellSync(index, at: moment) }
            // The layers alone do not prove sections that the block left as they were. Without what does, a network
            // whose nodes were all started again could not show its head to anybody.
            let proof = HeadProof(point: header.point, nodes: holdings.crownNodes(root: header.stateRoot))
            commit(proof.writing, then: .written)
            report(.verified(header.point))
            return
        }
        verifyResumed(at: moment)
    }

    /// After a start: the block at which everything was verified when the node stopped may lie further below the head
    /// than blocks are looked at else.
    private mutating func verifyResumed(at moment: Moment) {
        guard let point = status.resumed, holdings.verifiedHead == nil, let header = chain.header(of: point),
            holdings.verify(at: point, root: header.stateRoot, isHead: point == chain.head)
        else { return }
        status.resumed = nil
        status.headVerifiedAt = moment.instant
        for index in arc { tellSync(index, at: moment) }
        report(.verified(point))
    }

    /// The newest block at whose root all that is held was verified: one that was followed to, or that of the anchor at
    /// which everything is complete.
    var verifiedPoint: StatePoint? {
        let anchor = (status.completeAt ?? status.resumedAnchor).map { holdings.point(of: $0) }
        guard let head = holdings.verifiedHead else { return anchor }
        return anchor.map { $0.number > head.number ? $0 : head } ?? head
    }

    /// While following, everything held should stand at the head soon after the head moved; what does not is caught up.
    mutating func noticeBehind(at moment: Moment) {
        // Where all stood at the head until now, a new block's diffs have their time from its header on.
        if status.awaitedHead != chain.head {
            if let before = status.awaitedHead, holdings.verifiedHead == before {
                status.headVerifiedAt = moment.instant
            }
            status.awaitedHead = chain.head
        }
        guard sync.phase == .following, configuration.role != .bridge,
            moment.instant - status.headVerifiedAt >= NodeLimits.headPatience, let header = chain.headHeader,
            holdings.verifiedHead != header.point
        else { return }
        status.headVerifiedAt = moment.instant
        for index in holdings.markBehind(at: header.point, root: header.stateRoot) { tellSync(index, at: moment) }
    }

    // MARK: What peers are told

    /// Puts what is held into the ping payloads.
    mutating func tellPeers(at moment: Moment) {
        let radius = UInt256.mask(bits: configuration.radiusExponent)
        let head = holdings.verifiedHead ?? sync.completeAnchor.map { holdings.point(of: $0) }
        let served = holdings.servedAnchors()
        let payload = StatePingPayload(
            role: configuration.role, radius: radius, head: head, served: served)
        overlay.setLocal(
            network: .state, radius: radius, extensionPayload: payload.encoded,
            isUrgent: isNews(follows: head != nil, served: served), at: moment.instant)
        overlay.setLocal(
            network: .chain, radius: .max, extensionPayload: chain.localPayload, at: moment.instant)
    }

    /// Whether peers wait to hear this. That this node follows the head: it is offered no block's diffs
    /// before. That all it holds has reached a new anchor: askers change over as soon as they know who serves it, since
    /// the old one is soon gone. Both come about once, or once in an epoch.
    private mutating func isNews(follows: Bool, served: [AnchorSections]) -> Bool {
        let reached = served.first.flatMap { newest in
            newest.runs.reduce(0) { $0 + $1.count } == holdings.completeCount ? newest.anchor : nil
        }
        defer {
            status.toldFollowing = follows
            if let reached { status.toldAnchor = reached }
        }
        return (follows && !status.toldFollowing) || (reached != nil && reached != status.toldAnchor)
    }
}
