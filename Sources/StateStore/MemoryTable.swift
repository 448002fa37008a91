/// One table in memory: a sorted map cut into chunks, so that a copy shares all but the chunks that change after it.
struct MemoryTable: Sendable {
    /// A key and its value in one piece of memory. Never changes, so every snapshot that has it may hand its bytes out.
    final class Entry: @unchecked Sendable {
        // Written by the initialiser only.
        private let bytes: UnsafeMutableRawBufferPointer
        private let keyCount: Int

        init(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            bytes = .allocate(byteCount: key.count + value.count, alignment: 8)
            keyCount = key.count
            UnsafeMutableRawBufferPointer(rebasing: bytes[..<key.count]).copyMemory(from: key)
            UnsafeMutableRawBufferPointer(rebasing: bytes[key.count...]).copyMemory(from: value)
        }

        deinit { bytes.deallocate() }

        var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[..<keyCount]) }
        var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[keyCount...]) }
        var byteCount: Int { bytes.count }
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
    func lowerBound(_ key: UnsafeRawBufferPointer) -> Place {
        // The last chunk whose first key is not above `key`, if any, else the first.
        let next = chunks.partitionPoint { ByteOrder.compare($0[0].key, key) <= 0 }
        guard next > 0 else { return Place(chunk: 0, item: 0) }
        let chunk = chunks[next - 1]
        let item = chunk.partitionPoint { ByteOrder.compare($0.key, key) < 0 }
        return item < chunk.count ? Place(chunk: next - 1, item: item) : Place(chunk: next, item: 0)
    }

    func entry(at place: Place) -> Entry? {
        place.chunk < chunks.count ? chunks[place.chunk][place.item] : nil
    }

    /// The place of exactly this key.
    private func place(of key: UnsafeRawBufferPointer) -> Place? {
        let place = lowerBound(key)
        guard let entry = entry(at: place), ByteOrder.compare(entry.key, key) == 0 else { return nil }
        return place
    }

    func value(_ key: UnsafeRawBufferPointer) -> [UInt8]? {
        place(of: key).flatMap { entry(at: $0) }.map { Array($0.value) }
    }

    mutating func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let entry = Entry(key, value)
        let place = lowerBound(key)
        if let old = self.entry(at: place), ByteOrder.compare(old.key, key) == 0 {
            byteCount += entry.byteCount - old.byteCount
            chunks[place.chunk][place.item] = entry
            return
        }
        count += 1
        byteCount += entry.byteCount
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
        guard size > MemoryTable.chunkEntries else { return }
        chunks.insert(Array(chunks[index][(size / 2)...]), at: index + 1)
        chunks[index].removeSubrange((size / 2)...)
    }

    mutating func delete(_ key: UnsafeRawBufferPointer) {
        if let place = place(of: key) { remove(at: place) }
    }

    private mutating func remove(at place: Place) {
        count -= 1
        byteCount -= chunks[place.chunk][place.item].byteCount
        chunks[place.chunk].remove(at: place.item)
        if chunks[place.chunk].isEmpty { chunks.remove(at: place.chunk) }
    }

    /// Deletes [from, upTo); an empty `upTo`: to the end.
    mutating func deleteRange(from: UnsafeRawBufferPointer, upTo: UnsafeRawBufferPointer) {
        var place = lowerBound(from)
        while let entry = entry(at: place) {
            if !upTo.isEmpty, ByteOrder.compare(entry.key, upTo) >= 0 { return }
            let size = chunks[place.chunk].count
            remove(at: place)
            // Either the next entry has moved here, or the chunk ended (or went) with this one.
            if size > 1 && place.item == size - 1 { place = Place(chunk: place.chunk + 1, item: 0) }
        }
    }
}
