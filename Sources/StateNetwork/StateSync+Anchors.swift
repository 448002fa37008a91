import Chain
import MerklePatricia
import Overlay
import Primitives
import StateContent
import StateStore

// The chain moves on: layers of a branch that lost go, sections are folded to a new anchor, and what is complete or
// verified by then is told.
extension StateSync {
    /// The chain knows other blocks than before, and boundary blocks among them may have become final.
    mutating func chainMoved(final anchors: [Anchor], _ chain: some AttestedHeaders, at now: Instant) {
        pending.reviewAll()
        completion.somethingCameAbout(at: now)
        // Who goes block by block comes to an anchor with its block.
        guard let newest = anchors.last, replayer?.signs != false else { return }
        outbox.log(.info, "\(newest) is final")
        totals.rollForward.becameFinal(anchors.count, holds: holdings.book.firstBehind(newest) != nil, at: now)
        if planner.phase == .walking, holdings.book.isMidway { totals.crossingsWhileFetching += anchors.count }
        planner.anchorsAdvanced(holdings.book)
        holders.anchorsAdvanced(to: chain.newestAnchors)
        if replayer != nil { storeOwnCrown(of: newest, chain, at: now) }
        fold(to: newest, isNew: true, at: now)
    }

    /// Drops layers of blocks, from a height on, that are not on the chain. A bridge keeps its own: what it replays is
    /// its own chain's, whatever others attest meanwhile.
    mutating func rewind(from number: UInt64, _ chain: some AttestedHeaders, at now: Instant) {
        guard replayer == nil else { return }
        let lost = holdings.rewind { $0.number < number || chain.isCanonical($0) != false }
        guard !lost.isEmpty else { return }
        outbox.log(.info, "the chain's head changed: \(lost.count) unfinal layers are gone")
        note(StateWrites.dropLayers(lost), at: now)
    }

    // MARK: Crowns

    /// A crown is verified and written.
    mutating func crownStored(_ anchor: Anchor, _ crown: Crown, _ chain: some AttestedHeaders, at now: Instant) {
        holdings.store(crown, at: anchor)
        let item = ContentItem(key: StateContentKey.crown(anchor).encoded, value: CrownValue.serve(crown))
        for peer in gossip.lacking(anchor, holders) { outbox.append(.offer([item], to: peer)) }
        let newest = BlockFollowing.newestAnchor(self, chain)
        if let newest { fold(to: newest, isNew: true, at: now) }
        guard !holdings.pruneCrowns(newestFinal: newest).isEmpty, let oldest = holdings.crowns.oldest else {
            return
        }
        var batch = StateWrites.dropCrowns(before: oldest.epoch)
        batch.append(StorageCrownRecords.dropping(before: oldest.epoch))
        holdings.keepSpread(from: oldest)
        note(batch, at: now)
    }

    /// Writes the crown of a final anchor, and passes it on, where all sections that it is made of are held.
    mutating func storeOwnCrown(of anchor: Anchor, _ chain: some AttestedHeaders, at now: Instant) {
        guard let crown = holdings.ownCrown(of: anchor, chain) else { return }
        let id = operations.begin(.crown(anchor), stage: .writing(.crown(anchor, crown)), at: now)
        outbox.append(.commit(id, StateWrites.crown(anchor, CrownValue.serve(crown))))
    }

    // MARK: Folding

    /// Folds sections whose layers (or none) already give the anchor's section hash. Where the anchor or its crown is
    /// new all sections behind it are looked at, otherwise those to which something has happened.
    mutating func fold(to newest: Anchor, isNew: Bool, at now: Instant) {
        let changed = holdings.book.takeFoldable()
        let indices = isNew ? holdings.book.behind(newest).flatMap { $0.sections.indices } : changed
        guard !indices.isEmpty, holdings.crowns.contains(newest) else { return }
        let goal = holdings.book.point(of: newest)
        for index in holdings.ready(indices, for: newest) {
            guard let (placing, gathered) = SpreadHeld.placing(of: index, at: newest, holdings),
                holdings.book.lock([index]),
                let held = holdings.held(index), let record = held.record
            else { continue }
            let job = FoldSection(
                record: record, layers: held.layers.filter { $0.point.number <= goal.number }, target: goal,
                keepHistoryFrom: holdings.historyStart(at: goal), placing: placing, gathered: gathered,
                keeping: holdings.kept)
            run(.fold(job), for: .fold, sections: [index], at: now)
        }
    }

    // MARK: What is complete

    /// Whether something is complete or verified now that was not, and what is told to peers.
    mutating func lookOver(_ chain: some AttestedHeaders, at now: Instant) {
        if let newest = BlockFollowing.newestAnchor(self, chain) {
            fold(to: newest, isNew: false, at: now)
            if holdings.book.firstBehind(newest) == nil, holdings.book.mixed.isEmpty {
                totals.rollForward.arrived(at: now)
            }
        }
        SpreadKeeping.keep(&self, chain, at: now)
        // What is held at an anchor that nothing vouches for is no more than on its way to one that is known. Of a
        // state that was imported the headers may come later.
        if let anchor = holdings.completeAnchor, let header = chain.header(of: anchor),
            BlockFollowing.tells(anchor, self, chain), completion.tells(anchor)
        {
            complete(at: anchor, header, at: now)
        }
        if replayer != nil || (planner.phase == .following && holdings.isComplete),
            let (point, root, isNew) = headWatch.verify(&holdings, chain, at: now)
        {
            // The layers alone do not prove sections that the block left as they were. Without what does, a network
            // whose nodes were all started again could not show its head to anybody.
            if isNew { note(HeadProof(point: point, nodes: holdings.crowns.nodes(root: root)).writing, at: now) }
            outbox.report(.verified(point))
        }
        ahead.keep(holdings.servedAnchors())
        while let (anchor, job) = ahead.next(holdings) { run(.encodeSections(job), for: .encode(anchor), at: now) }
        let (payload, isUrgent) = announcer.payload(of: holdings)
        let fellows = planner.phase == .walking ? holders.book.fellows(of: configuration.id) : []
        outbox.append(.announce(payload, isUrgent: isUrgent, fellows: fellows))
    }

    /// Everything announced is held at one anchor, whose header is this. For the whole ring the root is made of the
    /// section hashes, and where it is another than the header's nothing counts as complete.
    private mutating func complete(at anchor: Anchor, _ header: BlockHeader, at now: Instant) {
        let root = holdings.rootOfSections(at: anchor)
        guard root == nil || root == header.stateRoot else {
            completion.forget([anchor])
            return outbox.report(
                .failed(
                    "the sections held at \(anchor) do not make up the root of its header: 'carousel verify' tells "
                        + "whether the store is damaged"))
        }
        // What is complete at an anchor is verified at its block, whether the head was ever followed to or not.
        let point = holdings.book.point(of: anchor)
        note(CompleteMark.writing(anchor), at: now)
        outbox.report(.complete(anchor: anchor, root: root))
        if holdings.verifiedHead.map({ $0.number < point.number }) ?? true { outbox.report(.verified(point)) }
    }

    /// The newest block at whose root all that is held was verified: one that was followed to, or that of the anchor at
    /// which everything is complete.
    public var verifiedPoint: StatePoint? {
        let anchor = completion.anchor.map { holdings.book.point(of: $0) }
        guard let head = holdings.verifiedHead else { return anchor }
        return anchor.map { $0.number > head.number ? $0 : head } ?? head
    }
}
