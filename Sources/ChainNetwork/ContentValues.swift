import Chain
import Primitives

/// The answer to a request for headers (content 0x50).
///
/// Encoding: status byte, then: 0, List[Container(header: ByteList[4096], certificate: ByteList[18560]), 1000], an
/// empty certificate standing for none; 1, lowest and highest block served (uint64 each); 2, seconds to wait (uint16).
public enum HeadersValue: Hashable, Sendable {
    /// At least one, in the order asked for.
    case headers([CertifiedHeader])
    /// The peer does not have the first header asked for; it serves these heights (none where lowest > highest).
    case notServed(lowest: UInt64, highest: UInt64)
    /// The peer asks to come back after so many seconds.
    case busy(seconds: UInt16)

    static let item = SSZType.container([
        ("header", .byteList(ChainLimits.headerBytes)),
        ("certificate", .byteList(ChainNetworkLimits.certificateBytes)),
    ])
    private static let list = SSZType.list(item, limit: ChainNetworkLimits.headersPerRequest)
    static let heights = SSZType.container([("lowest", .uint64), ("highest", .uint64)])

    /// Reads a value; headers and certificates are read too, signatures are not checked.
    public init(decoding bytes: [UInt8]) throws(ChainNetworkError) {
        let body = Array(bytes.dropFirst())
        switch bytes.first {
        case 0:
            let items = try reading { () throws(SSZError) in try SSZ.decode(body, as: HeadersValue.list).elements }
            guard !items.isEmpty else { throw .notWhatWasAsked }
            var entries: [CertifiedHeader] = []
            for item in items { entries.append(try CertifiedHeader(item)) }
            self = .headers(entries)
        case 1:
            let (lowest, highest) = try HeadersValue.readHeights(body)
            self = .notServed(lowest: lowest, highest: highest)
        case 2: self = .busy(seconds: try HeadersValue.readSeconds(body))
        default: throw .unknownStatus(bytes.first)
        }
    }

    /// What follows a status of 1, in every value of this network.
    static func readHeights(_ body: [UInt8]) throws(ChainNetworkError) -> (lowest: UInt64, highest: UInt64) {
        try reading { () throws(SSZError) in
            let fields = try SSZ.decode(body, as: HeadersValue.heights).fields
            return (try fields[0].uint64, try fields[1].uint64)
        }
    }

    /// What follows a status of 2, in every value of this network.
    static func readSeconds(_ body: [UInt8]) throws(ChainNetworkError) -> UInt16 {
        UInt16(
            truncatingIfNeeded: try reading { () throws(SSZError) in try SSZ.decode(body, as: .uint16).uint64 })
    }

    /// The encoding that `init(decoding:)` reads. Headers beyond `byteLimit` bytes are left out, but for the first.
    public func encoded(byteLimit: Int = ChainNetworkLimits.answerBytes) -> [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .headers(let entries):
            return HeadersValue.encode(entries.map { Item($0) }, byteLimit: byteLimit)
        case .notServed(let lowest, let highest):
            writer.append(uint8: 1)
            writer.append(littleEndian: lowest)
            writer.append(littleEndian: highest)
        case .busy(let seconds):
            writer.append(uint8: 2)
            writer.append(littleEndian: seconds)
        }
        return writer.bytes
    }
}

extension HeadersValue {
    /// A header and its certificate as they are encoded; no bytes stand for no certificate.
    struct Item {
        let header, certificate: [UInt8]

        init(header: [UInt8], certificate: [UInt8]) {
            self.header = header
            self.certificate = certificate
        }

        init(_ entry: CertifiedHeader) {
            self.init(header: entry.header.rlp, certificate: entry.certificate?.encoded ?? [])
        }

        /// The container: two offsets, then header and certificate.
        var encoded: [UInt8] {
            var writer = ByteWriter(capacity: byteCount)
            writer.append(littleEndian: UInt32(8))
            writer.append(littleEndian: UInt32(8 + header.count))
            writer.append(header)
            writer.append(certificate)
            return writer.bytes
        }

        var byteCount: Int { 8 + header.count + certificate.count }
    }

