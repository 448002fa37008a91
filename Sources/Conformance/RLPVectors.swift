import Primitives

/// `rlp.json`: `cases` (values both ways) and `integers.cases` (the integer rule on top of strings).
enum RLPVectors: VectorSuite {
    static let fileName = "rlp.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for (index, vector) in try file["cases"].array.enumerated() {
            outcomes.append(
                CaseOutcome.judge(name(of: vector, "cases", index), vector) { try value(vector) })
        }
        guard let integers = file["integers"]["cases"].ifPresent else { return outcomes }
        for (index, vector) in try integers.array.enumerated() {
            outcomes.append(
                CaseOutcome.judge(name(of: vector, "integers", index), vector) { try integer(vector) })
        }
        return outcomes
    }

    private static func value(_ vector: JSONValue) throws -> String? {
        let encoded = try vector["encoded"].hex
        let decoded = try RLPValue(decoding: encoded)
        if let difference = CaseOutcome.difference("re-encoded", bytes: decoded.encoded, encoded) { return difference }
        if let expected = vector["value"].ifPresent {
            let expected = try tree(expected)
            guard decoded == expected else { return "the value differs" }
            if let difference = CaseOutcome.difference("encoded", bytes: expected.encoded, encoded) {
                return difference
            }
        }
        if let expected = vector["integer"].ifPresent {
            var reader = RLPReader(encoded)
            let number = try reader.nextUInt256()
            return CaseOutcome.difference("integer", number, try expected.uint256)
        }
        return nil
    }

    private static func integer(_ vector: JSONValue) throws -> String? {
        let encoded = try vector["encoded"].hex
        var reader = RLPReader(encoded)
        let number = try reader.nextUInt256()
        try reader.finish()
        var writer = RLPWriter()
        writer.append(number)
        if let difference = CaseOutcome.difference("re-encoded", bytes: writer.bytes, encoded) { return difference }
        guard let expected = vector["value"].ifPresent else { return nil }
        return CaseOutcome.difference("integer", number, try expected.uint256)
    }

    /// A value as the file has it: a hex string or a nested list.
    private static func tree(_ value: JSONValue) throws -> RLPValue {
        guard case .array(let items) = value else { return .string(try value.hex) }
        return .list(try items.map(tree))
    }
}

extension VectorSuite {
    /// The case's `name`, or its list and place where it has none.
    static func name(of vector: JSONValue, _ list: String, _ index: Int) -> String {
        guard case .string(let name) = vector["name"] else { return "\(list)[\(index)]" }
        return name
    }
}
