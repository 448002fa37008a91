/// A snapshot in memory: sorted arrays. The simplest thing that a state can be read from; for vectors and fuzzing.
package struct MemorySnapshot: StoreSnapshot {
    /// A row of a table.
    package typealias Entry = (key: [UInt8], value: [UInt8])

    /// A place in one table.
    package struct Cursor: StoreCursor {
        let entries: [Entry]
        var position = -1

        package mutating func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
            position = MemorySnapshot.position(of: key, in: entries)
            return position < entries.count
        }

        package mutating func next() throws(StoreError) -> Bool {
            position += 1
            return position < entries.count
        }

        package mutating func previous() throws(StoreError) -> Bool {
            position -= 1
            return position >= 0
        }

        package mutating func last() throws(StoreError) -> Bool {
            position = entries.count - 1
            return position >= 0
        }

        package func withEntry<R, E: Error>(
            _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(E) -> R
        ) throws(E) -> R? {
            guard entries.indices.contains(position) else { return nil }
            let entry = entries[position]
            var result: Result<R, E>?
            entry.key.withUnsafeBytes { key in
                entry.value.withUnsafeBytes { value in
                    do throws(E) { result = .success(try body(key, value)) } catch { result = .failure(error) }
                }
            }
            return try result?.get()
        }
    }

    private var tables: [Table: [Entry]] = [:]

    /// No tables.
    package init() {}

    package func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        let entries = tables[table] ?? []
        let position = MemorySnapshot.position(of: key, in: entries)
        return position < entries.count && entries[position].key == key ? entries[position].value : nil
    }

    package func cursor(_ table: Table) throws(StoreError) -> Cursor { Cursor(entries: tables[table] ?? []) }

    package func count(_ table: Table) throws(StoreError) -> Int { tables[table]?.count ?? 0 }

    /// Replaces a table.
    package mutating func set(_ table: Table, _ entries: [Entry]) {
        tables[table] = entries.sorted { ByteOrder.isLess($0.key, $1.key) }
    }

    /// The first index whose key is not below `key`.
    private static func position(of key: [UInt8], in entries: [Entry]) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if ByteOrder.isLess(entries[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
