import Conformance
import Foundation
import Primitives
import Testing

/// The vector files with values changed for such as nobody would write: judged or refused, never a trap.
@Suite struct VectorFileTests {
    private static let seed: UInt64 = 52_401
    private static let rounds = 60

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Specs/vectors")

    private static let strange: [JSONValue] = [
        .null, .bool(true), .integer(-1), .integer(0), .integer(65_536), .integer(.max), .unsigned(.max),
        .number(0.5), .string(""), .string("0x"), .string("0x0"), .string("0xff"), .array([]), .object([:]),
        .string("0x" + String(repeating: "f", count: 64)), .string("0x" + String(repeating: "f", count: 66)),
    ]

    /// Two cases of each list are enough for a round.
    private static func thinned(_ value: JSONValue, _ generator: inout SeededGenerator) -> JSONValue {
        guard case .object(let fields) = value else { return value }
        var result: [String: JSONValue] = [:]
        for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
            guard case .array(let items) = field, items.count > 2 else {
                result[name] = field
                continue
            }
            let start = Int.random(in: 0..<items.count - 1, using: &generator)
            result[name] = .array(Array(items[start..<start + 2]))
        }
        return .object(result)
    }

    /// One value somewhere in the document is another.
    private static func changed(_ value: JSONValue, _ generator: inout SeededGenerator) -> JSONValue {
        switch value {
        case .object(var fields):
            guard let name = fields.keys.sorted().randomElement(using: &generator), let field = fields[name]
            else { break }
            fields[name] = changed(field, &generator)
            return .object(fields)
        case .array(var items):
            guard let index = items.indices.randomElement(using: &generator) else { break }
            items[index] = changed(items[index], &generator)
            return .array(items)
        case .string(let text) where text.count > 3 && Bool.random(using: &generator):
            return .string(String(text.prefix(Int.random(in: 0..<text.count, using: &generator))))
        default: break
        }
        return strange.randomElement(using: &generator) ?? .null
    }

    @Test(arguments: VectorSuites.all.map { $0.fileName }) func strangeValuesAreJudged(name: String) throws {
        let path = Self.folder.appendingPathComponent(name)
        guard FileManager.default.fileExists(atPath: path.path) else {
            print("skipped: \(name) is in the shared folder only")
            return
        }
        let suite = try #require(VectorSuites.suite(of: name))
        let document = try JSONValue(parsing: Data(contentsOf: path))
        var generator = SeededGenerator(seed: Self.seed)
        var outcomes = 0
        for _ in 0..<Self.rounds {
            let file = Self.changed(Self.thinned(document, &generator), &generator)
            outcomes += (try? suite.run(file))?.count ?? 0
        }
        #expect(outcomes > 0, "seed \(Self.seed)")
    }

    /// A depth that no section has is a case that fails, and no trap.
    @Test func aSectionDepthThatIsNoneIsAFailedCase() throws {
        let path = Self.folder.appendingPathComponent("state-wire.json")
        let text = try String(contentsOf: path, encoding: .utf8)
        let altered = text.replacingOccurrences(of: "\"sectionDepth\":3", with: "\"sectionDepth\": 65536")
        #expect(altered != text)
        let outcomes = try VectorSuites.suite(of: "state-wire.json")?.run(JSONValue(parsing: Data(altered.utf8))) ?? []
        let failed = outcomes.filter { $0.result == .failed("unreadable case: sectionDepth") }
        #expect(failed.count > 2)
    }
}
