import Chain
import MerklePatricia
import Primitives

/// The state of the held sections at one point: each read from the base through its own layers. Sections that are not
/// held are not there: a walk steps over them.
///
/// Not to be used by two threads at once, nor are its copies and the tries read from it: they share their cursors.
/// Making one costs little. Reading does not change the state, but moves
/// cursors, hence `mutating`.
public struct StateView<Snapshot: StoreSnapshot> {
    /// What is read from.
    public let snapshot: Snapshot
    var reader: StateReader

    /// Leading nibbles that name a section.
    public var depth: Int { reader.depth }
    var sections: HeldSections { reader.sections }

    /// Every section read through the same layers: a whole state, or a test's.
    public init(_ snapshot: Snapshot, depth: Int, layering: SectionLayering = .base) {
        self.init(snapshot, HeldSections(depth: depth, uniform: layering))
    }

    /// The given sections only, all of this depth, each once.
    public init(_ snapshot: Snapshot, depth: Int, sections: [(section: Section, layering: SectionLayering)]) {
        self.init(snapshot, HeldSections(depth: depth, sections: sections))
    }

    private init(_ snapshot: Snapshot, _ sections: HeldSections) {
        self.snapshot = snapshot
        reader = StateReader(sections) { kind throws(StoreError) in
            try LayeredCursor(snapshot, kind, withUndo: sections.readsUndo)
        }
    }

    /// The complete sections among `records` that are held at `point`. `layers` may hold block layers of any section.
    public init(
        _ snapshot: Snapshot, depth: Int, at point: StatePoint, records: [SectionRecord], layers: [BlockLayer] = []
    ) {
        let bySection = Dictionary(grouping: layers, by: \.section)
        let held = records.compactMap { record in
            SectionLayering(of: record, at: point, layers: bySection[record.section] ?? [])
                .map { (section: record.section, layering: $0) }
        }
        self.init(snapshot, depth: depth, sections: held)
    }

    /// Whether the view has this section.
    public func holds(_ section: Section) -> Bool { sections.layering(of: section) != nil }

    /// The sections it has, in order.
    public var heldSections: [Section] { sections.all }

    // Single entries.

    /// The value of a leaf: slim body, or slot value without leading zeros; nil where it is not there.
    public func leaf(_ key: FlatKey) throws(StoreError) -> [UInt8]? {
        guard let layering = sections.layering(of: Section(of: key.account, depth: depth)) else { return nil }
        let bytes = key.bytes
        for overlay in layering.overlays {
            if let value = overlay.table(.leaves).lookUp(bytes) { return value }
        }
        if layering.readsUndo, let undo = try snapshot.get(StateTable.leaves.undo, bytes) {
            return undo.first == 0 ? nil : Array(undo.dropFirst())
        }
        return try snapshot.get(.leaves, bytes)
    }

    /// The account of this key; nil where there is none.
    public func account(_ key: Bytes32) throws(StoreError) -> StateAccount? {
        guard let body = try leaf(FlatKey(account: key)) else { return nil }
        return try StateAccount(stored: body)
    }

    /// The branches of an account's storage trie, by path.
    func storageBranches(of account: Bytes32) throws(StoreError) -> [(path: Nibbles, node: [UInt8])] {
        guard let layering = sections.layering(of: Section(of: account, depth: depth)) else { return [] }
        let cursor = try LayeredCursor(snapshot, .storageBranches, withUndo: layering.readsUndo)
        cursor.look(through: layering)
        var branches: [(path: Nibbles, node: [UInt8])] = []
        let prefix = account.bytes
        var found = try cursor.seek(prefix)
        while found, let (key, node) = cursor.entry, key.starts(with: prefix) {
            guard let path = Nibbles(storeKey: key.dropFirst(32)) else { throw .corrupt(table: .storageBranches) }
            branches.append((path, node))
            found = try cursor.next()
        }
        return branches
    }
}

extension StateAccount {
    /// Reads a slim body of the store.
    init(stored body: [UInt8]) throws(StoreError) {
        do throws(ChainError) {
            self = try StateAccount(slim: body)
        } catch {
            throw .corrupt(table: .leaves)
        }
    }
}
