import Primitives

/// Writes the fixed-size fields of SSZ (little endian) and its lists of byte strings.
struct SSZWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ more: [UInt8]) { bytes.append(contentsOf: more) }

    /// A list of variable-size items: an offset for each, then their bytes.
    mutating func append(list items: [[UInt8]]) {
        var offset = 4 * items.count
        for item in items {
            append(UInt32(truncatingIfNeeded: offset))
            offset += item.count
        }
        for item in items { append(item) }
    }
}

/// Reads the same, strictly: every byte has one place, every list its limit.
struct SSZSlice {
    private let bytes: [UInt8]
    private var position: Int

    init(_ bytes: [UInt8], from start: Int = 0) {
        self.bytes = bytes
        position = start
    }

    var isAtEnd: Bool { position == bytes.count }
    private var left: Int { bytes.count - position }

    private mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(PortalMessageError) -> T {
        let size = T.bitWidth / 8
        guard left >= size else { throw .wrongSize }
        var value: T = 0
        for index in (0..<size).reversed() { value = value << 8 | T(truncatingIfNeeded: bytes[position + index]) }
        position += size
        return value
    }

    mutating func uint8() throws(PortalMessageError) -> UInt8 {
        guard left >= 1 else { throw .wrongSize }
        position += 1
        return bytes[position - 1]
    }

    mutating func uint16() throws(PortalMessageError) -> UInt16 { try integer(UInt16.self) }
    mutating func uint64() throws(PortalMessageError) -> UInt64 { try integer(UInt64.self) }

    /// Two bytes as they stand: high, low.
    mutating func connectionID() throws(PortalMessageError) -> UInt16 {
        UInt16(try uint8()) << 8 | UInt16(try uint8())
    }

    mutating func uint256() throws(PortalMessageError) -> UInt256 {
        guard left >= 32, let value = UInt256(littleEndian: bytes[position..<position + 32]) else { throw .wrongSize }
        position += 32
        return value
    }

    /// An offset that must be `expected`.
    mutating func offset(_ expected: UInt32) throws(PortalMessageError) {
        guard try integer(UInt32.self) == expected else { throw .badOffset }
    }

    /// An offset with variable-size data before and after what it points to: returned, checked against the end only.
    mutating func offset(atLeast least: Int, base: Int) throws(PortalMessageError) -> Int {
        let value = Int(try integer(UInt32.self))
        guard value >= least, value <= bytes.count - base else { throw .badOffset }
        return value
    }

    /// All bytes up to the end.
    mutating func rest(limit: Int) throws(PortalMessageError) -> [UInt8] {
        try take(left, limit: limit)
    }

    /// `count` bytes.
    mutating func take(_ count: Int, limit: Int) throws(PortalMessageError) -> [UInt8] {
        guard count <= limit else { throw .overLimit }
        guard count >= 0, count <= left else { throw .wrongSize }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// All that is left, as 16-bit numbers.
    mutating func uint16List(limit: Int) throws(PortalMessageError) -> [UInt16] {
        guard left % 2 == 0 else { throw .wrongSize }
        guard left / 2 <= limit else { throw .overLimit }
        var values: [UInt16] = []
        while !isAtEnd { values.append(try uint16()) }
        return values
    }

    mutating func recordList() throws(PortalMessageError) -> [[UInt8]] {
        try byteLists(limit: OverlayLimits.records, elementLimit: OverlayLimits.recordBytes)
    }

    /// All that is left, as a list of byte strings.
    mutating func byteLists(limit: Int, elementLimit: Int) throws(PortalMessageError) -> [[UInt8]] {
        guard !isAtEnd else { return [] }
        let base = position
        let first = Int(try integer(UInt32.self))
        guard first % 4 == 0, first >= 4, first <= bytes.count - base else { throw .badOffset }
        guard first / 4 <= limit else { throw .overLimit }
        var offsets = [first]
        for _ in 1..<max(first / 4, 1) {
            let next = Int(try integer(UInt32.self))
            guard let previous = offsets.last, next >= previous, next <= bytes.count - base else { throw .badOffset }
            offsets.append(next)
        }
        offsets.append(bytes.count - base)
        var items: [[UInt8]] = []
        for (start, end) in zip(offsets, offsets.dropFirst()) {
            guard end - start <= elementLimit else { throw .overLimit }
            items.append(Array(bytes[base + start..<base + end]))
        }
        position = bytes.count
        return items
    }
}
