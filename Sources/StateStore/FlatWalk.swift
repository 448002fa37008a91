import Primitives

/// A walk over the leaves of a view in the flat order: one by one with `next()`, or in place with `nextRun()`.
public struct FlatWalk {
    private let sections: HeldSections
    private let table: StateTable
    private let cursor: LayeredCursor
    private var section: Section?
    private var end: [UInt8]?
    private var start: [UInt8]
    private var isPlaced = false
    /// The leaf the walk is at; nil after a run.
    public private(set) var key: FlatKey?

    init(_ view: StateView<some StoreSnapshot>, from origin: Cursor) throws(StoreError) {
        sections = view.sections
        table = .leaves(ofPart: sections.owner != nil)
        cursor = try LayeredCursor(view.snapshot, table, withUndo: sections.readsUndo)
        start = origin.firstKey.bytes
        if let owner = sections.owner {
            // Parts have slots of one account only.
            if origin.account == owner { enter(Section(of: origin.slot, depth: sections.depth).index) }
            if origin.account < owner { enter(0) }
        } else {
            enter(Section(of: origin.account, depth: sections.depth).index)
        }
    }

    /// Sets the walk before the first held section whose index is `index` or above.
    private mutating func enter(_ index: Int) {
        guard let (next, layering) = sections.held(atOrAfter: index) else {
            section = nil
            return
        }
        section = next
        let bounds = table.bounds(of: next)
        end = bounds.upTo
        if ByteOrder.isLess(start, bounds.from) { start = bounds.from }
        isPlaced = false
        cursor.look(through: layering)
    }

    /// Goes to the next leaf (at first: the first one at or after the origin); nil at the end.
    public mutating func next() throws(StoreError) -> FlatKey? {
        while let current = section {
            let found = isPlaced ? try cursor.next() : try cursor.seek(start)
            isPlaced = true
            if found, let key = try currentKey() {
                self.key = key
                return key
            }
            enter(current.index + 1)
        }
        key = nil
        return nil
    }

    /// nil past the end of the section.
    private func currentKey() throws(StoreError) -> FlatKey? {
        guard let bytes = cursor.current?.key else { return nil }
        if let end, !ByteOrder.isLess(bytes, end) { return nil }
        guard let key = FlatKey(loading: bytes) else { throw .corrupt(table: table.base) }
        return key
    }

    /// Goes on to the next leaves, as many at once as can be had, and to the last of them; nil at the end. Keys of 32
    /// or 64 bytes; values as `value` gives them. The array is written over by the next move; the bytes stay as long as
    /// the view's snapshot.
    public mutating func nextRun() throws(StoreError) -> UnsafeBufferPointer<StoredEntry>? {
        key = nil
        while let current = section {
            let found = isPlaced ? try cursor.next() : try cursor.seek(start)
            isPlaced = true
            if found {
                let inside = FlatWalk.part(of: cursor.takeRun(), before: end)
                if !inside.isEmpty { return inside }
            }
            enter(current.index + 1)
        }
        return nil
    }

    /// The entries of a run whose keys are before `end`.
    private static func part(
        of run: UnsafeBufferPointer<StoredEntry>, before end: [UInt8]?
    ) -> UnsafeBufferPointer<StoredEntry> {
        guard let end, let last = run.last, !ByteOrder.isLess(last.key, end) else { return run }
        let count = run.firstIndex { !ByteOrder.isLess($0.key, end) } ?? run.count
        return UnsafeBufferPointer(rebasing: run[..<count])
    }

    /// The value of the leaf that `next()` gave: slim body, or slot value without leading zeros, copied. nil where the
    /// walk is at no leaf.
    public var value: [UInt8]? { key == nil ? nil : cursor.current.map { Array($0.value) } }

    /// Lets the next `next()` give the next account, whatever slots this one has.
    public mutating func skipSlots() {
        guard let account = key?.account else { return }
        guard let after = account.successor, let section, section.owner == nil, section.contains(after) else {
            // Past the last key of the section nothing of it follows; `next()` then enters the one after it.
            start = end ?? [UInt8](repeating: 0xff, count: 65)
            isPlaced = false
            return
        }
        start = after.bytes
        isPlaced = false
    }
}

extension StateView {
    /// A walk from `origin` on, to the end of what is held. It has cursors of its own.
    public func walk(from origin: Cursor) throws(StoreError) -> FlatWalk {
        try FlatWalk(self, from: origin)
    }

    /// The leaves in [origin, limit], copied, at most `count` of them.
    public func leaves(
        from origin: Cursor, through limit: Cursor, count: Int
    ) throws(StoreError) -> [(key: FlatKey, value: [UInt8])] {
        var walk = try walk(from: origin)
        var leaves: [(key: FlatKey, value: [UInt8])] = []
        while leaves.count < count, let key = try walk.next(), limit.covers(key) {
            leaves.append((key, walk.value ?? []))
        }
        return leaves
    }
}
