import MerklePatricia
import Primitives

/// Entries of the held sections, read through their layers in key order. It does not know the store's type: what asks
/// it a thousand times is compiled for one thing.
struct StateReader {
    let sections: HeldSections
    private let open: (StateTable) throws(StoreError) -> LayeredCursor
    /// Of the view and of all tries read from it, on one thread therefore.
    private let cursors = SectionCursors()

    /// - Parameter open: makes a cursor of a table.
    init(_ sections: HeldSections, open: @escaping (StateTable) throws(StoreError) -> LayeredCursor) {
        self.sections = sections
        self.open = open
    }

    /// Leading nibbles that name a section.
    var depth: Int { sections.depth }

    /// The first entry of a section at or after `key`, which lies in it; nil where there is none or the section is not
    /// held. In place: it is there until this table is asked for something else.
    func firstInPlace(
        _ kind: StateTable, atOrAfter key: [UInt8], in section: Section
    ) throws(StoreError) -> StoredEntry? {
        try cursor(kind, in: section)?.first(atOrAfter: key, in: section)
    }

    /// Whether the entry behind the one that `firstInPlace` gave last begins with all of `key`; true where that is not
    /// known.
    func continues(_ kind: StateTable, with key: UnsafeRawBufferPointer) -> Bool {
        cursors.made[kind.rawValue]?.continues(with: key) ?? true
    }

    /// Hands the leaves of one section from `key` on to `body`, in place and as many at once as are at hand, until it
    /// says stop, which it must at the first that is above `last`; that is in the section. With `accountsOnly` slots
    /// that a layer deletes are jumped over.
    func forEachRun(
        _ table: StateTable, from key: [UInt8], through last: [UInt8], of section: Section, accountsOnly: Bool,
        _ body: (UnsafeBufferPointer<StoredEntry>) throws(StoreError) -> RunStep
    ) throws(StoreError) {
        try cursor(table, in: section)?.forEachRun(
            from: key, through: last, accountsOnly: accountsOnly, body)
    }

    /// The table's cursor, set for a section; nil where that is not held.
    private func cursor(_ kind: StateTable, in section: Section) throws(StoreError) -> SectionCursor? {
        if let made = cursors.made[kind.rawValue], made.section == section { return made }
        guard let layering = sections.layering(of: section) else { return nil }
        if cursors.made[kind.rawValue] == nil { cursors.made[kind.rawValue] = SectionCursor(try open(kind), kind) }
        let place = cursors.made[kind.rawValue]
        place?.enter(section, layering)
        return place
    }
}

/// One cursor a table, made when first needed. Every use begins with a seek or a leap, so sharing them does no harm.
private final class SectionCursors {
    var made: [SectionCursor?] = StateTable.allCases.map { _ in nil }
}

/// A cursor and the section it is set for. An object, so that moving it copies nothing.
private final class SectionCursor {
    private let cursor: LayeredCursor
    private let kind: StateTable
    private(set) var section: Section?

    init(_ cursor: LayeredCursor, _ kind: StateTable) {
        self.cursor = cursor
        self.kind = kind
    }

    func enter(_ section: Section, _ layering: SectionLayering) {
        self.section = section
        cursor.look(through: layering)
    }

    /// The first entry at or after `key` of the section it is set for.
    func first(atOrAfter key: [UInt8], in section: Section) throws(StoreError) -> StoredEntry? {
        guard try cursor.leap(to: key), let entry = cursor.current, kind.has(entry.key, in: section) else { return nil }
        return entry
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
        let expected = MerklePatriciaLimits.twigLeaves
        var found = try cursor.seek(key, accountsOnly: accountsOnly, expecting: expected, upTo: last)
        while found {
            switch try body(cursor.takeRun()) {
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
