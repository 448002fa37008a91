import StateStore

/// Counts what cursors are asked for: entries that they go to, and seeks. One thread uses it.
struct CountingSnapshot: StoreSnapshot {
    final class Counter: @unchecked Sendable { var (moves, seeks) = (0, 0) }

    private let inner: MemorySnapshot
    let counter = Counter()

    init(_ inner: MemorySnapshot) { self.inner = inner }

    func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]? { try inner.get(table, key) }

    func count(_ table: Table) throws(StoreError) -> Int { try inner.count(table) }

    func liveBytes(of tables: [Table]) throws(StoreError) -> Int { try inner.liveBytes(of: tables) }

    func cursor(_ table: Table) throws(StoreError) -> CountingCursor {
        CountingCursor(inner: try inner.cursor(table), counter: counter)
    }
}

struct CountingCursor: StoreCursor {
    var inner: MemorySnapshot.Cursor
    let counter: CountingSnapshot.Counter

    mutating func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
        counter.seeks += 1
        return try inner.seek(key)
    }

    mutating func next() throws(StoreError) -> Bool {
        counter.moves += 1
        return try inner.next()
    }

    mutating func previous() throws(StoreError) -> Bool { try inner.previous() }

    mutating func last() throws(StoreError) -> Bool { try inner.last() }

    func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R? { try inner.withEntry(body) }

    mutating func read(
        into run: UnsafeMutableBufferPointer<StoredEntry>, upTo bound: UnsafeRawBufferPointer?
    ) throws(StoreError) -> Int {
        let count = try inner.read(into: run, upTo: bound)
        counter.moves += count
        return count
    }
}
