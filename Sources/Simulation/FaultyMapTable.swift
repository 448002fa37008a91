import StateStore

/// One table in memory: a sorted map cut into chunks, so that a copy shares all but the chunks that change after it.
struct FaultyMapTable: Sendable {
    struct Entry: Sendable {
        let key: [UInt8]
        var value: [UInt8]
    }

    /// Where an entry is, or where one would be inserted.
    struct Place: Sendable {
        var chunk: Int
        var item: Int
    }

    /// Entries of a chunk before it is cut in two: a commit copies a few of them, a snapshot none.
    private static let chunkEntries = 64

    /// None of them empty.
    private(set) var chunks: [[Entry]] = []
    private(set) var count = 0
    /// Bytes of all keys and values.
    private(set) var byteCount = 0

    /// The first entry at or after `key`; one past the last chunk where there is none.
    func lowerBound(_ key: [UInt8]) -> Place {
        // The last chunk whose first key is not above `key`, if any, else the first.
        var (low, high) = (0, chunks.count)
        while low < high {
            let middle = (low + high) / 2
            if ByteOrder.compare(chunks[middle][0].key, key) <= 0 { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return Place(chunk: 0, item: 0) }
        let chunk = chunks[low - 1]
        var (first, end) = (0, chunk.count)
        while first < end {
            let middle = (first + end) / 2
            if ByteOrder.isLess(chunk[middle].key, key) { first = middle + 1 } else { end = middle }
        }
        return first < chunk.count ? Place(chunk: low - 1, item: first) : Place(chunk: low, item: 0)
    }

    func entry(at place: Place) -> Entry? {
        place.chunk < chunks.count ? chunks[place.chunk][place.item] : nil
    }

    func value(_ key: [UInt8]) -> [UInt8]? {
        guard let entry = entry(at: lowerBound(key)), entry.key == key else { return nil }
        return entry.value
    }

    mutating func put(_ key: [UInt8], _ value: [UInt8]) {
        let place = lowerBound(key)
        if let old = entry(at: place), old.key == key {
            byteCount += value.count - old.value.count
            chunks[place.chunk][place.item].value = value
            return
        }
        count += 1
        byteCount += key.count + value.count
        let entry = Entry(key: key, value: value)
        if chunks.isEmpty {
            chunks.append([entry])
        } else if place.item == 0 && place.chunk > 0 {
            // Between two chunks: at the end of the one before.
            chunks[place.chunk - 1].append(entry)
            split(place.chunk - 1)
        } else {
            chunks[place.chunk].insert(entry, at: place.item)
            split(place.chunk)
        }
    }

    private mutating func split(_ index: Int) {
        let size = chunks[index].count
        guard size > FaultyMapTable.chunkEntries else { return }
        chunks.insert(Array(chunks[index][(size / 2)...]), at: index + 1)
        chunks[index].removeSubrange((size / 2)...)
    }

    mutating func delete(_ key: [UInt8]) {
        let place = lowerBound(key)
        guard let old = entry(at: place), old.key == key else { return }
        remove(old, at: place)
    }

    private mutating func remove(_ entry: Entry, at place: Place) {
        count -= 1
        byteCount -= entry.key.count + entry.value.count
        chunks[place.chunk].remove(at: place.item)
        if chunks[place.chunk].isEmpty { chunks.remove(at: place.chunk) }
    }

    /// Deletes [from, upTo); nil: to the end.
    mutating func deleteRange(from: [UInt8], upTo: [UInt8]?) {
        var place = lowerBound(from)
        while let entry = entry(at: place) {
            if let upTo, !ByteOrder.isLess(entry.key, upTo) { return }
            let size = chunks[place.chunk].count
            remove(entry, at: place)
            // Either the next entry has moved here, or the chunk ended (or went) with this one.
            if size > 1 && place.item == size - 1 { place = Place(chunk: place.chunk + 1, item: 0) }
        }
    }
}

/// What one commit left, never to change.
public struct FaultyMapSnapshot: StoreSnapshot {
    let tables: [FaultyMapTable]

    /// See `StoreSnapshot`.
    public func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        tables[Int(table.rawValue)].value(key)
    }

    /// See `StoreSnapshot`.
    public func cursor(_ table: Table) throws(StoreError) -> FaultyMapCursor {
        FaultyMapCursor(table: tables[Int(table.rawValue)])
    }

    /// See `StoreSnapshot`.
    public func count(_ table: Table) throws(StoreError) -> Int { tables[Int(table.rawValue)].count }

    /// Bytes of all keys and values.
    public var byteCount: Int { tables.reduce(0) { $0 + $1.byteCount } }
}

/// A place in a table of a snapshot.
public struct FaultyMapCursor: StoreCursor {
    private let table: FaultyMapTable
    private var place: FaultyMapTable.Place?

    init(table: FaultyMapTable) { self.table = table }

    /// See `StoreCursor`.
    public mutating func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
        place = table.lowerBound(key)
        return settle()
    }

    /// See `StoreCursor`.
    public mutating func next() throws(StoreError) -> Bool {
        guard let here = place else { return false }
        let isLast = here.item + 1 == table.chunks[here.chunk].count
        place = isLast ? .init(chunk: here.chunk + 1, item: 0) : .init(chunk: here.chunk, item: here.item + 1)
        return settle()
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

    private mutating func settle() -> Bool {
        if let here = place, here.chunk < table.chunks.count { return true }
        place = nil
        return false
    }

    /// See `StoreCursor`.
    public func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R? {
        guard let place, let entry = table.entry(at: place) else { return nil }
        return try entry.key.withUnsafeBufferPointer { (key) throws(E) in
            try entry.value.withUnsafeBufferPointer { (value) throws(E) in
                try body(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value))
            }
        }
    }
}
