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

    /// Whether all of them lie in what is announced.
    func areAnnounced(_ book: SectionBook) -> Bool {
        guard book.isWidening else { return true }
        return parts.allSatisfy { part in
            part.record.flatMap { book.id(of: $0.section) }.map { book.announced.contains(book.place(of: $0)) } ?? false
        }
    }

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

/// Makes the parts of a spread trie anew where it is placed at another depth than before. What is stored of slots
/// stays; branches and records are made anew.
public struct ResplitParts: Sendable {
    /// All parts as they were.
    let trie: SpreadParts
    /// At which depth the trie is placed from now on.
    let depth: Int
    /// The anchor's block, from which on it is.
    let point: StatePoint

    func run(on snapshot: some StoreSnapshot) throws -> PartsResplit {
        let account = trie.account
        var columns = LeafColumns()
        for slot in try trie.slots(at: point, in: snapshot) {
            guard let key = slot.key.slot, let value = slot.value else { continue }
            columns.append(key: key, value: SlotValue.rlp(value))
        }
        var batch = WriteBatch()
        for part in trie.parts.compactMap(\.record?.section) { batch.append(StateWrites.dropSection(part)) }
        var writer = RangeWriter(depth: depth)
        var records: [SectionRecord] = []
        var branches = BranchColumns()
        var start = 0
        for index in 0..<Section.count(depth: depth) {
            let part = Section(depth: depth, index: index, of: account)
            let end = columns.keys[start...].firstIndex { !part.contains($0) } ?? columns.count
            let subtree = TrieBuilder.build(columns, in: start..<end, under: part.path, emitting: &branches)
            records.append(SectionRecord(section: part, working: point, coverage: .complete(subtree)))
            start = end
        }
        writer.part(of: account, slots: columns, branches: branches, depth: depth)
        for record in records { writer.section(record) }
        batch.append(writer.finished)
        return PartsResplit(
            replaced: Replaced(placements: [account: depth], parts: records, at: point), batch: batch)
    }
}

/// The parts of a trie made anew.
public struct PartsResplit: Sendable {
    let replaced: Replaced
    public let batch: WriteBatch
}
