import MerklePatricia
import Primitives

/// Entries of the held sections, read through their layers in key order. It does not know the store's type: what asks
/// it a thousand times is compiled for one thing.
struct StateReader {
    let sections: HeldSections
    private let open: (StateTable) throws(StoreError) -> LayeredCursor
    /// One cursor a table, made when first needed. Every use begins with a seek, so sharing them does no harm.
    private var cursors: [SectionCursor?] = StateTable.allCases.map { _ in nil }

    /// - Parameter open: makes a cursor of a table.
    init(_ sections: HeldSections, open: @escaping (StateTable) throws(StoreError) -> LayeredCursor) {
        self.sections = sections
        self.open = open
    }

    /// Leading nibbles that name a section.
    var depth: Int { sections.depth }

    /// The first entry at or after `key`, in the first held section at or after `index` that has one. In place: it is
    /// there until this table is asked for something else.
    mutating func firstInPlace(
        _ kind: StateTable, atOrAfter key: [UInt8], from index: Int
    ) throws(StoreError) -> StoredEntry? {
        let place = try cursor(kind)
        var next = place.sectionIndex == index ? index : nil
        if next == nil, let (section, layering) = sections.held(atOrAfter: index) {
            place.enter(section, kind, layering)
            next = section.index
        }
        while let current = next {
            if let entry = try place.first(atOrAfter: key) { return entry }
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
        let place = SectionCursor(try open(kind))
        cursors[kind.rawValue] = place
        return place
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
    func first(atOrAfter key: [UInt8]) throws(StoreError) -> StoredEntry? {
        // One more than is asked for: see `continues`.
        guard try cursor.seek(ByteOrder.isLess(key, from) ? from : key, expecting: 2),
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
        // Few buckets are full.
        let expected = MerklePatriciaLimits.bucketLeaves * 3 / 4
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
                    // Slots that are at hand are stepped through: a seek costs more.
                    if case .stop = next { break }
                }
            } else if let entry = cursor.current {
                next = try step(entry)
            }
            switch next {
            case .on: found = try cursor.next(accountsOnly: accountsOnly)
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
