import Chain
import Primitives

/// Which headers of a peer's line are wanted (content 0x50).
///
/// Encoding: 0x50, then the SSZ container (start: Union[uint64, Bytes32], count: uint16, stride: uint16, direction:
/// uint8).
public struct HeadersKey: Hashable, Sendable {
    /// The first header wanted.
    public enum Start: Hashable, Sendable {
        case number(UInt64)
        case hash(Bytes32)
    }

    /// Where the following ones lie.
    public enum Direction: UInt8, Sendable {
        case upward = 0
        case downward = 1
    }

    public let start: Start
    /// 1…`ChainNetworkLimits.headersPerRequest`.
    public let count: UInt16
    /// Blocks from one to the next. 0 doubles: the start, then those 1, 2, 4, 8 … blocks from the start.
    public let stride: UInt16
    public let direction: Direction

    /// nil for a count that no request may have.
    public init?(start: Start, count: Int, stride: UInt16 = 1, direction: Direction = .upward) {
        guard (1...ChainNetworkLimits.headersPerRequest).contains(count) else { return nil }
        self.start = start
        self.count = UInt16(count)
        self.stride = stride
        self.direction = direction
    }

    static let schema = SSZType.container([
        ("start", .union([.uint64, .bytes32])), ("count", .uint16), ("stride", .uint16), ("direction", .uint8),
    ])

    /// The heights asked for, given that of the first; ends where there are no such heights.
    func numbers(from first: UInt64) -> [UInt64] {
        var numbers: [UInt64] = []
        for index in 0..<UInt64(count) {
            let distance: (partialValue: UInt64, overflow: Bool) =
                stride > 0
                ? index.multipliedReportingOverflow(by: UInt64(stride))
                : index > 64 ? (0, true) : (index == 0 ? 0 : 1 << (index - 1), false)
            guard !distance.overflow else { break }
            let number =
                direction == .upward
                ? first.addingReportingOverflow(distance.partialValue)
                : first.subtractingReportingOverflow(distance.partialValue)
            guard !number.overflow else { break }
            numbers.append(number.partialValue)
        }
        return numbers
    }
}

/// A key of the chain network's content.
public enum ChainContentKey: Hashable, Sendable {
    /// 0x50.
    case headers(HeadersKey)
    /// 0x51.
    case blocks(BlocksKey)
    /// 0x52: 0x52, then number (uint64) and hash of the block.
    case newBlock(StatePoint)

    private static let headersSelector: UInt8 = 0x50
    private static let newBlockSelector: UInt8 = 0x52
    private static let newBlockSchema = SSZType.container([("number", .uint64), ("hash", .bytes32)])

    /// Reads exactly one key.
    public init(decoding bytes: [UInt8]) throws(ChainNetworkError) {
        guard let selector = bytes.first else { throw .malformedKey }
        let body = Array(bytes.dropFirst())
        do throws(SSZError) {
            switch selector {
            case ChainContentKey.headersSelector: self = .headers(try ChainContentKey.headersKey(body))
            case BlocksKey.selector: self = .blocks(try BlocksKey(decoding: body))
            case ChainContentKey.newBlockSelector:
                let fields = try SSZ.decode(body, as: ChainContentKey.newBlockSchema).fields
                self = .newBlock(StatePoint(number: try fields[0].uint64, hash: try fields[1].bytes32))
            default: throw .unknownSelector
            }
        } catch {
            throw .malformedKey
        }
    }

    private static func headersKey(_ body: [UInt8]) throws(SSZError) -> HeadersKey {
        let fields = try SSZ.decode(body, as: HeadersKey.schema).fields
        guard case .union(let selector, let value?) = fields[0] else { throw .wrongShape }
        let start: HeadersKey.Start = selector == 0 ? .number(try value.uint64) : .hash(try value.bytes32)
        guard let direction = HeadersKey.Direction(rawValue: UInt8(truncatingIfNeeded: try fields[3].uint64)),
            let key = HeadersKey(
                start: start, count: Int(try fields[1].uint64),
                stride: UInt16(truncatingIfNeeded: try fields[2].uint64), direction: direction)
        else { throw .overLimit }
        return key
    }

    /// The encoding that `init(decoding:)` reads.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .headers(let key):
            writer.append(uint8: ChainContentKey.headersSelector)
            // The union is the only part of variable size: its offset is the size of the fixed part.
            writer.append(littleEndian: UInt32(9))
            writer.append(littleEndian: key.count)
            writer.append(littleEndian: key.stride)
            writer.append(uint8: key.direction.rawValue)
            switch key.start {
            case .number(let number):
                writer.append(uint8: 0)
                writer.append(littleEndian: number)
            case .hash(let hash):
                writer.append(uint8: 1)
                writer.append(hash)
            }
        case .blocks(let key):
            writer.append(uint8: BlocksKey.selector)
            key.append(to: &writer)
        case .newBlock(let point):
            writer.append(uint8: ChainContentKey.newBlockSelector)
            writer.append(littleEndian: point.number)
            writer.append(point.hash)
        }
        return writer.bytes
    }
}
