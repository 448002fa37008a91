import Chain
import Discovery
import Foundation
import Primitives
import Testing

@testable import Node
@testable import Shell

/// A folder for one test.
private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("carousel-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
}

@Suite struct KeyFileTests {
    @Test func keysAreWrittenOnceForTheOwnerOnly() throws {
        try withFolder { folder in
            let path = folder + "/key"
            let key = try KeyFile.identity(at: path)
            #expect(try KeyFile.identity(at: path).nodeID == key.nodeID)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let another = [UInt8](repeating: 1, count: 32)
            #expect(throws: ShellError.keyExists(path)) { try KeyFile.write(another, to: path) }
            chmod(path, 0o644)
            #expect(throws: ShellError.keyReadableByOthers(path)) { try KeyFile.read(path) }
        }
    }

    @Test func whatIsNoKeyIsNamed() throws {
        try withFolder { folder in
            let path = folder + "/key"
            #expect(throws: ShellError.file(path: path, reason: "No such file or directory")) { try KeyFile.read(path) }
            for text in ["0x12", "hello", "0x" + String(repeating: "g", count: 64)] {
                try Data(text.utf8).write(to: URL(fileURLWithPath: path))
                chmod(path, 0o600)
                let error = ShellError.badFile(path: path, reason: "a key file is one line, 0x and 64 hex digits")
                #expect(throws: error) { try KeyFile.read(path) }
            }
            try Data(String(repeating: "0", count: 64).utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: ShellError.self) { try KeyFile.readIdentity(path) }
        }
    }

    /// An earlier version wrote a key in its place: a crash on the way left a file with nothing in it.
    @Test(arguments: ["", "\n", String(repeating: "\0", count: 67)])
    func anEmptyKeyFileIsToldWithItsCure(text: String) throws {
        try withFolder { folder in
            let path = folder + "/node.key"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            chmod(path, 0o600)
            let reason =
                "is empty, as a crash while it was written leaves it: delete it; a node then makes itself a "
                + "new identity, and 'carousel key' a new key"
            #expect(throws: ShellError.badFile(path: path, reason: reason)) { try KeyFile.identity(at: path) }
            let secret = [UInt8](repeating: 1, count: 32)
            #expect(throws: ShellError.keyExists(path)) { try KeyFile.write(secret, to: path) }
            #expect(FileManager.default.contents(atPath: path) == Data(text.utf8), "left as it was")
        }
    }

    /// RFC 8032, section 7.1, test 1.
    @Test func signingKeyIsThatOfTheRFC() throws {
        let seed = try #require(Hex.decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
        #expect(
            Hex.encode(KeyFile.signingPublicKey(ofSeed: seed).bytes)
                == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    }

    @Test func prefixesAreRead() throws {
        let half = try #require(IDPrefix("0x8/1"))
        #expect(half.bits == 1 && half.prefix.leadingZeroBitCount == 0)
        let eighth = try #require(IDPrefix("0x2/3"))
        #expect(eighth.bits == 3 && eighth.prefix.leadingZeroBitCount == 2)
        #expect(IDPrefix("0x4a")?.bits == 8)
        for text in ["", "8", "0x", "0x8/0", "0x8/5", "0x8/", "0x8/1/1", "0xg", "0x12345678/32", "0x8/x"] {
            #expect(IDPrefix(text) == nil, "\(text)")
        }
    }
}

@Suite struct DataDirectoryTests {
    @Test func secondProcessIsKeptOut() throws {
        try withFolder { folder in
            let directory = DataDirectory(folder + "/data")
            #expect(throws: ShellError.noDataDirectory(directory.path)) { try directory.requireStore() }
            #expect(throws: ShellError.noDataDirectory(directory.path)) { try directory.readRecord() }
            do {
                let lock = try directory.lock()
                #expect(throws: ShellError.dataDirectoryInUse(directory.path)) { try directory.lock() }
                withExtendedLifetime(lock) {}
            }
            _ = try directory.lock()
            try directory.requireStore()
            try directory.writeRecord("enr:-x")
            #expect(try directory.readRecord() == "enr:-x")
        }
    }

    @Test func standardPlaceFollowsTheEnvironment() {
        #expect(DataDirectory.standard(["XDG_DATA_HOME": "/b", "HOME": "/h"]) == "/b/carousel")
        #expect(DataDirectory.standard(["HOME": "/h", "XDG_DATA_HOME": ""]) == "/h/.local/share/carousel")
    }

