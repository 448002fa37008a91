/// One growing piece of memory that many small runs of bytes are written to.
struct ByteSink: ~Copyable {
    private var storage: UnsafeMutableRawBufferPointer
    /// Bytes written.
    private(set) var count = 0

    init(capacity: Int) { storage = .allocate(byteCount: max(capacity, 64), alignment: 16) }

    deinit { storage.deallocate() }

    /// What was written.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[..<count]) }

    /// Forgets all that was written, or what was written after the first `count` bytes; keeps the room.
    mutating func truncate(to count: Int = 0) { self.count = min(count, self.count) }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count > storage.count &- count { grow(by: bytes.count) }
        guard let target = storage.baseAddress, let source = bytes.baseAddress else { return }
        (target + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        if count == storage.count { grow(by: 1) }
        storage[count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(littleEndian value: UInt32) {
        withUnsafeBytes(of: value.littleEndian) { append($0) }
    }

    private mutating func grow(by size: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(2 * storage.count, count + size), alignment: 16)
        larger.copyMemory(from: bytes)
        storage.deallocate()
        storage = larger
    }

    /// Writes over a byte.
    mutating func set(_ byte: UInt8, at index: Int) {
        precondition(index < count, "a byte that was written")
        storage[index] = byte
    }
}
