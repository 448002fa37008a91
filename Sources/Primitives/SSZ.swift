/// Simple serialize, schema-driven: a codec declares its `SSZType` once and maps `SSZValue`s to its own fields.
/// Source: the consensus specifications' simple-serialize page.
///
///     static let schema = SSZType.container([("total", .uint8), ("enrs", .list(.byteList(2048), limit: 32))])
///     let fields = try SSZ.decode(bytes, as: schema).fields
///     total = try fields[0].uint64
///
/// Fixed-size values stand in place; each variable-size one is an offset (u32, little endian, from the start of the
/// enclosing list or container) and its bytes follow behind the fixed part, in order and without gaps.
public enum SSZError: Error, Equatable, Sendable {
    /// The bytes are fewer or more than the type has.
    case wrongSize
    /// A boolean other than 0 and 1.
    case notBoolean
    /// An offset that is not exactly where the part before it ends, decreases, or lies outside.
    case badOffset
    /// More elements, bytes or bits than the type's limit.
    case overLimit
    /// A bitvector with bits beyond its length, or a bitlist without its end bit.
    case badBits
    /// A union selector that the type does not have.
    case unknownSelector
    /// A value that is not of the type (encoding), or asked for as something it is not.
    case wrongShape
}

/// A field of a container.
public struct SSZField: Hashable, Sendable {
    public let name: String
    public let type: SSZType

    public init(_ name: String, _ type: SSZType) {
        self.name = name
        self.type = type
    }
}

/// The shape of a value. Lengths of vectors are at least 1, containers have at least one field, unions at least one
/// option.
public indirect enum SSZType: Hashable, Sendable {
    /// An unsigned integer of 1, 2, 4, 8, 16 or 32 bytes.
    case uint(bytes: Int)
    case boolean
    /// Exactly this many bytes.
    case byteVector(Int)
    /// At most this many bytes.
    case byteList(Int)
    /// Exactly this many bits.
    case bitvector(Int)
    /// At most this many bits.
    case bitlist(Int)
    case vector(SSZType, Int)
    case list(SSZType, limit: Int)
    case container([SSZField])
    /// One of these after a selector byte; nil (None) may stand only first.
    case union([SSZType?])

    /// One byte.
    public static let uint8 = SSZType.uint(bytes: 1)
    /// Two bytes.
    public static let uint16 = SSZType.uint(bytes: 2)
    /// Four bytes.
    public static let uint32 = SSZType.uint(bytes: 4)
    /// Eight bytes.
    public static let uint64 = SSZType.uint(bytes: 8)
    /// Thirty-two bytes.
    public static let uint256 = SSZType.uint(bytes: 32)
    /// A hash or a key: exactly 32 bytes.
    public static let bytes32 = SSZType.byteVector(32)

    /// A container of fields in order.
    public static func container(_ fields: [(String, SSZType)]) -> SSZType {
        .container(fields.map { SSZField($0.0, $0.1) })
    }

    /// The size in bytes of every value of the type; nil where values differ in size. Saturates instead of overflowing.
    public var fixedSize: Int? {
        switch self {
        case .uint(let bytes): return bytes
        case .boolean: return 1
        case .byteVector(let count): return count
        case .bitvector(let count): return count / 8 + (count % 8 == 0 ? 0 : 1)
        case .vector(let element, let count):
            return element.fixedSize.map { size in
                let (product, overflow) = size.multipliedReportingOverflow(by: count)
                return overflow ? Int.max : product
            }
        case .container(let fields):
            var total = 0
            for field in fields {
                guard let size = field.type.fixedSize else { return nil }
                let (sum, overflow) = total.addingReportingOverflow(size)
                total = overflow ? Int.max : sum
            }
            return total
        case .byteList, .bitlist, .list, .union: return nil
        }
    }
}

/// A value, in the shape of its type.
public indirect enum SSZValue: Hashable, Sendable {
    /// Integers of every width.
    case uint(UInt256)
    case boolean(Bool)
    /// Byte vectors and byte lists.
    case bytes([UInt8])
    /// Bitvectors and bitlists.
    case bits([Bool])
    /// Vectors and lists.
    case elements([SSZValue])
    /// Containers: the fields in order.
    case fields([SSZValue])
    /// Unions; nil stands for None.
    case union(selector: UInt8, SSZValue?)

    /// An integer of at most 64 bits.
    public static func integer(_ value: some FixedWidthInteger & UnsignedInteger) -> SSZValue {
        .uint(UInt256(UInt64(truncatingIfNeeded: value)))
    }

    /// A byte vector of 32.
    public static func bytes32(_ value: Bytes32) -> SSZValue { .bytes(value.bytes) }

    /// The integer; throws above 64 bits.
    public var uint64: UInt64 {
        get throws(SSZError) {
            guard case .uint(let value) = self, value <= UInt256(UInt64.max) else { throw .wrongShape }
            return value.big.word3
        }
    }

    /// The integer.
    public var uint256: UInt256 {
        get throws(SSZError) {
            guard case .uint(let value) = self else { throw .wrongShape }
            return value
        }
    }

    /// The boolean.
    public var boolean: Bool {
        get throws(SSZError) {
            guard case .boolean(let value) = self else { throw .wrongShape }
            return value
        }
    }

    /// The bytes of a byte vector or byte list.
    public var bytes: [UInt8] {
        get throws(SSZError) {
            guard case .bytes(let value) = self else { throw .wrongShape }
            return value
        }
    }

    /// The 32 bytes of a byte vector.
    public var bytes32: Bytes32 {
        get throws(SSZError) {
            guard case .bytes(let value) = self, let hash = Bytes32(value) else { throw .wrongShape }
            return hash
        }
    }

    /// The bits of a bitvector or bitlist.
    public var bits: [Bool] {
        get throws(SSZError) {
            guard case .bits(let value) = self else { throw .wrongShape }
            return value
        }
    }

    /// The elements of a vector or list.
    public var elements: [SSZValue] {
        get throws(SSZError) {
            guard case .elements(let value) = self else { throw .wrongShape }
            return value
        }
    }

    /// The fields of a container in order; there are as many as the type has.
    public var fields: [SSZValue] {
        get throws(SSZError) {
            guard case .fields(let value) = self else { throw .wrongShape }
            return value
        }
    }

    /// The option chosen and its value, nil for None.
    public var union: (selector: UInt8, value: SSZValue?) {
        get throws(SSZError) {
            guard case .union(let selector, let value) = self else { throw .wrongShape }
            return (selector, value)
        }
    }
}

/// The three things one does with a value and its type.
public enum SSZ {
    /// Reads exactly one value from all of `bytes`. Strict; counts are checked against the limits and against the bytes
    /// that are there before anything is allocated.
    public static func decode(_ bytes: some Collection<UInt8>, as type: SSZType) throws(SSZError) -> SSZValue {
        let decoder = SSZDecoder(bytes: Array(bytes))
        return try decoder.decode(type, 0..<decoder.bytes.count)
    }

    /// The one encoding of `value`.
    public static func encode(_ value: SSZValue, as type: SSZType) throws(SSZError) -> [UInt8] {
        var bytes: [UInt8] = []
        try SSZEncoder.append(value, type, to: &bytes)
        return bytes
    }

    /// The hash tree root of `value`.
    public static func root(_ value: SSZValue, as type: SSZType) throws(SSZError) -> Bytes32 {
        try SSZMerkle.root(value, type)
    }
}
