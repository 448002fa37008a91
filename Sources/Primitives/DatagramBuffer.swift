/// Datagrams on their way out, one behind the other in one buffer that is used again: what is sent costs no allocation
/// and is copied by nobody but the system. Neighbours of the same size to the same place can leave in one call.
public struct DatagramBuffer: Sendable {
    /// One datagram in the buffer.
    public struct Entry: Sendable {
        /// Where its bytes begin, and how many there are.
        public let start: Int
        public let count: Int
        public let endpoint: Endpoint
    }

    /// Bytes held at most; a datagram beyond them is refused, as any network may lose it.
    public let limit: Int
    /// The datagrams in the order appended.
    public private(set) var entries: [Entry] = []
    private var storage: [UInt8] = []
    private var used = 0

    /// An empty buffer. It grows to what is needed at once, and stays so.
    public init(limit: Int) { self.limit = limit }

    /// Whether nothing is held.
    public var isEmpty: Bool { entries.isEmpty }

    /// Datagrams held.
    public var count: Int { entries.count }

    /// Appends a datagram of `count` bytes that `write` puts in place. False, with nothing appended, where there is no
    /// room or `write` says so.
    @discardableResult
    public mutating func append(
        _ count: Int, to endpoint: Endpoint, write: (UnsafeMutableRawPointer) -> Bool
    ) -> Bool {
        guard used + count <= limit, count > 0 else { return false }
        if used + count > storage.count { grow(to: used + count) }
        let start = used
        let isWritten = storage.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { write($0 + start) } ?? false
        }
        guard isWritten else { return false }
        used += count
        entries.append(Entry(start: start, count: count, endpoint: endpoint))
        return true
    }

    /// Appends a copy of `bytes`.
    @discardableResult
    public mutating func append(_ bytes: UnsafeRawBufferPointer, to endpoint: Endpoint) -> Bool {
        append(bytes.count, to: endpoint) { target in
            if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
            return true
        }
    }

    /// Removes the first `count` datagrams and moves the others to the front.
    public mutating func removeFirst(_ count: Int) {
        guard count > 0, let first = entries.dropFirst(count).first else {
            if count > 0 { removeAll() }
            return
        }
        let shift = first.start
        storage.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            base.copyMemory(from: UnsafeRawPointer(base) + shift, byteCount: used - shift)
        }
        used -= shift
        entries = entries.dropFirst(count).map {
            Entry(start: $0.start - shift, count: $0.count, endpoint: $0.endpoint)
        }
    }

    /// Empties the buffer and keeps its memory.
    public mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        used = 0
    }

    /// Lends all bytes; entries say which are whose.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<used])) }
    }

    /// The bytes of the datagram at `index`.
    public func bytes(at index: Int) -> [UInt8] {
        let entry = entries[index]
        return Array(storage[entry.start..<entry.start + entry.count])
    }

    private mutating func grow(to size: Int) {
        var target = max(storage.count, 1 << 16)
        while target < size { target *= 2 }
        storage.append(contentsOf: repeatElement(0, count: min(target, max(limit, size)) - storage.count))
    }
}
