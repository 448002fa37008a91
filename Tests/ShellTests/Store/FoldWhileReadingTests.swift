import Chain
import Foundation
import MerklePatricia
import Primitives
import StateStore
import Synchronization
import Testing

@testable import Shell

/// Epochs pass on disk while other threads read both anchors.
@Suite struct FoldWhileReadingTests {
    private static let depth = 1
    private static let accounts: UInt64 = 6_000
    private static let epochs: UInt64 = 6
    private static let readers = 2

    private static func key(_ index: UInt64) -> Bytes32 {
        Keccak.hash(withUnsafeBytes(of: index.bigEndian) { Array($0) })
    }

    private static func point(_ epoch: UInt64) -> StatePoint {
        StatePoint(number: 8 * epoch, hash: Bytes32(epoch, 0, 0, 9))
    }

    /// In epoch e a seventh of the accounts gets the nonce e, one in fifty goes or comes back.
    private static func account(_ index: UInt64, at epoch: UInt64) -> StateAccount? {
        if (index + epoch) % 50 == 0 { return nil }
        // The last epoch in which it was its turn.
        let turn = (index + epoch) % 7
        let last: UInt64 = turn <= epoch ? epoch - turn : 0
        return StateAccount(nonce: last, balance: UInt256(index + 1))
    }

    /// The section's hash from its leaves alone.
    private static func hash(
        of section: Section, in view: StateView<LMDBSnapshot>
    ) throws -> Bytes32 {
        var columns = LeafColumns()
        var walk = try view.walk(from: Cursor(account: section.firstKey))
        while let key = try walk.next(), section.contains(key.account) {
            let account = try StateAccount(slim: walk.value ?? [])
            columns.append(key: key.account, value: account.rlp)
        }
        return TrieBuilder.subtree(of: columns, in: 0..<columns.count).hash(at: depth)
    }

    /// The hash of every section in every epoch.
    private static func truth(_ rows: [(key: Bytes32, index: UInt64)]) -> [StatePoint: [Bytes32]] {
        var truth: [StatePoint: [Bytes32]] = [:]
        for epoch in 0...epochs {
            truth[point(epoch)] = Section.all(depth: depth).map { section in
                var columns = LeafColumns()
                for row in rows where section.contains(row.key) {
                    if let account = account(row.index, at: epoch) { columns.append(key: row.key, value: account.rlp) }
                }
                return TrieBuilder.subtree(of: columns, in: 0..<columns.count).hash(at: depth)
            }
        }
        return truth
    }

    /// Looks at every section at both of its anchors; how many readings there were.
    private static func read(_ snapshot: LMDBSnapshot, _ truth: [StatePoint: [Bytes32]]) throws -> Int {
        var readings = 0
        for record in try SectionRecord.all(in: snapshot) {
            for point in [record.working, record.previous].compactMap(\.self) {
                let view = StateView(snapshot, depth: depth, at: point, records: [record])
                let found = try hash(of: record.section, in: view)
                #expect(found == truth[point]?[record.section.index], "\(record.section) at \(point.number)")
                readings += 1
            }
        }
        return readings
    }

    @Test func bothAnchorsStandWhileSectionsAreFolded() throws {
        let rows = (0..<Self.accounts).map { (key: Self.key($0), index: $0) }.sorted { $0.key < $1.key }
        let truth = Self.truth(rows)
        let directory = LMDBStoreTests.Directory()
        let store = try LMDBStore(directory: directory.path)
        try store.commit(try Self.genesis(rows))
        let opened = try store.snapshot()

        let isOver = Mutex(false)
        let ended = DispatchSemaphore(value: 0)
        let readings = Mutex(0)
        for _ in 0..<Self.readers {
            Thread {
                repeat {
                    do {
                        let count = try Self.read(try store.snapshot(), truth)
                        readings.withLock { $0 += count }
                    } catch {
                        Issue.record(error)
                        break
                    }
                } while !isOver.withLock { $0 }
                ended.signal()
            }.start()
        }
        defer {
            isOver.withLock { $0 = true }
            for _ in 0..<Self.readers { ended.wait() }
            #expect(readings.withLock { $0 } >= Self.readers * Section.count(depth: Self.depth))
        }
        for epoch in 1...Self.epochs {
            for section in Section.all(depth: Self.depth) {
                try Self.fold(section, to: epoch, rows, store)
            }
        }
        #expect(try Self.read(try store.snapshot(), truth) == 2 * Section.count(depth: Self.depth))
        // Who opened the store before all that still reads what was there.
        #expect(try Self.read(opened, truth) == Section.count(depth: Self.depth))
    }

    private static func genesis(_ rows: [(key: Bytes32, index: UInt64)]) throws -> WriteBatch {
        var writer = RangeWriter(depth: depth)
        for section in Section.all(depth: depth) {
            var columns = LeafColumns()
            for row in rows where section.contains(row.key) {
                guard let account = account(row.index, at: 0) else { continue }
                writer.leaf(FlatKey(account: row.key), account.slim)
                columns.append(key: row.key, value: account.rlp)
            }
            var branches = BranchColumns()
            let subtree = TrieBuilder.build(
                columns, in: 0..<columns.count, under: section.path, emitting: &branches)
            writer.accountBranches(branches)
            writer.section(SectionRecord(section: section, working: point(0), coverage: .complete(subtree)))
        }
        return writer.finished
    }

    private static func fold(
        _ section: Section, to epoch: UInt64, _ rows: [(key: Bytes32, index: UInt64)], _ store: LMDBStore
    ) throws {
        let snapshot = try store.snapshot()
        let record = try #require(try SectionRecord.read(section, in: snapshot))
        var view = StateView(snapshot, depth: depth, at: record.working, records: [record])
        let changes = rows.filter { section.contains($0.key) }.compactMap { row -> LeafChange? in
            let (before, after) = (account(row.index, at: epoch - 1)?.slim, account(row.index, at: epoch)?.slim)
            return before == after ? nil : LeafChange(key: FlatKey(account: row.key), value: after)
        }
        let update = try SectionChange.apply(changes, to: section, in: &view)
        try store.commit(StateWrites.fold(update, record: record, to: point(epoch)).batch)
    }
}
