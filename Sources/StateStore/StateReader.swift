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
            place.enter(section, layering)
            next = section.index
        }
        while let current = next {
            if let entry = try place.first(atOrAfter: key) { return entry }
            guard let (section, layering) = sections.held(atOrAfter: current + 1) else { return nil }
            place.enter(section, layering)
            next = section.index
        }
        return nil
    }

    /// Whether the entry behind the one that `firstInPlace` gave last begins with all of `key`; true where that is not
    /// known.
    func continues(_ kind: StateTable, with key: UnsafeRawBufferPointer) -> Bool {
        cursors[kind.rawValue]?.continues(with: key) ?? true
    }

    /// Hands the leaves of one section from `key` on to `body`, in place and as many at once as are at hand, until it
    /// says stop, which it must at the first that is above `last`; that is in the section. With `accountsOnly` slots
    /// that a layer deletes are jumped over.
    mutating func forEachRun(
        from key: [UInt8], through last: [UInt8], of section: Section, accountsOnly: Bool,
        _ body: (UnsafeBufferPointer<StoredEntry>) throws(StoreError) -> RunStep
    ) throws(StoreError) {
        let place = try cursor(.leaves)
        if place.sectionIndex != section.index {
            guard let layering = sections.layering(of: section) else { return }
            place.enter(section, layering)
        }
        try place.forEachRun(from: key, through: last, accountsOnly: accountsOnly, body)
    }

    private mutating func cursor(_ kind: StateTable) throws(StoreError) -> SectionCursor {
        if let made = cursors[kind.rawValue] { return made }
        let place = SectionCursor(try open(kind), kind)
        cursors[kind.rawValue] = place
        return place
    }
}

/// A cursor and the section it is set for. An object, so that moving it copies nothing.
private final class SectionCursor {
    private let cursor: LayeredCursor
    private let kind: StateTable
    private var section: Section?

    init(_ cursor: LayeredCursor, _ kind: StateTable) {
        self.cursor = cursor
        self.kind = kind
    }

    var sectionIndex: Int? { section?.index }

    func enter(_ section: Section, _ layering: SectionLayering) {
        self.section = section
        cursor.look(through: layering)
    }

    /// The section's first entry at or after `key`.
    func first(atOrAfter key: [UInt8]) throws(StoreError) -> StoredEntry? {
        guard let section, try cursor.leap(to: start(key, in: section)), let entry = cursor.current,
            kind.has(entry.key, in: section)
        else { return nil }
        return entry
    }

    /// The key, or where the section begins if that comes after it.
    private func start(_ key: [UInt8], in section: Section) -> [UInt8] {
        if key.withUnsafeBytes({ kind.has($0, in: section) }) { return key }
        let from = kind.bounds(of: section).from
        return ByteOrder.isLess(key, from) ? from : key
    }

    /// Whether the next entry begins with all of `key`; true where that is not known.
    func continues(with key: UnsafeRawBufferPointer) -> Bool {
        guard let following = cursor.following else { return true }
        return following.map { ByteOrder.hasPrefix($0.key, key) } ?? false
    }

    /// The entries from `key` on, until `body` says stop, which it does at the first above `last`.
    func forEachRun(
        from key: [UInt8], through last: [UInt8], accountsOnly: Bool,
        _ body: (UnsafeBufferPointer<StoredEntry>) throws(StoreError) -> RunStep
    ) throws(StoreError) {
        guard let section else { return }
        let expected = MerklePatriciaLimits.bucketLeaves
        var found = try cursor.seek(
            start(key, in: section), accountsOnly: accountsOnly, expecting: expected, upTo: last)
        while found {
            var step = RunStep.goOn
            if let run = cursor.takeRun() {
                step = try body(run)
            } else if let entry = cursor.current {
                let result = withUnsafePointer(to: entry) { entry in
                    Result { () throws(StoreError) in try body(UnsafeBufferPointer(start: entry, count: 1)) }
                }
                step = try result.get()
            }
            switch step {
            case .goOn: found = try cursor.next(accountsOnly: accountsOnly)
            case .stop: return
            case .jumpOver(let slot):
                guard let after = ByteOrder.end(ofPrefix: Array(slot[..<32])) else { return }
                found = try cursor.seek(after, accountsOnly: true, expecting: expected, upTo: last)
            }
        }
    }
}

/// What is to come after some entries.
enum RunStep {
    case goOn, stop
    /// What comes after all slots of the account that this key begins with.
    case jumpOver(UnsafeRawBufferPointer)
}
