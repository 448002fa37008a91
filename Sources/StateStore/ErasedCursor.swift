/// A cursor of whatever store, without its type: walks are long and run in code that is not specialised for a store.
/// Entries are taken in runs, so that a step is a look into a small array and only every hundredth asks the store.
final class ErasedCursor {
    private let source: any EntrySource
    private let entries: UnsafeMutableBufferPointer<StoredEntry>
    private var count = 0
    private var position = 0
    /// How many entries the next run takes. One after a seek, since most seeks want one entry; more with each run. Of
    /// leaps see `leap`.
    private var ahead = 1
    /// Leaps that ended among the entries taken last.
    private var used = 0
    /// Whether the last run was cut at a bound.
    private var isBounded = false

    init(_ cursor: some StoreCursor) {
        source = CursorBox(cursor)
        entries = .allocate(capacity: StateStoreLimits.readAheadEntries)
    }

    deinit { entries.deallocate() }

    /// The entry it is at; nil past the end.
    var current: StoredEntry? { position < count ? entries[position] : nil }

    /// Goes to the first entry at or after `key`, for one who goes through a table in leaps and asks for what stands
    /// behind each entry too: where both are at hand, the store is not asked. The more of those taken at once are of
    /// use, the more are taken.
    func leap(to key: [UInt8]) throws(StoreError) -> StoredEntry? {
        let place = placeAtHand(of: key)
        if let place {
            used &+= 1
            if place &+ 1 < count {
                position = place
                return entries[place]
            }
        }
        let expected = used > 1 && used &* 2 >= ahead ? ahead &* 2 : used &* 4 <= ahead ? ahead / 2 : ahead
        used = 1
        return try seek(key, expecting: max(2, expected))
    }

    /// The entry at `key` or first after it, where it is at hand for certain.
    private func placeAtHand(of key: [UInt8]) -> Int? {
        key.withUnsafeBytes { key in
            guard position < count, ByteOrder.compare(entries[position].key, key) <= 0 else { return nil }
            return (position..<count).first { ByteOrder.compare(entries[$0].key, key) >= 0 }
        }
    }

    /// Goes to the first entry at or after `key`; takes `expected` of them at once, but hardly any above `bound`.
    func seek(
        _ key: [UInt8], expecting expected: Int = 1, upTo bound: [UInt8]? = nil
    ) throws(StoreError) -> StoredEntry? {
        (position, count, ahead) = (0, 0, min(expected, entries.count))
        isBounded = bound != nil
        if try source.seek(key) { try fill(upTo: bound) }
        return current
    }

    /// Goes to the next entry. Past the end it stays there.
    func next() throws(StoreError) -> StoredEntry? {
        if position &+ 1 < count {
            position &+= 1
            return entries[position]
        }
        try fillOn()
        return current
    }

    /// The entries at hand, from the current one on and before `bound`, which comes after it; goes to the last. They
    /// stand in an array that the next move writes over.
    func takeRun(before bound: UnsafeRawBufferPointer?) -> UnsafeBufferPointer<StoredEntry> {
        var end = count
        if let bound {
            while end > position, ByteOrder.compare(entries[end &- 1].key, bound) >= 0 { end &-= 1 }
        }
        let run = UnsafeBufferPointer(rebasing: entries[position..<end])
        position = max(position, end &- 1)
        return run
    }

    /// The entry behind the current one, inner nil for none; nil where it was not taken yet.
    var following: StoredEntry?? {
        if position &+ 1 < count { return .some(entries[position &+ 1]) }
        // Fewer were there than asked for.
        return count < ahead && !isBounded ? .some(nil) : nil
    }

    private func fillOn() throws(StoreError) {
        guard count > 0 else { return }
        (position, count) = (0, 0)
        ahead = min(ahead * 2, entries.count)
        isBounded = false
        if try source.next() { try fill(upTo: nil) }
    }

    private func fill(upTo bound: [UInt8]?) throws(StoreError) {
        let run = UnsafeMutableBufferPointer(rebasing: entries[..<ahead])
        guard let bound else {
            count = try source.read(into: run, upTo: nil)
            return
        }
        let result = bound.withUnsafeBytes { bound in
            Result { () throws(StoreError) in try source.read(into: run, upTo: bound) }
        }
        count = try result.get()
    }
}

/// What the erased cursor asks of the store's own: see `StoreCursor`.
private protocol EntrySource: AnyObject {
    func seek(_ key: [UInt8]) throws(StoreError) -> Bool
    func next() throws(StoreError) -> Bool
    func read(
        into run: UnsafeMutableBufferPointer<StoredEntry>, upTo bound: UnsafeRawBufferPointer?
    ) throws(StoreError) -> Int
}

/// Some store's cursor, in a place of its own.
private final class CursorBox<Cursor: StoreCursor>: EntrySource {
    /// By itself and not within the object, where its exclusive use would be checked at every move, at run time.
    private let cursor: UnsafeMutablePointer<Cursor>

    init(_ cursor: Cursor) {
        self.cursor = .allocate(capacity: 1)
        self.cursor.initialize(to: cursor)
    }

    deinit {
        cursor.deinitialize(count: 1)
        cursor.deallocate()
    }

    func seek(_ key: [UInt8]) throws(StoreError) -> Bool { try cursor.pointee.seek(key) }

    func next() throws(StoreError) -> Bool { try cursor.pointee.next() }

    func read(
        into run: UnsafeMutableBufferPointer<StoredEntry>, upTo bound: UnsafeRawBufferPointer?
    ) throws(StoreError) -> Int {
        try cursor.pointee.read(into: run, upTo: bound)
    }
}
