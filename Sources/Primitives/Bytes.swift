/// What is wrong with a run of fixed fields.
public enum ByteError: Error, Equatable, Sendable {
    /// The input ends inside a field.
    case truncated
    /// Bytes follow the last field.
    case trailingBytes
    /// A varint longer than its value needs.
    case notCanonical
    /// A varint above 2^32 − 1, or a length above the limit that was given.
    case tooLarge
}

/// Reads fields one after the other from a buffer, never past its end. Nothing is copied but what is returned.
public struct ByteReader: Sendable {
    private let storage: [UInt8]
    /// Offset of the next byte in the buffer that the reader was made of.
    public private(set) var position: Int
    private let limit: Int

    /// Reads all of `bytes`.
    @inlinable
    public init(_ bytes: [UInt8]) { self.init(bytes, in: 0..<bytes.count) }

    /// Reads the part of `bytes` in `range`, which is clamped to the buffer.
    public init(_ bytes: [UInt8], in range: Range<Int>) {
        let inside = range.clamped(to: 0..<bytes.count)
        storage = bytes
        position = inside.lowerBound
        limit = inside.upperBound
    }

    /// Bytes not read yet.
    public var remaining: Int { limit - position }
    /// Whether everything was read.
    public var isAtEnd: Bool { position == limit }

    /// Throws unless everything was read.
    public func finish() throws(ByteError) {
        guard isAtEnd else { throw .trailingBytes }
    }

    /// Moves over `count` bytes and says where they are.
    public mutating func skip(_ count: Int) throws(ByteError) -> Range<Int> {
        guard count >= 0, count <= remaining else { throw .truncated }
        let start = position
        position += count
        return start..<position
    }

    /// The next `count` bytes.
    public mutating func bytes(_ count: Int) throws(ByteError) -> [UInt8] {
        Array(storage[try skip(count)])
    }

    /// Everything that is left.
    public mutating func rest() -> [UInt8] {
        let start = position
        position = limit
        return Array(storage[start..<limit])
    }

    /// Thirty-two bytes.
    public mutating func bytes32() throws(ByteError) -> Bytes32 {
        Bytes32(storage[try skip(32)]) ?? .zero
    }

    /// One byte.
    public mutating func uint8() throws(ByteError) -> UInt8 { storage[try skip(1).lowerBound] }

    /// Four bytes, the most significant first.
    public mutating func uint32BigEndian() throws(ByteError) -> UInt32 { UInt32(truncatingIfNeeded: try big(4)) }
    /// Eight bytes, the most significant first.
    public mutating func uint64BigEndian() throws(ByteError) -> UInt64 { try big(8) }

    private mutating func big(_ size: Int) throws(ByteError) -> UInt64 {
        storage[try skip(size)].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// An unsigned LEB128 number of at most 32 bits in its shortest form (Portal wire: the length before each item).
    public mutating func varint() throws(ByteError) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<LEB128.byteLimit {
            let byte = try uint8()
            guard index < LEB128.byteLimit - 1 || byte & 0x70 == 0 else { throw .tooLarge }
            value |= UInt32(byte & 0x7f) << UInt32(7 * index)
            if byte & 0x80 == 0 {
                guard byte != 0 || index == 0 else { throw .notCanonical }
                return value
            }
        }
        throw .tooLarge
    }

    /// A varint n, then n bytes; n ≤ `limit` is checked before anything is allocated.
    public mutating func varintPrefixed(limit: Int) throws(ByteError) -> [UInt8] {
        let count = Int(try varint())
        guard count <= limit else { throw .tooLarge }
        return try bytes(count)
    }
}

/// Unsigned LEB128: seven bits a byte, least significant first, the top bit set on all but the last.
public enum LEB128 {
    /// Longest encoding of 32 bits.
    public static let byteLimit = 5

    /// The one shortest encoding.
    public static func encode(_ value: UInt32) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
        return bytes
    }

    /// Reads exactly one number.
    public static func decode(_ bytes: [UInt8]) throws(ByteError) -> UInt32 {
        var reader = ByteReader(bytes)
        let value = try reader.varint()
        try reader.finish()
        return value
    }
}

/// Appends fields one after the other.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Makes room for `capacity` bytes at once.
    public init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Bytes written so far.
    public var count: Int { bytes.count }

    /// Bytes as they are.
    public mutating func append(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }
    /// Thirty-two bytes.
    public mutating func append(_ value: Bytes32) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            if let base = scratch.baseAddress { value.store(to: base) }
            bytes.append(contentsOf: scratch)
        }
    }
    /// One byte.
    public mutating func append(uint8 value: UInt8) { bytes.append(value) }
    /// As many bytes as the type has, the least significant first.
    public mutating func append(littleEndian value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    /// As many bytes as the type has, the most significant first.
    public mutating func append(bigEndian value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
    /// A varint, in its shortest form.
    public mutating func append(varint value: UInt32) { bytes.append(contentsOf: LEB128.encode(value)) }

    /// The length as a varint, then the bytes. Longer than 2^32 − 1 bytes does not occur: our items end at 32 MiB.
    public mutating func appendVarintPrefixed(_ item: [UInt8]) {
        append(varint: UInt32(clamping: item.count))
        bytes.append(contentsOf: item)
    }
}
