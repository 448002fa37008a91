/// Recursive length prefix, Ethereum's serialisation: strict in both directions. Source: Ethereum yellow paper, app. B.
///
/// A byte below 0x80 is itself; 0x80…0xb7 a string of up to 55 bytes; 0xb8…0xbf a longer string, its length following;
/// 0xc0…0xf7 and 0xf8…0xff the same for lists. Exactly one encoding is right for each value; all others are errors.
public enum RLPError: Error, Equatable, Sendable {
    case truncated
    case trailingBytes
    /// A length written longer than it need be, or a single byte below 0x80 written as a string.
    case notCanonical
    case expectedString
    case expectedList
    /// An integer with leading zeros.
    case leadingZeros
    case integerTooLarge
    /// A fixed-size string of another size.
    case wrongSize
    case nestedTooDeep
}

/// Where one item lies in a buffer.
public struct RLPItem: Sendable {
    public let isList: Bool
    /// Offset of the first byte of the item, its header included.
    public let start: Int
    /// Offset of the first byte of its content.
    public let contentStart: Int
    /// Offset just after its last byte.
    public let end: Int

    @inlinable
    public init(isList: Bool, start: Int, contentStart: Int, end: Int) {
        self.isList = isList
        self.start = start
        self.contentStart = contentStart
        self.end = end
    }

    /// Reads the header of the item at `offset`, which must end by `limit`. Nothing is allocated.
    @inlinable
    public init(in buffer: UnsafeRawBufferPointer, at offset: Int, limit: Int) throws(RLPError) {
        guard offset < limit, limit <= buffer.count else { throw .truncated }
        let first = Int(buffer[offset])
        if first < 0x80 {
            self.init(isList: false, start: offset, contentStart: offset, end: offset &+ 1)
            return
        }
        let isList = first >= 0xc0
        let short = first &- (isList ? 0xc0 : 0x80)
        var length = short
        var content = offset &+ 1
        if short > 55 {
            let size = short &- 55
            guard size <= limit &- content else { throw .truncated }
            guard buffer[content] != 0 else { throw .notCanonical }
            guard size < 8 else { throw .truncated }
            length = 0
            for index in 0..<size { length = length &<< 8 | Int(buffer[content &+ index]) }
            content &+= size
            guard length > 55 else { throw .notCanonical }
        }
        guard length <= limit &- content else { throw .truncated }
        if !isList && length == 1 && short == 1 && buffer[content] < 0x80 { throw .notCanonical }
        self.init(isList: isList, start: offset, contentStart: content, end: content &+ length)
    }
}

/// Reads the items of one list (or of a plain run of items) in order, without copying the buffer.
public struct RLPReader: Sendable {
    private let storage: [UInt8]
    private var position: Int
    private let limit: Int

    /// Reads the items in all of `bytes`.
    public init(_ bytes: [UInt8]) {
        self.init(storage: bytes, position: 0, limit: bytes.count)
    }

    private init(storage: [UInt8], position: Int, limit: Int) {
        self.storage = storage
        self.position = position
        self.limit = limit
    }

    /// The content of the single list that `bytes` must be.
    public static func list(_ bytes: [UInt8]) throws(RLPError) -> RLPReader {
        var outer = RLPReader(bytes)
        let inner = try outer.nextList()
        try outer.finish()
        return inner
    }

    /// Whether every item was read.
    public var isAtEnd: Bool { position == limit }

    /// Throws unless every item was read.
    public func finish() throws(RLPError) {
        guard isAtEnd else { throw .trailingBytes }
    }

    /// Whether the next item is a list.
    public func nextIsList() throws(RLPError) -> Bool { try item().isList }

