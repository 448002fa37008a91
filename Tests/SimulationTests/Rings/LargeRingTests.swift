import Chain
import Node
import Primitives
import StateStore
import Testing

@testable import Simulation

/// Rings larger than one routing table: nobody has everybody in it, and holders are found by searches.
@Suite("Rings larger than a table") struct LargeRingTests {
    private func plan(_ groups: [Scenario.Group], seed: UInt64) -> Scenario.Plan {
        var plan = Scenario.Plan(seed: seed)
        plan.groups = groups
        plan.sectionDepth = 2
        plan.shape = SyntheticChain.Shape(accounts: 1_200, blocks: 90, changesPerBlock: 6)
        plan.epochLength = 8
        plan.blockInterval = .seconds(1)
        plan.startSpread = .seconds(4)
        plan.boot = .earlierHolder
        plan.conditions = SimulatedNetwork.Conditions(latency: .milliseconds(30), jitter: .milliseconds(6))
        plan.walkerLanes = 16
        plan.walkerRangeBytes = 16_384
        return plan
    }

    /// Runs until the client has the whole state; for how long in a row its progress named a section that waits for a
    /// holder, at worst. Progress is told once a second.
    private func longestWait(_ scenario: inout Scenario, _ client: HostID, limit: Interval) -> Interval? {
        let begin = scenario.world.now
        var (waits, longest) = (Interval.zero, Interval.zero)
        while scenario.world.now < begin + limit {
            let isDone = scenario.world.run(until: scenario.world.now + .seconds(1)) {
                $0.completion(of: client) != nil
            }
            if isDone { return longest }
            let isWaiting = scenario.world.progress(client)?.waiting != nil
            waits = isWaiting ? waits + .seconds(1) : .zero
            longest = max(longest, waits)
        }
        return nil
    }

    @Test func sixtyFourHoldersOfASixteenth() throws {
        print("seed 91")
        var scenario = try Scenario(plan([Scenario.Group(count: 64, radiusExponent: 252)], seed: 91))
        let filled = scenario.fillHolders(limit: .seconds(60))
        #expect(filled)
        let client = try scenario.addWalker()
        let begin = scenario.world.now
        let wait = longestWait(&scenario, client, limit: .seconds(60))
        #expect(try #require(wait) <= .seconds(2), "no section waits long for a holder that exists")
        let node = try #require(scenario.world.node(client))
        print(
            "the whole state after \(scenario.world.now - begin), \(node.holders.searchCount) searches, "
                + "\(node.holders.queryCount) queries, \(node.holders.keptCount) kept peers, "
                + "longest wait \(wait ?? .zero)"
        )
        #expect(node.holders.searchCount <= 2 * 16, "two for each arc of the ring")
        #expect((0..<256).allSatisfy { node.holders.providers(of: $0) >= 3 })
        #expect(node.totals.invalidAnswers == 0 && node.totals.falseAnnouncements == 0)
    }

    /// Each arc has one holder, and a quarter of the ring is crowded by nodes of one section each. The client is killed
    /// on its way, and the one node it is told of then is dead: it goes on with the holders that it had written down.
    @Test func oneHolderAnArcInACrowd() throws {
        print("seed 92")
        let groups = [Scenario.Group(count: 16, radiusExponent: 252), Scenario.Group(count: 64, radiusExponent: 248)]
        var plan = plan(groups, seed: 92)
        plan.walkerRate = 16_000
        var scenario = try Scenario(plan)
        let filled = scenario.fillHolders(limit: .seconds(60))
        #expect(filled)
        let client = try scenario.addWalker()
        _ = scenario.world.run(until: scenario.world.now + .seconds(20))
        let held = try #require(scenario.world.progress(client)).held
        #expect(held > 0.1 && held < 1)
        let snapshot = scenario.world.store(client).snapshot()
        let stored = try StoredState.load(from: snapshot, network: scenario.network).held.holders
        #expect(stored.count > 16, "holders were written down")
        scenario.world.kill(client)
        let dead = try #require(scenario.holders.last)
        let record = try #require(scenario.world.record(of: dead))
        scenario.world.kill(dead)
        try scenario.world.start(client, bootNodes: [record])
        let wait = longestWait(&scenario, client, limit: .seconds(90))
        #expect(try #require(wait) <= .seconds(10))
        print("longest wait \(wait ?? .zero), \(stored.count) holders were written down")
    }
}
