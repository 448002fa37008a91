import Chain
import Primitives
import StateStore

// What the planner tells those who watch.
extension WalkPlanner {
    /// Sections that lanes are on, or that are compared, and of which nothing is under way.
    func idleSections(_ book: SectionBook, _ operations: OperationTable) -> [Int] {
        let asked = Set(operations.asks.flatMap { ($0.task?.sections ?? []) + [$0.task?.subject].compactMap { $0 } })
        return (lanes.active + book.mixed.sorted()).filter {
            !book.isLocked($0) && !book.isComplete($0) && !asked.contains($0)
        }
    }

    /// Sections that something has to be asked about now or soon, the most pressing first: those that lanes are on,
    /// those that are compared, those behind the newest anchor or with a gap after it, those that lanes come to next.
    func sectionsAhead(_ book: SectionBook, newest: Anchor?, at now: Instant) -> [Int] {
        let behind = newest.map { book.behind($0).flatMap { $0.sections.indices.prefix(WalkLimits.sectionsBehind) } }
        let pressing = ((behind ?? []) + book.gaps(at: now)).prefix(WalkLimits.sectionsBehind)
        return lanes.active + book.mixed.sorted() + pressing + lanes.ahead(WalkLimits.sectionsAheadOfLane)
    }

    /// Whether the download limit lets no range be asked for now.
    func isHeldBack(at now: Instant) -> Bool { budget.ready(for: configuration.rangeBytes, at: now) != nil }
}

extension Section {
    /// The part of the section's keyspace below `key`, 0…1.
    func fraction(below key: Bytes32) -> Double {
        let low = Double(firstKey.word0)
        let high = Double(lastKey.word0)
        return high > low ? min(max((Double(key.word0) - low) / (high - low), 0), 1) : 0
    }
}
