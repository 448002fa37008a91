import Primitives

/// The payloads of PING and PONG that every Portal node knows. Those of our networks (10,101 and 10,102) are opaque here:
/// the networks above read them.
public enum PingPayload: Hashable, Sendable {
    /// Type 0: always the first to a peer.
    case clientInfo(client: [UInt8], radius: UInt256, capabilities: [UInt16])
    /// Type 1: the radius only.
    case radius(UInt256)
    /// Type 65,535, in PONG only: the PING could not be answered.
    case error(code: UInt16, message: [UInt8])

    public static let clientInfoType: UInt16 = 0, radiusType: UInt16 = 1, errorType: UInt16 = 65_535

    /// Codes of `error`: the type is not supported; its payload does not decode.
    public static let notSupported: UInt16 = 0, notDecodable: UInt16 = 2

    public var type: UInt16 {
        switch self {
        case .clientInfo: PingPayload.clientInfoType
        case .radius: PingPayload.radiusType
        case .error: PingPayload.errorType
        }
    }

    public var encoded: [UInt8] {
        var out = SSZWriter()
        switch self {
        case .clientInfo(let client, let radius, let capabilities):
            out.append(UInt32(40))
            out.append(radius.littleEndianBytes)
            out.append(UInt32(truncatingIfNeeded: 40 + client.count))
            out.append(client)
            for capability in capabilities { out.append(capability) }
        case .radius(let radius):
            out.append(radius.littleEndianBytes)
        case .error(let code, let message):
            out.append(code)
            out.append(UInt32(6))
            out.append(message)
        }
        return out.bytes
    }

    /// Reads the payload of `type`; nil for a type that is not one of these.
    public static func decode(type: UInt16, _ bytes: [UInt8]) throws(PortalMessageError) -> PingPayload? {
        var input = SSZSlice(bytes)
        switch type {
        case clientInfoType:
            try input.offset(40)
            let radius = try input.uint256()
            let end = try input.offset(atLeast: 40, base: 0)
            let client = try input.take(end - 40, limit: OverlayLimits.clientInfoBytes)
            return .clientInfo(
                client: client, radius: radius, capabilities: try input.uint16List(limit: OverlayLimits.capabilities))
        case radiusType:
            let radius = try input.uint256()
            guard input.isAtEnd else { throw .wrongSize }
            return .radius(radius)
        case errorType:
            let code = try input.uint16()
            try input.offset(6)
            return .error(code: code, message: try input.rest(limit: OverlayLimits.errorMessageBytes))
        default:
            return nil
        }
    }
}
