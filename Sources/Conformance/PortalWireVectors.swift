import Overlay
import Primitives

/// `portal-wire.json`: messages and ping payloads of the Portal wire, the lengths before items in a stream, distances.
enum PortalWireVectors: VectorSuite {
    static let fileName = "portal-wire.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for vector in try file["cases"].array { outcomes.append(try message(vector)) }
        outcomes += try lengths(file["varint"])
        for (index, vector) in try file["distance"]["cases"].array.enumerated() {
            outcomes.append(distance("distance-\(index)", vector))
        }
        return outcomes
    }

    // MARK: Messages

    private static func message(_ vector: JSONValue) throws -> CaseOutcome {
        CaseOutcome.judge(try vector["name"].string, vector) {
            let bytes = try vector["message"].hex
            let message = try PortalMessage(decoding: bytes)
            if let selector = vector["selector"].ifPresent,
                let difference = CaseOutcome.difference("selector", Int(message.selector), try selector.int)
            {
                return difference
            }
            return try CaseOutcome.difference("encoding", bytes: message.encoded(), bytes)
                ?? fields(of: message, vector["fields"]) ?? payload(of: message, vector["payload"])
        }
    }

    private static func fields(of message: PortalMessage, _ fields: JSONValue) throws -> String? {
        guard !fields.isNull else { return nil }
        return CaseOutcome.difference("message", message, try expected(message, fields))
    }

    /// The message that the case describes, of the kind that was read.
    private static func expected(_ message: PortalMessage, _ fields: JSONValue) throws -> PortalMessage {
        switch message {
        case .ping:
            .ping(
                recordSequence: try fields["enrSeq"].uint64,
                type: UInt16(truncatingIfNeeded: try fields["payloadType"].int), payload: try fields["payload"].hex)
        case .pong:
            .pong(
                recordSequence: try fields["enrSeq"].uint64,
                type: UInt16(truncatingIfNeeded: try fields["payloadType"].int), payload: try fields["payload"].hex)
        case .findNodes:
            .findNodes(distances: try fields["distances"].array.map { UInt16(truncatingIfNeeded: try $0.int) })
        case .nodes:
            .nodes(
                total: UInt8(truncatingIfNeeded: try fields["total"].int),
                records: try fields["enrs"].array.map { try $0.hex })
        case .findContent:
            .findContent(key: try fields["contentKey"].hex)
        case .content:
            .content(try content(fields))
        case .offer:
            .offer(keys: try fields["contentKeys"].array.map { try $0.hex })
        case .accept:
            .accept(
                connectionID: try connectionID(fields),
                codes: try fields["acceptCodes"].array.map {
                    AcceptCode(rawValue: UInt8(truncatingIfNeeded: try $0.int))
                })
        }
    }

    private static func content(_ fields: JSONValue) throws -> PortalContent {
        switch try fields["unionSelector"].int {
        case 0: return .connectionID(try connectionID(fields))
        case 1: return .content(try fields["content"].hex)
        case 2: return .records(try fields["enrs"].array.map { try $0.hex })
        default: throw VectorError.malformed("unionSelector")
        }
    }

    private static func connectionID(_ fields: JSONValue) throws -> UInt16 {
        let bytes = try fields["connectionId"].hex
        guard bytes.count == 2 else { throw VectorError.malformed("connectionId") }
        return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }

    // MARK: Ping payloads

    /// Payload type 2 (a retired network's) is not one the node knows; it is decoded here only.
    private static let historyRadius = SSZType.container([
        ("data_radius", .uint256), ("ephemeral_header_count", .uint16),
    ])

    private static func payload(of message: PortalMessage, _ fields: JSONValue) throws -> String? {
        let type: UInt16
        let bytes: [UInt8]
        switch message {
        case .ping(_, let number, let payload), .pong(_, let number, let payload): (type, bytes) = (number, payload)
        default: return nil
        }
        guard !fields.isNull else { return nil }
        if type == 2 {
            let values = try SSZ.decode(bytes, as: historyRadius).fields
            return try CaseOutcome.difference("radius", values[0].uint256, fields["dataRadius"].uint256)
                ?? CaseOutcome.difference(
                    "count", values[1].uint64, fields["ephemeralHeaderCount"].uint64)
        }
        guard let payload = try PingPayload.decode(type: type, bytes) else {
            return "payload type \(type) is not known"
        }
        let expected: PingPayload
        switch payload {
        case .clientInfo:
            let name = try fields["clientInfoHex"].hex
            guard Array(try fields["clientInfo"].string.utf8) == name else { throw VectorError.malformed("clientInfo") }
            expected = .clientInfo(
                client: name, radius: try fields["dataRadius"].uint256,
                capabilities: try fields["capabilities"].array.map { UInt16(truncatingIfNeeded: try $0.int) })
        case .radius:
            expected = .radius(try fields["dataRadius"].uint256)
        case .error:
            expected = .error(
                code: UInt16(truncatingIfNeeded: try fields["errorCode"].int), message: try fields["messageHex"].hex)
        }
        return try CaseOutcome.difference("payload", payload, expected)
            ?? CaseOutcome.difference("payload encoding", bytes: payload.encoded(), bytes)
    }

    // MARK: Lengths, distances

    private static func lengths(_ section: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for (index, vector) in try section["valid"].array.enumerated() {
            outcomes.append(
                CaseOutcome.judge("varint-valid-\(index)", valid: true) {
                    let (value, encoded) = (try vector["value"].uint64, try vector["encoded"].hex)
                    return CaseOutcome.difference("value", UInt64(try LEB128.decode(encoded)), value)
                        ?? CaseOutcome.difference(
                            "encoding", bytes: LEB128.encode(UInt32(truncatingIfNeeded: value)), encoded)
                })
        }
        for (index, vector) in try section["invalid"].array.enumerated() {
            outcomes.append(
                CaseOutcome.judge("varint-invalid-\(index)", valid: false) {
                    _ = try LEB128.decode(try vector["encoded"].hex)
                    return nil
                })
        }
        outcomes.append(
            CaseOutcome.judge("varint-content-list", valid: true) {
                let items = try section["contentList"]["items"].array.map { try $0.hex }
                let encoded = try section["contentList"]["encoded"].hex
                let longest = items.map(\.count).max() ?? 0
                return CaseOutcome.difference(
                    "items", try ItemFrames.decode(encoded, count: items.count, limit: longest), items)
                    ?? CaseOutcome.difference("encoding", bytes: ItemFrames.encode(items), encoded)
            })
        return outcomes
    }

    private static func distance(_ name: String, _ vector: JSONValue) -> CaseOutcome {
        CaseOutcome.judge(name, vector) {
            let (a, b) = (try vector["a"].bytes32, try vector["b"].bytes32)
            return try CaseOutcome.difference("xor", a ^ b, vector["xor"].bytes32)
                ?? CaseOutcome.difference(
                    "log distance", RingDistance.logarithmic(a, b), vector["logDistance"].int)
        }
    }
}
