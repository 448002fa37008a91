import Primitives

/// Why bytes are not a message of the Portal wire.
public enum PortalMessageError: Error, Equatable, Sendable {
    /// No bytes.
    case empty
    /// A first byte that names no message.
    case unknownSelector(UInt8)
    /// The container does not decode.
    case container(SSZError)
}

/// What CONTENT carries.
public enum PortalContent: Hashable, Sendable {
    /// The content waits on a uTP stream that the asker opens with this id.
    case connectionID(UInt16)
    /// The content, whole.
    case content([UInt8])
    /// Records of nodes nearer to the content.
    case records([[UInt8]])
}

/// What an ACCEPT says about one offered item. An open set, so that codes of later versions survive.
public struct AcceptCode: RawRepresentable, Hashable, Sendable {
    /// The byte on the wire.
    public let rawValue: UInt8
    /// Any byte is a code.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Send it.
    public static let accepted = AcceptCode(rawValue: 0)
    /// Declined without a reason.
    public static let declined = AcceptCode(rawValue: 1)
    /// Stored already.
    public static let alreadyStored = AcceptCode(rawValue: 2)
    /// Outside the receiver's radius.
    public static let outsideRadius = AcceptCode(rawValue: 3)
    /// Too much at the moment.
    public static let rateLimited = AcceptCode(rawValue: 4)
    /// The same content is on its way from another.
    public static let inProgress = AcceptCode(rawValue: 5)
    /// The receiver cannot verify this key (yet).
    public static let notVerifiable = AcceptCode(rawValue: 6)
}

/// The eight messages of the Portal wire, version 2: a selector byte and an SSZ container. Specs/wire.md, 1.3.
public enum PortalMessage: Hashable, Sendable {
    case ping(recordSequence: UInt64, type: UInt16, payload: [UInt8])
    case pong(recordSequence: UInt64, type: UInt16, payload: [UInt8])
    case findNodes(distances: [UInt16])
    case nodes(total: UInt8, records: [[UInt8]])
    case findContent(key: [UInt8])
    case content(PortalContent)
    case offer(keys: [[UInt8]])
    case accept(connectionID: UInt16, codes: [AcceptCode])

    /// The first byte.
    public var selector: UInt8 {
        switch self {
        case .ping: 0
        case .pong: 1
        case .findNodes: 2
        case .nodes: 3
        case .findContent: 4
        case .content: 5
        case .offer: 6
        case .accept: 7
        }
    }

    private static let records = SSZType.list(.byteList(OverlayLimits.recordBytes), limit: OverlayLimits.records)
    private static let key = SSZType.byteList(OverlayLimits.contentKeyBytes)
    private static let ping = SSZType.container([
        ("enr_seq", .uint64), ("payload_type", .uint16), ("payload", .byteList(OverlayLimits.pingPayloadBytes)),
    ])

    /// The container behind each selector.
    public static let schemas: [SSZType] = [
        ping,
        ping,
        .container([("distances", .list(.uint16, limit: OverlayLimits.distances))]),
        .container([("total", .uint8), ("enrs", records)]),
        .container([("content_key", key)]),
        .union([.byteVector(2), .byteList(OverlayLimits.contentBytes), records]),
        .container([("content_keys", .list(key, limit: OverlayLimits.offerKeys))]),
        .container([("connection_id", .byteVector(2)), ("content_keys", .byteList(OverlayLimits.offerKeys))]),
    ]

    /// The message's bytes; throws where a list or a byte string is over its limit.
    public func encoded() throws(PortalMessageError) -> [UInt8] {
        do throws(SSZError) {
            return [selector] + (try SSZ.encode(value, as: PortalMessage.schemas[Int(selector)]))
        } catch {
            throw .container(error)
        }
    }

