import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// A section, or a part, that is led to another state by its subtree hashes, as a node does it: one request, one
/// transaction. Everything that a node would lose in a crash can be forgotten.
public struct ComparedSection {
    public private(set) var snapshot: MemorySnapshot
    public private(set) var record: SectionRecord
    /// Bytes of all answers so far.
    public private(set) var bytes = 0
    public private(set) var answers = 0
    /// Changes that were taken over.
    public private(set) var changes: [LeafChange] = []
    private var comparison: SectionComparison?
    private let rule: Placement?
    private let kept: KeptStorage
    /// How it is asked.
    public var levels = 1
    public var maxBytes: UInt32 = 1 << 18
    public var places = StateContentLimits.subtreePlaces
    /// Largest range that is asked for, bytes, where ranges are.
    public var rangeBytes: UInt32 = 1 << 14
    /// Leaves of the ranges that came.
    public private(set) var rangeLeaves = 0

    public init(
        _ record: SectionRecord, in snapshot: MemorySnapshot, placing rule: Placement? = nil,
        keeping kept: KeptStorage = .all
    ) {
        self.record = record
        self.kept = kept
        self.rule = rule
        self.snapshot = snapshot
    }

    /// What is held of it, at the base.
    public var view: StateView<MemorySnapshot> { StateView(snapshot, record.section) }

    /// What only memory has is lost; what is written down is read back.
    public mutating func crash() throws {
        comparison = nil
        if let stored = try SectionRecord.read(record.section, in: snapshot) { record = stored }
    }

    /// Another state is served from now on, whose hash of this section is this.
    public struct Goal {
        /// What proves ranges of it.
        public enum Proof {
            case none
            case sections(Crown)
            /// Of a part; with the root of the state.
            case part(StorageCrown, root: Bytes32)
        }

        public let point: StatePoint
        public let hash: Bytes32
        public let view: StateView<MemorySnapshot>
        let proof: Proof

        public init(number: UInt64, hash: Bytes32, view: StateView<MemorySnapshot>, proof: Proof = .none) {
            point = StatePoint(number: number, hash: Bytes32(number, 1, 1, 1))
            self.hash = hash
            self.view = view
            self.proof = proof
        }

        var anchor: Anchor { Anchor(epoch: point.number, hash: point.hash) }

        /// The answer to a request for a range, and the root that it is checked against.
        func range(_ key: RangeKey) throws -> (value: [UInt8], root: Bytes32) {
            var view = view
            switch proof {
            case .none: throw StateLabError.notServed
            case .sections(let crown):
                guard let value = try RangeServer.serve(key, view: &view, crown: crown) else {
                    throw StateLabError.notServed
                }
                return (value, crown.root)
            case .part(let crown, let root):
                guard let value = try RangeServer.serve(key, view: &view, crown: crown) else {
                    throw StateLabError.notServed
                }
                return (value, root)
            }
        }
    }

    /// By what it is compared.
    public enum Means: Sendable { case nodes, ranges }

    /// One request to whoever serves the goal. False when the section is that of the goal.
    public mutating func ask(_ goal: Goal, for means: Means = .nodes) throws -> Bool {
        if case .mixed = record.coverage {} else if record.working == goal.point { return false }
        var comparison =
            comparison?.goal == goal.point
            ? self.comparison
            : SectionComparison(record, goal: goal.point, sectionHash: goal.hash, placing: rule, keeping: kept)
        guard let asking = comparison else { throw StateLabError.notServed }
        let (places, nodes) =
            switch means {
            case .nodes: try nodes(of: goal, asking)
            case .ranges: try range(of: goal, asking)
            }
        var view = view
        guard let found = try comparison?.take(places, nodes, in: &view) else { throw StateLabError.notServed }
        changes += found.leaves
        answers += 1
        let step = try MixedSection.takeOver(
            found, of: record.section, below: record.heldBelow, keeping: kept, in: &view)
        var after = record
        after.working = goal.point
        after.previous = nil
        after.historyStart = nil
        let isFinished = comparison?.isFinished ?? false
        after.coverage =
            switch (isFinished, record.heldBelow, step.subtree) {
            case (true, let next?, _): .partial(next: next)
            case (true, nil, let subtree?): .complete(subtree)
            default: .mixed(next: record.heldBelow)
            }
        snapshot.apply(StateWrites.mixed(step, before: record, after: after))
        comparison?.isTakenOver()
        self.comparison = comparison
        record = after
        return !isFinished
    }

    /// Which trie it is of.
    private var trie: StateTrie {
        record.section.owner.map {
            .storage(account: $0, placement: UInt8(truncatingIfNeeded: record.section.depth))
        } ?? .accounts
    }

    private mutating func nodes(
        of goal: Goal, _ comparison: SectionComparison
    ) throws -> ([StatePlace], [Bytes32: TrieNode]) {
        let open = comparison.places(places)
        let key = SubtreesKey(
            trie: trie, anchor: goal.anchor, places: Array(open.prefix(SubtreesKey.fitting(open, of: trie))),
            levels: comparison.mayGoDeeper(open) ? levels : 1, maxBytes: maxBytes)
        var served = goal.view
        guard let key, StateContentKey.subtrees(key).encoded.count <= StateContentLimits.keyBytes,
            let value = try SubtreesValue.serve(key, view: &served), let hashes = comparison.hashes(of: key.places)
        else { throw StateLabError.notServed }
        let verified = try SubtreesValue.verify(value, key: key, hashes: hashes)
        bytes += value.count
        return (Array(key.places.prefix(verified.placeCount)), verified.nodes)
    }

    private mutating func range(
        of goal: Goal, _ comparison: SectionComparison
    ) throws -> ([StatePlace], [Bytes32: TrieNode]) {
        guard let (first, last) = comparison.stretch,
            let key = RangeKey(
                trie: trie, anchor: goal.anchor, origin: first, limit: last, maxBytes: rangeBytes,
                keeping: record.section.owner == nil ? kept.within([record.section]) : .all)
        else { throw StateLabError.notServed }
        let (value, root) = try goal.range(key)
        let range = try RangeCheck.verify(value, key: key, stateRoot: root, placedBy: rule)
        let nodes = try range.nodes(of: record.section)
        bytes += value.count
        rangeLeaves += range.leafCount
        let places = comparison.places(among: nodes)
        // It begins at an open place: that at least is shown.
        guard !places.isEmpty else { throw StateLabError.notServed }
        return (places, nodes)
    }

    /// All requests until it is that of the goal.
    public mutating func lead(to goal: Goal, by means: Means = .nodes) throws { while try ask(goal, for: means) {} }
}
