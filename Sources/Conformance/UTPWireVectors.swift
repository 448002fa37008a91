import Primitives
import UTP

/// `utp-wire.json`: packets of uTP, each read, compared field by field, and written again.
enum UTPWireVectors: VectorSuite {
    static let fileName = "utp-wire.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        try file["cases"].array.enumerated().map { index, vector in
            CaseOutcome.judge(name(of: vector, "cases", index), vector) { try packet(vector) }
        }
    }

    private static func packet(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["packet"].hex
        let packet = try Packet(parsing: bytes)
        // A case that is refused has no fields; one that is accepted by mistake is told apart by the verdict.
        guard let header = vector["header"].ifPresent else { return nil }
        if let difference = try difference(packet, header) { return difference }

        let bits = packet.selectiveAck.map { Array(bytes[$0]) }
        guard bits == (try vector["selectiveAck"].ifPresent?.hex) else { return "the selective ack differs" }
        if let expected = vector["selectiveAckBits"].ifPresent {
            let set = (bits ?? []).enumerated().flatMap { place, byte in
                (0..<8).filter { byte >> UInt8($0) & 1 == 1 }.map { place * 8 + $0 }
            }
            if let difference = CaseOutcome.difference("the set of bits", set, try expected.array.map { try $0.int }) {
                return difference
            }
        }
        let payload = Array(bytes[packet.payload])
        if let difference = CaseOutcome.difference("payload", bytes: payload, try vector["payload"].hex) {
            return difference
        }
        // Unknown extensions are stepped over and not kept, so those packets cannot be written again.
        guard packet.firstExtension <= 1 else { return nil }
        let encoded = Packet.encode(
            packet.header, selectiveAck: bits ?? [], payload: packet.payload, of: bytes)
        return CaseOutcome.difference("re-encoded", bytes: encoded, bytes)
    }

    private static func difference(_ packet: Packet, _ expected: JSONValue) throws -> String? {
        let header = packet.header
        let found: [(String, UInt64)] = [
            ("type", UInt64(header.kind.rawValue)), ("version", 1), ("extension", UInt64(packet.firstExtension)),
            ("connectionId", UInt64(header.connectionID)), ("timestampMicroseconds", UInt64(header.timestamp)),
            ("timestampDifferenceMicroseconds", UInt64(header.timestampDifference)),
            ("wndSize", UInt64(header.window)), ("seqNr", UInt64(header.sequence)),
            ("ackNr", UInt64(header.acknowledgement)),
        ]
        for (field, value) in found {
            if let difference = CaseOutcome.difference(field, value, try expected[field].uint64) { return difference }
        }
        return nil
    }
}
