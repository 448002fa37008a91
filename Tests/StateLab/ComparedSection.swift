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
        public let point: StatePoint
        public let hash: Bytes32
        public let view: StateView<MemorySnapshot>

        public init(number: UInt64, hash: Bytes32, view: StateView<MemorySnapshot>) {
            point = StatePoint(number: number, hash: Bytes32(number, 1, 1, 1))
            self.hash = hash
            self.view = view
        }
    }

    /// One request to whoever serves the goal. False when the section is that of the goal.
    public mutating func ask(_ goal: Goal) throws -> Bool {
        if case .mixed = record.coverage {} else if record.working == goal.point { return false }
        var comparison =
            comparison?.goal == goal.point
            ? self.comparison
            : SectionComparison(record, goal: goal.point, sectionHash: goal.hash, placing: rule, keeping: kept)
        let owner = record.section.owner
        let trie = owner.map {
            StateTrie.storage(account: $0, placement: UInt8(truncatingIfNeeded: record.section.depth))
        }
        let open = comparison?.places(places) ?? []
        let key = SubtreesKey(
            trie: trie ?? .accounts, anchor: Anchor(epoch: goal.point.number, hash: goal.point.hash),
            places: Array(open.prefix(SubtreesKey.fitting(open, of: trie ?? .accounts))),
            levels: comparison?.mayGoDeeper(open) ?? true ? levels : 1, maxBytes: maxBytes)
        var served = goal.view
        guard let key, StateContentKey.subtrees(key).encoded.count <= StateContentLimits.keyBytes,
            let value = try SubtreesValue.serve(key, view: &served), let hashes = comparison?.hashes(of: key.places)
        else { throw StateLabError.notServed }
        let verified = try SubtreesValue.verify(value, key: key, hashes: hashes)
        var view = view
        guard
            let found = try comparison?.take(
                Array(key.places.prefix(verified.placeCount)), verified.nodes, in: &view)
        else { throw StateLabError.notServed }
        changes += found.leaves
        bytes += value.count
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

    /// All requests until it is that of the goal.
    public mutating func lead(to goal: Goal) throws { while try ask(goal) {} }
}
