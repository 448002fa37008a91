import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What a node does for the storage that is spread round the ring: crowns are made where all of a trie is held, and
/// what nobody wants any more goes.
enum SpreadKeeping {
    /// Looks over what is spread: crowns that can be made of what is held, and parts that have served their time.
    static func keep(_ sync: inout StateSync, _ chain: some AttestedHeaders, at now: Instant) {
        guard sync.holdings.spread.rule != nil else { return }
        makeRoom(&sync, at: now)
        guard let newest = BlockFollowing.newestAnchor(sync, chain) else { return }
        makeStorageCrowns(&sync, at: newest, now)
        // A part that came with its account's section has had an epoch to be fetched by those whose it is.
        guard newest.epoch > 1 else { return }
        let old = sync.holdings.book.parts.left { [epochs = sync.holdings.book.epochs] point in
            epochs.epoch(of: point.number) + 2 <= newest.epoch
        }
        for id in old { sync.drop(id, at: now) }
    }

    /// The arc is smaller: room is wanted, so parts outside it are not served any longer either.
    static func dropOutside(_ sync: inout StateSync, at now: Instant) {
        let book = sync.holdings.book
        for id in book.parts.left(where: { _ in true }) where !book.arc.contains(book.place(of: id)) {
            sync.drop(id, at: now)
        }
    }

    /// Parts of a former placement go, or become those of the present one: a bridge has nobody to fetch these from.
    private static func makeRoom(_ sync: inout StateSync, at now: Instant) {
        for (account, depth, parts) in SpreadHeld.outgrown(sync.holdings) {
            guard sync.replayer != nil, let anchor = sync.holdings.spread.knownAt(account),
                let job = SpreadHeld.resplitting(account, to: depth, parts, at: anchor, sync.holdings)
            else {
                for id in parts { sync.drop(id, at: now) }
                continue
            }
            if sync.holdings.book.lock(parts) { sync.run(.resplit(job), for: .fold, sections: parts, at: now) }
        }
    }

    /// Has the storage crowns made that others will ask for.
    private static func makeStorageCrowns(_ sync: inout StateSync, at anchor: Anchor, _ now: Instant) {
        let underWay = sync.operations.storageCrowns
        for job in SpreadHeld.crownsToMake(at: anchor, sync.holdings) where !underWay.contains(job.trie.account) {
            sync.run(.makeStorageCrowns(job), for: .storageCrowns(job.trie.account), at: now)
        }
    }

    /// A bridge of a network that spreads storage brings all it has to an anchor before it goes beyond: from there on
    /// its changes are told by other places. Whether it may go on.
    ///
    /// Others have to wait until the anchor is final. A bridge need not: what it replays is its own chain's. But the
    /// anchor before must be final, or nothing final would be held.
    static func mayGoOn(_ sync: inout StateSync, _ chain: some AttestedHeaders, at now: Instant) -> Bool {
        let book = sync.holdings.book
        guard sync.holdings.spread.rule != nil, let head = sync.replayer?.head, book.isAllComplete else { return true }
        guard let number = book.epochs.boundary(of: book.epochs.epoch(of: head.number)),
            let lowest = book.lowestPoint, lowest.number < number || !SpreadHeld.outgrown(sync.holdings).isEmpty
        else { return true }
        guard chain.final.number >= lowest.number, let anchor = sync.holdings.crowns.list.last?.anchor,
            book.epochs.boundary(of: anchor.epoch) == number
        else { return false }
        makeRoom(&sync, at: now)
        makeStorageCrowns(&sync, at: anchor, now)
        sync.fold(to: anchor, isNew: true, at: now)
        return false
    }
}