    /// A value of status 0. Items beyond `byteLimit` bytes are left out, but for the first.
    static func encode(_ items: [Item], byteLimit: Int) -> [UInt8] {
        var size = 1
        var count = 0
        for item in items.prefix(ChainNetworkLimits.headersPerRequest) {
            size += 4 + item.byteCount
            if size > byteLimit, count > 0 { break }
            count += 1
        }
        var writer = ByteWriter(capacity: min(size, byteLimit))
        writer.append(uint8: 0)
        var offset = 4 * count
        for item in items.prefix(count) {
            writer.append(littleEndian: UInt32(offset))
            offset += item.byteCount
        }
        for item in items.prefix(count) { writer.append(item.encoded) }
        return writer.bytes
    }
}

/// A new block as it is pushed (content 0x52): status byte 0, then Container(header, certificate) as in a list of
/// headers.
public enum NewBlockValue {
    /// Reads a value and checks that it is the block its key names.
    public static func decode(_ bytes: [UInt8], point: StatePoint) throws(ChainNetworkError) -> CertifiedHeader {
        guard bytes.first == 0 else { throw .unknownStatus(bytes.first) }
        let value = try reading { () throws(SSZError) in
            try SSZ.decode(bytes.dropFirst(), as: HeadersValue.item)
        }
        let entry = try CertifiedHeader(value)
        guard entry.point == point else { throw .notWhatWasAsked }
        return entry
    }

    /// The encoding that `decode` reads.
    public static func encode(_ entry: CertifiedHeader) -> [UInt8] { [0] + HeadersValue.Item(entry).encoded }
}

extension CertifiedHeader {
    /// Reads the container's fields.
    fileprivate init(_ value: SSZValue) throws(ChainNetworkError) {
        let parts = try reading { () throws(SSZError) in
            let fields = try value.fields
            return (try fields[0].bytes, try fields[1].bytes)
        }
        do throws(ChainError) {
            let header = try BlockHeader(rlp: parts.0)
            self.init(header: header, certificate: parts.1.isEmpty ? nil : try Certificate(decoding: parts.1))
        } catch {
            throw .invalid(error)
        }
    }
}

/// What a node says of its chain in PING and PONG (payload type 10102).
///
/// Encoding: Container(genesis_hash: Bytes32, lowest: uint64, highest: uint64, head_hash: Bytes32, certified: uint64).
public struct ChainPingPayload: Hashable, Sendable {
    /// The ping extension's number.
    public static let extensionType: UInt16 = 10_102

    public let genesisHash: Bytes32
    /// Lowest and highest block whose header is served; none where lowest > highest.
    public let lowest, highest: UInt64
    /// Hash of the attested head.
    public let headHash: Bytes32
    /// Number of the attested head: the served certificates prove it.
    public let certified: UInt64

    public init(genesisHash: Bytes32, lowest: UInt64, highest: UInt64, headHash: Bytes32, certified: UInt64) {
        self.genesisHash = genesisHash
        self.lowest = lowest
        self.highest = highest
        self.headHash = headHash
        self.certified = certified
    }

    private static let schema = SSZType.container([
        ("genesis_hash", .bytes32), ("lowest", .uint64), ("highest", .uint64), ("head_hash", .bytes32),
        ("certified", .uint64),
    ])

    /// Reads exactly one payload.
    public init(decoding bytes: [UInt8]) throws(ChainNetworkError) {
        self = try reading { () throws(SSZError) in
            let fields = try SSZ.decode(bytes, as: ChainPingPayload.schema).fields
            return ChainPingPayload(
                genesisHash: try fields[0].bytes32, lowest: try fields[1].uint64, highest: try fields[2].uint64,
                headHash: try fields[3].bytes32, certified: try fields[4].uint64)
        }
    }

    /// The encoding that `init(decoding:)` reads: 88 bytes.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 88)
        writer.append(genesisHash)
        writer.append(littleEndian: lowest)
        writer.append(littleEndian: highest)
        writer.append(headHash)
        writer.append(littleEndian: certified)
        return writer.bytes
    }
}

/// Reads something in SSZ; what is wrong with it is the peer's fault.
func reading<Value>(_ body: () throws(SSZError) -> Value) throws(ChainNetworkError) -> Value {
    do throws(SSZError) {
        return try body()
    } catch {
        throw .malformedValue(error)
    }
}
