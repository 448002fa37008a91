// Recording of the vector files of the project's own wire.
//
// What is recorded is what this implementation says today, from fixed seeds: the same program gives the same bytes. A
// change in these files is a change of the wire, and the diff shows it. Every file is run through its own suite before
// it is given out, so a case that was meant to be refused and is accepted ends the recording.

import Foundation
import Primitives

/// Makes `state-wire.json`, `state-ranges.json`, `chain-wire.json` and `chain-rules.json`.
public enum VectorRecorder {
    /// Names and texts of the files, in order. Throws where a case does not do what it is recorded for.
    public static func files() throws -> [(name: String, text: String)] {
        try [
            (StateWireVectors.fileName, StateRecorder().document(), StateWireVectors.run),
            (StateRangeVectors.fileName, StateRecorder().rangesDocument(), StateRangeVectors.run),
            (ChainWireVectors.fileName, ChainRecorder().document(), ChainWireVectors.run),
            (ChainRuleVectors.fileName, ChainRuleRecorder().document(), ChainRuleVectors.run),
        ].map { (name: String, document: JSONValue, run: (JSONValue) throws -> [CaseOutcome]) in
            for outcome in try run(document) where outcome.result != .passed {
                throw VectorError.malformed("\(name) \(outcome.name): \(outcome.result)")
            }
            return (name, try text(of: document))
        }
    }

    /// One line for each item of each list, keys sorted: files whose differences can be read.
    private static func text(of document: JSONValue) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        func compact(_ value: JSONValue) throws -> String { String(decoding: try encoder.encode(value), as: UTF8.self) }
        let fields = try document.object.sorted { $0.key < $1.key }.map { key, value in
            guard case .array(let items) = value else { return "\"\(key)\": \(try compact(value))" }
            return "\"\(key)\": [\n  " + (try items.map(compact).joined(separator: ",\n  ")) + "\n]"
        }
        return "{\n" + fields.joined(separator: ",\n") + "\n}\n"
    }
}

/// The lists of one file as they are made.
struct RecordedLists {
    private(set) var lists: [String: [JSONValue]] = [:]

    /// Adds a case. `valid` is written down only where it is false.
    mutating func add(
        _ list: String, _ name: String, _ encoded: [UInt8]?, valid: Bool = true, _ fields: [String: JSONValue] = [:]
    ) {
        var fields = fields
        fields["name"] = .string(name)
        if let encoded { fields["encoded"] = WireFields.hex(encoded) }
        if !valid { fields["valid"] = .bool(false) }
        lists[list, default: []].append(.object(fields))
    }

    /// The file, with a line saying where it comes from.
    func document(_ fields: [String: JSONValue]) -> JSONValue {
        var fields = fields
        fields["source"] = .string("recorded from this implementation by tools/record-vectors; layouts: Specs/wire.md")
        for (list, cases) in lists { fields[list] = .array(cases) }
        return .object(fields)
    }
}

extension RandomNumberGenerator {
    /// 32 random bytes.
    mutating func hash() -> Bytes32 { Bytes32(next(), next(), next(), next()) }

    /// Random bytes.
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
}
