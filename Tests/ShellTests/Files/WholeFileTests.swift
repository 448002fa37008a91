import Foundation
import Primitives
import Testing

@testable import Shell

@Suite struct WholeFileTests {
    private let folder: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("carousel-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
    }

    private func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    private func text(_ name: String) -> String? {
        FileManager.default.contents(atPath: folder + "/" + name).map { String(decoding: $0, as: UTF8.self) }
    }
    private func clean() { try? FileManager.default.removeItem(atPath: folder) }

    @Test func nothingIsAtThePlaceBeforeTheFileIsWhole() throws {
        defer { clean() }
        let file = try WholeFile(folder + "/a", .replaced)
        try file.write(Data("half".utf8))
        #expect(try text("a") == nil && names().count == 1)
        try file.write(Data(" and half".utf8))
        try file.finish()
        #expect(try text("a") == "half and half" && names() == ["a"])
    }

    @Test func aFileThatIsGivenUpLeavesWhatWasThere() throws {
        defer { clean() }
        try WholeFile.write("old", to: folder + "/a", .replaced)
        // Somebody else's files, whatever they are called.
        try WholeFile.write("theirs", to: folder + "/a.partial", .replaced)
        func fail() throws {
            let file = try WholeFile(folder + "/a", .replaced)
            try file.write(Data("new".utf8))
            throw ShellError.fileExists("made up")
        }
        #expect(throws: ShellError.fileExists("made up")) { try fail() }
        #expect(try text("a") == "old" && text("a.partial") == "theirs" && names() == ["a", "a.partial"])
        try WholeFile.write("new", to: folder + "/a", .replaced)
        #expect(text("a") == "new")
    }

    @Test func twoWritersDoNotMeet() throws {
        defer { clean() }
        let (first, second) = (try WholeFile(folder + "/a", .replaced), try WholeFile(folder + "/a", .replaced))
        try first.write(Data("first".utf8))
        try second.write(Data("second".utf8))
        try second.finish()
        #expect(text("a") == "second")
        try first.finish()
        #expect(try text("a") == "first" && names() == ["a"])
    }

    @Test func whatMustBeNewReplacesNothing() throws {
        defer { clean() }
        let late = try WholeFile(folder + "/key", .mustBeFree, permissions: 0o600)
        try late.write(Data("late".utf8))
        try WholeFile.write("early", to: folder + "/key", .mustBeFree, permissions: 0o600)
        #expect(throws: ShellError.fileExists(folder + "/key")) { try late.finish() }
        #expect(throws: ShellError.fileExists(folder + "/key")) { _ = try WholeFile(folder + "/key", .mustBeFree) }
        #expect(text("key") == "early")
    }

    @Test func linksStayAndDevicesAreWrittenTo() throws {
        defer { clean() }
        try WholeFile.write("old", to: folder + "/real", .replaced)
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: folder + "/real")
        try WholeFile.write("new", to: folder + "/link", .replaced)
        #expect(text("real") == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/link") == folder + "/real")
        try WholeFile.write("gone", to: "/dev/null", .replaced)
        var status = stat()
        #expect(stat("/dev/null", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
    }

    @Test func aFolderThatIsNotThereIsNamed() {
        defer { clean() }
        let path = folder + "/no/such"
        let reason = "cannot be written: No such file or directory"
        #expect(throws: ShellError.file(path: path, reason: reason)) { try WholeFile.write("", to: path, .replaced) }
        #expect(throws: ShellError.file(path: folder, reason: "cannot be written: Is a directory")) {
            try WholeFile.write("", to: folder, .replaced)
        }
    }
}
