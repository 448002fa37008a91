import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Sections that no diff leads on are compared with the state at an anchor by its subtree hashes. What is found is in
// the store with every answer; here is only which places are open.
extension Holdings {
    /// The comparison of a section with the state at an anchor, begun or still to be; nil where nothing is held of it,
    /// the anchor's crown is not here, or the section has no leaf there.
    func comparison(ofSection index: Int, with anchor: Anchor) -> SectionComparison? {
        let goal = book.point(of: anchor)
        guard let held = held(index), let record = held.record else { return nil }
        if let comparison = held.comparison, comparison.goal == goal { return comparison }
        guard let hash = provenHash(of: index, at: anchor), hash != Subtree.emptyRoot else { return nil }
        return SectionComparison(record, goal: goal, sectionHash: hash, placing: spread.rule, keeping: kept)
    }

    /// Whether an anchor's crown says that a section has no leaf there.
    func isEmpty(_ index: Int, at anchor: Anchor) -> Bool { provenHash(of: index, at: anchor) == Subtree.emptyRoot }

    /// The next places to ask for, to compare a section with the state at an anchor; none where that cannot be.
    func places(ofSection index: Int, at anchor: Anchor) -> [StatePlace] {
        let places = comparison(ofSection: index, with: anchor)?.places(StateContentLimits.subtreePlaces) ?? []
        return Array(places.prefix(SubtreesKey.fitting(places, of: StateTrie(of: book.section(index)))))
    }

    /// Levels of nodes to ask for at these places.
    func levels(at places: [StatePlace], ofSection index: Int, with anchor: Anchor) -> Int {
        let mayGoDeeper = comparison(ofSection: index, with: anchor)?.mayGoDeeper(places) ?? false
        return places.count == 1 && mayGoDeeper ? WalkLimits.firstLevels : 1
    }

    /// A section is compared with the state at an anchor from now on, if it is not yet.
    mutating func compare(_ index: Int, with anchor: Anchor) {
        guard let comparison = comparison(ofSection: index, with: anchor) else { return }
        book.change(index) { $0.comparison = comparison }
    }

    /// The job that takes an answer into a section's comparison; nil where that is gone.
    func comparing(
        _ value: [UInt8], _ index: Int, with anchor: Anchor, _ question: CompareSection.Question
    ) -> StateJob? {
        guard let comparison = held(index)?.comparison, let hash = provenHash(of: index, at: anchor),
            comparison.goal == book.point(of: anchor)
        else { return nil }
        return .compare(CompareSection(value: value, question, comparison: comparison, sectionHash: hash))
    }

    /// What an answer showed is part of what is held.
    mutating func compared(_ compared: SectionCompared) {
        guard let index = book.id(of: compared.record.section) else { return }
        _ = committed(compared.record, section: index)
        let comparison = compared.comparison
        book.change(index) { $0.comparison = comparison.isFinished ? nil : comparison }
    }
}
