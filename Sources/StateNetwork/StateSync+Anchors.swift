import Chain
import MerklePatricia
import Overlay
import Primitives
import StateStore

// The chain moves on: layers of a branch that lost go, sections are folded to a new anchor, and what is complete or
// verified by then is told.
extension StateSync {
    /// The chain knows other blocks than before.
    mutating func chainMoved(at now: Instant) {
        pending.reviewAll()
        planner.review()
        completion.somethingCameAbout(arc: arc.count, at: now)
    }

    /// Something was committed.
    mutating func somethingCameAbout(at now: Instant) { completion.somethingCameAbout(arc: arc.count, at: now) }

    /// Drops layers of blocks, from a height on, that are not on the chain. A bridge keeps its own: what it replays is
    /// its own chain's, whatever others attest meanwhile.
    mutating func rewind(from number: UInt64, _ chain: some AttestedHeaders, at moment: Moment) {
        guard replayer == nil else { return }
        let lost = holdings.rewind { $0.number < number || chain.isCanonical($0) != false }
        guard !lost.isEmpty else { return }
        log(.info, "the chain's head changed: \(lost.count) unfinal layers are gone")
        note(StateWrites.dropLayers(lost), at: moment.instant)
    }

    /// Boundary blocks became final.
    mutating func finalAdvanced(_ anchors: [Anchor], _ chain: some AttestedHeaders, at moment: Moment) {
        chainMoved(at: moment.instant)
        guard let newest = anchors.last else { return }
        log(.info, "\(newest) is final")
        if planner.phase == .walking, holdings.book.isMidway { totals.crossingsWhileFetching += anchors.count }
        planner.anchorsAdvanced(holdings.book)
        tellAnchors(chain)
        if replayer != nil { storeOwnCrown(of: newest, chain, at: moment) }
        foldBehind(newest, at: moment.instant)
    }

    // MARK: Crowns

    /// A crown is verified and written.
    mutating func crownStored(_ anchor: Anchor, _ crown: Crown, _ chain: some AttestedHeaders, at now: Instant) {
        holdings.store(crown, at: anchor)
        planner.review()
        let item = ContentItem(key: StateContentKey.crown(anchor).encoded, value: CrownValue.serve(crown))
        for peer in gossip.lacking(anchor, holders) { directives.append(.offer([item], to: peer)) }
        if let newest = chain.newestAnchor { foldBehind(newest, at: now) }
        guard !holdings.pruneCrowns(newestFinal: chain.newestAnchor).isEmpty, let oldest = holdings.crowns.oldest else {
            return
        }
        note(StateWrites.dropCrowns(before: oldest.epoch), at: now)
    }

    /// Writes the crown of a final anchor, and passes it on, where all sections that it is made of are held.
    mutating func storeOwnCrown(of anchor: Anchor, _ chain: some AttestedHeaders, at moment: Moment) {
        // After a start between the block and its finality the crown is not in memory, but what it is made of is.
        let number = holdings.book.point(of: anchor).number
        guard let crown = holdings.crowns.crown(at: anchor) ?? holdings.rebuiltCrown(at: number),
            crown.root == chain.header(of: anchor)?.stateRoot
        else { return }
        let id = operations.begin(.crown(anchor), stage: .writing(.crown(anchor, crown)), at: moment.instant)
        directives.append(.commit(id, StateWrites.crown(anchor, CrownValue.serve(crown))))
    }

    /// Who holds the whole ring can prove its head by what it holds. The proof that was written down may be of an
    /// earlier block: a kill may have come between a block and its proof.
    mutating func noteOwnCrown(_ chain: some AttestedHeaders) {
        guard let header = replayer?.head.flatMap({ chain.header(of: $0) }) ?? chain.headHeader,
            let crown = holdings.rebuiltCrown(at: header.number), crown.root == header.stateRoot
        else { return }
        holdings.note(crown.nodes, at: header.number)
    }

    // MARK: Folding

    /// An anchor, or its crown, is new: every section behind it is looked at.
    mutating func foldBehind(_ newest: Anchor, at now: Instant) {
        _ = holdings.book.takeFoldable()
        fold(holdings.book.behind(newest).flatMap { $0.sections.indices }, to: newest, at: now)
    }

    /// Folds those of the sections whose layers (or none) already give the anchor's section hash.
    private mutating func fold(_ indices: [Int], to newest: Anchor, at now: Instant) {
        guard !indices.isEmpty, let crown = holdings.crowns.crown(at: newest) else { return }
        let goal = holdings.book.point(of: newest)
        for index in holdings.ready(indices, for: newest, crown) where holdings.book.lock([index]) {
            guard let held = holdings.held(index), let record = held.record else { continue }
            let job = FoldSection(
                record: record, layers: held.layers.filter { $0.point.number <= goal.number }, target: goal,
                keepHistoryFrom: historyStart(at: goal))
            run(.fold(job), for: .fold, sections: [index], at: now)
        }
    }

    /// History older than this block is dropped when a section is folded.
    func historyStart(at point: StatePoint) -> UInt64 {
        let (span, isMore) = UInt64(StateNetworkLimits.historyFolds)
            .multipliedReportingOverflow(by: holdings.book.epochLength)
        return !isMore && point.number > span ? point.number - span : 0
    }

    // MARK: What is complete

    /// Whether something is complete now that was not, and what is told to peers.
    mutating func lookOver(_ chain: some AttestedHeaders, at moment: Moment) {
        if let newest = chain.newestAnchor { fold(holdings.book.takeFoldable(), to: newest, at: moment.instant) }
        if replayer == nil, let anchor = holdings.completeAnchor, completion.tells(anchor) {
            complete(at: anchor, chain, at: moment)
        }
        if replayer != nil || (planner.phase == .following && holdings.isComplete) {
            verifyHead(chain, at: moment)
        }
        let (payload, isUrgent) = announcer.payload(of: holdings)
        directives.append(.announce(payload, isUrgent: isUrgent))
    }

    /// Everything of the arc is held at one anchor. For the whole ring the root is made of the section hashes.
    private mutating func complete(at anchor: Anchor, _ chain: some AttestedHeaders, at moment: Moment) {
        // What is complete at an anchor is verified at its block, whether the head was ever followed to or not.
        let point = holdings.book.point(of: anchor)
        note(CompleteMark.writing(anchor), at: moment.instant)
        let root = holdings.rootOfSections()
        if let root, root != chain.header(of: anchor)?.stateRoot {
            report(
                .failed(
                    "the sections held at \(anchor) do not make up the root of its header: 'carousel verify' tells "
                        + "whether the store is damaged"))
        } else {
            report(.complete(anchor: anchor, root: root))
        }
        if holdings.verifiedHead.map({ $0.number < point.number }) ?? true { report(.verified(point)) }
    }

    private mutating func verifyHead(_ chain: some AttestedHeaders, at moment: Moment) {
        guard let (point, root, isNew) = headWatch.verify(&holdings, chain, at: moment.instant) else { return }
        // The layers alone do not prove sections that the block left as they were. Without what does, a network whose
        // nodes were all started again could not show its head to anybody.
        if isNew {
            note(HeadProof(point: point, nodes: holdings.crowns.nodes(root: root)).writing, at: moment.instant)
        }
        report(.verified(point))
    }

    /// The newest block at whose root all that is held was verified: one that was followed to, or that of the anchor at
    /// which everything is complete.
    public var verifiedPoint: StatePoint? {
        let anchor = completion.anchor.map { holdings.book.point(of: $0) }
        guard let head = holdings.verifiedHead else { return anchor }
        return anchor.map { $0.number > head.number ? $0 : head } ?? head
    }
}
