import Foundation
import MerklePatricia
import Primitives
import StateStore
import Testing

@testable import Shell

/// A process that writes a store is killed in the middle of it.
@Suite struct StoreKillTests {
    /// The root of 10,000 accounts of the workload, as three independent clients give it.
    private static let root = "0xbc4d1ba706a0a17d2cb825f0cc3c4bed11a59147f8caea8bea9186ff14e740a9"
    private static let depth = 2

    /// The program beside the tests; nil where only they were built.
    private var program: URL? {
        let beside = [
            Bundle.main.bundleURL, URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
        ]
        return beside.map { $0.appendingPathComponent("carousel") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    /// Starts the filling of a store; what it prints.
    private func start(_ program: URL, _ directory: String) throws -> (process: Process, output: FileHandle) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = program
        process.arguments = ["developer", "fill-store", directory, "--depth", "\(Self.depth)"]
        process.standardOutput = pipe
        try process.run()
        return (process, pipe.fileHandleForReading)
    }

    /// Every section is there whole, hashing to what its record says, or not at all; how many are.
    private func checkSections(_ directory: String) throws -> Int {
        let snapshot = try LMDBStore(directory: directory).snapshot()
        let records = try SectionRecord.all(in: snapshot)
        #expect(records.map(\.section.index) == Array(0..<records.count), "written in order, without a gap")
        var leaves = 0
        var view = StateView(snapshot, depth: Self.depth)
        for record in records {
            var columns = LeafColumns()
            var walk = try view.walk(from: Cursor(account: record.section.firstKey))
            while let key = try walk.next(), record.section.contains(key.account) {
                columns.append(key: key.account, value: try #require(try view.account(key.account)).rlp)
            }
            leaves += columns.count
            #expect(TrieBuilder.subtree(of: columns, in: 0..<columns.count) == record.subtree)
            #expect(try SectionChange.subtree(of: record.section, in: &view) == record.subtree)
        }
        #expect(try snapshot.count(.leaves) == leaves, "no leaf of a section that is not there")
        return records.count
    }

    @Test(arguments: [1, 60, 200]) func aKilledWriterLeavesWholeSteps(steps: Int) throws {
        guard let program else {
            print("skipped: the program is not built")
            return
        }
        let directory = LMDBStoreTests.Directory()
        let (process, output) = try start(program, directory.path)
        var lines = 0
        while lines < steps {
            let data = output.availableData
            guard !data.isEmpty else { break }
            lines += data.count { $0 == UInt8(ascii: "\n") }
        }
        // Right after it has told of a step: the next is under way.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        let found = try checkSections(directory.path)
        #expect(found >= lines, "what was told is there")
        #expect(found < Section.count(depth: Self.depth))
        // Gone on with, it ends as if nothing had happened.
        let (second, rest) = try start(program, directory.path)
        let text = String(decoding: try rest.readToEnd() ?? Data(), as: UTF8.self)
        second.waitUntilExit()
        #expect(second.terminationStatus == 0)
        let printed = text.split(separator: "\n")
        #expect(printed.last == "root \(Self.root)")
        #expect(printed.count == Section.count(depth: Self.depth) - found + 1, "only what was missing is written")
        #expect(try checkSections(directory.path) == Section.count(depth: Self.depth))
    }
}
