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

/// Takes an answer with subtree hashes, or a range, into the comparison of a held section with the state at an anchor:
/// what it shows that is not held becomes part of what is. When nothing is left that differs the section is that of the
/// anchor.
public struct CompareSection: Sendable {
    /// What was asked, and what the answer is checked by.
    public enum Question: Sendable {
        case subtrees(SubtreesKey)
        /// A range of the goal's state, which has this root.
        case range(RangeKey, stateRoot: Bytes32)
    }

    let value: [UInt8]
    let question: Question
    let comparison: SectionComparison
    /// What the section hashes to at the goal.
    let sectionHash: Bytes32

    public init(value: [UInt8], _ question: Question, comparison: SectionComparison, sectionHash: Bytes32) {
        self.value = value
        self.question = question
        self.comparison = comparison
        self.sectionHash = sectionHash
    }

    /// What an answer showed.
    private struct Shown {
        let places: [StatePlace]
        let nodes: [Bytes32: TrieNode]
        /// Of a range: how many leaves it has.
        let leaves: Int
    }

    private func shown() throws -> Shown {
        switch question {
        case .subtrees(let key):
            guard let hashes = comparison.hashes(of: key.places) else { throw StateJobError.outdated }
            let verified = try SubtreesValue.verify(value, key: key, hashes: hashes)
            return Shown(
                places: Array(key.places.prefix(verified.placeCount)), nodes: verified.nodes, leaves: 0)
        case .range(let key, let stateRoot):
            let range = try RangeCheck.verify(value, key: key, stateRoot: stateRoot, placedBy: comparison.rule)
            let nodes = try range.nodes(of: comparison.section)
            let places = comparison.places(among: nodes)
            guard !places.isEmpty else { throw StateJobError.outdated }
            return Shown(places: places, nodes: nodes, leaves: range.leafCount)
        }
    }

    func run(on snapshot: some StoreSnapshot) throws -> SectionCompared {
        let section = comparison.section
        guard let record = try SectionRecord.read(section, in: snapshot), record.working == comparison.from,
            record.heldBelow == comparison.next
        else { throw StateJobError.outdated }
        let shown = try shown()
        // A partly fetched section counts as held for this reading: nothing from its end on is looked at.
        var view = StateView(snapshot, section)
        var comparison = comparison
        let found = try comparison.take(shown.places, shown.nodes, in: &view)
        let step = try MixedSection.takeOver(
            found, of: section, below: record.heldBelow, keeping: comparison.kept, in: &view)
        comparison.isTakenOver()
        let after = SectionRecord(
            section: section, working: comparison.goal, coverage: try coverage(after: step, comparison))
        let missing = try CodeRecords.missing(of: step.newCodeHashes, in: snapshot)
        return SectionCompared(
            comparison: comparison, record: after,
            batch: StateWrites.mixed(step, before: record, after: after, missingCodes: missing),
            wantedCodes: missing.map { WantedCode(hash: $0, section: section.index) },
            changed: min(found.leaves.count, shown.leaves), leaves: shown.leaves,
            replaced: Replaced(placements: step.placements, parts: [], at: comparison.goal))
    }

    /// Each node was proven: where all of them together do not give the goal, what is held was not what its branches
    /// say.
    private func coverage(
        after step: MixedSection.Step, _ comparison: SectionComparison
    ) throws -> SectionRecord.Coverage {
        guard comparison.isFinished else { return .mixed(next: comparison.next) }
        if let next = comparison.next { return .partial(next: next) }
        guard let subtree = step.subtree, subtree.hash(at: comparison.section.depth) == sectionHash else {
            throw StoreError.corrupt(table: .accountBranches)
        }
        return .complete(subtree)
    }
}

/// One answer of a comparison, taken over.
public struct SectionCompared: Sendable {
    /// How far it has come.
    let comparison: SectionComparison
    /// The section's record afterwards.
    public let record: SectionRecord
    public let batch: WriteBatch
    /// Code that changed accounts name and the store lacks.
    public let wantedCodes: [WantedCode]
    /// How many leaves of a range were other than what was held, and how many it had; none of subtree hashes.
    let changed, leaves: Int
    /// What became of the places of storage.
    public internal(set) var replaced = Replaced()
}
