import Primitives

/// Why bytes are not a message (or ping payload) of the Portal wire.
public enum PortalMessageError: Error, Equatable, Sendable {
    /// No bytes.
    case empty
    /// A first byte that names no message.
    case unknownSelector(UInt8)
    /// CONTENT without, or with an unknown, union selector.
    case unknownContentKind
    /// Fewer or more bytes than the fixed part has.
    case wrongSize
    /// An SSZ offset that is not where the part before it ends, or beyond the end.
    case badOffset
    /// A list or a byte string over its limit.
    case overLimit
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
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Send it.
    public static let accept = AcceptCode(rawValue: 0)
    /// Declined without a reason.
    public static let decline = AcceptCode(rawValue: 1)
    /// Stored already.
    public static let stored = AcceptCode(rawValue: 2)
    /// Outside the receiver's radius.
    public static let outsideRadius = AcceptCode(rawValue: 3)
    /// Too much at the moment.
    public static let rateLimit = AcceptCode(rawValue: 4)
    /// The same content is on its way from another.
    public static let inbound = AcceptCode(rawValue: 5)
    /// The receiver cannot verify this key (yet).
    public static let notVerifiable = AcceptCode(rawValue: 6)
}

/// The eight messages of the Portal wire, version 2: a selector byte and an SSZ container (`wire-facts.md`).
/// The containers are few and flat, so they are read by hand; a test holds them equal to the SSZ schemas.
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

    /// The message's bytes. Nothing is checked here: what we send is bounded where it is made.
    public var encoded: [UInt8] {
        var out = SSZWriter()
        out.append(selector)
        switch self {
        case .ping(let sequence, let type, let payload), .pong(let sequence, let type, let payload):
            out.append(sequence)
            out.append(type)
            out.append(UInt32(14))
            out.append(payload)
        case .findNodes(let distances):
            out.append(UInt32(4))
            for distance in distances { out.append(distance) }
        case .nodes(let total, let records):
            out.append(total)
            out.append(UInt32(5))
            out.append(list: records)
        case .findContent(let key):
            out.append(UInt32(4))
            out.append(key)
        case .content(.connectionID(let id)):
            out.append([0, UInt8(id >> 8), UInt8(truncatingIfNeeded: id)])
        case .content(.content(let bytes)):
            out.append(UInt8(1))
            out.append(bytes)
        case .content(.records(let records)):
            out.append(UInt8(2))
            out.append(list: records)
        case .offer(let keys):
            out.append(UInt32(4))
            out.append(list: keys)
        case .accept(let id, let codes):
            out.append([UInt8(id >> 8), UInt8(truncatingIfNeeded: id)])
            out.append(UInt32(6))
            out.append(codes.map(\.rawValue))
        }
        return out.bytes
    }

    /// Reads exactly one message.
    public init(decoding bytes: [UInt8]) throws(PortalMessageError) {
        guard let selector = bytes.first else { throw .empty }
        var input = SSZSlice(bytes, from: 1)
        switch selector {
        case 0, 1:
            let (sequence, type) = (try input.uint64(), try input.uint16())
            try input.offset(14)
            let payload = try input.rest(limit: OverlayLimits.pingPayloadBytes)
            self =
                selector == 0
                ? .ping(recordSequence: sequence, type: type, payload: payload)
                : .pong(recordSequence: sequence, type: type, payload: payload)
        case 2:
            try input.offset(4)
            self = .findNodes(distances: try input.uint16List(limit: OverlayLimits.distances))
        case 3:
            let total = try input.uint8()
            try input.offset(5)
            self = .nodes(total: total, records: try input.recordList())
        case 4:
            try input.offset(4)
            self = .findContent(key: try input.rest(limit: OverlayLimits.contentKeyBytes))
        case 5:
            self = .content(try PortalMessage.content(&input))
        case 6:
            try input.offset(4)
            self = .offer(
                keys: try input.byteLists(
                    limit: OverlayLimits.offerKeys, elementLimit: OverlayLimits.contentKeyBytes))
        case 7:
            let id = try input.connectionID()
            try input.offset(6)
            self = .accept(
                connectionID: id,
                codes: try input.rest(limit: OverlayLimits.offerKeys).map { AcceptCode(rawValue: $0) })
        default:
            throw .unknownSelector(selector)
        }
    }

    private static func content(_ input: inout SSZSlice) throws(PortalMessageError) -> PortalContent {
        guard !input.isAtEnd else { throw .unknownContentKind }
        switch try input.uint8() {
        case 0:
            let id = try input.connectionID()
            guard input.isAtEnd else { throw .wrongSize }
            return .connectionID(id)
        case 1: return .content(try input.rest(limit: OverlayLimits.contentBytes))
        case 2: return .records(try input.recordList())
        default: throw .unknownContentKind
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
