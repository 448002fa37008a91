import Primitives
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// What a holder missed it gets by itself: diffs that never reached it, what passed while it was started again, and the
/// epochs of an absence.
@Suite("A holder that missed something") struct HolderGapTests {
    private static func scenario(seed: UInt64, blocks: Int) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.groups = [Scenario.Group(count: 5, radiusExponent: 256)]
        plan.shape = SyntheticChain.Shape(accounts: 500, blocks: blocks, changesPerBlock: 5)
        plan.blockInterval = .seconds(1)
        return try Scenario(plan)
    }

    /// Runs to the end of the chain; the holder has all of it then, and nothing was begun again for that.
    private static func expectRepaired(_ scenario: inout Scenario, _ host: HostID, after: String) throws {
        let last = scenario.lastBlock.number
        let end = Interval(microseconds: scenario.plan.time(ofBlock: Int(last)).microseconds) + .seconds(60)
        let follows = scenario.world.run(until: Instant.zero + end) { $0.progress(host)?.verifiedHead == last }
        #expect(follows, "\(after): \(String(describing: scenario.world.progress(host)))")
        let totals = try #require(scenario.world.node(host)).totals
        #expect(totals.drops == 0 && totals.invalidAnswers == 0)
        try Oracle.expectFinalState(in: scenario, of: host)
        for other in scenario.holders {
            #expect(scenario.world.node(other)?.totals.invalidAnswers == 0, "nobody pays for it")
        }
    }

    /// For some blocks nothing reaches it in time: every request to it runs out, offers with them.
    @Test(arguments: [UInt64(321), 322]) func offersOfSomeBlocksAreLost(seed: UInt64) throws {
        var scenario = try Self.scenario(seed: seed, blocks: 60)
        let host = scenario.holders[1]
        _ = scenario.world.run(until: .seconds(30))
        scenario.world.set(line: Line(latency: .seconds(4)), of: host)
        _ = scenario.world.run(until: .seconds(42))
        let behind = (scenario.world.progress(host)?.verifiedHead ?? 0) + 5
        #expect(behind < scenario.world.progress(scenario.holders[2])?.verifiedHead ?? 0, "it has missed some")
        scenario.world.set(line: Line(), of: host)
        try Self.expectRepaired(&scenario, host, after: "lost offers")
    }

    @Test(arguments: [1, 5, 30]) func aStartAfterSomeBlocks(seconds: Int) throws {
        var scenario = try Self.scenario(seed: 323, blocks: 80)
        let host = scenario.holders[3]
        _ = scenario.world.run(until: .seconds(31))
        scenario.world.kill(host)
        _ = scenario.world.run(until: .seconds(31 + seconds))
        try scenario.world.start(host)
        try Self.expectRepaired(&scenario, host, after: "\(seconds) s away")
    }

    /// Three epochs, and more than an hour's worth of them on a network of such blocks.
    @Test(arguments: [24, 160]) func anAbsenceOfEpochs(blocks: Int) throws {
        var scenario = try Self.scenario(seed: 324, blocks: blocks + 60)
        let host = scenario.holders[0]
        _ = scenario.world.run(until: .seconds(26))
        scenario.world.kill(host)
        _ = scenario.world.run(until: .seconds(26 + blocks))
        try scenario.world.start(host)
        try Self.expectRepaired(&scenario, host, after: "\(blocks) blocks away")
        #expect(try #require(scenario.world.node(host)).totals.sectionDiffs > 0, "led on, not fetched anew")
    }
}
