import Chain
import MerklePatricia
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import Simulation

/// Storage that is spread round the ring: no holder has all of it, and a client ends with it whole.
@Suite("Storage spread round the ring") struct SpreadRingTests {
    private func plan(seed: UInt64) -> Scenario.Plan {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.wideDepth = 1
        plan.holders = 16
        // An eighth of the ring each.
        plan.radiusExponent = 253
        plan.shape = SyntheticChain.Shape(accounts: 40, blocks: 60, changesPerBlock: 2)
        plan.shape.wideSlots = 1_500
        return plan
    }

    private func expectEnd(of client: HostID, in scenario: inout Scenario, until end: Instant) throws {
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: end) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        for host in [client] + scenario.holders {
            #expect(scenario.world.node(host)?.totals.invalidAnswers == 0)
        }
    }

    /// Slots of the wide account that a host has.
    private func slots(of host: HostID, in scenario: Scenario) throws -> Int {
        var count = 0
        try scenario.world.store(host).snapshot().forEach(.partLeaves, from: [], upTo: nil) { (_, _) throws(StoreError) in
            count += 1
            return true
        }
        return count
    }

    @Test func aClientWalksPartsThatNobodyHasAllOf() throws {
        var scenario = try Scenario(plan(seed: 91))
        _ = scenario.world.run(until: .seconds(40))
        for holder in scenario.holders { #expect(try slots(of: holder, in: scenario) <= 1_500 / 8 + 150) }
        let client = try scenario.addWalker()
        try expectEnd(of: client, in: &scenario, until: .seconds(300))
    }

    @Test func storageGoesFromNarrowToWideAndBack() throws {
        var plan = plan(seed: 92)
        plan.shape.wideFrom = 20
        plan.shape.wideUntil = 50
        plan.shape.blocks = 80
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(30))
        let client = try scenario.addWalker()
        let isWide = scenario.world.run(until: .seconds(110)) { world in
            (try? SpreadRecords.all(in: world.store(client).snapshot()).isEmpty) == false
        }
        #expect(isWide)
        try expectEnd(of: client, in: &scenario, until: .seconds(400))
        #expect(try SpreadRecords.all(in: scenario.world.store(client).snapshot()).isEmpty)
    }
}
