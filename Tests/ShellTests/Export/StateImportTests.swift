import Chain
import Foundation
import Primitives
import Testing

@testable import Shell
@testable import StateStore

/// A state out and in again: the same state, or nothing.
@Suite struct StateImportTests {
    /// The tables of a state itself.
    private static let tables = [
        Table.leaves, .accountBranches, .storageBranches, .codes, .sections, .crowns, .headers,
    ]

    /// What a directory's store has in these tables.
    private func content(
        _ directory: DataDirectory, of network: String, _ tables: [Table] = StateImportTests.tables
    ) throws -> [[[UInt8]]] {
        try StoreAccess.withSnapshot(of: directory, networkFile: network) { snapshot, _ in
            try tables.map { table in
                var entries: [[UInt8]] = []
                try snapshot.forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
                    entries.append(Array(key) + [0xff] + Array(value))
                    return true
                }
                return entries
            }
        }
    }

    private func write(
        _ state: SmallState, _ form: StateExport.Form, from directory: DataDirectory? = nil
    ) throws -> Data {
        let path = state.folder + "/out"
        let summary = try StateExport.run(
            dataDirectory: directory ?? state.directory, networkFile: state.networkFile, output: path, form: form)
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(summary.digest == SHA256.hash(Array(data)) && summary.bytes == UInt64(data.count))
        try FileManager.default.removeItem(atPath: path)
        return data
    }

    /// Imports these bytes into a directory that is not there yet.
    private func take(
        _ data: Data, _ state: SmallState, certificate: String? = nil, into name: String = "other"
    ) throws -> StateImport.Summary {
        let path = state.folder + "/in"
        try data.write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try StateImport.run(
            path, certificate: certificate, dataDirectory: DataDirectory(state.folder + "/" + name),
            networkFile: state.networkFile)
    }

    private func certificate(_ state: SmallState) throws -> String {
        let path = state.folder + "/coverage"
        _ = try KeyFile.identity(at: state.directory.keyPath)
        _ = try CoverageReport.write(
            path, dataDirectory: state.directory, networkFile: state.networkFile, keyFile: nil, threads: 2)
        return path
    }

    @Test func linesMakeTheSameStore() throws {
        let state = try SmallState()
        let lines = try write(state, StateExport.Form(.jsonl, atAnchor: true))
        #expect(try write(state, StateExport.Form(.jsonl, atAnchor: true)) == lines)
        let summary = try take(lines, state)
        #expect(summary.point == state.header.point && summary.root == state.header.stateRoot && summary.hasHeaders)
        #expect(summary.accounts == UInt64(state.accounts.count))
        let other = DataDirectory(state.folder + "/other")
        #expect(try content(other, of: state.networkFile) == content(state.directory, of: state.networkFile))
        #expect(try FileManager.default.contentsOfDirectory(atPath: other.path).sorted() == ["lock", "store"])
        let report = try StoreCheck.run(dataDirectory: other, networkFile: state.networkFile, threads: 2)
        #expect(report.point == state.header.point && report.complete == 16)
        #expect(try write(state, StateExport.Form(), from: other) == write(state, StateExport.Form()))
    }

    @Test func aDocumentNeedsACertificate() throws {
        let state = try SmallState()
        let document = try write(state, StateExport.Form())
        #expect(throws: StateImport.Failure.unproven(path: state.folder + "/in")) { try take(document, state) }
        let summary = try take(document, state, certificate: try certificate(state))
        #expect(summary.root == state.header.stateRoot && !summary.hasHeaders)
        let tables = [Table.leaves, .accountBranches, .storageBranches, .codes, .sections, .crowns]
        #expect(
            try content(DataDirectory(state.folder + "/other"), of: state.networkFile, tables)
                == content(state.directory, of: state.networkFile, tables))
    }

    @Test func accountsAlone() throws {
        let state = try SmallState()
        let form = StateExport.Form(.jsonl, accountsOnly: true, atAnchor: true)
        let lines = try write(state, form)
        #expect(try take(lines, state).slots == 0)
        let other = DataDirectory(state.folder + "/other")
        #expect(try write(state, form, from: other) == lines)
        let text = String(decoding: try write(state, StateExport.Form(.json, accountsOnly: true)), as: UTF8.self)
        #expect(text.contains("\"storageOf\": [], ") && !text.contains("\"storage\"") && !text.contains("\"code\""))
        let report = try StoreCheck.run(dataDirectory: other, networkFile: state.networkFile, threads: 2)
        #expect(report.kept == .only([]) && report.root == state.header.stateRoot)
    }

    /// What becomes of a changed file: one line, and nothing is kept.
    private func refusal(_ lines: [Substring], _ state: SmallState, certificate: String? = nil) throws -> String {
        let data = Data((lines.joined(separator: "\n") + "\n").utf8)
        do {
            _ = try take(data, state, certificate: certificate)
            return "taken"
        } catch {
            #expect(!FileManager.default.fileExists(atPath: state.folder + "/other"))
            let line = ErrorLine.text(error)
            #expect(!line.contains("\n"))
            return line
        }
    }

    @Test func aChangedFileLeavesNothing() throws {
        let state = try SmallState()
        let data = try write(state, StateExport.Form(.jsonl, atAnchor: true))
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        let accounts = lines.indices.filter { lines[$0].hasPrefix("{\"account\"") }
        let slots = lines.indices.filter { lines[$0].hasPrefix("{\"slot\"") }
        func refusal(_ change: (inout [Substring]) -> Void) throws -> String {
            var changed = lines
            change(&changed)
            return try self.refusal(changed, state)
        }
        #expect(try refusal { $0.removeLast() }.contains("cut"))
        #expect(try refusal { $0 = Array($0.prefix(200)) }.contains("cut"))
        #expect(try refusal { $0.append($0[3]) }.contains("follows its last line"))
        #expect(try refusal { $0.swapAt(accounts[3], accounts[4]) }.contains("order"))
        #expect(try refusal { $0.insert($0[accounts[3]], at: accounts[3]) }.contains("order"))
        #expect(try refusal { $0.remove(at: slots[5]) }.contains("storage root"))
        #expect(try refusal { $0[accounts[2]].replace("\"nonce\": ", with: "\"nonce\": 1") }.contains("state root"))
        #expect(try refusal { $0[0].replace("\"chainId\": 7", with: "\"chainId\": 8") }.contains("another chain"))
        #expect(try refusal { $0[0].replace("\"block\": 0", with: "\"block\": 8") }.contains("nothing in it shows"))
        #expect(try refusal { $0[0].replace("\"block\": 0", with: "\"block\": 3") }.contains("first of an epoch"))
        #expect(try refusal { $0[0].replace("state 1", with: "state 2") }.contains("carousel"))
        #expect(try refusal { $0.remove(at: 1) }.contains("nothing in it shows"))
        #expect(try refusal { $0[accounts[2]].replace("}", with: ", \"more\": 1}") }.contains("more"))
        #expect(try refusal { $0[0].replace("{", with: "[") } != "taken")
        #expect(try refusal { _ in } == "taken")
    }

    @Test func aChangedByteIsSeenOrMeansNothing() throws {
        let state = try SmallState(accounts: 40)
        let data = try write(state, StateExport.Form(.jsonl, atAnchor: true))
        let expected = try content(state.directory, of: state.networkFile)
        print("seed 8")
        var generator = SeededGenerator(seed: 8)
        for _ in 0..<300 {
            var changed = data
            let place = Int.random(in: 0..<data.count, using: &generator)
            changed[place] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
            do {
                _ = try take(changed, state)
                // Another case of a hex digit, say, is the same digit.
                let other = DataDirectory(state.folder + "/other")
                #expect(try content(other, of: state.networkFile) == expected, "byte \(place)")
                try other.remove()
            } catch {
                #expect(!FileManager.default.fileExists(atPath: state.folder + "/other"))
            }
        }
    }

    @Test func aDocumentThatIsChangedLeavesNothing() throws {
        let state = try SmallState(accounts: 60)
        let proof = try certificate(state)
        let text = String(decoding: try write(state, StateExport.Form()), as: UTF8.self)
        func refusal(_ change: (inout String) -> Void) throws -> String {
            var changed = text
            change(&changed)
            return try self.refusal([Substring(changed.dropLast())], state, certificate: proof)
        }
        #expect(try refusal { $0 = String($0.prefix($0.count / 2)) } != "taken")
        #expect(try refusal { $0 = String($0.dropLast(2)) }.contains("cut"))
        #expect(try refusal { $0.replace("\"nonce\": 7", with: "\"nonce\": 8") }.contains("state root"))
        #expect(try refusal { $0.replace("\"accounts\": {", with: "\"accounts\": {}, \"x\": {") } != "taken")
        #expect(try refusal { $0.replace("\"\(state.header.stateRoot)\"", with: "\"\(Bytes32.max)\"") } != "taken")
        #expect(
            try refusal { $0.replace("\"\(state.header.hash)\"", with: "\"\(Bytes32.max)\"") }.contains(
                "is about block"))
        #expect(try refusal { _ in } == "taken")
    }

    @Test func aStateThatIsThereStays() throws {
        let state = try SmallState(accounts: 40)
        let lines = try write(state, StateExport.Form(.jsonl, atAnchor: true))
        #expect(throws: StateImport.Failure.holdsState(path: state.directory.path)) {
            try take(lines, state, into: "data")
        }
        #expect(try state.verify().complete == 16)
        // What a killed import leaves has a name of its own, is no state, and the next one begins again.
        let other = DataDirectory(state.folder + "/other")
        _ = try other.lock()
        let left = other.storePath + ".new"
        try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: left + "/data.mdb"))
        #expect(throws: ShellError.noDataDirectory(other.path)) {
            try StoreCheck.run(dataDirectory: other, networkFile: state.networkFile, threads: 1)
        }
        _ = try take(lines, state)
        #expect(!FileManager.default.fileExists(atPath: left))
        #expect(try StoreCheck.run(dataDirectory: other, networkFile: state.networkFile, threads: 1).complete == 16)
    }
}
