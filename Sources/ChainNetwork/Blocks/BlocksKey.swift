import Chain
import Primitives

/// Which blocks are wanted (content 0x51).
///
/// Encoding: 0x51, then the SSZ union [Container(start: Bytes32, count: uint16, direction: uint8), List[Bytes32, 20]].
public enum BlocksKey: Hashable, Sendable {
    /// The block of a hash, and those that follow it on its line.
    case run(BlockRun)
    /// The blocks of these hashes, wherever they stand: 1…`ChainNetworkLimits.hashesPerRequest`, none twice.
    case hashes([Bytes32])

    /// A key for single blocks; nil for a number of hashes that no request may have, or one that is there twice.
    public init?(of hashes: [Bytes32]) {
        guard (1...ChainNetworkLimits.hashesPerRequest).contains(hashes.count), Set(hashes).count == hashes.count
        else { return nil }
        self = .hashes(hashes)
    }

    /// The first byte of such a key.
    public static let selector: UInt8 = 0x51
    private static let schema = SSZType.union([
        .container([("start", .bytes32), ("count", .uint16), ("direction", .uint8)]),
        .list(.bytes32, limit: ChainNetworkLimits.hashesPerRequest),
    ])

    /// Reads what follows the selector.
    init(decoding body: [UInt8]) throws(SSZError) {
        let (option, value) = try SSZ.decode(body, as: BlocksKey.schema).union
        guard let value else { throw .wrongShape }
        if option == 0 {
            let fields = try value.fields
            guard
                let direction = HeadersKey.Direction(rawValue: UInt8(truncatingIfNeeded: try fields[2].uint64)),
                let run = BlockRun(
                    start: try fields[0].bytes32, count: Int(try fields[1].uint64), direction: direction)
            else { throw .overLimit }
            self = .run(run)
        } else {
            var hashes: [Bytes32] = []
            for element in try value.elements { hashes.append(try element.bytes32) }
            guard let key = BlocksKey(of: hashes) else { throw .overLimit }
            self = key
        }
    }

    func append(to writer: inout ByteWriter) {
        switch self {
        case .run(let run):
            writer.append(uint8: 0)
            writer.append(run.start)
            writer.append(littleEndian: run.count)
            writer.append(uint8: run.direction.rawValue)
        case .hashes(let hashes):
            writer.append(uint8: 1)
            for hash in hashes { writer.append(hash) }
        }
    }
}

/// Blocks that follow each other on the attested line.
public struct BlockRun: Hashable, Sendable {
    /// Hash of the first one.
    public let start: Bytes32
    /// 1…`ChainNetworkLimits.blocksPerRequest`.
    public let count: UInt16
    public let direction: HeadersKey.Direction

    /// nil for a count that no request may have.
    public init?(start: Bytes32, count: Int, direction: HeadersKey.Direction = .upward) {
        guard (1...ChainNetworkLimits.blocksPerRequest).contains(count) else { return nil }
        self.start = start
        self.count = UInt16(count)
        self.direction = direction
    }

    /// The number after one of the run; nil where there is none.
    func number(after number: UInt64) -> UInt64? {
        switch direction {
        case .upward: number < ChainLimits.blockNumber ? number + 1 : nil
        case .downward: number > 0 ? number - 1 : nil
        }
    }
}
