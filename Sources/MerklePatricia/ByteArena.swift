import Primitives

/// One growing buffer that many small nodes are written into: no allocation a node. Offsets stay valid when it grows,
/// pointers don't.
struct ByteArena: ~Copyable {
    private var storage: UnsafeMutableRawBufferPointer
    /// Bytes in use.
    private(set) var count = 0

    init(capacity: Int) {
        storage = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit { storage.deallocate() }

    /// The bytes in use.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[..<count]) }

    /// Forgets all bytes, keeps the room.
    mutating func removeAll() { count = 0 }

    /// Room for `size` bytes more, to be written before anything else is done with the arena; `commit` says how many
    /// were.
    mutating func room(for size: Int) -> UnsafeMutableRawBufferPointer {
        if count + size > storage.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(storage.count * 2, count + size), alignment: 8)
            larger.copyMemory(from: bytes)
            storage.deallocate()
            storage = larger
        }
        return UnsafeMutableRawBufferPointer(rebasing: storage[count..<(count + size)])
    }

    mutating func commit(_ size: Int) { count += size }
}

/// Writes RLP into a room that is known to suffice.
struct NodeWriter {
    private let base: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ room: UnsafeMutableRawBufferPointer) { base = room }

    /// Bytes that the header of a string or list of `length` bytes takes.
    static func headerSize(_ length: Int) -> Int {
        if length < 56 { return 1 }
        var size = 1
        var rest = length
        while rest > 0 {
            size += 1
            rest >>= 8
        }
        return size
    }

    /// The header of a string (`short` 0x80) or list (0xc0).
    mutating func header(length: Int, short: UInt8) {
        if length < 56 {
            byte(short + UInt8(length))
            return
        }
        let size = NodeWriter.headerSize(length) - 1
        byte(short + 55 + UInt8(size))
        for index in (0..<size).reversed() { byte(UInt8(truncatingIfNeeded: length >> (8 * index))) }
    }

    /// Writes the header of a list of `content` bytes at `target`, where nine bytes may be written; gives its size.
    @inline(__always)
    static func listHeader(_ content: Int, at target: UnsafeMutableRawPointer) -> Int {
        header(content, short: 0xc0, at: target)
    }

    /// The same of a string of `length` bytes.
    @inline(__always)
    static func stringHeader(_ length: Int, at target: UnsafeMutableRawPointer) -> Int {
        header(length, short: 0x80, at: target)
    }

    @inline(__always)
    private static func header(_ length: Int, short: UInt8, at target: UnsafeMutableRawPointer) -> Int {
        if length < 56 {
            target.storeBytes(of: short &+ UInt8(truncatingIfNeeded: length), as: UInt8.self)
            return 1
        }
        if length < 256 {
            let bytes = UInt16(short &+ 56) | UInt16(truncatingIfNeeded: length) &<< 8
            target.storeBytes(of: bytes.littleEndian, as: UInt16.self)
            return 2
        }
        var writer = NodeWriter(UnsafeMutableRawBufferPointer(start: target, count: 9))
        writer.header(length: length, short: short)
        return writer.count
    }

    mutating func byte(_ value: UInt8) {
        base[count] = value
        count &+= 1
    }

    mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: base[count..<(count &+ bytes.count)]).copyMemory(from: bytes)
        count &+= bytes.count
    }

    /// A hash as a string of 32 bytes.
    mutating func hash(_ hash: Bytes32) {
        byte(0xa0)
        guard let target = base.baseAddress else { return }
        precondition(count &+ 32 <= base.count, "room for a hash")
        hash.store(to: target + count)
        count &+= 32
    }

    /// Bytes a string takes with its header.
    static func stringSize(_ bytes: UnsafeRawBufferPointer) -> Int {
        standsForItself(bytes) ? 1 : headerSize(bytes.count) + bytes.count
    }

    /// Whether the string is a single byte that needs no header.
    @inline(__always)
    static func standsForItself(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.count == 1 && bytes[0] < 0x80 }

    mutating func string(_ bytes: UnsafeRawBufferPointer) {
        if !NodeWriter.standsForItself(bytes) { header(length: bytes.count, short: 0x80) }
        copy(bytes)
    }
}

extension UnsafeRawBufferPointer {
    /// Copies all of it to `target`: what takes a few words costs no call.
    @inline(__always)
    func copyInWords(to target: UnsafeMutableRawPointer) {
        typealias Words = SIMD4<UInt64>
        guard let base = baseAddress else { return }
        guard count >= 32 else {
            target.copyMemory(from: base, byteCount: count)
            return
        }
        var offset = 0
        while offset &+ 32 <= count {
            target.storeBytes(
                of: base.loadUnaligned(fromByteOffset: offset, as: Words.self), toByteOffset: offset, as: Words.self)
            offset &+= 32
        }
        // The last words once more: they end where the bytes do.
        let rest = count &- 32
        target.storeBytes(
            of: base.loadUnaligned(fromByteOffset: rest, as: Words.self), toByteOffset: rest, as: Words.self)
    }
}
