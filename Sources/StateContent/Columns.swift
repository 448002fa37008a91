import Primitives

/// Values of different lengths, one after the other in a single buffer.
struct ByteColumn: Hashable, Sendable {
    private(set) var bytes: [UInt8] = []
    /// Where each value ends.
    private(set) var ends: [Int] = []

    init() {}

    var count: Int { ends.count }

    func range(at index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1])..<ends[index] }

    func value(at index: Int) -> [UInt8] { Array(bytes[range(at: index)]) }

    mutating func append(_ value: some Collection<UInt8>) {
        bytes.append(contentsOf: value)
        ends.append(bytes.count)
    }

    /// Adds the values of another column, without as many of its first ones.
    mutating func append(_ other: ByteColumn, without dropped: Int = 0) {
        let skipped = dropped == 0 ? 0 : other.ends[dropped - 1]
        let start = bytes.count - skipped
        ends.append(contentsOf: other.ends.dropFirst(dropped).lazy.map { start + $0 })
        bytes += other.bytes[skipped...]
    }

    mutating func removeLast() {
        ends.removeLast()
        bytes.removeLast(bytes.count - (ends.last ?? 0))
    }

    /// Splits a run of RLP items, which needs no lengths beside it. The items are `count` in number, each at most
    /// `limit` bytes; `check` says whether an item may stand here.
    init(
        items buffer: [UInt8], in range: Range<Int>, count: Int, limit: Int,
        check: (RLPItem, UnsafeRawBufferPointer) -> Bool
    ) throws(SSZError) {
        // An item has at least one byte: a count above what is there ends here, before anything is reserved for it.
        guard count <= range.count else { throw .wrongSize }
        bytes = Array(buffer[range])
        ends.reserveCapacity(count)
        let fits = bytes.withUnsafeBytes { raw -> Bool in
            var offset = 0
            for _ in 0..<count {
                guard let item = try? RLPItem(in: raw, at: offset, limit: raw.count),
                    item.end - item.start <= limit, check(item, raw)
                else { return false }
                offset = item.end
                ends.append(offset)
            }
            return offset == raw.count
        }
        guard fits else { throw .wrongShape }
    }
}

/// Reads SSZ containers whose fields are columns, in place: what `SSZ.decode` would read value by value into a tree is
/// taken here as whole arrays. Tests hold both equal.
struct ColumnReader {
    let bytes: [UInt8]

    /// Splits a container of `fixed` bytes in place and then `count` fields of variable size.
    func container(_ range: Range<Int>, fixed: Int, count: Int) throws(SSZError) -> [Range<Int>] {
        let table = range.lowerBound + fixed
        guard range.count >= fixed + 4 * count else { throw .wrongSize }
        var starts: [Int] = []
        for index in 0..<count {
            let offset = Int(uint32(at: table + 4 * index))
            guard offset <= range.count, offset >= (starts.last ?? 0) else { throw .badOffset }
            starts.append(offset)
        }
        guard starts.first == fixed + 4 * count else { throw .badOffset }
        return starts.indices.map { index in
            let end = index + 1 < count ? starts[index + 1] : range.count
            return (range.lowerBound + starts[index])..<(range.lowerBound + end)
        }
    }

    /// A list of 32-byte values.
    func hashes(_ range: Range<Int>, limit: Int) throws(SSZError) -> [Bytes32] {
        guard range.count.isMultiple(of: 32) else { throw .wrongSize }
        guard range.count / 32 <= limit else { throw .overLimit }
        return bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return [] }
            return stride(from: range.lowerBound, to: range.upperBound, by: 32).map { Bytes32(loading: base + $0) }
        }
    }

    /// A list of u32.
    func counts(_ range: Range<Int>, limit: Int) throws(SSZError) -> [Int] {
        guard range.count.isMultiple(of: 4) else { throw .wrongSize }
        guard range.count / 4 <= limit else { throw .overLimit }
        return stride(from: range.lowerBound, to: range.upperBound, by: 4).map { Int(uint32(at: $0)) }
    }

    /// A list of variable-size items, given by their places.
    func items(_ range: Range<Int>, limit: Int) throws(SSZError) -> [Range<Int>] {
        if range.isEmpty { return [] }
        guard range.count >= 4 else { throw .wrongSize }
        let first = Int(uint32(at: range.lowerBound))
        guard first > 0, first.isMultiple(of: 4), first <= range.count else { throw .badOffset }
        guard first / 4 <= limit else { throw .overLimit }
        return try container(range, fixed: 0, count: first / 4)
    }

    /// A list of byte lists, such as proof nodes.
    func byteLists(_ range: Range<Int>, limit: Int, itemLimit: Int) throws(SSZError) -> [[UInt8]] {
        let places = try items(range, limit: limit)
        guard places.allSatisfy({ $0.count <= itemLimit }) else { throw .overLimit }
        return places.map { Array(bytes[$0]) }
    }

    func bytes32(at offset: Int) -> Bytes32 { Bytes32(bytes[offset..<(offset + 32)]) ?? .zero }

    private func uint32(at offset: Int) -> UInt32 {
        bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    }
}

/// Writes what `ColumnReader` reads.
enum ColumnWriter {
    /// A field of a container, encoded.
    enum Field {
        /// Of a type whose values all have one size: it stands in place.
        case inPlace([UInt8])
        /// Of any other type: an offset stands in its place.
        case variable([UInt8])
    }

    /// A container.
    static func container(_ fields: [Field]) -> [UInt8] {
        var (offset, size) = (0, 0)
        for field in fields {
            switch field {
            case .inPlace(let content): offset += content.count
            case .variable(let content):
                offset += 4
                size += content.count
            }
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(offset + size)
        for field in fields {
            switch field {
            case .inPlace(let content): bytes.append(contentsOf: content)
            case .variable(let content):
                append(UInt32(truncatingIfNeeded: offset), to: &bytes)
                offset += content.count
            }
        }
        for case .variable(let content) in fields { bytes.append(contentsOf: content) }
        return bytes
    }

    /// A container of bytes in place and then fields of variable size.
    static func container(fixed: [UInt8] = [], _ fields: [[UInt8]]) -> [UInt8] {
        container([.inPlace(fixed)] + fields.map { .variable($0) })
    }

    /// An integer of fixed size.
    static func integer(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// A list of variable-size items: a container without a fixed part.
    static func items(_ items: [[UInt8]]) -> [UInt8] { container(items) }

    static func hashes(_ hashes: [Bytes32]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32 * hashes.count) { buffer, count in
            if let base = UnsafeMutableRawPointer(buffer.baseAddress) {
                for (index, hash) in hashes.enumerated() { hash.store(to: base + 32 * index) }
            }
            count = 32 * hashes.count
        }
    }

    static func counts(_ counts: [Int]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * counts.count)
        for count in counts { append(UInt32(truncatingIfNeeded: count), to: &bytes) }
        return bytes
    }

    private static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
