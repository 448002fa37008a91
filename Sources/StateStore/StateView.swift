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
    /// The account of whose storage trie it has parts; nil: it has sections of the account trie.
    public var owner: Bytes32? { sections.owner }
    var sections: HeldSections { reader.sections }

    /// Every section read through the same layers: a whole state, or a test's.
    public init(_ snapshot: Snapshot, depth: Int, layering: SectionLayering = .base) {
        self.init(snapshot, HeldSections(depth: depth, uniform: layering))
    }

    /// The given sections only, all of this depth and of one trie, each once: the account trie, or the storage trie of
    /// `owner`.
    public init(
        _ snapshot: Snapshot, depth: Int, of owner: Bytes32? = nil,
        sections: [(section: Section, layering: SectionLayering)]
    ) {
        self.init(snapshot, HeldSections(depth: depth, of: owner, sections: sections))
    }

    /// One section or part.
    public init(_ snapshot: Snapshot, _ section: Section, layering: SectionLayering = .base) {
        self.init(snapshot, depth: section.depth, of: section.owner, sections: [(section, layering)])
    }

    private init(_ snapshot: Snapshot, _ sections: HeldSections) {
        self.snapshot = snapshot
        reader = StateReader(sections) { kind throws(StoreError) in
            try LayeredCursor(snapshot, kind, withUndo: sections.readsUndo)
        }
    }

    /// The complete sections among `records` that are held at `point`. `layers` may hold block layers of any section.
    public init(
        _ snapshot: Snapshot, depth: Int, of owner: Bytes32? = nil, at point: StatePoint, records: [SectionRecord],
        layers: [BlockLayer] = []
    ) {
        let bySection = Dictionary(grouping: layers, by: \.section)
        let held = records.compactMap { record in
            SectionLayering(of: record, at: point, layers: bySection[record.section] ?? [])
                .map { (section: record.section, layering: $0) }
        }
        self.init(snapshot, depth: depth, of: owner, sections: held)
    }

    /// Whether the view has this section.
    public func holds(_ section: Section) -> Bool { sections.layering(of: section) != nil }

    /// The sections it has, in order.
    public var heldSections: [Section] { sections.all }

    // Single entries.

    /// The value of a leaf: slim body, or slot value without leading zeros; nil where it is not there.
    public func leaf(_ key: FlatKey) throws(StoreError) -> [UInt8]? {
        guard let section = sections.section(of: key), let layering = sections.layering(of: section) else { return nil }
        let bytes = key.bytes
        let table = StateTable.leaves(ofPart: owner != nil)
        for overlay in layering.overlays {
            if let value = overlay.table(table).lookUp(bytes) { return value }
        }
        if layering.readsUndo, let undo = try snapshot.get(table.undo, bytes) {
            return undo.first == 0 ? nil : Array(undo.dropFirst())
        }
        return try snapshot.get(table.base, bytes)
    }

    /// The account of this key; nil where there is none.
    public func account(_ key: Bytes32) throws(StoreError) -> StateAccount? {
        guard let body = try leaf(FlatKey(account: key)) else { return nil }
        return try StateAccount(stored: body)
    }

    /// What is stored of an account's storage trie beside its section's leaves, by path: the branches; of storage that
    /// is spread round the ring the nodes that show it (`WideStorage`).
    func storageBranches(of account: Bytes32) throws(StoreError) -> [(path: Nibbles, node: [UInt8])] {
        guard owner == nil, let layering = sections.layering(of: Section(of: account, depth: depth)) else { return [] }
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
