import Chain
import Primitives
import StateContent
import StateStore

// Sections that nobody's history leads on: compared with what is served by their subtree hashes.
extension WalkPlanner {
    /// Sections whose comparison has begun, in this life or in an earlier one.
    mutating func planComparisons(
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
    mutating func planComparison(
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
                guard let means = means(ofComparing: index, with: goal, holdings, draft) else { continue }
                guard isMixed || draft.comparisons < WalkLimits.comparisonsAtOnce else { return true }
                draft.compares(index)
                guard draft.hasFree(where: gives), budget.take(means.budgeted, at: draft.now) else { return true }
                if let peer = draft.choose(bytes: means.bytes, by: &chooser, where: gives) {
                    let from = book.anchor(ofSection: index) ?? goal
                    draft.ask(
                        .compare(section: index, from: from, to: goal, by: means), of: peer, budgeted: means.budgeted)
                } else {
                    budget.settle(taken: means.budgeted, arrived: 0)
                }
                return true
            }
            return false
        }
        if asks(silentToo: false) { return }
        if refusals.nobodyCompares(index, holders, at: newest, now: now) { return draft.drop(index) }
        _ = asks(silentToo: true)
    }

    /// By what a section is compared with the state at an anchor; nil where that cannot be.
    private func means(
        ofComparing index: Int, with goal: Anchor, _ holdings: Holdings, _ draft: WalkDraft
    ) -> WalkTask.Means? {
        if let most = changes.rangeBytes(isSampling: draft.samplesChanges, usual: configuration.rangeBytes),
            let (first, last) = holdings.comparison(ofSection: index, with: goal)?.stretch
        {
            return .stretch(first, last, maxBytes: most)
        }
        let places = holdings.places(ofSection: index, at: goal)
        return places.isEmpty ? nil : .places(places)
    }
}

extension WalkTask.Means {
    /// What it is taken for when a peer is chosen for it, bytes.
    fileprivate var bytes: Int {
        switch self {
        case .places: WalkLimits.unknownAnswerBytes
        case .stretch(_, _, let maxBytes): Int(maxBytes)
        }
    }

    /// What of the download limit is set aside for it, bytes.
    fileprivate var budgeted: UInt32 {
        switch self {
        case .places: 0
        case .stretch(_, _, let maxBytes): maxBytes
        }
    }
}
