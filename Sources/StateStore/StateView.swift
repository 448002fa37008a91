import Chain
import MerklePatricia
import Primitives

/// The state of the held sections at one point: each read from the base through its own layers. Sections that are not
/// held are not there: a walk steps over them.
///
/// Not to be used by two threads at once; making one costs little. Reading does not change the state, but moves
/// cursors, hence `mutating`.
public struct StateView<Snapshot: StoreSnapshot> {
    /// What is read from.
    public let snapshot: Snapshot
    /// Leading nibbles that name a section.
    public let depth: Int
    let sections: HeldSections

    /// One cursor a table, made when first needed. Every use begins with a seek, so sharing them does no harm.
    private var cursors: [SectionCursor?] = StateTable.allCases.map { _ in nil }

    /// Every section read through the same layers: a whole state, or a test's.
    public init(_ snapshot: Snapshot, depth: Int, layering: SectionLayering = .base) {
        self.snapshot = snapshot
        self.depth = depth
        sections = HeldSections(depth: depth, uniform: layering)
    }

    /// The given sections only, all of this depth, each once.
    public init(_ snapshot: Snapshot, depth: Int, sections: [(section: Section, layering: SectionLayering)]) {
        self.snapshot = snapshot
        self.depth = depth
        self.sections = HeldSections(depth: depth, sections: sections)
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
        try entry(.leaves, key.bytes, in: Section(of: key.account, depth: depth))
    }

    /// The account of this key; nil where there is none.
    public func account(_ key: Bytes32) throws(StoreError) -> StateAccount? {
        guard let body = try leaf(FlatKey(account: key)) else { return nil }
        return try StateAccount(stored: body)
    }

    /// The RLP of a branch of the account trie, whose path has `depth` nibbles or more.
    public func accountBranch(_ path: Nibbles) throws(StoreError) -> [UInt8]? {
        guard let section = Section(of: path, depth: depth) else { return nil }
        return try entry(.accountBranches, path.storeKey, in: section)
    }

    /// The RLP of a branch of a storage trie.
    public func storageBranch(_ key: StorageBranchKey) throws(StoreError) -> [UInt8]? {
        try entry(.storageBranches, key.bytes, in: Section(of: key.account, depth: depth))
    }

    private func entry(_ kind: StateTable, _ key: [UInt8], in section: Section) throws(StoreError) -> [UInt8]? {
        guard let layering = sections.layering(of: section) else { return nil }
        for overlay in layering.overlays {
            if let value = overlay.table(kind).lookUp(key) { return value }
        }
        if layering.readsUndo, let undo = try snapshot.get(kind.undo, key) {
            return undo.first == 0 ? nil : Array(undo.dropFirst())
        }
        return try snapshot.get(kind.base, key)
    }

    // The next entry.

    /// The first leaf at or after `key` in the flat order.
    public mutating func leaf(atOrAfter key: FlatKey) throws(StoreError) -> (key: FlatKey, value: [UInt8])? {
        let start = Section(of: key.account, depth: depth).index
        guard let (found, value) = try first(.leaves, atOrAfter: key.bytes, from: start) else { return nil }
        guard let key = FlatKey(found) else { throw .corrupt(table: .leaves) }
        return (key, value)
    }

    /// The first account at or after `key`, its slim body; slots in between are jumped over.
    public mutating func account(atOrAfter key: Bytes32) throws(StoreError) -> (key: Bytes32, body: [UInt8])? {
        try accountInPlace(atOrAfter: key).map { ($0.key, Array($0.body)) }
    }

    /// The same in place: it is there until the view is asked for another leaf.
    mutating func accountInPlace(
        atOrAfter key: Bytes32
    ) throws(StoreError) -> (key: Bytes32, body: UnsafeRawBufferPointer)? {
        var start = key
        while true {
            let section = Section(of: start, depth: depth).index
            let found = try firstInPlace(.leaves, atOrAfter: start.bytes, from: section, accountsOnly: true)
            guard let found else { return nil }
            guard let key = FlatKey(loading: found.key) else { throw .corrupt(table: .leaves) }
            if key.slot == nil { return (key.account, found.value) }
            // Slots whose account is not there: no version writes such, but a walk must end all the same.
            guard let next = key.account.successor else { return nil }
            start = next
        }
    }

    /// The first entry at or after `key`, in the first held section at or after `index` that has one; copied.
    mutating func first(
        _ kind: StateTable, atOrAfter key: [UInt8], from index: Int, accountsOnly: Bool = false
    ) throws(StoreError) -> (key: [UInt8], value: [UInt8])? {
        try firstInPlace(kind, atOrAfter: key, from: index, accountsOnly: accountsOnly)
            .map { (Array($0.key), Array($0.value)) }
    }

