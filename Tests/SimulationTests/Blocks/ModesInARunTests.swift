import ChainNetwork
import Primitives
import StateNetwork
import Testing

@testable import Simulation

/// Modes and reasons of nodes that run: nobody is called caught up before the last final block is applied.
@Suite("Modes in a run") struct ModesInARunTests {
    private static func scenario(seed: UInt64, finality: UInt64 = 0) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 1
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: 80, changesPerBlock: 5)
        plan.quickBlocks = 80
        plan.finalityDepth = finality
        plan.conditions = SimulatedNetwork.Conditions(loss: 0, latency: .milliseconds(20))
        return try Scenario(plan, keepingBlocks: true)
    }

    /// Whatever its peers are like, quick or slow. The end is the last final block, whose state has an anchor far
    /// behind it: there are eight blocks in an epoch, and each first one makes a complete state.
    @Test(arguments: [(0, 1_000_000), (2, 1_000_000), (0, 20_000)]) func onlyTheLastFinalBlockIsTheEnd(
        finality: UInt64, bytesPerSecond: UInt64
    ) throws {
        var scenario = try Self.scenario(seed: 31, finality: finality)
        _ = scenario.world.run(until: .seconds(20))
        scenario.world.set(
            line: Line(latency: .milliseconds(40), bytesPerSecond: bytesPerSecond), of: scenario.bridge)
        for holder in scenario.holders { scenario.world.kill(holder) }
        let client = try scenario.addBlockByBlock(knowing: scenario.bridge)
        let last = scenario.lastBlock.number - finality
        var (seen, early) = (0, false)
        let reached = scenario.world.run(until: .seconds(600)) { world in
            guard let progress = world.progress(client) else { return false }
            seen += progress.verifiedHead < last ? 1 : 0
            early = early || progress.sync.mode == .pacemaker && progress.verifiedHead < last
            return progress.sync.mode == .pacemaker
        }
        let progress = try #require(scenario.world.progress(client))
        #expect(reached && progress.verifiedHead == last && progress.sync.behind == 0, "\(progress)")
        #expect(progress.sync.told.highest == scenario.lastBlock.number && progress.sync.highest >= last)
        #expect(seen > 0 && !early)
        #expect(scenario.world.progress(scenario.bridge)?.sync.mode == .pacemaker)
    }

    /// When nobody answers any more a node is not caught up, and when somebody does again it is.
    @Test func aNodeThatHearsOfNobodyIsNotCaughtUp() throws {
        var scenario = try Self.scenario(seed: 32)
        let client = try scenario.addBlockByBlock(knowing: scenario.bridge)
        let last = scenario.lastBlock.number
        let isCaughtUp = scenario.world.run(until: .seconds(200)) { world in
            world.progress(client).map { $0.sync.mode == .pacemaker && $0.verifiedHead == last } ?? false
        }
        #expect(isCaughtUp)
        scenario.world.kill(scenario.bridge)
        for holder in scenario.holders { scenario.world.kill(holder) }
        let isOut = scenario.world.run(until: scenario.world.now + .seconds(600)) {
            $0.progress(client)?.sync.mode == .sync
        }
        #expect(isOut && scenario.world.progress(client)?.phase == .alone)
    }

    /// Below every peer's lowest block: it says so, and names the other way.
    @Test func whoIsBelowAllThatIsKeptSaysSo() throws {
        var scenario = try Self.scenario(seed: 33)
        let first = try scenario.addBlockByBlock(knowing: scenario.bridge, keeping: 20)
        let last = scenario.lastBlock.number
        #expect(scenario.world.run(until: .seconds(200)) { $0.progress(first)?.verifiedHead == last })
        scenario.world.kill(scenario.bridge)
        for holder in scenario.holders { scenario.world.kill(holder) }
        let client = try scenario.addBlockByBlock(knowing: first)
        _ = scenario.world.run(until: scenario.world.now + .seconds(120)) { $0.progress(client)?.stall != nil }
        let progress = try #require(scenario.world.progress(client))
        let stall = try #require(progress.stall)
        #expect(stall.cause == .blocksPruned(block: 1, lowest: last - 19, peers: 1), "\(stall)")
        #expect(stall.advice.hasPrefix("fetch the state instead, with --catch-up state"))
        #expect(progress.sync.mode == .sync && progress.verifiedHead == 0)
    }
}
