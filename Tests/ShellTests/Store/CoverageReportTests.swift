import Foundation
import Primitives
import StateContent
import Testing

@testable import Shell
@testable import StateStore

/// Certificates as files.
@Suite struct CoverageReportTests {
    private func write(_ state: SmallState) throws -> [(name: String, value: String)] {
        _ = try KeyFile.identity(at: state.directory.keyPath)
        return try CoverageReport.write(
            state.folder + "/coverage", dataDirectory: state.directory, networkFile: state.networkFile, keyFile: nil,
            threads: 2)
    }

    @Test func whatIsHeldIsWrittenDownAndReadElsewhere() throws {
        let state = try SmallState()
        let written = try write(state)
        let id = try KeyFile.readIdentity(state.directory.keyPath).nodeID
        // Nothing but the file and the network's file is needed.
        try state.directory.remove()
        let read = try CoverageReport.check(state.folder + "/coverage", networkFile: state.networkFile)
        #expect(read.map(\.name) == written.map(\.name) && read.map(\.value) == written.map(\.value))
        let figures = Dictionary(read.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(figures["proven_root"] == "\(state.header.stateRoot)" && figures["proven_block"] == "0")
        #expect(figures["proven_final"] == "yes" && figures["proven_section_hashes"] == "16")
        #expect(figures["said_by"] == "\(id)" && figures["said_held"] == "16 of 16 sections")
        #expect(figures["said_sections"] == "0-15" && figures["said_storage_of"] == "all")
    }

    @Test func sectionsAreToldInRuns() {
        #expect(CoverageReport.runs(of: []).isEmpty)
        #expect(CoverageReport.runs(of: [3]) == "3")
        #expect(CoverageReport.runs(of: [0, 1, 2, 7, 9, 10]) == "0-2,7,9-10")
    }

    @Test func onlyWhatIsHeldWholeIsNamed() throws {
        let state = try SmallState()
        try state.change { snapshot, batch in
            for record in try SectionRecord.all(in: snapshot) where record.section.index.isMultiple(of: 2) {
                batch.append(StateWrites.dropSection(record.section))
            }
        }
        let figures = Dictionary(try write(state).map { ($0.name, $0.value) }) { first, _ in first }
        #expect(figures["said_held"] == "8 of 16 sections" && figures["said_sections"] == "1,3,5,7,9,11,13,15")
        try state.change { snapshot, batch in
            for record in try SectionRecord.all(in: snapshot) {
                batch.append(StateWrites.dropSection(record.section))
            }
        }
        #expect(throws: CoverageReport.Failure.nothingHeld) { try write(state) }
    }

    @Test func whatIsDamagedIsNotCertified() throws {
        let state = try SmallState()
        try state.spoil(.leaves, state.accounts[9].key.bytes, byte: 4)
        #expect(throws: ShellError.self) { try write(state) }
        #expect(!FileManager.default.fileExists(atPath: state.folder + "/coverage"))
    }

    @Test func anythingElseIsRefusedInOneLine() throws {
        let state = try SmallState(accounts: 40)
        _ = try write(state)
        let path = state.folder + "/coverage"
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[bytes.count - 1] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let expected = ShellError.badFile(path: path, reason: "\(CoverageError.signature)")
        #expect(throws: expected) { try CoverageReport.check(path, networkFile: state.networkFile) }
        let other = try CoverageReportTests.otherNetwork(state)
        bytes[bytes.count - 1] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let another = ShellError.badFile(path: path, reason: "\(CoverageError.anotherNetwork(field: "epoch length"))")
        #expect(throws: another) { try CoverageReport.check(path, networkFile: other) }
        #expect(throws: ShellError.badFile(path: state.networkFile, reason: "\(CoverageError.notACertificate)")) {
            try CoverageReport.check(state.networkFile, networkFile: state.networkFile)
        }
        #expect(throws: ShellError.file(path: "/none", reason: "no such file")) {
            try CoverageReport.check("/none", networkFile: state.networkFile)
        }
    }

    private static func otherNetwork(_ state: SmallState) throws -> String {
        let path = state.folder + "/other.json"
        var text = try String(contentsOfFile: state.networkFile, encoding: .utf8)
        text.replace("\"epochLength\": 8", with: "\"epochLength\": 4")
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }
}