    /// The same in place: it is there until this table of the view is asked for something else.
    mutating func firstInPlace(
        _ kind: StateTable, atOrAfter key: [UInt8], from index: Int, accountsOnly: Bool = false
    ) throws(StoreError) -> StoredEntry? {
        let place = try cursor(kind)
        var next = place.sectionIndex == index ? index : nil
        if next == nil, let (section, layering) = sections.held(atOrAfter: index) {
            place.enter(section, kind, layering)
            next = section.index
        }
        while let current = next {
            if let entry = try place.first(atOrAfter: key, accountsOnly: accountsOnly) { return entry }
            guard let (section, layering) = sections.held(atOrAfter: current + 1) else { return nil }
            place.enter(section, kind, layering)
            next = section.index
        }
        return nil
    }

    /// Whether the entry behind the one that `firstInPlace` gave last begins with all of `key`; true where that is not
    /// known.
    func continues(_ kind: StateTable, with key: UnsafeRawBufferPointer) -> Bool {
        cursors[kind.rawValue]?.continues(with: key) ?? true
    }

    /// Hands the leaves of one section from `key` on to `body`, in place, until it says false, which it must before
    /// the section ends. With `accountsOnly` the slots are jumped over.
    mutating func forEachLeaf(
        from key: [UInt8], of section: Section, accountsOnly: Bool,
        _ body: (StoredEntry) throws(StoreError) -> Bool
    ) throws(StoreError) {
        guard let layering = sections.layering(of: section) else { return }
        let place = try cursor(.leaves)
        if place.sectionIndex != section.index { place.enter(section, .leaves, layering) }
        try place.forEach(from: key, accountsOnly: accountsOnly, body)
    }

    private mutating func cursor(_ kind: StateTable) throws(StoreError) -> SectionCursor {
        if let made = cursors[kind.rawValue] { return made }
        let place = SectionCursor(try LayeredCursor(snapshot, kind, withUndo: sections.readsUndo))
        cursors[kind.rawValue] = place
        return place
    }

    /// The branches of an account's storage trie, by path.
    func storageBranches(of account: Bytes32) throws(StoreError) -> [(path: Nibbles, node: [UInt8])] {
        guard let layering = sections.layering(of: Section(of: account, depth: depth)) else { return [] }
        var cursor = try LayeredCursor(snapshot, .storageBranches, withUndo: layering.readsUndo)
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

/// A cursor and the section it is set for. An object, so that moving it copies nothing.
private final class SectionCursor {
    private var cursor: LayeredCursor
    private(set) var sectionIndex: Int?
    private var from: [UInt8] = []
    private var upTo: [UInt8]?

    init(_ cursor: LayeredCursor) { self.cursor = cursor }

    func enter(_ section: Section, _ kind: StateTable, _ layering: SectionLayering) {
        sectionIndex = section.index
        (from, upTo) = kind.bounds(of: section)
        cursor.look(through: layering)
    }

    /// The section's first entry at or after `key`.
    func first(atOrAfter key: [UInt8], accountsOnly: Bool) throws(StoreError) -> StoredEntry? {
        // One more than is asked for: see `continues`.
        guard try cursor.seek(ByteOrder.isLess(key, from) ? from : key, accountsOnly: accountsOnly, expecting: 2),
            let entry = cursor.current
        else { return nil }
        if let upTo, !ByteOrder.isLess(entry.key, upTo) { return nil }
        return entry
    }

    /// Whether the next entry begins with all of `key`; true where that is not known.
    func continues(with key: UnsafeRawBufferPointer) -> Bool {
        guard let following = cursor.following else { return true }
        return following.map { ByteOrder.hasPrefix($0.key, key) } ?? false
    }

    /// The entries from `key` on, until `body` says false. With `accountsOnly` those with longer keys than an account's
    /// are jumped over.
    func forEach(
        from key: [UInt8], accountsOnly: Bool, _ body: (StoredEntry) throws(StoreError) -> Bool
    ) throws(StoreError) {
        let expected = MerklePatriciaLimits.bucketLeaves
        var found = try cursor.seek(
            ByteOrder.isLess(key, from) ? from : key, accountsOnly: accountsOnly, expecting: expected)
        func step(_ entry: StoredEntry) throws(StoreError) -> Step {
            if accountsOnly && entry.key.count > 32 { return .over(entry.key) }
            return try body(entry) ? .on : .stop
        }
        while found {
            var next = Step.on
            if let run = cursor.takeRun() {
                for entry in run {
                    next = try step(entry)
                    guard case .on = next else { break }
                }
            } else if let entry = cursor.current {
                next = try step(entry)
            }
            switch next {
            case .on: found = try cursor.next()
            case .stop: return
            case .over(let slot):
                guard let after = ByteOrder.end(ofPrefix: Array(slot[..<32])) else { return }
                found = try cursor.seek(after, accountsOnly: true, expecting: expected)
            }
        }
    }

    private enum Step {
        case on, stop
        /// All slots of the account that this key begins with.
        case over(UnsafeRawBufferPointer)
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
