import Node
import Primitives
import StateNetwork
import Testing

@testable import Simulation

/// A walk that takes many epochs: what is under way is kept over every boundary.
@Suite("A walk over many epochs") struct CrossingTests {
    @Test func fiftyCrossingsInOneWalk() throws {
        var plan = Scenario.Plan(seed: 81)
        print("seed 81")
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 1_200, blocks: 420, changesPerBlock: 1)
        plan.epochLength = 4
        plan.blockInterval = .seconds(1)
        plan.quickBlocks = 8
        plan.walkerRate = 1_500
        plan.walkerRangeBytes = 6_000
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(9))
        let client = try scenario.addWalker()
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(600)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        let totals = try #require(scenario.world.node(client)).totals
        print("\(totals.crossingsWhileFetching) crossings, \(totals.ranges) ranges, \(totals.sectionDiffs) diffs")
        #expect(totals.crossingsWhileFetching >= 50)
        #expect(totals.drops == 0 && totals.invalidAnswers == 0)
        try Oracle.expectFinalState(in: scenario, of: client)
    }
}
