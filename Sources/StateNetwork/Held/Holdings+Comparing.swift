import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Sections that no diff leads on are compared with the state at an anchor by its subtree hashes.
extension Holdings {
    /// The next places to ask for, to compare a section with the state at an anchor whose crown is held; none where the
    /// section has no leaf there, or was compared in vain too often.
    func places(ofSection index: Int, at anchor: Anchor) -> [StatePlace] {
        guard let held = held(index), let record = held.record else { return [] }
        if let comparison = held.comparison, comparison.goal == book.point(of: anchor) {
            let places = comparison.places(StateContentLimits.subtreePlaces)
            return Array(places.prefix(SubtreesKey.fitting(places)))
        }
        guard held.comparisonsBegun < WalkLimits.comparisons, let hash = hash(ofSection: index, at: anchor),
            hash != Subtree.emptyRoot
        else { return [] }
        return SectionComparison(record, goal: book.point(of: anchor), sectionHash: hash).places(1)
    }

    private func hash(ofSection index: Int, at anchor: Anchor) -> Bytes32? {
        guard let crown = crowns.crown(at: anchor) else { return nil }
        return try? crown.sectionHash(index)
    }

    /// A section is compared with the state at an anchor from now on, if it is not yet.
    mutating func compare(_ index: Int, with anchor: Anchor) {
        guard let hash = hash(ofSection: index, at: anchor) else { return }
        let goal = book.point(of: anchor)
        book.change(index) { entry in
            guard let record = entry.record, entry.comparison?.goal != goal else { return }
            entry.comparison = SectionComparison(record, goal: goal, sectionHash: hash)
            entry.comparisonsBegun += 1
        }
    }

    /// The job that takes an answer into a section's comparison; nil where that is gone.
    func comparing(_ value: [UInt8], _ index: Int, with anchor: Anchor, _ key: SubtreesKey) -> StateJob? {
        guard let comparison = held(index)?.comparison, let hash = hash(ofSection: index, at: anchor),
            comparison.goal == book.point(of: anchor)
        else { return nil }
        return .compare(
            CompareSection(
                value: value, key: key, comparison: comparison, sectionHash: hash,
                keepHistoryFrom: historyStart(at: comparison.goal)))
    }

    /// A comparison has come so far. Of a partly fetched section its end is the diff that the next range needs.
    mutating func compared(_ comparison: SectionComparison) {
        let anchor = book.epochs.anchor(at: comparison.goal)
        book.change(comparison.section.index) { entry in
            entry.comparison = comparison.isFinished ? nil : comparison
            if comparison.isFinished { entry.carrying = CarryingDiff(comparison, anchor: anchor) }
        }
    }

    /// Comparing a section comes to nothing: it is to be begun again.
    mutating func comparedInVain(_ index: Int) {
        book.change(index) { entry in
            entry.comparison = nil
            entry.comparisonsBegun = WalkLimits.comparisons
        }
    }
}
