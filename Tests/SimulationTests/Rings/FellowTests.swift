import Node
import Primitives
import StateNetwork
import Testing

@testable import Simulation

/// Walkers that start together feed each other: holders whose lines are the bottleneck send each section about twice,
/// not once to each of four.
@Suite("Fellow walkers") struct FellowTests {
    private static func scenario(seed: UInt64) throws -> Scenario {
        var plan = Scenario.Plan(seed: seed)
        var holders = Scenario.Group(count: 4, radiusExponent: 255)
        holders.uploadRate = 12 << 10
        plan.groups = [holders]
        plan.sectionDepth = 2
        plan.shape = SyntheticChain.Shape(accounts: 2_500, blocks: 12, changesPerBlock: 1)
        plan.quickBlocks = 12
        plan.walkerLanes = 4
        plan.walkerRangeBytes = 8 << 10
        return try Scenario(plan)
    }

    /// Starts so many walkers at once; how long the last of them took for the whole state, and its figures.
    private func fetch(_ count: Int, seed: UInt64) throws -> (seconds: Double, scenario: Scenario, walkers: [HostID]) {
        var scenario = try Self.scenario(seed: seed)
        _ = scenario.fillHolders(limit: .seconds(600))
        // What is gossiped and announced after the last block comes to rest.
        _ = scenario.world.run(until: scenario.world.now + .seconds(20))
        // Every holder tells what it has, though its crown may have come after all sections.
        let bridge = try #require(scenario.world.node(scenario.bridge))
        #expect((0..<256).allSatisfy { bridge.holders.providers(of: $0) >= 2 })
        let start = scenario.world.now
        let walkers = try (0..<count).map { _ in try scenario.addWalker() }
        let all = scenario.world.run(until: start + .seconds(600)) { world in
            walkers.allSatisfy { world.completion(of: $0) != nil }
        }
        #expect(all)
        let last = try walkers.map { try #require(scenario.world.completion(of: $0)) }.max() ?? start
        return ((last - start).seconds, scenario, walkers)
    }

    @Test func fourTakeHardlyLongerThanOne() throws {
        let seed: UInt64 = 905
        print("seed \(seed)")
        let alone = try fetch(1, seed: seed)
        let four = try fetch(4, seed: seed)
        let ratio = four.seconds / alone.seconds
        let ids = Set(four.walkers.compactMap { four.scenario.world.record(of: $0)?.id })
        var (fromHolders, fromFellows) = (0.0, 0.0)
        for walker in four.walkers {
            let totals = try #require(four.scenario.world.node(walker)).totals
            #expect(totals.invalidAnswers == 0 && totals.drops == 0)
            for (sender, bytes) in totals.stateBytesByPeer {
                if ids.contains(sender) { fromFellows += Double(bytes) } else { fromHolders += Double(bytes) }
            }
        }
        let state = fromHolders + fromFellows
        print("one alone \(alone.seconds) s, four \(four.seconds) s: \(ratio) times")
        print("from fellows \(fromFellows / state) of all; holders sent the state \(4 * fromHolders / state) times")
        #expect(ratio <= 2)
        #expect(fromFellows / state > 0.4)
    }
}
