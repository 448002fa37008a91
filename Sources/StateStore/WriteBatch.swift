/// Changes that are committed together. Keys and values lie in one buffer: no allocation an entry.
public struct WriteBatch: Sendable {
    /// One change; the buffers are valid only while it is handed out.
    public enum Operation {
        case put(Table, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)
        /// A key that is not there is no error.
        case delete(Table, key: UnsafeRawBufferPointer)
        /// Every entry in [from, upTo); an empty `upTo` means to the end of the table.
        case deleteRange(Table, from: UnsafeRawBufferPointer, upTo: UnsafeRawBufferPointer)
    }

    private enum Kind: UInt8 { case put, delete, deleteRange }

    /// Two runs of bytes, one after the other from `offset`.
    private struct Entry {
        let kind: Kind
        let table: Table
        let offset: Int
        let firstLength: Int
        let secondLength: Int
    }

    private var buffer: [UInt8] = []
    private var entries: [Entry] = []

    /// No changes.
    public init() {}

    /// Number of changes.
    public var count: Int { entries.count }
    /// Whether there are none.
    public var isEmpty: Bool { entries.isEmpty }
    /// Bytes of keys and values.
    public var byteCount: Int { buffer.count }

    /// Makes room at once for `operations` more changes of `bytes` more bytes together.
    public mutating func reserve(operations: Int, bytes: Int) {
        entries.reserveCapacity(entries.count + operations)
        buffer.reserveCapacity(buffer.count + bytes)
    }

    /// Sets the value of a key.
    public mutating func put(_ table: Table, _ key: some Collection<UInt8>, _ value: some Collection<UInt8>) {
        append(.put, table, key, value)
    }

    /// Deletes a key; one that is not there is no error.
    public mutating func delete(_ table: Table, _ key: some Collection<UInt8>) {
        append(.delete, table, key, EmptyCollection())
    }

    /// Deletes every entry in [from, upTo); nil: to the end of the table.
    public mutating func deleteRange(_ table: Table, from: [UInt8], upTo: [UInt8]?) {
        // No key is below an empty one, so an empty end is free to mean the end of the table; a range that is asked
        // to end there is empty.
        guard upTo?.isEmpty != true else { return }
        append(.deleteRange, table, from, upTo ?? [])
    }

    /// Deletes every entry whose key begins with `prefix`.
    public mutating func deletePrefix(_ table: Table, _ prefix: [UInt8]) {
        deleteRange(table, from: prefix, upTo: ByteOrder.end(ofPrefix: prefix))
    }

    private mutating func append(
        _ kind: Kind, _ table: Table, _ first: some Collection<UInt8>, _ second: some Collection<UInt8>
    ) {
        let offset = buffer.count
        buffer.append(contentsOf: first)
        let middle = buffer.count
        buffer.append(contentsOf: second)
        entries.append(
            Entry(
                kind: kind, table: table, offset: offset, firstLength: middle - offset,
                secondLength: buffer.count - middle))
    }

    /// The changes of `other` after these.
    public mutating func append(_ other: WriteBatch) {
        let base = buffer.count
        buffer.append(contentsOf: other.buffer)
        entries.append(
            contentsOf: other.entries.map {
                Entry(
                    kind: $0.kind, table: $0.table, offset: $0.offset + base, firstLength: $0.firstLength,
                    secondLength: $0.secondLength)
            })
    }

    /// Hands out the changes in order.
    public func forEach<E: Error>(_ body: (Operation) throws(E) -> Void) throws(E) {
        try forEach(in: 0..<entries.count, body)
    }

    /// Hands out the changes at `range` (clamped) in order.
    public func forEach<E: Error>(in range: Range<Int>, _ body: (Operation) throws(E) -> Void) throws(E) {
        try buffer.withUnsafeBufferPointer { (elements) throws(E) in
            let bytes = UnsafeRawBufferPointer(elements)
            for entry in entries[range.clamped(to: 0..<entries.count)] {
                let middle = entry.offset + entry.firstLength
                let first = UnsafeRawBufferPointer(rebasing: bytes[entry.offset..<middle])
                let second = UnsafeRawBufferPointer(rebasing: bytes[middle..<middle + entry.secondLength])
                switch entry.kind {
                case .put: try body(.put(entry.table, key: first, value: second))
                case .delete: try body(.delete(entry.table, key: first))
                case .deleteRange: try body(.deleteRange(entry.table, from: first, upTo: second))
                }
            }
        }
    }
}
