import StateStore

/// Sections that few nodes have: how many, and the first.
public struct UnderHeld: Sendable, Equatable {
    public let count: Int
    public let first: Section

    /// Of the arc and the one beside it, sections that fewer than `UpkeepLimits.holders` live nodes have complete, this
    /// one counted; nil where there are none, and where nobody's word counts yet.
    init?(_ holders: HolderDirectory, _ book: SectionBook) {
        guard holders.book.hasAnchor else { return nil }
        let sections = holders.needed.filter { index in
            holders.providers(of: index) + (book.isComplete(index) ? 1 : 0) < UpkeepLimits.holders
        }
        guard let index = sections.first else { return nil }
        count = sections.count
        first = book.section(index)
    }
}
