import Primitives

/// `ssz.json`: strict decoding, the value, encoding, and the hash tree root where it is given.
enum SSZVectors: VectorSuite {
    static let fileName = "ssz.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        try file["cases"].array.enumerated().map { index, vector in
            CaseOutcome.judge(name(of: vector, "cases", index), vector) { try judge(vector) }
        }
    }

    private static func judge(_ vector: JSONValue) throws -> String? {
        let type = try SSZSchemaParser.parse(try vector["type"].string)
        let serialized = try vector["serialized"].hex
        let decoded = try SSZ.decode(serialized, as: type)
        if let difference = CaseOutcome.difference("re-encoded", bytes: try SSZ.encode(decoded, as: type), serialized) {
            return difference
        }
        if let expected = vector["value"].ifPresent {
            let value = try value(expected, type)
            guard decoded == value else { return "the value differs" }
            if let difference = CaseOutcome.difference("encoded", bytes: try SSZ.encode(value, as: type), serialized) {
                return difference
            }
        }
        guard let root = vector["root"].ifPresent else { return nil }
        return CaseOutcome.difference("root", try SSZ.root(decoded, as: type), try root.bytes32)
    }

    /// A value in the file's form: integers as decimal strings, bits as booleans, bytes as hex, containers as objects.
    static func value(_ json: JSONValue, _ type: SSZType) throws -> SSZValue {
        switch type {
        case .uint: return .uint(try json.uint256)
        case .boolean: return .boolean(try json.bool)
        case .byteVector, .byteList: return .bytes(try json.hex)
        case .bitvector, .bitlist: return .bits(try json.array.map { bit throws in try bit.bool })
        case .vector(let element, _), .list(let element, _):
            return .elements(try json.array.map { try value($0, element) })
        case .container(let fields):
            guard try json.object.count == fields.count else {
                throw VectorError.malformed("other fields than its type")
            }
            return .fields(try fields.map { try value(json[$0.name], $0.type) })
        case .union(let options):
            let selector = try json["selector"].int
            guard options.indices.contains(selector) else { throw VectorError.malformed("no such selector") }
            return .union(
                selector: UInt8(truncatingIfNeeded: selector),
                try options[selector].map { try value(json["value"], $0) })
        }
    }
}
