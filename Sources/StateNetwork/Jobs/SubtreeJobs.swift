import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Answers a request for nodes of one section at one served anchor.
public struct ServeSubtrees: Sendable {
    let key: SubtreesKey
    let section: Section
    /// The block at the anchor's boundary.
    let point: StatePoint
    /// The answer where the store has moved on to other anchors meanwhile.
    let otherwise: StateStatus

    func run(on snapshot: some StoreSnapshot) -> [UInt8] {
        ServedSection(section: section, point: point, otherwise: otherwise).answer(on: snapshot) { view in
            try SubtreesValue.serve(key, view: &view)
        }
    }
}

/// Takes an answer with subtree hashes into the comparison of a held section with the state at an anchor. When that has
/// found all differences the section is led there by them, as it would be by a diff.
public struct CompareSection: Sendable {
    let value: [UInt8]
    let key: SubtreesKey
    let comparison: SectionComparison
    /// What the section hashes to at the goal.
    let sectionHash: Bytes32
    /// History before this block is dropped.
    let keepHistoryFrom: UInt64
    /// nil in a network that spreads no storage.
    let placing: Placing?

    public init(
        value: [UInt8], key: SubtreesKey, comparison: SectionComparison, sectionHash: Bytes32, keepHistoryFrom: UInt64,
        placing: Placing? = nil
    ) {
        self.placing = placing
        self.value = value
        self.key = key
        self.comparison = comparison
        self.sectionHash = sectionHash
        self.keepHistoryFrom = keepHistoryFrom
    }

    func run(on snapshot: some StoreSnapshot) throws -> SectionCompared {
        let section = comparison.section
        guard let record = try SectionRecord.read(section, in: snapshot), record.working == comparison.from,
            let hashes = comparison.hashes(of: key.places)
        else { throw StateJobError.outdated }
        // A partly fetched section counts as held for this reading: nothing from its end on is looked at.
        switch (record.coverage, comparison.next) {
        case (.complete, nil): break
        case (.partial(let next), let compared?) where next == compared: break
        default: throw StateJobError.outdated
        }
        let verified = try SubtreesValue.verify(value, key: key, hashes: hashes)
        var view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: .base)])
        var comparison = comparison
        do {
            try comparison.take(Array(key.places.prefix(verified.placeCount)), verified.nodes, in: &view)
        } catch SectionComparison.Failure.tooMuch {
            return .tooMuch
        }
        guard comparison.isFinished, comparison.next == nil else { return .going(comparison) }
        var taken = DiffsTaken()
        try taken.fold(
            try update(by: comparison, record, in: &view), record: record, to: comparison.goal,
            placing: placing, keepingHistoryFrom: keepHistoryFrom, in: snapshot)
        return .led(taken, to: comparison.goal)
    }

    /// What the changes that were found make of the section. Each of them was proven: where they do not lead to the
    /// goal, what is held was not what its branches say.
    private func update(
        by comparison: SectionComparison, _ record: SectionRecord, in view: inout StateView<some StoreSnapshot>
    ) throws -> SectionUpdate {
        let changes = comparison.changes
        guard !changes.isEmpty else { return .unchanged(record.section, subtree: record.subtree ?? .empty) }
        do {
            return try DiffsCheck.apply(
                changes, to: record.section, expecting: sectionHash, from: record.sectionHash, in: &view)
        } catch is DiffError {
            throw StoreError.corrupt(table: .accountBranches)
        }
    }
}

/// How far a comparison has come.
public enum SectionCompared: Sendable {
    /// There is more to ask for; or, of a partly fetched section, all is found and waits for the next range.
    case going(SectionComparison)
    /// The whole section is led to the goal.
    case led(DiffsTaken, to: StatePoint)
    /// More differs than is kept in memory.
    case tooMuch
}
