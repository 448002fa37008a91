import MerklePatricia
import Primitives

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

    @usableFromInline enum Kind: UInt8, Sendable { case put, delete, deleteRange }

    /// Two runs of bytes, one after the other from `offset`.
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline let offset: Int
        @usableFromInline let secondLength: Int
        @usableFromInline let firstLength: Int32
        @usableFromInline let kind: Kind
        @usableFromInline let table: Table

        init(kind: Kind, table: Table, offset: Int, firstLength: Int, secondLength: Int) {
            self.kind = kind
            self.table = table
            self.offset = offset
            // Keys end at some hundred bytes in every store; a longer one than this is refused as one of this length.
            self.firstLength = Int32(clamping: firstLength)
            self.secondLength = secondLength
        }

        func moved(by distance: Int) -> Entry {
            Entry(
                kind: kind, table: table, offset: offset + distance, firstLength: Int(firstLength),
                secondLength: secondLength)
        }
    }

    @usableFromInline private(set) var buffer: [UInt8] = []
    @usableFromInline private(set) var entries: [Entry] = []

    /// Nothing is held up by it: it may wait a little for another to share a transaction with. What is lost by a kill
    /// meanwhile must be such that the node comes by it again.
    public var mayWait = false

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

    /// Sets the value of the key of a leaf.
    mutating func put(leaf account: Bytes32, slot: Bytes32?, _ value: UnsafeRawBufferPointer) {
        let offset = buffer.count
        append(account)
        if let slot { append(slot) }
        let middle = buffer.count
        buffer.append(contentsOf: value)
        entries.append(
            Entry(
                kind: .put, table: .leaves, offset: offset, firstLength: middle - offset, secondLength: value.count))
    }

    /// Sets the value of the key of a branch: one byte a nibble, behind the account's key in a storage trie.
    mutating func put(branch path: Nibbles, of account: Bytes32?, _ node: UnsafeRawBufferPointer) {
        let offset = buffer.count
        if let account { append(account) }
        for index in 0..<path.count { buffer.append(UInt8(truncatingIfNeeded: path[index])) }
        let middle = buffer.count
        buffer.append(contentsOf: node)
        entries.append(
            Entry(
                kind: .put, table: account == nil ? .accountBranches : .storageBranches, offset: offset,
                firstLength: middle - offset, secondLength: node.count))
    }

    private mutating func append(_ hash: Bytes32) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            if let base = scratch.baseAddress { hash.store(to: base) }
            buffer.append(contentsOf: UnsafeRawBufferPointer(scratch))
        }
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
        entries.append(contentsOf: other.entries.lazy.map { $0.moved(by: base) })
    }

    /// The changes of both, those of `later` after the others.
    public static func + (batch: WriteBatch, later: WriteBatch) -> WriteBatch {
        var both = batch
        both.append(later)
        return both
    }

    /// Hands out the changes in order.
    @inlinable
    public func forEach<E: Error>(_ body: (Operation) throws(E) -> Void) throws(E) {
        try buffer.withUnsafeBufferPointer { (elements) throws(E) in
            let bytes = UnsafeRawBufferPointer(elements)
            for entry in entries {
                let middle = entry.offset &+ Int(entry.firstLength)
                let first = UnsafeRawBufferPointer(rebasing: bytes[entry.offset..<middle])
                let second = UnsafeRawBufferPointer(rebasing: bytes[middle..<(middle &+ entry.secondLength)])
                switch entry.kind {
                case .put: try body(.put(entry.table, key: first, value: second))
                case .delete: try body(.delete(entry.table, key: first))
                case .deleteRange: try body(.deleteRange(entry.table, from: first, upTo: second))
                }
            }
        }
    }
}
