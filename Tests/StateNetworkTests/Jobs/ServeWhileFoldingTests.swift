import Chain
import MerklePatricia
import Primitives
import Simulation
import StateContent
import StateLab
import StateStore
import Testing

@testable import StateNetwork

/// An epoch passes, section by section, while peers go on asking.
@Suite struct ServeWhileFoldingTests {
    private static let points = [
        StatePoint(number: 8, hash: Bytes32(8, 8, 8, 8)), StatePoint(number: 16, hash: Bytes32(16, 16, 16, 16)),
    ]

    /// A store with every section of a state complete at the first point.
    private func store(_ state: TestState) throws -> FaultyMap {
        let map = FaultyMap()
        var batch = WriteBatch()
        for table in [Table.leaves, .accountBranches, .storageBranches] {
            try state.snapshot.forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
                batch.put(table, key, value)
                return true
            }
        }
        var view = state.view
        for section in Section.all(depth: state.depth) {
            let subtree = try SectionChange.subtree(of: section, in: &view)
            batch.append(
                StateWrites.record(
                    SectionRecord(section: section, working: Self.points[0], coverage: .complete(subtree))))
        }
        try map.commit(batch)
        return map
    }

    /// What is served of a section at a point; nil where it is said to be elsewhere.
    private func serve(
        _ section: Section, at point: StatePoint, _ state: TestState, on snapshot: MemorySnapshot
    ) throws -> VerifiedStateRange? {
        let key = try TestState.key(Cursor(account: section.firstKey), Cursor.end(of: section.lastKey))
        let otherwise = StateStatus.busy(seconds: 9)
        let job = ServeRange(
            key: key, section: section, point: point, crown: .accounts(state.crown), otherwise: otherwise)
        let value = job.run(on: snapshot)
        return value == otherwise.encoded ? nil : try RangeCheck.verify(value, key: key, stateRoot: state.root)
    }

    @Test(arguments: [UInt64(4_201), 4_202]) func bothAnchorsAreServedAtEveryStep(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let pair = try StatePair(&generator)
        let map = try store(pair.before)
        let opened = map.snapshot()
        var folded: Set<Int> = []
        for section in Section.all(depth: StatePair.depth).shuffled(using: &generator) {
            let snapshot = map.snapshot()
            let record = try #require(try SectionRecord.read(section, in: snapshot))
            var view = StateView(snapshot, depth: StatePair.depth)
            let update = try SectionChange.apply(pair.changes(in: section), to: section, in: &view)
            try map.commit(StateWrites.fold(update, record: record, to: Self.points[1]).batch)
            folded.insert(section.index)
            for other in Section.all(depth: StatePair.depth) {
                let old = try #require(try serve(other, at: Self.points[0], pair.before, on: map.snapshot()))
                #expect(pair.before.has(old))
                let new = try serve(other, at: Self.points[1], pair.after, on: map.snapshot())
                #expect((new != nil) == folded.contains(other.index))
                if let new { #expect(pair.after.has(new)) }
            }
        }
        // Who opened the store before all that still reads what was there.
        for section in Section.all(depth: StatePair.depth) {
            let range = try #require(try serve(section, at: Self.points[0], pair.before, on: opened))
            #expect(pair.before.has(range))
            #expect(try serve(section, at: Self.points[1], pair.after, on: opened) == nil)
        }
    }
}
