import ChainNetwork
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Simulation

/// Blocks on top of a state that was fetched: none from before it is needed.
@Suite("Fast sync") struct FastSyncTests {
    private static func scenario(seed: UInt64) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 2
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: 90, changesPerBlock: 5)
        plan.quickBlocks = 90
        plan.finalityDepth = 0
        plan.conditions = SimulatedNetwork.Conditions(loss: 0, latency: .milliseconds(20))
        return try Scenario(plan, keepingBlocks: true)
    }

    @Test func blocksGoOnFromTheAnchorOfAWalk() throws {
        var scenario = try Self.scenario(seed: 41)
        let depth = scenario.network.sectionDepth
        let client = try scenario.addWalker()
        let isWhole = scenario.world.run(until: .seconds(400)) { world in
            let snapshot = world.store(client).snapshot()
            let start = (try? FetchedState.start(depth: depth, in: snapshot)).flatMap { $0 }
            return (start?.point.number ?? 0) > 0
        }
        #expect(isWhole, "\(String(describing: scenario.world.progress(client)))")
        scenario.world.kill(client)
        let store = scenario.world.store(client)
        let start = try #require(try FetchedState.start(depth: depth, in: store.snapshot()))
        try store.commit(start.batch)
        try scenario.world.start(client) { $0.keeping.blocks = BlockPlan(applies: true) }
        #expect(scenario.world.node(client)?.replayedHead == start.point)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: scenario.world.now + .seconds(400)) {
            $0.progress(client)?.verifiedHead == last && $0.progress(client)?.sync.mode == .pacemaker
        }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let kept = try BlockRecords.heights(in: scenario.world.store(client).snapshot())
        #expect(kept == (start.point.number + 1)...last, "no block below the anchor was asked for")
    }

    /// A state that is not whole, or that does not make up the root, is none to go on from.
    @Test func onlyAWholeStateIsOneToGoOnFrom() throws {
        var scenario = try Self.scenario(seed: 42)
        let depth = scenario.network.sectionDepth
        let client = try scenario.addWalker()
        #expect(try FetchedState.start(depth: depth, in: scenario.world.store(client).snapshot()) == nil)
        _ = scenario.world.run(until: .seconds(400)) { world in
            let start = (try? FetchedState.start(depth: depth, in: world.store(client).snapshot())).flatMap { $0 }
            return start != nil
        }
        scenario.world.kill(client)
        let store = scenario.world.store(client)
        #expect(try FetchedState.start(depth: depth, in: store.snapshot()) != nil)
        let section = try #require(try SectionRecord.all(in: store.snapshot()).last?.section)
        try store.commit(StateWrites.dropSection(section))
        #expect(try FetchedState.start(depth: depth, in: store.snapshot()) == nil)
    }
}
