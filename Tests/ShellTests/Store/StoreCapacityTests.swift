import Chain
import MerklePatricia
import Primitives
import StateStore
import Synchronization
import Testing

@testable import Shell

/// A store that grows beyond its capacity gives up sections, whole.
@Suite struct StoreCapacityTests {
    private static let depth = 1
    private static let accounts: UInt64 = 4_000

    /// A store with every section complete.
    private func store(_ directory: LMDBStoreTests.Directory) throws -> LMDBStore {
        let rows = (0..<Self.accounts).map { index in
            (
                key: Keccak.hash(withUnsafeBytes(of: index.bigEndian) { Array($0) }),
                account: StateAccount(nonce: index, balance: UInt256(index))
            )
        }.sorted { $0.key < $1.key }
        var writer = RangeWriter(depth: Self.depth)
        for section in Section.all(depth: Self.depth) {
            var columns = LeafColumns()
            for row in rows where section.contains(row.key) {
                writer.leaf(FlatKey(account: row.key), row.account.slim)
                columns.append(key: row.key, value: row.account.rlp)
            }
            var branches = BranchColumns()
            let subtree = TrieBuilder.build(
                columns, in: 0..<columns.count, under: section.path, emitting: &branches)
            writer.accountBranches(branches)
            let point = StatePoint(number: 8, hash: Bytes32(8, 0, 0, 0))
            writer.section(SectionRecord(section: section, working: point, coverage: .complete(subtree)))
        }
        let store = try LMDBStore(directory: directory.path)
        try store.commit(writer.finished)
        return store
    }

    /// The lower half of the sections for each step down from 256.
    private static func arc(_ exponent: Int) -> Range<Int> { 0..<Section.count(depth: depth) >> (256 - exponent) }

    @Test func whereNoHistoryIsLeftASmallerArcIsAskedForOnce() throws {
        let directory = LMDBStoreTests.Directory()
        let store = try store(directory)
        let live = try store.liveBytes()
        let told = Mutex<[String]>([])
        let asked = Mutex(0)
        let capacity = StoreCapacity(
            store, capacity: live + live / 10, tell: { text in told.withLock { $0.append(text) } },
            shrink: { asked.withLock { $0 += 1 } })
        // Too little was written to look.
        try capacity.wrote(1)
        #expect(!capacity.isShort)
        try capacity.wrote(live)
        #expect(capacity.isShort)
        #expect(try capacity.look(isFull: true) == false)
        #expect(asked.withLock { $0 } == 1)
        #expect(told.withLock { $0.count } == 1)
        // One that has no smaller arc only says so.
        let last = StoreCapacity(store, capacity: live + live / 10, tell: { text in told.withLock { $0.append(text) } })
        #expect(try last.look() == false)
        #expect(!last.isShort)
        #expect(told.withLock { $0.last }?.hasSuffix("raise --storage-capacity") == true)
    }

    @Test(arguments: [false, true]) func sectionsOutsideGoWhole(isShort: Bool) throws {
        let directory = LMDBStoreTests.Directory()
        let store = try store(directory)
        let live = try store.liveBytes()
        // Short by the figures, or because a node said so though the figures do not.
        let room = isShort ? 4 * live : live
        let capacity = StoreCapacity(store, capacity: room, tell: { _ in })
        let exponent = try capacity.fit(
            exponent: isShort ? 255 : 256, depth: Self.depth, isShort: isShort, arc: Self.arc)
        #expect(exponent == 255)
        let snapshot = try store.snapshot()
        let records = try SectionRecord.all(in: snapshot)
        #expect(records.map(\.section.index) == Array(Self.arc(255)))
        var view = StateView(snapshot, depth: Self.depth)
        for section in Section.all(depth: Self.depth) {
            var columns = LeafColumns()
            var walk = try view.walk(from: Cursor(account: section.firstKey))
            while let key = try walk.next(), section.contains(key.account) {
                columns.append(key: key.account, value: try StateAccount(slim: walk.value ?? []).rlp)
            }
            let record = records.first { $0.section == section }
            #expect(TrieBuilder.subtree(of: columns, in: 0..<columns.count) == record?.subtree ?? .empty)
            #expect(try SectionChange.subtree(of: section, in: &view) == record?.subtree ?? .empty)
        }
        #expect(try store.liveBytes() < live * 2 / 3)
    }

    @Test func nothingIsDroppedWhereThereIsRoom() throws {
        let directory = LMDBStoreTests.Directory()
        let store = try store(directory)
        let capacity = StoreCapacity(store, capacity: 4 * (try store.liveBytes()), tell: { _ in })
        let exponent = try capacity.fit(exponent: 256, depth: Self.depth, isShort: false, arc: Self.arc)
        #expect(exponent == 256)
        #expect(try SectionRecord.all(in: try store.snapshot()).count == Section.count(depth: Self.depth))
    }
}
