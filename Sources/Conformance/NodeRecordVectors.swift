import Discovery
import Foundation
import Primitives

/// `enr.json`: `valid`, `invalid` and `policy` node records, in their binary and their text form.
enum NodeRecordVectors: VectorSuite {
    static let fileName = "enr.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for list in ["valid", "invalid", "policy"] {
            guard let vectors = file[list].ifPresent else { continue }
            for (index, vector) in try vectors.array.enumerated() {
                outcomes.append(CaseOutcome.judge(name(of: vector, list, index), vector) { try record(vector) })
            }
        }
        return outcomes
    }

    /// Reads every form given. A case is accepted when one of its forms is; if another is refused then, they differ.
    private static func record(_ vector: JSONValue) throws -> String? {
        let binary = try vector["rlp"].ifPresent?.hex
        let text = try vector["text"].ifPresent?.string
        var results: [Result<NodeRecord, any Error>] = []
        if let binary { results.append(Result { try NodeRecord(decoding: binary) }) }
        if let text { results.append(Result { try NodeRecord(text: text) }) }
        guard let first = results.first else { throw VectorError.expected("rlp or text", found: "neither") }
        let accepted = results.compactMap { try? $0.get() }
        guard let record = accepted.first else {
            _ = try first.get()
            return nil
        }
        guard accepted.count == results.count else { return "one form is accepted, the other refused" }
        if let text, let difference = CaseOutcome.difference("text", record.text, text) { return difference }
        if let binary, let difference = CaseOutcome.difference("record", bytes: record.encoded, binary) {
            return difference
        }
        return try compare(record, vector)
    }

    private static func compare(_ record: NodeRecord, _ vector: JSONValue) throws -> String? {
        if let expected = try vector["size"].ifPresent?.int, expected != record.encoded.count {
            return "size is \(record.encoded.count)"
        }
        for key in ["seq", "seqHex"] {
            if let expected = try vector[key].ifPresent?.uint64, expected != record.sequence {
                return "sequence is \(record.sequence)"
            }
        }
        if let expected = try vector["nodeId"].ifPresent?.bytes32, expected != record.id {
            return "node id is \(record.id)"
        }
        if let expected = try vector["signature"].ifPresent?.hex, expected != record.signature {
            return "signature differs"
        }
        if let expected = try vector["contentHash"].ifPresent?.bytes32, expected != record.fields.digest {
            return "content hash is \(record.fields.digest)"
        }
        if let expected = try vector["publicKeyUncompressed"].ifPresent?.hex,
            Keccak.hash(expected) != record.id || Array(record.publicKey.compressed[1...]) != Array(expected.prefix(32))
        {
            return "public key differs"
        }
        if let difference = try pairs(record, vector["pairs"]) { return difference }
        if let difference = try decoded(record, vector["decoded"]) { return difference }
        return try resigned(record, vector)
    }

    /// Every key and value, in order: [key in hex, key as text, value].
    private static func pairs(_ record: NodeRecord, _ expected: JSONValue) throws -> String? {
        guard let expected = try expected.ifPresent?.array else { return nil }
        let found = record.pairs
        guard found.count == expected.count else { return "\(found.count) pairs, expected \(expected.count)" }
        for (pair, wanted) in zip(found, expected) {
            let parts = try wanted.array
            guard parts.count == 3 else { throw VectorError.malformed("a pair of \(parts.count) parts") }
            guard pair.key == (try parts[0].hex) else { return "key \(Hex.prefixed(pair.key)) is out of place" }
            guard pair.value == (try tree(parts[2])) else { return "value of \(try parts[1].string) differs" }
        }
        return nil
    }

    private static func tree(_ value: JSONValue) throws -> RLPValue {
        guard case .array(let items) = value else { return .string(try value.hex) }
        return .list(try items.map(tree))
    }

    /// What the known keys mean.
    private static func decoded(_ record: NodeRecord, _ expected: JSONValue) throws -> String? {
        guard let fields = try expected.ifPresent?.object else { return nil }
        for (key, wanted) in fields.sorted(by: { $0.key < $1.key }) {
            guard let value = record.value(key) else { return "\(key) is missing" }
            if let difference = try meaning(of: key, value, record, wanted) { return difference }
        }
        return nil
    }

    private static func meaning(
        of key: String, _ value: RLPValue, _ record: NodeRecord, _ wanted: JSONValue
    ) throws -> String? {
        if key == "p" {
            let entry = NodeRecord.PortalEntry(
                lowestVersion: try wanted["versionMin"].uint64, highestVersion: try wanted["versionMax"].uint64,
                chainID: try wanted["chainId"].uint64)
            return record.portal == entry ? nil : "p is \(record.portal.map { "\($0)" } ?? "none")"
        }
        guard case .string(let bytes) = value else { return "\(key) is a list" }
        switch key {
        case "ip", "ip6":
            guard bytes == (try address(wanted)) else { return "\(key) is \(Hex.prefixed(bytes))" }
            return try endpoint(key, bytes, record, port: record.value(key == "ip" ? "udp" : "udp6"))
        case "udp", "udp6", "tcp", "tcp6", "quic":
            let number = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return CaseOutcome.difference(key, number, try wanted.uint64)
        case "pv":
            return CaseOutcome.difference(key, bytes.map(Int.init), try wanted.array.map { try $0.int })
        case "id", "c":
            return CaseOutcome.difference(key, String(decoding: bytes, as: UTF8.self), try wanted.string)
        default:
            return CaseOutcome.difference(key, bytes: bytes, try wanted.hex)
        }
    }

    /// Address and port together are the record's endpoint.
    private static func endpoint(
        _ key: String, _ address: [UInt8], _ record: NodeRecord, port: RLPValue?
    ) throws -> String? {
        guard case .string(let bytes) = port else { return nil }
        let number = UInt16(truncatingIfNeeded: bytes.reduce(0) { $0 << 8 | Int($1) })
        let found = key == "ip" ? record.endpointIPv4 : record.endpointIPv6
        return CaseOutcome.difference("endpoint", found, Endpoint(address: address, port: number))
    }

    /// The bytes of an address written as text.
    private static func address(_ value: JSONValue) throws -> [UInt8] {
        let text = try value.string
        var bytes = [UInt8](repeating: 0, count: text.contains(":") ? 16 : 4)
        guard inet_pton(text.contains(":") ? AF_INET6 : AF_INET, text, &bytes) == 1 else {
            throw VectorError.malformed("the address \(text)")
        }
        return bytes
    }

    /// Signing the same fields with the case's key gives the same record, if its signature is a deterministic one.
    private static func resigned(_ record: NodeRecord, _ vector: JSONValue) throws -> String? {
        guard let secret = try vector["privateKey"].ifPresent?.hex else { return nil }
        guard let key = IdentityKey(bytes: secret) else { throw VectorError.malformed("the private key") }
        guard key.nodeID == record.id else { return "the private key is another node's" }
        guard try vector["signatureIsRfc6979Deterministic"].ifPresent?.bool ?? true else { return nil }
        let again = try record.fields.signed(by: key)
        return CaseOutcome.difference("record signed again", bytes: again.encoded, record.encoded)
    }
}