    private func item() throws(RLPError) -> RLPItem {
        let result = storage.withUnsafeBytes { buffer -> Result<RLPItem, RLPError> in
            do throws(RLPError) {
                return .success(try RLPItem(in: buffer, at: position, limit: limit))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The content of the next item, a string.
    public mutating func nextBytes() throws(RLPError) -> [UInt8] {
        let next = try item()
        guard !next.isList else { throw .expectedString }
        position = next.end
        return Array(storage[next.contentStart..<next.end])
    }

    /// The content of the next item, a string of `count` bytes.
    public mutating func nextBytes(count: Int) throws(RLPError) -> [UInt8] {
        let bytes = try nextBytes()
        guard bytes.count == count else { throw .wrongSize }
        return bytes
    }

    /// A string of 32 bytes.
    public mutating func nextBytes32() throws(RLPError) -> Bytes32 {
        guard let value = Bytes32(try nextBytes()) else { throw .wrongSize }
        return value
    }

    /// An integer of at most 8 bytes without leading zeros.
    public mutating func nextUInt64() throws(RLPError) -> UInt64 {
        let bytes = try nextInteger(limit: 8)
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// An integer of at most 32 bytes without leading zeros.
    public mutating func nextUInt256() throws(RLPError) -> UInt256 {
        guard let value = UInt256(bigEndian: try nextInteger(limit: 32)) else { throw .integerTooLarge }
        return value
    }

    private mutating func nextInteger(limit: Int) throws(RLPError) -> [UInt8] {
        let bytes = try nextBytes()
        guard bytes.first != 0 else { throw .leadingZeros }
        guard bytes.count <= limit else { throw .integerTooLarge }
        return bytes
    }

    /// A reader of the next item's items; that item must be a list.
    public mutating func nextList() throws(RLPError) -> RLPReader {
        let next = try item()
        guard next.isList else { throw .expectedList }
        position = next.end
        return RLPReader(storage: storage, position: next.contentStart, limit: next.end)
    }

    /// The next item whole, its header included, whatever it is.
    public mutating func nextRaw() throws(RLPError) -> [UInt8] {
        let next = try item()
        position = next.end
        return Array(storage[next.start..<next.end])
    }
}

/// Appends items to a buffer.
public struct RLPWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// A string.
    public mutating func append(_ string: some Collection<UInt8>) {
        if string.count == 1, let byte = string.first, byte < 0x80 {
            bytes.append(byte)
        } else {
            appendHeader(length: string.count, short: 0x80)
            bytes.append(contentsOf: string)
        }
    }

    /// A string of 32 bytes.
    public mutating func append(_ value: Bytes32) { append(value.bytes) }

    /// An integer, big endian without leading zeros.
    public mutating func append(_ value: UInt64) {
        withUnsafeBytes(of: value.bigEndian) { append($0[(value.leadingZeroBitCount / 8)...]) }
    }

    /// An integer, big endian without leading zeros.
    public mutating func append(_ value: UInt256) { append(value.minimalBytes) }

    /// An item already encoded.
    public mutating func append(raw item: some Collection<UInt8>) { bytes.append(contentsOf: item) }

    /// A list of what `body` appends.
    public mutating func appendList(_ body: (inout RLPWriter) throws -> Void) rethrows {
        var inner = RLPWriter()
        try body(&inner)
        appendHeader(length: inner.bytes.count, short: 0xc0)
        bytes.append(contentsOf: inner.bytes)
    }

    /// The encoding of one integer: what the storage trie has of a slot.
    public static func integer(_ value: UInt256) -> [UInt8] {
        var writer = RLPWriter()
        writer.append(value)
        return writer.bytes
    }

    /// The encoding of one list.
    public static func list(_ body: (inout RLPWriter) throws -> Void) rethrows -> [UInt8] {
        var writer = RLPWriter()
        try writer.appendList(body)
        return writer.bytes
    }

    /// The header of a list whose items take so many bytes: for lists too long to be made in memory.
    public static func listHeader(contentBytes: Int) -> [UInt8] {
        var writer = RLPWriter()
        writer.appendHeader(length: contentBytes, short: 0xc0)
        return writer.bytes
    }

    private mutating func appendHeader(length: Int, short: UInt8) {
        if length <= 55 {
            bytes.append(short + UInt8(length))
        } else {
            let zeros = UInt64(length).leadingZeroBitCount / 8
            bytes.append(short + 55 + UInt8(8 - zeros))
            withUnsafeBytes(of: UInt64(length).bigEndian) { bytes.append(contentsOf: $0[zeros...]) }
        }
    }
}

/// A whole item as a tree, for tools and tests; protocols read with `RLPReader`.
public indirect enum RLPValue: Hashable, Sendable {
    case string([UInt8])
    case list([RLPValue])

    /// Lists deeper than this are refused, so that reading needs bounded stack.
    public static let depthLimit = 1_024

    /// Reads exactly one item.
    public init(decoding bytes: [UInt8]) throws(RLPError) {
        var reader = RLPReader(bytes)
        self = try RLPValue(&reader, depth: 0)
        try reader.finish()
    }

    private init(_ reader: inout RLPReader, depth: Int) throws(RLPError) {
        guard depth < RLPValue.depthLimit else { throw .nestedTooDeep }
        guard try reader.nextIsList() else {
            self = .string(try reader.nextBytes())
            return
        }
        var inner = try reader.nextList()
        var items: [RLPValue] = []
        while !inner.isAtEnd { items.append(try RLPValue(&inner, depth: depth + 1)) }
        self = .list(items)
    }

    /// Appends the whole item.
    public func append(to writer: inout RLPWriter) {
        switch self {
        case .string(let bytes): writer.append(bytes)
        case .list(let items): writer.appendList { inner in for item in items { item.append(to: &inner) } }
        }
    }

    /// The one encoding of the item.
    public var encoded: [UInt8] {
        var writer = RLPWriter()
        append(to: &writer)
        return writer.bytes
    }
}
