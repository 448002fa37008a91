import Chain
import MerklePatricia
import Primitives
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork
@testable import StateStore

/// A disk that changes a byte: found, served no more, fetched again, served again; and nothing else is.
@Suite("A holder that reads back what it holds") struct ScrubbingTests {
    private static func scenario(seed: UInt64) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.groups = [Scenario.Group(count: 4, radiusExponent: 256)]
        plan.shape = SyntheticChain.Shape(accounts: 1_500, blocks: 90, changesPerBlock: 2)
        return try Scenario(plan)
    }

    /// Changes the last byte of an entry of a section; false where the table has none there.
    private static func flip(_ table: Table, of section: Int, in map: FaultyMap) throws -> Bool {
        var entry: (key: [UInt8], value: [UInt8])?
        try map.snapshot().forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
            let own =
                switch table {
                case .sections: Int(key[3])
                case .accountBranches: Int(key[0])
                default: Int(key[0] >> 4)
                }
            if own == section, value.count > 8 { entry = (Array(key), Array(value)) }
            return entry == nil
        }
        guard let (key, value) = entry else { return false }
        var changed = value
        changed[changed.count - 1] ^= 1
        var batch = WriteBatch()
        batch.put(table, key, changed)
        try map.commit(batch)
        return true
    }

    @Test(arguments: [Table.leaves, .accountBranches, .storageBranches, .sections])
    func aChangedByteIsFoundAndMended(table: Table) throws {
        var scenario = try Self.scenario(seed: 311)
        let host = scenario.holders[1]
        _ = scenario.world.run(until: .seconds(58))
        let map = scenario.world.store(host)
        let section = try #require(try (0..<16).first { try Self.flip(table, of: $0, in: map) })
        let isFound = scenario.world.run(until: .seconds(120)) { ($0.node(host)?.state.damagedSections ?? 0) > 0 }
        #expect(isFound, "within a round over the arc")
        // From then on it is neither announced nor served.
        let node = try #require(scenario.world.node(host))
        #expect(!node.state.holdings.book.isComplete(section))
        #expect(!node.state.holdings.servedAnchors().contains { $0.runs.contains { $0.contains(section) } })
        let isMended = scenario.world.run(until: .seconds(170)) { world in
            world.node(host)?.state.holdings.book.isWholeArcComplete == true
        }
        #expect(isMended)
        let last = scenario.lastBlock.number
        let follows = scenario.world.run(until: .seconds(220)) { $0.progress(host)?.verifiedHead == last }
        #expect(follows)
        let after = try #require(scenario.world.node(host))
        #expect(after.totals.drops == 1, "one section, and no other")
        #expect(after.state.damagedSections == 1 && after.totals.invalidAnswers == 0, "nobody is blamed")
        let snapshot = map.snapshot()
        let check = try StateCheck(snapshot, depth: 1)
        for record in check.records { #expect(try check.check(record).faults == []) }
        try Oracle.expectFinalState(in: scenario, of: host)
        // The others were read to the end of a round, and nothing of theirs was fetched again.
        for other in scenario.holders where other != host {
            let node = try #require(scenario.world.node(other))
            #expect(node.scrubbedSections >= 16 && node.totals.drops == 0 && node.state.damagedSections == 0)
        }
    }

    /// Damaged code is fetched by itself: no section is given up for it.
    @Test func aDamagedCodeIsFetchedAgain() throws {
        var scenario = try Self.scenario(seed: 313)
        let host = scenario.holders[1]
        _ = scenario.world.run(until: .seconds(58))
        let map = scenario.world.store(host)
        var entry: (key: [UInt8], code: [UInt8])?
        try map.snapshot().forEach(.codes, from: [], upTo: nil) { (key, code) throws(StoreError) in
            entry = (Array(key), Array(code))
            return entry == nil
        }
        let (key, code) = try #require(entry)
        var batch = WriteBatch()
        batch.put(.codes, key, code.dropLast() + [code[code.count - 1] ^ 1])
        try map.commit(batch)
        let isMended = scenario.world.run(until: .seconds(200)) { _ in
            (try? map.snapshot().get(.codes, key)) == code
        }
        #expect(isMended, "within a round over the arc")
        let last = scenario.lastBlock.number
        let follows = scenario.world.run(until: .seconds(260)) { $0.progress(host)?.verifiedHead == last }
        #expect(follows)
        let after = try #require(scenario.world.node(host))
        #expect(after.totals.drops == 0 && after.state.damagedSections == 0 && after.totals.invalidAnswers == 0)
        try Oracle.expectFinalState(in: scenario, of: host)
    }

    /// A changed byte of what leads back to the anchor before is found too, where that is served.
    @Test func aChangedByteOfAnUndoLayerIsFound() throws {
        var scenario = try Self.scenario(seed: 314)
        let host = scenario.holders[1]
        _ = scenario.world.run(until: .seconds(58))
        // Every fold makes a new layer: the damage is done anew until it is read.
        let map = scenario.world.store(host)
        var isFound = false
        for _ in 0..<60 where !isFound {
            for section in 0..<16 { _ = try Self.flip(.undoLeaves, of: section, in: map) }
            isFound = scenario.world.run(until: scenario.world.now + .seconds(1)) {
                ($0.node(host)?.state.damagedSections ?? 0) > 0
            }
        }
        #expect(isFound)
        let last = scenario.lastBlock.number
        let isMended = scenario.world.run(until: .seconds(400)) { world in
            world.progress(host)?.verifiedHead == last
                && world.node(host)?.state.holdings.book.isWholeArcComplete == true
        }
        #expect(isMended)
        try Oracle.expectFinalState(in: scenario, of: host)
    }

    /// The next life of a node whose section was found damaged, and not dropped yet, finds it again.
    @Test func aKillBeforeTheSectionIsDroppedChangesNothing() throws {
        var scenario = try Self.scenario(seed: 312)
        let host = scenario.holders[2]
        _ = scenario.world.run(until: .seconds(58))
        let map = scenario.world.store(host)
        let isFlipped = try Self.flip(.leaves, of: 5, in: map)
        #expect(isFlipped)
        let isFound = scenario.world.run(until: .seconds(120)) { ($0.node(host)?.state.damagedSections ?? 0) > 0 }
        #expect(isFound)
        scenario.world.kill(host)
        try scenario.world.start(host)
        let last = scenario.lastBlock.number
        let follows = scenario.world.run(until: .seconds(320)) { world in
            world.progress(host)?.verifiedHead == last
                && world.node(host)?.state.holdings.book.isWholeArcComplete == true
                && (world.node(host)?.scrubbedSections ?? 0) >= 16
        }
        #expect(follows)
        let check = try StateCheck(map.snapshot(), depth: 1)
        for record in check.records { #expect(try check.check(record).faults == []) }
    }
}
