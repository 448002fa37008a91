/// A snapshot in memory. A copy costs next to nothing and does not see what is changed in the other afterwards. The
/// simulation's store is made of these; tools and tests set the tables as they like.
public struct MemorySnapshot: StoreSnapshot {
    /// A key and its value.
    public typealias Entry = (key: [UInt8], value: [UInt8])

    private var tables = Table.allCases.map { _ in MemoryTable() }

    /// Nothing in any table.
    public init() {}

    /// See `StoreSnapshot`.
    public func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        key.withUnsafeBytes { tables[Int(table.rawValue)].value($0) }
    }

    /// See `StoreSnapshot`.
    public func cursor(_ table: Table) throws(StoreError) -> MemoryCursor {
        MemoryCursor(table: tables[Int(table.rawValue)])
    }

    /// See `StoreSnapshot`.
    public func count(_ table: Table) throws(StoreError) -> Int { tables[Int(table.rawValue)].count }

    /// See `StoreSnapshot`: bytes of keys and values.
    public func liveBytes(of tables: [Table]) throws(StoreError) -> Int {
        tables.reduce(0) { $0 + self.tables[Int($1.rawValue)].byteCount }
    }

    /// Bytes of all keys and values.
    public var byteCount: Int { tables.reduce(0) { $0 + $1.byteCount } }

    /// Replaces a table; entries in any order.
    public mutating func set(_ table: Table, _ entries: [Entry]) {
        var made = MemoryTable()
        for (key, value) in entries.sorted(by: { ByteOrder.isLess($0.key, $1.key) }) {
            key.withUnsafeBytes { key in value.withUnsafeBytes { made.put(key, $0) } }
        }
        tables[Int(table.rawValue)] = made
    }

    /// Makes the changes of a batch, in its order.
    public mutating func apply(_ batch: WriteBatch) {
        batch.forEach { operation in
            switch operation {
            case .put(let table, let key, let value): tables[Int(table.rawValue)].put(key, value)
            case .delete(let table, let key): tables[Int(table.rawValue)].delete(key)
            case .deleteRange(let table, let from, let upTo):
                tables[Int(table.rawValue)].deleteRange(from: from, upTo: upTo)
            }
        }
    }
}

/// A place in a table of a snapshot in memory.
public struct MemoryCursor: StoreCursor {
    private let table: MemoryTable
    private var place: MemoryTable.Place?

    init(table: MemoryTable) { self.table = table }

    /// See `StoreCursor`.
    public mutating func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
        settle(at: key.withUnsafeBytes { table.lowerBound($0) })
    }

    /// See `StoreCursor`.
    public mutating func next() throws(StoreError) -> Bool {
        guard let here = place else { return false }
        return settle(at: place(after: here))
    }

    private func place(after here: MemoryTable.Place) -> MemoryTable.Place {
        let isLast = here.item + 1 == table.chunks[here.chunk].count
        return isLast ? .init(chunk: here.chunk + 1, item: 0) : .init(chunk: here.chunk, item: here.item + 1)
    }

    /// See `StoreCursor`.
    public mutating func previous() throws(StoreError) -> Bool {
        guard let here = place, here.item > 0 || here.chunk > 0 else {
            place = nil
            return false
        }
        place =
            here.item > 0
            ? .init(chunk: here.chunk, item: here.item - 1)
            : .init(chunk: here.chunk - 1, item: table.chunks[here.chunk - 1].count - 1)
        return true
    }

    /// See `StoreCursor`.
    public mutating func last() throws(StoreError) -> Bool {
        guard let chunk = table.chunks.indices.last else {
            place = nil
            return false
        }
        place = .init(chunk: chunk, item: table.chunks[chunk].count - 1)
        return true
    }

    private mutating func settle(at new: MemoryTable.Place) -> Bool {
        place = new.chunk < table.chunks.count ? new : nil
        return place != nil
    }

    /// See `StoreCursor`.
    public func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R? {
        guard let place, let entry = table.entry(at: place) else { return nil }
        defer { withExtendedLifetime(entry) {} }
        return try body(entry.key, entry.value)
    }

    /// See `StoreCursor`.
    public mutating func read(
        into run: UnsafeMutableBufferPointer<StoredEntry>, upTo bound: UnsafeRawBufferPointer?
    ) throws(StoreError) -> Int {
        guard var here = place else { return 0 }
        var count = 0
        while count < run.count, let entry = table.entry(at: here) {
            run[count] = StoredEntry(key: entry.key, value: entry.value)
            count += 1
            place = here
            if let bound, ByteOrder.compare(entry.key, bound) > 0 { break }
            here = place(after: here)
        }
        return count
    }
}
