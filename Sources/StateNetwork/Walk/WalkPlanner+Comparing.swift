import Chain
import Primitives
import StateContent
import StateStore

// Sections that nobody's history leads on: compared with what is served by their subtree hashes.
extension WalkPlanner {
    /// Sections whose comparison has begun, in this life or in an earlier one.
    func planComparisons(
        with newest: Anchor, _ holdings: Holdings, _ draft: inout WalkDraft, by chooser: inout some PeerChooser
    ) {
        for index in holdings.book.mixed.sorted() where !holdings.book.isLocked(index) && !draft.taken.contains(index) {
            planComparison(index, with: newest, holdings, &draft, by: &chooser)
        }
    }

    /// A section that no diff leads on is compared with the state at the newest anchor, or with the one with which that
    /// was begun, as long as anybody serves it. It is begun again only where none of it is left at the newest anchor,
    /// or where nobody gives subtree hashes at all; but not where all are only silent, since nothing would be won by
    /// that: they are asked again and again, as their own pauses allow.
    func planComparison(
        _ index: Int, with newest: Anchor, _ holdings: Holdings, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        let book = holdings.book
        let holders = draft.candidates.filter { $0.holds(index, at: newest) }.map(\.id)
        let (now, refusals) = (draft.now, refusals)
        let silent = refusals.comparesNot(index, at: now)
        let isMixed = book.mixed.contains(index)
        // What was taken over stands at the anchor that it was taken from.
        let point = isMixed ? book.read(index) { $0.record?.working } : book.read(index) { $0.comparison?.goal }
        if holdings.isEmpty(index, at: newest), !holders.isEmpty { return draft.drop(index) }
        let goals = [point.map { book.epochs.anchor(at: $0) }, newest].compactMap { $0 }
        // Whether somebody may be asked, of all or without those that were silent for long.
        func asks(silentToo: Bool) -> Bool {
            for goal in goals {
                func gives(_ peer: WalkDraft.Candidate) -> Bool {
                    peer.holds(index, at: goal) && (silentToo || !silent.contains(peer.id))
                        && !refusals.hasSaid(peer.id, index, at: goal, now: now)
                }
                guard draft.candidates.contains(where: gives) else { continue }
                let places = holdings.places(ofSection: index, at: goal)
                guard !places.isEmpty else { continue }
                guard isMixed || draft.comparisons < WalkLimits.comparisonsAtOnce else { return true }
                draft.compares(index)
                if let peer = draft.choose(by: &chooser, where: gives) {
                    let from = book.anchor(ofSection: index) ?? goal
                    draft.ask(.compare(section: index, from: from, to: goal, places: places), of: peer)
                }
                return true
            }
            return false
        }
        if asks(silentToo: false) { return }
        if refusals.nobodyCompares(index, holders, at: newest, now: now) { return draft.drop(index) }
        _ = asks(silentToo: true)
    }
}
