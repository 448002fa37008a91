import Primitives

/// The payloads of PING and PONG that every Portal node knows. Those of our networks (10,101 and 10,102) are opaque
/// here: the networks above read them.
public enum PingPayload: Hashable, Sendable {
    /// Type 0: always the first to a peer.
    case clientInfo(client: [UInt8], radius: UInt256, capabilities: [UInt16])
    /// Type 1: the radius only.
    case radius(UInt256)
    /// Type 65,535, in PONG only: the PING could not be answered.
    case error(code: UInt16, message: [UInt8])

    /// The numbers of these types on the wire.
    public static let clientInfoType: UInt16 = 0, radiusType: UInt16 = 1, errorType: UInt16 = 65_535

    /// Codes of `error`: the type is not supported; there is nothing to tell; the payload does not decode.
    public static let notSupported: UInt16 = 0, notFound: UInt16 = 1, notDecodable: UInt16 = 2

    /// The payload's number on the wire.
    public var type: UInt16 {
        switch self {
        case .clientInfo: PingPayload.clientInfoType
        case .radius: PingPayload.radiusType
        case .error: PingPayload.errorType
        }
    }

    /// The container of a payload type; nil for types that are not these.
    public static func schema(of type: UInt16) -> SSZType? { schemas[type] }

    private static let schemas: [UInt16: SSZType] = [
        clientInfoType: .container([
            ("client_info", .byteList(OverlayLimits.clientInfoBytes)), ("data_radius", .uint256),
            ("capabilities", .list(.uint16, limit: OverlayLimits.capabilities)),
        ]),
        radiusType: .container([("data_radius", .uint256)]),
        errorType: .container([
            ("error_code", .uint16), ("message", .byteList(OverlayLimits.errorMessageBytes)),
        ]),
    ]

    /// The payload's bytes; throws where a list or a byte string is over its limit.
    public func encoded() throws(SSZError) -> [UInt8] {
        guard let schema = PingPayload.schema(of: type) else { throw .wrongShape }
        return try SSZ.encode(value, as: schema)
    }

    private var value: SSZValue {
        switch self {
        case .clientInfo(let client, let radius, let capabilities):
            .fields([.bytes(client), .uint(radius), .elements(capabilities.map { .integer($0) })])
        case .radius(let radius): .fields([.uint(radius)])
        case .error(let code, let message): .fields([.integer(code), .bytes(message)])
        }
    }

    /// Reads the payload of `type`; nil for a type that is not one of these.
    public static func decode(type: UInt16, _ bytes: [UInt8]) throws(SSZError) -> PingPayload? {
        guard let schema = schema(of: type) else { return nil }
        let fields = try SSZ.decode(bytes, as: schema).fields
        switch type {
        case clientInfoType:
            return .clientInfo(
                client: try fields[0].bytes, radius: try fields[1].uint256, capabilities: try fields[2].integers)
        case radiusType:
            return .radius(try fields[0].uint256)
        default:
            return .error(code: UInt16(truncatingIfNeeded: try fields[0].uint64), message: try fields[1].bytes)
        }
    }
}
