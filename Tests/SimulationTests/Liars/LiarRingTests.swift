import Chain
import Primitives
import StateNetwork
import Testing

@testable import Node
@testable import Simulation

/// Half of the holders lie, each in another way, where every fifth packet is lost. `tools/soak liars` walks among a
/// third of them too.
@Suite("A ring among liars") struct LiarRingTests {
    /// Ten epochs pass while the client fetches, and for a minute it is cut off from two thirds of the ring.
    @Test(arguments: [(seed: UInt64(112), lying: 3)])
    func theClientEndsWithTheRightRoot(seed: UInt64, lying: Int) throws {
        print("seed \(seed)")
        var plan = Scenario.amongLiars(seed: seed, blocks: 100)
        // Slow enough that ten epochs pass, and little enough changes that what is held follows them at that pace.
        plan.epochLength = 4
        plan.shape.changesPerBlock = 1
        plan.walkerRate = 2_200
        plan.walkerRangeBytes = 4_096
        var scenario = try Scenario(plan)
        let filled = scenario.fillHolders(limit: .seconds(60))
        #expect(filled)
        let liars = scenario.corruptHolders(lying)
        scenario.world.network.conditions.loss = 0.2
        let (client, ledger) = try scenario.addWalker(among: liars)
        // The bridge is on the client's side: epochs go on.
        let near = Set(
            [client, scenario.bridge] + scenario.holders.enumerated().filter { $0.offset % 3 == 0 }.map(\.element))
        let start = scenario.world.now
        scenario.world.partition = Partition(near, from: start + .seconds(20), until: start + .seconds(80))
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(900)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let completions = scenario.outcome(of: client, reachedHead: reached).completions
        #expect(!completions.isEmpty)
        for completion in completions {
            let number = Int(completion.anchor.epoch * plan.epochLength)
            #expect(completion.root == scenario.chain.entries[number - 1].block.header.stateRoot)
        }
        let totals = try #require(scenario.world.node(client)).totals
        let accused = Set(scenario.world.accusations.filter { $0.accuser == client }.map(\.accused))
        let end = scenario.world.now.microseconds / 1_000
        print(
            "\(lying) of 6: \(totals.crossingsWhileFetching) crossings, end \(end) ms,",
            "\(accused.count) of \(liars.count) named, \(totals.invalidAnswers) lies, \(totals.drops) drops")
        #expect(totals.crossingsWhileFetching >= 10)
        let found = try LiarRun.expectEveryLiarIsNamed(by: client, liars, ledger, in: scenario)
        #expect(found > 0 && accused.isSubset(of: liars))
        let honest = [client] + scenario.holders.filter { !liars.contains($0) }
        try LiarRun.expectNoHonestOnePays(in: scenario, honest)
        scenario.world.network.conditions.loss = 0
        // They go on asking for what they hold, and some take no answer.
        for host in liars { scenario.world.kill(host) }
        LiarRun.expectNothingIsKept(in: &scenario, by: honest)
    }
}
