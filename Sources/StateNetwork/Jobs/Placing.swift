import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// How storage is placed in the step of a section to an anchor.
public struct Placing: Sendable {
    let rule: Placement
    /// Nodes that show the placement at the anchor, by account, for those whose storage is spread.
    let shown: [Bytes32: [[UInt8]]]

    /// By the network's rule, with what shows the placements.
    public init(rule: Placement, shown: [Bytes32: [[UInt8]]]) {
        self.rule = rule
        self.shown = shown
    }
}

/// What became of the places of storage when sections went to an anchor.
public struct Replaced: Sendable {
    /// Accounts whose placement was read anew, with that; 0: their storage is with them.
    public private(set) var placements: [Bytes32: Int] = [:]
    /// Parts that were made of storage that stood with its account before, complete at the anchor.
    public private(set) var parts: [SectionRecord] = []
    /// The anchor's block; nil where nothing was replaced.
    public private(set) var point: StatePoint?

    init() {}

    init(placements: [Bytes32: Int], parts: [SectionRecord], at point: StatePoint) {
        self.placements = placements
        self.parts = parts
        self.point = placements.isEmpty ? nil : point
    }

    mutating func add(_ other: Replaced) {
        placements.merge(other.placements) { $1 }
        parts += other.parts
        point = other.point ?? point
    }
}

/// All parts of one spread storage trie, as this node holds them.
public struct SpreadParts: Sendable {
    let account: Bytes32
    /// At which depth it is placed.
    let depth: Int
    /// In order, none left out.
    let parts: [SectionEntry]

    /// A view of all of them after block `number`; nil where one does not lead there.
    func view<Snapshot: StoreSnapshot>(at number: UInt64, in snapshot: Snapshot) -> StateView<Snapshot>? {
        let layerings = parts.compactMap { part -> (section: Section, layering: SectionLayering)? in
            guard let record = part.record, let layering = part.layering(at: number) else { return nil }
            return (record.section, layering)
        }
        guard layerings.count == Section.count(depth: depth) else { return nil }
        return StateView(snapshot, depth: depth, of: account, sections: layerings)
    }

    /// What each hashes to at a point, in order; nil where one does not lead there.
    func subtrees(at number: UInt64) -> [Subtree]? {
        let subtrees = parts.compactMap { $0.subtree(at: number) }
        return subtrees.count == Section.count(depth: depth) ? subtrees : nil
    }

    /// All slots at a point, as changes that put them.
    func slots(at point: StatePoint, in snapshot: some StoreSnapshot) throws -> [LeafChange] {
        guard let view = view(at: point.number, in: snapshot) else { throw StateJobError.outdated }
        var slots: [LeafChange] = []
        for part in view.heldSections {
            var walk = try view.walk(from: part.firstCursor)
            while let key = try walk.next(), key.slot.map({ part.contains($0) }) ?? false {
                slots.append(LeafChange(key: key, value: walk.value))
            }
        }
        return slots
    }
}
