import Foundation
import Primitives
import StateStore
import Testing

@testable import Shell

/// The store's file cut, emptied and written over: one line with the cure, never a signal and never a fresh start.
@Suite struct StoreFileTests {
    private static let seed: UInt64 = 2_301

    /// What opening a damaged store must say.
    private func expectDamage(_ directory: String, _ what: String) {
        for isReadOnly in [false, true] {
            var options = LMDBStore.Options()
            options.isReadOnly = isReadOnly
            let error = #expect(throws: StoreError.self) { try LMDBStore(directory: directory, options: options) }
            let isDamage = if case .damagedFile? = error { true } else { error == .missing && isReadOnly }
            #expect(isDamage, "\(what), read only \(isReadOnly): \(error.map { "\($0)" } ?? "opened")")
        }
    }

    @Test func aCutFileIsRefused() throws {
        let state = try SmallState(accounts: 3_000)
        let file = state.directory.storePath + "/data.mdb"
        let whole = try Data(contentsOf: URL(fileURLWithPath: file))
        for count in [0, 1, 4_095, 4_096, 8_191, 8_192, 12_288, whole.count / 2, whole.count - 4_096, whole.count - 1] {
            try whole.prefix(count).write(to: URL(fileURLWithPath: file))
            expectDamage(state.directory.storePath, "\(count) of \(whole.count) bytes")
        }
        try FileManager.default.removeItem(atPath: file)
        #expect(throws: StoreError.damagedFile("data.mdb is gone")) {
            try LMDBStore(directory: state.directory.storePath)
        }
        try whole.write(to: URL(fileURLWithPath: file))
        #expect(try state.verify().root == state.header.stateRoot)
    }

    @Test func overwrittenPagesAreRefused() throws {
        let state = try SmallState()
        let file = state.directory.storePath + "/data.mdb"
        let whole = try Data(contentsOf: URL(fileURLWithPath: file))
        for page in [0, 1] {
            var spoilt = whole
            spoilt.replaceSubrange(page * 4_096..<(page + 1) * 4_096, with: Data(count: 4_096))
            try spoilt.write(to: URL(fileURLWithPath: file))
            expectDamage(state.directory.storePath, "page \(page) is zero")
        }
        try Data("this is no store, but it is long enough to look at".utf8 + [UInt8](repeating: 7, count: 9_000))
            .write(to: URL(fileURLWithPath: file))
        expectDamage(state.directory.storePath, "another file")
    }

    /// What a crash leaves of the very first start is no damage: nothing was there yet.
    @Test(arguments: [0, 1, 4_096]) func aFirstStartThatWasCutIsBegunAgain(count: Int) throws {
        let directory = LMDBStoreTests.Directory()
        try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
        try Data(count: count).write(to: URL(fileURLWithPath: directory.path + "/data.mdb"))
        let store = try LMDBStore(directory: directory.path)
        var batch = WriteBatch()
        batch.put(.headers, [1], [2])
        try store.commit(batch)
        #expect(try store.snapshot().get(.headers, [1]) == [2])
    }

    /// A healthy file is never refused, whatever pages were taken and let go: also one that ends before its last page.
    @Test func aWholeFileIsNeverRefused() throws {
        let directory = LMDBStoreTests.Directory()
        var generator = SeededGenerator(seed: Self.seed)
        let store = try LMDBStore(directory: directory.path)
        for _ in 0..<120 {
            var batch = WriteBatch()
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                let key = [UInt8.random(in: 0...9, using: &generator), UInt8.random(in: 0...99, using: &generator)]
                let size = Int.random(in: 0..<4, using: &generator) == 0 ? 30_000 : 200
                batch.put(.leaves, key, [UInt8](repeating: 1, count: Int.random(in: 0...size, using: &generator)))
            }
            if Bool.random(using: &generator) { batch.deleteRange(.leaves, from: [3], upTo: nil) }
            try store.commit(batch)
            try StoreFile.check(in: directory.path, hadStore: true)
        }
        #expect(try store.snapshot().count(.leaves) > 0)
    }

    /// Every code of the library has words, and those of damage the cure.
    @Test func everyCodeHasWords() {
        for code in Int32(-30_799)...(-30_779) {
            let text = LMDB.error(code, "read table leaves").description
            let isPlain = !text.contains("Unknown error") && !text.contains("StoreError") && text.contains(": ")
            #expect(isPlain, "\(code): \(text)")
        }
        // A page that is no page, a file that is none, a page that is not there, another version.
        for code in [-30_796, -30_793, -30_797, -30_794] as [Int32] {
            #expect(LMDB.error(code, "read").description.contains("move the directory away"), "\(code)")
        }
        let error = ShellError.store(path: "/d", LMDB.error(EIO, "read table leaves"))
        let text = "/d: cannot read table leaves (Input/output error): check the disk and the permissions"
        #expect(error.description == text)
    }

    /// The file is cut while an export reads it: one line and exit code 1.
    @Test func aFileCutWhileItIsReadEndsTheProcessInOneLine() throws {
        let state = try SmallState(accounts: 20_000)
        let file = state.directory.storePath + "/data.mdb"
        // The export has begun, and waits for its reader before most of the file is read.
        let outcome = try Program.run([
            "export", "--data-dir", state.directory.path, "--network", state.networkFile,
        ]) { #expect(truncate(file, 16_384) == 0) }
        guard let outcome else { return }
        #expect(!outcome.isKilled && outcome.code == 1)
        #expect(outcome.errors.hasPrefix("carousel: ") && outcome.errors.contains(file), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    }

    @Test func aCutFileEndsEveryCommandInOneLine() throws {
        let state = try SmallState(accounts: 3_000)
        let file = state.directory.storePath + "/data.mdb"
        let data = ["--data-dir", state.directory.path, "--network", state.networkFile]
        for count in [0, 100_000] {
            #expect(truncate(file, count) == 0)
            for command in [["export"], ["verify"], ["run", "--bootnodes", "none", "--udp-port", "0"]] {
                guard let outcome = try Program.run(command + data) else { return }
                #expect(!outcome.isKilled && outcome.code == 1, "\(command) at \(count)")
                #expect(outcome.errors.contains(state.directory.path) && outcome.errors.contains("move the directory"))
                #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
            }
        }
    }
}
