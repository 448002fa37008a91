import Discovery
import Overlay
import Primitives
import UTP

/// Decoders of what comes in datagrams and streams.
enum WireDecoders {
    /// The node that packets are addressed to, and the key of their messages.
    private static let destination = Bytes32(1, 2, 3, 4)
    private static let sessionKey = [UInt8](repeating: 7, count: 16)

    /// The first byte says what the rest is: a datagram; the parts of a packet; or those parts and, behind them, bytes
    /// laid over the masked packet. The mask is a key stream, so what is laid over it changes the clear header at will.
    static func discv5Packet(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.count > 16, bytes[0] & 3 != 0 else {
            return try opened(Array(bytes.dropFirst()))
        }
        let flag = bytes[1] & 3
        let sizes = [Int(bytes[2]), 24, 32, 131 + Int(bytes[2]) % 200]
        let rest = Array(bytes[16...])
        let authData = Array(rest.prefix(sizes[Int(bytes[3] & 3)]))
        let message = flag == 1 ? [] : Array(rest.dropFirst(authData.count))
        let parts = ClearPacket(
            maskingIV: Array(bytes[..<16]), flag: flag, nonce: Array(bytes[4..<16]), authData: authData,
            message: message)
        guard var packet = parts.sealed(to: destination, key: sessionKey) else { return false }
        guard bytes[0] & 3 == 1 else {
            let start = Int(bytes[3]) % packet.count
            for (index, byte) in rest.prefix(8).enumerated() where start + index < packet.count {
                packet[start + index] ^= byte
            }
            return try opened(packet)
        }
        guard let found = try? ClearPacket(opening: packet, to: destination, key: sessionKey) else { return false }
        try require(
            found.flag == flag && found.authData == authData && found.message == message
                && found.nonce == parts.nonce && found.maskingIV == parts.maskingIV, .notRoundTrip("packet"))
        if flag == 2 { _ = try? found.handshake() }
        return true
    }

    private static func opened(_ packet: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let found = try? ClearPacket(opening: packet, to: destination, key: sessionKey) else { return false }
        if found.flag == 2 { _ = try? found.handshake() }
        try require(found.sealed(to: destination, key: sessionKey) == packet, .notCanonical("packet"))
        return true
    }

    static func discv5Message(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let message = try? Message(decoding: bytes) else { return false }
        let again = message.encoded
        try require((try? Message(decoding: again)) == message, .notRoundTrip("message"))
        // Distances that are none are clamped: those bytes do not come back.
        if case .findNode(_, let distances) = message, distances.contains(1 << 16) { return true }
        try require(again == bytes, .notCanonical("message"))
        return true
    }

    /// The key that signs records made of fuzzed pairs, without which nothing would pass the signature.
    private static let identity = IdentityKey(bytes: [UInt8](repeating: 5, count: 32))

    static func nodeRecord(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        if let record = try? NodeRecord(decoding: bytes) {
            try check(record)
            try require(record.encoded == bytes, .notCanonical("record"))
            return true
        }
        // As the content of a record: [sequence, key, value, …], signed here.
        guard let identity, case .list(let items)? = try? RLPValue(decoding: bytes), let first = items.first,
            case .string(let number) = first, number.count <= 8
        else { return false }
        var fields = NodeRecordFields(sequence: number.reduce(0) { $0 << 8 | UInt64($1) })
        for place in stride(from: 1, to: items.count - 1, by: 2) {
            guard case .string(let key) = items[place] else { return false }
            fields.set(key, items[place + 1])
        }
        guard let record = try? fields.signed(by: identity) else { return false }
        let again = try? NodeRecord(decoding: record.encoded)
        try require(again == record, .notRoundTrip("signed record"))
        try check(record)
        return true
    }

    private static func check(_ record: NodeRecord) throws(FuzzFailure) {
        try require((try? NodeRecord(text: record.text)) == record, .notRoundTrip("record as text"))
        _ = (record.endpointIPv4, record.endpointIPv6, record.portal)
        try require(!record.pairs.isEmpty && record.signature.count == 64, .readersDiffer("pairs of a record"))
    }

    /// Text, given as it is.
    static func nodeRecordText(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let record = try? NodeRecord(text: text) else { return false }
        try require(record.text == text, .notCanonical("record as text"))
        return true
    }

    static func portalMessage(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let message = try? PortalMessage(decoding: bytes) else { return false }
        guard let again = try? message.encoded() else { throw .notRoundTrip("Portal message without encoding") }
        try require(again == bytes, .notCanonical("Portal message"))
        try require((try? PortalMessage(decoding: again)) == message, .notRoundTrip("Portal message"))
        return true
    }

    /// The first byte chooses the type, the rest is the payload.
    static func pingPayload(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let first = bytes.first else { return false }
        let body = Array(bytes.dropFirst())
        let types = [PingPayload.clientInfoType, PingPayload.radiusType, PingPayload.errorType, 7]
        let type = types[Int(first) % types.count]
        guard let payload = try? PingPayload.decode(type: type, body) else { return false }
        try require(payload.type == type, .notRoundTrip("type of a ping payload"))
        try require((try? payload.encoded()) == body, .notCanonical("ping payload"))
        return true
    }

    static func utpPacket(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let packet = try? Packet(parsing: bytes) else { return false }
        let bits = packet.selectiveAck.map { Array(bytes[$0]) } ?? []
        let again = Packet.encode(packet.header, selectiveAck: bits, payload: packet.payload, of: bytes)
        guard let found = try? Packet(parsing: again) else { throw .notRoundTrip("uTP packet") }
        try require(
            found.header == packet.header && again[found.payload] == bytes[packet.payload]
                && (found.selectiveAck.map { Array(again[$0]) } ?? []) == bits, .notRoundTrip("uTP packet"))
        // Extensions that are not known are not written again.
        let known = UTPLimits.headerBytes + (bits.isEmpty ? 0 : 2 + bits.count)
        if packet.payload.lowerBound == known { try require(again == bytes, .notCanonical("uTP packet")) }
        return true
    }

    /// A varint; and items with their lengths, as many as the first byte says.
    static func frames(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        var accepted = false
        if let number = try? LEB128.decode(bytes) {
            accepted = true
            try require(LEB128.encode(number) == bytes, .notCanonical("varint"))
        }
        guard let first = bytes.first else { return accepted }
        let stream = Array(bytes.dropFirst())
        let limit = 1 << Int(first >> 4)
        guard let items = try? ItemFrames.decode(stream, count: Int(first & 15), limit: limit) else { return accepted }
        try require(items.allSatisfy { $0.count <= limit }, .untruthAccepted("an item over its limit"))
        try require(ItemFrames.encode(items) == stream, .notCanonical("frames"))
        return true
    }
}
