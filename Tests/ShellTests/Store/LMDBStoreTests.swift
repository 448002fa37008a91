import Foundation
import Primitives
import StateStore
import Testing

@testable import Shell

/// The store on disk against a plain model, at its limits, and across openings.
@Suite struct LMDBStoreTests {
    /// A directory of its own, removed at the end.
    final class Directory {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)").path
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Tables as sorted pairs.
    typealias Model = [Table: [[UInt8]: [UInt8]]]

    private func contents(_ snapshot: some StoreSnapshot, _ table: Table) throws -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        var last: [UInt8] = []
        try snapshot.forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
            #expect(ByteOrder.isLess(last, Array(key)))
            last = Array(key)
            found[last] = Array(value)
            return true
        }
        return found
    }

    private func apply(_ batch: WriteBatch, to model: inout Model) {
        batch.forEach { operation in
            switch operation {
            case .put(let table, let key, let value): model[table, default: [:]][Array(key)] = Array(value)
            case .delete(let table, let key): model[table, default: [:]][Array(key)] = nil
            case .deleteRange(let table, let from, let upTo):
                let (low, high) = (Array(from), Array(upTo))
                model[table, default: [:]] = model[table, default: [:]].filter {
                    ByteOrder.isLess($0.key, low) || (!high.isEmpty && !ByteOrder.isLess($0.key, high))
                }
            }
        }
    }

    private func randomBatch(_ generator: inout SeededGenerator) -> WriteBatch {
        var batch = WriteBatch()
        func key() -> [UInt8] {
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in UInt8.random(in: 0...9, using: &generator) }
        }
        for _ in 0..<Int.random(in: 1...60, using: &generator) {
            let table = [Table.leaves, .sections, .history].randomElement(using: &generator) ?? .leaves
            switch Int.random(in: 0..<20, using: &generator) {
            case 0: batch.deleteRange(table, from: key(), upTo: Bool.random(using: &generator) ? key() : nil)
            case 1: batch.deletePrefix(table, key())
            case 2...5: batch.delete(table, key())
            default:
                let size = Int.random(in: 0..<20, using: &generator) == 0 ? 9_000 : 40
                batch.put(table, key(), [UInt8](repeating: 7, count: Int.random(in: 0...size, using: &generator)))
            }
        }
        return batch
    }

    @Test func equalsAModelUnderRandomBatches() throws {
        let directory = Directory()
        var generator = SeededGenerator(seed: 1)
        var model: Model = [:]
        var store: LMDBStore? = try LMDBStore(directory: directory.path)
        for round in 0..<150 {
            let batch = randomBatch(&generator)
            try store?.commit(batch)
            apply(batch, to: &model)
            if round % 40 == 39 {
                store = nil
                store = try LMDBStore(directory: directory.path)
            }
            guard let snapshot = try store?.snapshot() else { return }
            for table in [Table.leaves, .sections, .history] {
                #expect(try contents(snapshot, table) == model[table] ?? [:])
                #expect(try snapshot.count(table) == model[table]?.count ?? 0)
            }
            let sorted = (model[.leaves] ?? [:]).keys.sorted { ByteOrder.isLess($0, $1) }
            let probe = [UInt8.random(in: 0...9, using: &generator), 5]
            let cursor = try snapshot.cursor(.leaves)
            #expect(try cursor.seek(probe) == sorted.contains { !ByteOrder.isLess($0, probe) })
            #expect(cursor.key == sorted.first { !ByteOrder.isLess($0, probe) })
            #expect(try cursor.last() == !sorted.isEmpty)
            #expect(cursor.key == sorted.last)
            #expect(try snapshot.get(.leaves, probe) == model[.leaves]?[probe])
        }
    }

    @Test func cursorGoesBothWays() throws {
        let directory = Directory()
        let store = try LMDBStore(directory: directory.path)
        var batch = WriteBatch()
        for byte in UInt8(1)...3 { batch.put(.headers, [byte], [byte]) }
        try store.commit(batch)
        let cursor = try store.snapshot().cursor(.headers)
        #expect(try cursor.seek([2]))
        #expect(try cursor.previous())
        #expect(cursor.key == [1])
        #expect(try !cursor.previous())
        #expect(cursor.key == nil)
        #expect(try cursor.last())
        #expect(try !cursor.next())
        #expect(try !cursor.next())
        #expect(try cursor.seek([]))
        #expect(cursor.value == [1])
    }

    @Test func snapshotsDoNotSeeLaterCommits() throws {
        let directory = Directory()
        let store = try LMDBStore(directory: directory.path)
        func put(_ value: UInt8) throws {
            var batch = WriteBatch()
            batch.put(.local, [1], [value])
            try store.commit(batch)
        }
        try put(1)
        let first = try store.snapshot()
        try put(2)
        let second = try store.snapshot()
        var batch = WriteBatch()
        batch.deleteRange(.local, from: [], upTo: nil)
        try store.commit(batch)
        #expect(try first.get(.local, [1]) == [1])
        #expect(try second.get(.local, [1]) == [2])
        #expect(try store.snapshot().get(.local, [1]) == nil)
    }

    @Test func aSnapshotServesManyThreads() async throws {
        let directory = Directory()
        let store = try LMDBStore(directory: directory.path)
        var batch = WriteBatch()
        for index in UInt32(0)..<2_000 {
            batch.put(.leaves, withUnsafeBytes(of: index.bigEndian) { Array($0) }, [UInt8](repeating: 1, count: 50))
        }
        try store.commit(batch)
        let snapshot = try store.snapshot()
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var count = 0
                    try snapshot.forEach(.leaves, from: [], upTo: nil) { (_, _) throws(StoreError) in
                        count += 1
                        return true
                    }
                    return count
                }
            }
            var counts: [Int] = []
            for try await count in group { counts.append(count) }
            return counts
        }
        #expect(counts == [2_000, 2_000, 2_000, 2_000])
    }

    @Test func aFullMapIsRefusedAndGoesOnAfterGrowth() throws {
        let directory = Directory()
        var options = LMDBStore.Options()
        options.mapSize = 1 << 20
        let store = try LMDBStore(directory: directory.path, options: options)
        var kept = 0
        func batch(_ number: Int) -> WriteBatch {
            var batch = WriteBatch()
            for index in 0..<100 {
                let key = Bytes32(UInt64(number), UInt64(index), 0, 0)
                batch.put(.leaves, key.bytes, [UInt8](repeating: 9, count: 500))
            }
            return batch
        }
        #expect(throws: StoreError.full) {
            while true {
                try store.commit(batch(kept))
                kept += 1
            }
        }
        #expect(kept > 5)
        #expect(try store.snapshot().count(.leaves) == kept * 100)
        #expect(throws: StoreError.full) { try store.commit(batch(kept)) }
        // A small commit still goes through, and what is there is whole.
        var small = WriteBatch()
        small.put(.local, [1], [1])
        try store.commit(small)
        let reader = try store.snapshot()
        #expect(throws: StoreError.snapshotsOpen(1)) { try store.grow(to: 4 << 20) }
        _ = consume reader
        try store.grow(to: 4 << 20)
        #expect(store.mapSize == 4 << 20)
        try store.commit(batch(kept))
        #expect(try store.snapshot().count(.leaves) == (kept + 1) * 100)
    }

    @Test func aDirectoryIsOpenOnce() throws {
        let directory = Directory()
        var store: LMDBStore? = try LMDBStore(directory: directory.path)
        #expect(throws: StoreError.locked) { _ = try LMDBStore(directory: directory.path) }
        // A snapshot outlives the store object; the directory is free only after it.
        var snapshot = try store?.snapshot()
        store = nil
        #expect(throws: StoreError.locked) { _ = try LMDBStore(directory: directory.path) }
        #expect(snapshot != nil)
        snapshot = nil
        _ = try LMDBStore(directory: directory.path)
    }

    @Test func aLockOfAnotherProcessIsSeen() throws {
        let directory = Directory()
        _ = try LMDBStore(directory: directory.path)
        // A lock of another open file counts as one of another process.
        let file = open(directory.path + "/" + LMDBEnvironment.lockFileName, O_RDWR)
        defer { close(file) }
        #expect(flock(file, LOCK_EX | LOCK_NB) == 0)
        #expect(throws: StoreError.locked) { _ = try LMDBStore(directory: directory.path) }
        var options = LMDBStore.Options()
        options.isReadOnly = true
        _ = try LMDBStore(directory: directory.path, options: options)
    }

    @Test func readOnlyReadsAndWritesNothing() throws {
        let directory = Directory()
        var options = LMDBStore.Options()
        options.isReadOnly = true
        #expect(throws: StoreError.missing) { _ = try LMDBStore(directory: directory.path, options: options) }
        var batch = WriteBatch()
        batch.put(.local, [1], [1])
        do {
            let store = try LMDBStore(directory: directory.path)
            try store.commit(batch)
        }
        let store = try LMDBStore(directory: directory.path, options: options)
        #expect(try store.snapshot().get(.local, [1]) == [1])
        #expect(throws: StoreError.readOnly) { try store.commit(batch) }
        #expect(throws: StoreError.readOnly) { try store.grow(to: 1 << 30) }
    }

    /// A store from before some table was there is read as it is, and gets the table when it is opened for writing.
    @Test func aStoreOfAFormerVersionIsRead() throws {
        let directory = Directory()
        var batch = WriteBatch()
        batch.put(.local, [1], [1])
        var former = LMDBStore.Options()
        former.tables = Table.allCases.filter { $0.rawValue < Table.partLeaves.rawValue }
        do { try LMDBStore(directory: directory.path, options: former).commit(batch) }
        var options = LMDBStore.Options()
        options.isReadOnly = true
        do {
            let snapshot = try LMDBStore(directory: directory.path, options: options).snapshot()
            #expect(try snapshot.get(.local, [1]) == [1])
            #expect(try snapshot.get(.partLeaves, [1]) == nil && snapshot.count(.partLeaves) == 0)
            let cursor = try snapshot.cursor(.partLeaves)
            #expect(try !cursor.seek([]) && !cursor.seek([1]) && !cursor.last() && !cursor.next())
            #expect(try snapshot.liveBytes(of: [.partLeaves]) == 0)
            #expect(try BlockRecords.heights(in: snapshot) == nil)
        }
        var later = WriteBatch()
        later.put(.partLeaves, [2], [2])
        let store = try LMDBStore(directory: directory.path)
        try store.commit(later)
        #expect(try store.snapshot().get(.partLeaves, [2]) == [2])
        #expect(try store.snapshot().get(.local, [1]) == [1])
    }

    @Test func badKeysLeaveNothing() throws {
        let directory = Directory()
        let store = try LMDBStore(directory: directory.path)
        for length in [0, 512] {
            var batch = WriteBatch()
            batch.put(.local, [1], [1])
            batch.put(.leaves, [UInt8](repeating: 1, count: length), [1])
            #expect(throws: StoreError.badKey(table: .leaves, length: length)) { try store.commit(batch) }
            #expect(try store.snapshot().count(.local) == 0)
        }
    }

    @Test func aFullDiskIsNotTakenForAFullStore() {
        for code in [ENOSPC, EFBIG, EDQUOT] { #expect(LMDB.error(code, "commit") == .diskFull) }
        #expect(LMDB.error(EIO, "commit") == .system(code: EIO, operation: "commit"))
    }

    @Test func bothDurabilitiesKeepWhatWasCommitted() throws {
        for durability in [LMDBStore.Durability.full, .lastCommitMayBeLost] {
            let directory = Directory()
            var options = LMDBStore.Options()
            options.durability = durability
            var batch = WriteBatch()
            batch.put(.local, [1], [1])
            do { try LMDBStore(directory: directory.path, options: options).commit(batch) }
            #expect(try LMDBStore(directory: directory.path).snapshot().get(.local, [1]) == [1])
        }
    }
}
