import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Storage that is spread round the ring: its crowns are made where all of a trie is held, and what nobody wants any
// more goes.
extension StateSync {
    /// Looks over what is spread: crowns that can be made of what is held, and parts that have served their time.
    mutating func keepSpread(_ chain: some AttestedHeaders, at now: Instant) {
        guard holdings.spread.rule != nil else { return }
        makeRoom(at: now)
        if let newest = chain.newestAnchor {
            makeStorageCrowns(at: newest, now)
            // A part that came with its account's section has had an epoch to be fetched by those whose it is.
            guard newest.epoch > 1 else { return }
            let old = holdings.book.parts.left { [epochs = holdings.book.epochs] point in
                epochs.epoch(of: point.number) + 2 <= newest.epoch
            }
            for id in old { drop(id, at: now) }
        }
    }

    /// The arc is smaller: room is wanted, so parts outside it are not served any longer either.
    mutating func dropParts(outside arc: Range<Int>, at now: Instant) {
        for id in holdings.book.parts.left(where: { _ in true }) where !arc.contains(holdings.book.place(of: id)) {
            drop(id, at: now)
        }
    }

    /// Parts of a former placement go, or become those of the present one: a bridge has nobody to fetch these from.
    private mutating func makeRoom(at now: Instant) {
        for (account, depth, parts) in holdings.outgrown {
            guard replayer != nil, let anchor = holdings.spread.knownAt(account),
                let job = holdings.resplitting(account, to: depth, parts, at: anchor)
            else {
                for id in parts { drop(id, at: now) }
                continue
            }
            if holdings.book.lock(parts) { run(.resplit(job), for: .fold, sections: parts, at: now) }
        }
    }

    /// Has the storage crowns made that others will ask for.
    mutating func makeStorageCrowns(at anchor: Anchor, _ now: Instant) {
        let underWay = operations.storageCrowns
        for job in holdings.crownsToMake(at: anchor) where !underWay.contains(job.trie.account) {
            run(.makeStorageCrowns(job), for: .storageCrowns(job.trie.account), at: now)
        }
    }

    /// A bridge of a network that spreads storage brings all it has to an anchor before it goes beyond: from there on
    /// its changes are told by other places. Whether it may go on.
    ///
    /// Others have to wait until the anchor is final. A bridge need not: what it replays is its own chain's. But the
    /// anchor before must be final, or nothing final would be held.
    mutating func foldsOwn(_ chain: some AttestedHeaders, at now: Instant) -> Bool {
        guard holdings.spread.rule != nil, let head = replayer?.head, holdings.book.isAllComplete else { return true }
        let epochs = holdings.book.epochs
        guard let number = epochs.boundary(of: epochs.epoch(of: head.number)),
            let lowest = holdings.book.lowestPoint, lowest.number < number || !holdings.outgrown.isEmpty
        else { return true }
        guard chain.final.number >= lowest.number, let anchor = holdings.crowns.list.last?.anchor,
            epochs.boundary(of: anchor.epoch) == number
        else { return false }
        makeRoom(at: now)
        makeStorageCrowns(at: anchor, now)
        fold(to: anchor, isNew: true, at: now)
        return false
    }
}
