import Chain
import Primitives

/// The answer to a request for blocks (content 0x51).
///
/// Encoding: status byte, then: 0, List[Container(header: ByteList[4096], body: ByteList[16 MiB], access_list:
/// ByteList[32 MiB]), 1000]; 1, lowest and highest block that is kept (uint64 each); 2, seconds to wait (uint16).
public enum BlocksValue: Hashable, Sendable {
    /// At least one, in the order asked for. Nothing of them has been checked but their sizes.
    case blocks([BlockBytes])
    /// The peer does not have the first block asked for; it keeps these heights (none where lowest > highest).
    case notServed(lowest: UInt64, highest: UInt64)
    /// The peer asks to come back after so many seconds.
    case busy(seconds: UInt16)

    private static let list = SSZType.list(
        .container([
            ("header", .byteList(ChainLimits.headerBytes)), ("body", .byteList(ChainLimits.blockBytes)),
            ("access_list", .byteList(ChainLimits.accessListBytes)),
        ]), limit: ChainNetworkLimits.blocksPerRequest)

    /// Reads a value. What is in a block is for `BlockCheck` to see.
    public init(decoding bytes: [UInt8]) throws(ChainNetworkError) {
        let body = Array(bytes.dropFirst())
        switch bytes.first {
        case 0:
            let blocks = try reading { () throws(SSZError) -> [BlockBytes] in
                var blocks: [BlockBytes] = []
                for item in try SSZ.decode(body, as: BlocksValue.list).elements {
                    let fields = try item.fields
                    blocks.append(
                        BlockBytes(
                            header: try fields[0].bytes, body: try fields[1].bytes, accessList: try fields[2].bytes))
                }
                return blocks
            }
            guard !blocks.isEmpty else { throw .notWhatWasAsked }
            self = .blocks(blocks)
        case 1:
            let (lowest, highest) = try HeadersValue.readHeights(body)
            self = .notServed(lowest: lowest, highest: highest)
        case 2: self = .busy(seconds: try HeadersValue.readSeconds(body))
        default: throw .unknownStatus(bytes.first)
        }
    }

    /// The encoding that `init(decoding:)` reads.
    public var encoded: [UInt8] {
        switch self {
        case .blocks(let blocks): BlocksValue.encode(blocks)
        case .notServed(let lowest, let highest): HeadersValue.notServed(lowest: lowest, highest: highest).encoded()
        case .busy(let seconds): HeadersValue.busy(seconds: seconds).encoded()
        }
    }

    /// Bytes that a block adds to a value: its offset in the list, its three offsets, and what they lead to.
    static func byteCount(of block: BlockBytes) -> Int { 16 + block.count }

    private static func encode(_ blocks: [BlockBytes]) -> [UInt8] {
        var writer = ByteWriter(capacity: blocks.reduce(1) { $0 + byteCount(of: $1) })
        writer.append(uint8: 0)
        var offset = 4 * blocks.count
        for block in blocks {
            writer.append(littleEndian: UInt32(offset))
            offset += 12 + block.count
        }
        for block in blocks {
            writer.append(littleEndian: UInt32(12))
            writer.append(littleEndian: UInt32(12 + block.header.count))
            writer.append(littleEndian: UInt32(12 + block.header.count + block.body.count))
            writer.append(block.header)
            writer.append(block.body)
            writer.append(block.accessList)
        }
        return writer.bytes
    }
}
