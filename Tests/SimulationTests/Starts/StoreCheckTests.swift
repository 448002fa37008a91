import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import Testing

@testable import Simulation
@testable import StateStore

/// What a client has fetched, carried over epochs and followed to the head passes the full check, in every way that it
/// can be read; and one changed byte in any of its tables of leaves does not.
@Suite("The store of a follower") struct StoreCheckTests {
    private typealias Check = StateCheck<MemorySnapshot>

    private static func followed(seed: UInt64) throws -> (scenario: Scenario, client: HostID) {
        var scenario = try Scenario(Scenarios.small(seed: seed))
        let (client, outcome) = try scenario.runClient(joining: .seconds(12), limit: .seconds(200))
        #expect(outcome.reachedHead)
        return (scenario, client)
    }

    /// The hash of each section at the anchor before its working one, by that anchor's crown.
    private static func previousHash(
        _ record: SectionRecord, _ scenario: Scenario, _ snapshot: MemorySnapshot
    ) throws -> Bytes32? {
        guard let point = record.previous else { return nil }
        let anchor = Anchor(epoch: point.number / scenario.plan.epochLength, hash: point.hash)
        guard let bytes = try CrownRecords.crown(anchor, in: snapshot), point.number > 0 else { return nil }
        let root = scenario.chain.entries[Int(point.number) - 1].block.header.stateRoot
        return try CrownValue.verify(bytes, stateRoot: root, depth: scenario.plan.sectionDepth)
            .sectionHash(record.section.index)
    }

    private static func check(_ scenario: Scenario, _ client: HostID) throws -> (tally: Check.Tally, undone: Int) {
        let snapshot = scenario.world.store(client).snapshot()
        let check = try Check(snapshot, depth: scenario.plan.sectionDepth)
        var tally = try check.checkHeaders()
        var undone = 0
        for record in check.records {
            let before = try previousHash(record, scenario, snapshot)
            undone += before == nil ? 0 : 1
            tally.add(try check.check(record, previousHash: before))
        }
        return (tally, undone)
    }

    @Test func whatWasFetchedAndFoldedIsWhole() throws {
        let (scenario, client) = try Self.followed(seed: 41)
        let (tally, undone) = try Self.check(scenario, client)
        #expect(tally.faults == [])
        #expect(tally.accounts > 100)
        #expect(undone > 0, "the anchor before was read too")
    }

    /// In the base and in the undo layer.
    @Test(arguments: [Table.leaves, .undoLeaves]) func oneByteIsSeen(table: Table) throws {
        let (scenario, client) = try Self.followed(seed: 42)
        let map = scenario.world.store(client)
        var entry: (key: [UInt8], value: [UInt8])?
        try map.snapshot().forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
            // The undo of what is new has one byte.
            if value.count > 8 { entry = (Array(key), Array(value)) }
            return entry == nil
        }
        let (key, changed) = try #require(entry)
        var value = changed
        value[value.count - 1] ^= 1
        var batch = WriteBatch()
        batch.put(table, key, value)
        try map.commit(batch)
        let (tally, _) = try Self.check(scenario, client)
        #expect(!tally.faults.isEmpty, "\(table) \(key.count)")
    }
}
