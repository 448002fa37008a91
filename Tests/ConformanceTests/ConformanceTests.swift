import Foundation
import TestSupport
import Testing

@testable import Conformance

@Suite struct ConformanceTests {
    /// Recorded or derived here: in `Specs/vectors` only.
    private static let ownFiles = [
        "state-wire.json", "state-ranges.json", "chain-wire.json", "chain-rules.json", "transactions.json",
    ]

    /// Every file of the shared folder, every case of every list: passed or policy, none skipped.
    @Test(
        .enabled(if: SharedFolder.url("vectors") != nil),
        arguments: VectorSuites.all.map { $0.fileName }.filter { !ownFiles.contains($0) })
    func sharedVectors(_ fileName: String) throws {
        let url = try #require(SharedFolder.url("vectors/\(fileName)"))
        let report = ConformanceRunner.run(paths: [url.path])
        #expect(report.exitCode == 0)
        let file = try #require(report.files.first)
        #expect(file.failures.map { "\($0.name): \($0.why)" } == [])
        #expect(file.skips.map { "\($0.name): \($0.why)" } == [])
        #expect(file.passed > 0)
    }
}

/// What a fresh clone checks itself against.
@Suite struct OwnVectorTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Specs/vectors")

    /// File and the least number of cases that it has.
    @Test(arguments: [
        ("discv5-wire.json", 34), ("enr.json", 118), ("portal-wire.json", 70), ("utp-wire.json", 20),
        ("state-wire.json", 180), ("state-ranges.json", 70), ("chain-wire.json", 75), ("chain-rules.json", 80),
        // Derived by libraries; tools/vectors makes them.
        ("enr-derived.json", 150), ("keccak.json", 155), ("rlp.json", 250), ("ssz.json", 220), ("trie.json", 31),
        ("range-proof.json", 160), ("headers.json", 75), ("bal.json", 60), ("transactions.json", 110),
    ])
    func everyCasePasses(_ name: String, _ least: Int) throws {
        let report = ConformanceRunner.run(paths: [Self.folder.appendingPathComponent(name).path])
        let file = try #require(report.files.first)
        #expect(report.complaints == [])
        #expect(file.failures.map { "\($0.name): \($0.why)" } == [])
        #expect(file.skips.map { "\($0.name): \($0.why)" } == [])
        #expect(file.passed + file.policy >= least)
        #expect(file.policy <= 2)
        #expect(Set(file.outcomes.map(\.name)).count == file.outcomes.count)
    }

    @Test func everyFileOfTheFolderIsKnown() {
        let report = ConformanceRunner.run(paths: [Self.folder.path])
        #expect(report.exitCode == 0)
        #expect(report.files.count == 17)
    }

    /// The recorded files are what this implementation says: a change of the wire shows here.
    @Test func recordingGivesTheSameBytes() throws {
        for (name, text) in try VectorRecorder.files() {
            let kept = try Data(contentsOf: Self.folder.appendingPathComponent(name))
            #expect(String(decoding: kept, as: UTF8.self) == text, "\(name): run tools/record-vectors if this is meant")
        }
    }

    /// A suite that accepted everything would pass the valid cases: the verdicts turned round must all fail.
    @Test(arguments: ["state-wire.json", "state-ranges.json", "chain-wire.json", "chain-rules.json"])
    func turnedVerdictsFail(_ name: String) throws {
        let data = try Data(contentsOf: Self.folder.appendingPathComponent(name))
        var document = try JSONValue(parsing: data).object
        var turned = 0
        for (list, value) in document {
            guard list != "states", case .array(let cases) = value else { continue }
            document[list] = .array(
                cases.map { item in
                    guard case .object(var fields) = item else { return item }
                    fields["valid"] = fields["valid"] == .bool(false) ? .bool(true) : .bool(false)
                    fields["flips"] = nil
                    turned += 1
                    return .object(fields)
                })
        }
        let suite = try #require(VectorSuites.suite(of: name))
        let outcomes = try suite.run(.object(document))
        #expect(outcomes.count == turned)
        #expect(outcomes.allSatisfy { if case .failed = $0.result { true } else { false } })
    }
}

@Suite struct ConformanceRunnerTests {
    private func withFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        try body(folder.path)
    }

    private let mixed = """
        {"cases": [
         {"name": "right", "encoded": "0x83646f67", "value": "0x646f67"},
         {"name": "wrong", "encoded": "0x83646f67", "value": "0x646f68"},
         {"name": "accepted", "valid": false, "encoded": "0x00"},
         {"name": "either", "valid": null, "encoded": "0x8100"},
         {"name": "misspelt", "valid": false, "encodet": "0x8100"}]}
        """

    @Test func countsFailuresAndExitCodeOne() throws {
        try withFolder(["rlp.json": mixed]) { folder in
            let report = ConformanceRunner.run(paths: [folder])
            #expect(report.exitCode == 1)
            #expect(
                report.lines == [
                    "rlp.json passed=1 failed=3 policy=1 skipped=0",
                    "FAIL rlp.json wrong: the value differs",
                    "FAIL rlp.json accepted: accepted, but it is invalid",
                    "FAIL rlp.json misspelt: unreadable case: expected a string, found nothing",
                ])
            let json = try JSONValue(parsing: Data(try report.jsonText().utf8))
            let file = try #require(try json["files"].array.first)
            #expect(try file["passed"].int == 1)
            #expect(try file["failures"].array.count == 3)
            #expect(try file["failures"].array[0]["case"].string == "wrong")
        }
    }

    @Test func unknownKindIsExitCodeTwo() throws {
        try withFolder(["nonsense.json": "{}", "rlp.json": #"{"cases": []}"#]) { folder in
            let report = ConformanceRunner.run(paths: [folder])
            #expect(report.exitCode == 2)
            #expect(report.lines == ["rlp.json passed=0 failed=0 policy=0 skipped=0"])
            #expect(report.complaints.count == 1)
            #expect(report.complaints[0].contains("nonsense.json: not a kind of vector file known here"))
        }
    }

    @Test func missingPathsAndBrokenJSONAreNamed() throws {
        try withFolder(["rlp.json": "{", "ssz.json": #"{"cases": 3}"#]) { folder in
            let report = ConformanceRunner.run(paths: [folder + "/rlp.json", folder + "/none", folder + "/ssz.json"])
            #expect(report.exitCode == 2)
            #expect(report.refused.map(\.path) == [folder + "/rlp.json", folder + "/none"])
            #expect(report.lines.first == "ssz.json passed=0 failed=1 policy=0 skipped=0")
        }
    }

    @Test(arguments: [
        "uint7", "ByteVector[0]", "List[uint8]", "List[uint8,1", "Container()", "Container(a)", "Union[None]",
        "uint8 x", "Vector[Vector[uint256,1099511627776],1099511627776]", "ByteList[-1]", "",
    ])
    func refusesTypesOutsideTheGrammar(_ text: String) {
        #expect(throws: VectorError.self) { try SSZSchemaParser.parse(text) }
    }
}
