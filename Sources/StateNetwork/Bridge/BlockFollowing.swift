import Chain
import Primitives

/// What is different for a node that goes block by block (`BlockPlan.applies`): its blocks come from peers, behind the
/// chain that is attested and sometimes far behind it, and every one of them brings the whole state forward.
enum BlockFollowing {
    /// Blocks are applied and committed. Nothing is gossiped of them: who wants a block diff has it from a bridge. The
    /// state root was compared with that of a header which is attested, so the last one is verified with all that is
    /// held.
    static func applied(
        _ word: Attestation, _ sync: inout StateSync, _ chain: some AttestedHeaders, at moment: Moment
    ) {
        let point = word.certified.point
        // A checkpoint that is genesis needs nobody's word.
        if point == chain.final, chain.lowest == nil { sync.outbox.append(.produced(word.certified)) }
        sync.outbox.report(.replayed(point))
        sync.outbox.report(.verified(point))
        sync.completion.somethingCameAbout(at: moment.instant)
        guard let newest = newestAnchor(sync, chain) else { return }
        // Of an epoch's first block nobody may be left who has the crown.
        if sync.holdings.book.point(of: newest) == point { sync.storeOwnCrown(of: newest, chain, at: moment.instant) }
        sync.fold(to: newest, isNew: true, at: moment.instant)
    }

    /// The newest anchor that counts for the state here: the chain's, but of a node that goes block by block the one at
    /// or below its last block.
    static func newestAnchor(_ sync: StateSync, _ chain: some AttestedHeaders) -> Anchor? {
        guard let replayer = sync.replayer, !replayer.signs else { return chain.newestAnchor }
        guard let head = replayer.head, let newest = chain.newestAnchor else { return nil }
        return chain.anchor(epoch: min(sync.holdings.book.epochs.epoch(of: head.number), newest.epoch))
    }

    /// Whether an anchor at which all is complete is worth telling: not a bridge's, and of blocks that are applied one
    /// after the other only the one they lead to, which is not the genesis they begin with.
    static func tells(_ anchor: Anchor, _ sync: StateSync, _ chain: some AttestedHeaders) -> Bool {
        guard let replayer = sync.replayer else { return true }
        // Blocks are applied up to the floor: a newer anchor is not come to yet.
        let goal = sync.holdings.book.epochs.epoch(of: chain.floor.number)
        return !replayer.signs && anchor.epoch > 0 && anchor.epoch == min(goal, chain.newestAnchor?.epoch ?? 0)
    }
}
