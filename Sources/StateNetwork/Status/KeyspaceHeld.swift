import Chain
import Primitives
import StateStore

/// How much of what this node is to hold is held, as shares of its keyspace and in sections, apart by the anchor at
/// which it was verified.
///
/// What is *stale* was verified at an older anchor, or is of several anchors while it is compared with a newer one: it
/// is on its way, and is not fetched again. So an epoch that passes makes the newest share smaller, and the sum of both
/// stays what it was.
public struct KeyspaceHeld: Sendable, Equatable {
    /// Verified at the newest anchor, 0…1.
    public internal(set) var newest = 0.0
    /// Held and stale, 0…1.
    public internal(set) var stale = 0.0
    /// The oldest epoch that anything stale was verified at; nil where nothing is stale.
    public internal(set) var oldestEpoch: UInt64?
    /// Whole sections at the newest anchor, and at others; the latter with those that are being compared.
    public internal(set) var sectionsAtNewest = 0, sectionsStale = 0
    /// Sections of which every leaf is held, all of one anchor.
    public internal(set) var sectionsComplete = 0
    /// Sections that are fetched in part, and all that are to be held.
    public internal(set) var sectionsBegun = 0, sectionsWanted = 0

    /// Nothing is held of nothing.
    public init() {}

    /// What a node holds. `newest`: the newest usable anchor; nil before the first.
    public init(_ state: StateSync, newest anchor: Anchor?) { self.init(state.holdings.book, newest: anchor) }

    /// What a book of sections has. `newest`: the newest usable anchor; nil before the first.
    init(_ book: SectionBook, newest anchor: Anchor?) {
        let atNewest = anchor.map { book.completeCount(at: $0) } ?? 0
        let partsAtNewest = anchor.map { book.parts.completeCount(at: book.point(of: $0)) } ?? 0
        sectionsAtNewest = atNewest
        sectionsComplete = book.completeCount
        sectionsWanted = book.arc.count
        let comparedSections = book.mixed.count { !book.isPart($0) }
        sectionsStale = book.completeCount - atNewest + comparedSections
        sectionsBegun = book.begun.count { !book.isPart($0) }
        var current = Double(atNewest + partsAtNewest)
        var all = Double(book.completeCount + book.parts.completeCount)
        for index in book.begun.union(book.mixed).sorted() {
            let share = KeyspaceHeld.share(of: index, in: book)
            all += share
            if book.begun.contains(index), let anchor, book.anchor(ofSection: index) == anchor { current += share }
        }
        let count = Double(max(book.arc.count + book.parts.wantedCount, 1))
        newest = min(current / count, 1)
        stale = min(max(all - current, 0) / count, 1 - newest)
        if let anchor, stale > 0 {
            let begun = book.begun.union(book.mixed).compactMap { book.anchor(ofSection: $0) }
            oldestEpoch = (book.behind(anchor).prefix(1).map(\.anchor) + begun).map(\.epoch).min()
        }
    }

    /// Held and verified at any anchor, 0…1.
    public var held: Double { newest + stale }

    /// The share of a section or part that is held, 0…1.
    static func share(of index: Int, in book: SectionBook) -> Double {
        if book.isComplete(index) { return 1 }
        guard let record = book.read(index, { $0.record }), !record.isComplete else { return 0 }
        guard let next = record.heldBelow else { return 1 }
        let section = book.section(index)
        return section.fraction(below: section.owner == nil ? next.account : next.slot)
    }
}