    private var value: SSZValue {
        switch self {
        case .ping(let sequence, let type, let payload), .pong(let sequence, let type, let payload):
            .fields([.integer(sequence), .integer(type), .bytes(payload)])
        case .findNodes(let distances): .fields([.elements(distances.map { .integer($0) })])
        case .nodes(let total, let records): .fields([.integer(total), .elements(records.map { .bytes($0) })])
        case .findContent(let key): .fields([.bytes(key)])
        case .content(.connectionID(let id)): .union(selector: 0, .bytes(PortalMessage.bytes(of: id)))
        case .content(.content(let bytes)): .union(selector: 1, .bytes(bytes))
        case .content(.records(let records)): .union(selector: 2, .elements(records.map { .bytes($0) }))
        case .offer(let keys): .fields([.elements(keys.map { .bytes($0) })])
        case .accept(let id, let codes):
            .fields([.bytes(PortalMessage.bytes(of: id)), .bytes(codes.map(\.rawValue))])
        }
    }

    /// Reads exactly one message.
    public init(decoding bytes: [UInt8]) throws(PortalMessageError) {
        guard let selector = bytes.first else { throw .empty }
        guard Int(selector) < PortalMessage.schemas.count else { throw .unknownSelector(selector) }
        do throws(SSZError) {
            let value = try SSZ.decode(bytes.dropFirst(), as: PortalMessage.schemas[Int(selector)])
            self = try PortalMessage(value, selector: selector)
        } catch {
            throw .container(error)
        }
    }

    private init(_ value: SSZValue, selector: UInt8) throws(SSZError) {
        let fields = selector == 5 ? [] : try value.fields
        switch selector {
        case 0, 1:
            let (sequence, type) = (try fields[0].uint64, UInt16(truncatingIfNeeded: try fields[1].uint64))
            let payload = try fields[2].bytes
            self =
                selector == 0
                ? .ping(recordSequence: sequence, type: type, payload: payload)
                : .pong(recordSequence: sequence, type: type, payload: payload)
        case 2:
            self = .findNodes(distances: try fields[0].integers)
        case 3:
            self = .nodes(total: UInt8(truncatingIfNeeded: try fields[0].uint64), records: try fields[1].byteStrings)
        case 4:
            self = .findContent(key: try fields[0].bytes)
        case 5:
            self = .content(try PortalMessage.content(try value.union))
        case 6:
            self = .offer(keys: try fields[0].byteStrings)
        default:
            self = .accept(
                connectionID: PortalMessage.connectionID(try fields[0].bytes),
                codes: try fields[1].bytes.map { AcceptCode(rawValue: $0) })
        }
    }

    private static func content(_ union: (selector: UInt8, value: SSZValue?)) throws(SSZError) -> PortalContent {
        guard let value = union.value else { throw .wrongShape }
        switch union.selector {
        case 0: return .connectionID(connectionID(try value.bytes))
        case 1: return .content(try value.bytes)
        default: return .records(try value.byteStrings)
        }
    }

    /// Two bytes as uTP has them: high, low.
    private static func bytes(of id: UInt16) -> [UInt8] { [UInt8(id >> 8), UInt8(truncatingIfNeeded: id)] }
    private static func connectionID(_ bytes: [UInt8]) -> UInt16 { bytes.reduce(0) { $0 << 8 | UInt16($1) } }
}

extension SSZValue {
    /// A list of byte strings.
    var byteStrings: [[UInt8]] {
        get throws(SSZError) {
            var strings: [[UInt8]] = []
            for element in try elements { strings.append(try element.bytes) }
            return strings
        }
    }

    /// A list of 16-bit integers.
    var integers: [UInt16] {
        get throws(SSZError) {
            var values: [UInt16] = []
            for element in try elements { values.append(UInt16(truncatingIfNeeded: try element.uint64)) }
            return values
        }
    }
}

extension PortalMessage {
    /// Bytes that a list of byte strings takes on the wire: an offset and the bytes of each.
    static func listBytes(_ items: some Sequence<[UInt8]>) -> Int {
        items.reduce(0) { $0 + 4 + $1.count }
    }

    /// The longest beginning of `items` that takes at most `bytes` as a list, and at most `count` items.
    static func fitting(_ items: [[UInt8]], bytes: Int, count: Int) -> Int {
        var total = 0
        for (index, item) in items.enumerated() {
            total += 4 + item.count
            if total > bytes || index == count { return index }
        }
        return items.count
    }
}