    @Test func statusFileIsReplaced() throws {
        try withFolder { folder in
            let file = StatusFile(folder + "/status")
            var status = SomeStatus.walking()
            try file.write(status)
            status.phase = "following"
            try file.write(status)
            let lines = try String(contentsOfFile: file.path, encoding: .utf8).split(separator: "\n")
            #expect(lines.prefix(3) == ["role=walker", "id=\(status.node.id)", "phase=following"])
            #expect(lines.contains("held=0.6179") && lines.contains("holders.0x00-0xff=3/4"))
            #expect(lines.last == "state_bytes_from.0x11=77")
            #expect(throws: ShellError.self) { try StatusFile(folder + "/none/status").write(status) }
        }
    }
}

@Suite struct StateComparisonTests {
    private let address = "0x00000000000000000000000000000000000000Aa"
    private let slot = "0x0000000000000000000000000000000000000000000000000000000000000001"

    private func key(_ hex: String) throws -> String {
        Hex.prefixed(Keccak.hash(try #require(Hex.decode(hex))).bytes)
    }

    private func dump(_ fields: String = "") -> Data {
        Data(
            """
            {"root": "ab", "accounts": {"\(address)": {"balance": "12", "nonce": 3, "root": "0x01", "codeHash": "0x02",
             "code": "0x6000", "storage": {"\(slot)": "2a"} \(fields)}}}
            """.utf8)
    }

    private func export(_ change: (inout String) throws -> Void = { _ in }) throws -> Data {
        var text = """
            {"block": 1, "hash": "0x00", "root": "0xab", "accounts": {"\(try key(address))": {"nonce": "3",
             "balance": "12", "root": "0x01", "codeHash": "0x02", "code": "0x6000",
             "storage": {"\(try key(slot))": "0x2a"}}}}
            """
        try change(&text)
        return Data(text.utf8)
    }

    @Test func equalStatesAreEqual() throws {
        let comparison = try StateComparison(export: try export(), dump: dump())
        #expect(comparison.differenceCount == 0 && comparison.accounts == 1)
        #expect(comparison.slots == 1 && comparison.codes == 1)
    }

    @Test(arguments: [
        ("\"12\"", "\"13\"", "balance"), ("\"3\"", "\"4\"", "nonce"), ("\"0x01\"", "\"0x11\"", "root"),
        ("\"0x02\"", "\"0x12\"", "codeHash"), ("0x6000", "0x6001", "code"), ("0x2a", "0x2b", "slot"),
        ("\"0xab\"", "\"0xac\"", "root"),
    ])
    func everyFieldIsCompared(_ old: String, _ new: String, _ name: String) throws {
        let changed = try export { $0 = $0.replacingOccurrences(of: old, with: new) }
        let comparison = try StateComparison(export: changed, dump: dump())
        #expect(comparison.differenceCount == 1)
        #expect(comparison.differences[0].contains(name))
    }

    @Test func entriesOfOneSideOnlyAreFound() throws {
        let key = try key(address)
        let moreSlots = try export {
            $0 = $0.replacingOccurrences(of: "\"storage\": {", with: "\"storage\": {\"0x01\": \"0x1\",")
        }
        let slot = String(repeating: "0", count: 63) + "1"
        #expect(
            try StateComparison(export: moreSlots, dump: dump()).differences == [
                "account \(key.dropFirst(2)) slot \(slot): not in the dump"
            ])
        let empty = try export { $0 = "{\"root\": \"0xab\", \"accounts\": {}}" }
        #expect(
            try StateComparison(export: empty, dump: dump()).differences == [
                "account \(key.dropFirst(2)): not in the export"
            ])
        let other = Data("{\"root\": \"0xab\", \"accounts\": {}}".utf8)
        #expect(
            try StateComparison(export: try export(), dump: other).differences == [
                "account \(key.dropFirst(2)): not in the dump"
            ])
    }

    @Test func brokenDocumentsAreNamed() throws {
        for text in ["[]", "{", "", "{\"root\": \"0xab\"}", "{\"root\": \"0xab\", \"accounts\": {}} {}"] {
            #expect(throws: ShellError.badFile(path: "export", reason: "no object with root and accounts")) {
                try StateComparison(export: Data(text.utf8), dump: dump())
            }
        }
        let twice = Data(
            """
            {"root": "ab", "accounts": {"\(address)": {"balance": "12", "nonce": 3, "root": "0x01", "codeHash": "0x02",
             "storage": {"\(slot)": "2a", "0x1": "2a"}}}}
            """.utf8)
        #expect(throws: ShellError.self) { try StateComparison(export: try export(), dump: twice) }
    }
}
