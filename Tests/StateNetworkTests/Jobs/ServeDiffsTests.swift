import Chain
import MerklePatricia
import Primitives
import Simulation
@testable import StateContent
import StateLab
import StateStore
import Testing

@testable import StateNetwork

/// What a request for diffs may begin from.
@Suite("Diffs begin at blocks that were") struct ServeDiffsTests {
    private static let before = StatePoint(number: 8, hash: Bytes32(8, 8, 8, 8))
    private static let working = StatePoint(number: 16, hash: Bytes32(16, 16, 16, 16))

    /// One section, folded from one anchor to the next.
    private func store(_ section: Section, _ pair: StatePair) throws -> FaultyMap {
        let map = FaultyMap()
        var batch = WriteBatch()
        for table in [Table.leaves, .accountBranches, .storageBranches] {
            try pair.before.snapshot.forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
                batch.put(table, key, value)
                return true
            }
        }
        var view = pair.before.view
        let subtree = try SectionChange.subtree(of: section, in: &view)
        let record = SectionRecord(section: section, working: Self.before, coverage: .complete(subtree))
        batch.append(StateWrites.record(record))
        try map.commit(batch)
        var changed = StateView(map.snapshot(), depth: StatePair.depth)
        let update = try SectionChange.apply(pair.changes(in: section), to: section, in: &changed)
        try map.commit(StateWrites.fold(update, record: record, to: Self.working).batch)
        return map
    }

    private func serve(
        _ map: FaultyMap, _ section: Section, from: StatePoint, to: StatePoint, maxBytes: UInt32 = 1 << 20
    ) throws -> [UInt8] {
        let key = try #require(
            DiffsKey(from: from, to: to, sections: [section.index], maxBytes: maxBytes, withProof: false))
        let source = ServeDiffs.Section(section: section, layers: [], proof: [])
        let job = ServeDiffs(
            key: key, depth: StatePair.depth, sections: [source], otherwise: .busy(seconds: 9))
        return job.run(on: map.snapshot())
    }

    /// A start of the right number and another hash gets status 3: the asker could not use what leads on from ours.
    @Test func aRivalOfTheStartGetsStatusThree() throws {
        var generator = SeededGenerator(seed: 6_101)
        let pair = try StatePair(&generator)
        let section = try #require(Section.all(depth: StatePair.depth).first { !pair.changes(in: $0).isEmpty })
        let map = try store(section, pair)
        let later = StatePoint(number: 20, hash: .max)
        for number in [Self.before.number, Self.working.number] {
            let rival = StatePoint(number: number, hash: Bytes32(6, 6, 6, 6))
            for to in [Self.working, later] where to.number > number {
                #expect(try serve(map, section, from: rival, to: to) == StateStatus.historyTooShort.encoded)
            }
        }
        // The same with the right hashes.
        let changed = try serve(map, section, from: Self.before, to: Self.working)
        #expect(try SectionDiffsValue(decoding: changed).changes.map(\.changes) == [pair.changes(in: section)])
        let unchanged = try serve(map, section, from: Self.working, to: later)
        #expect(try SectionDiffsValue(decoding: unchanged).changes.map(\.changes) == [[]])
        // One byte is not room for anything.
        let tiny = try serve(map, section, from: Self.before, to: Self.working, maxBytes: 1)
        #expect(tiny == StateStatus.itemTooLarge.encoded)
    }
}
