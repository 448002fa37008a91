import Chain
import Primitives
import StateStore
import Testing

@testable import Node
@testable import Simulation

/// An account that takes longer to fetch than its anchor is served, while the chain goes on.
@Suite("An account wider than two anchors") struct WideAccountTests {
    private func scenario(seed: UInt64) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 20, blocks: 110, changesPerBlock: 1)
        plan.shape.wideSlots = 1_200
        plan.walkerRate = 1_600
        plan.walkerRangeBytes = 6_000
        return try Scenario(plan)
    }

    /// Whether the client has reported the whole ring, at whichever anchor.
    private func isComplete(_ world: World, _ client: HostID) -> Bool {
        world.reports.contains { entry in
            guard entry.host == client, case .complete = entry.report else { return false }
            return true
        }
    }

    /// The client comes to the last block and has its state.
    private func expectEnd(of client: HostID, in scenario: inout Scenario, until end: Instant) throws {
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: end) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
    }

    @Test func itIsFetchedWhileTheChainGoesOnAndNothingIsBegunAgain() throws {
        var scenario = try scenario(seed: 51)
        let rate = Double(scenario.plan.walkerRate ?? 0)
        let served = 2 * Double(scenario.plan.epochLength * scenario.plan.blockInterval.microseconds) / 1e6
        #expect(Double(1_200 * (32 + 8)) * 0.99 > rate * served * 0.85, "its leaves alone fill what two anchors last")
        _ = scenario.world.run(until: .seconds(12))
        let client = try scenario.addWalker()
        let done = scenario.world.run(until: .seconds(220)) { isComplete($0, client) }
        #expect(done, "\(String(describing: scenario.world.progress(client)))")
        let totals = try #require(scenario.world.node(client)).totals
        let head = try #require(scenario.world.node(scenario.bridge)).chain.head.number
        print("complete at \(scenario.world.now), block \(head) of 110, carried \(totals.carries) times")
        #expect(head < 110, "the chain was still going on")
        #expect(totals.drops == 0 && totals.carries >= 1 && totals.invalidAnswers == 0)
        try expectEnd(of: client, in: &scenario, until: .seconds(300))
    }

    /// Killed with the account half fetched: what was committed is carried on by the next life.
    @Test func itSurvivesARestart() throws {
        var scenario = try scenario(seed: 52)
        _ = scenario.world.run(until: .seconds(12))
        let client = try scenario.addWalker()
        let begun = scenario.world.run(until: .seconds(150)) { ($0.node(client)?.totals.carries ?? 0) >= 1 }
        #expect(begun)
        scenario.world.kill(client)
        // Long enough that the anchor it stands at is gone when it comes back.
        _ = scenario.world.run(until: scenario.world.now + .seconds(40))
        let boot = try #require(scenario.world.node(scenario.holders[1])).record
        try scenario.world.start(client, bootNodes: [boot])
        let done = scenario.world.run(until: .seconds(320)) { isComplete($0, client) }
        #expect(done, "\(String(describing: scenario.world.progress(client)))")
        let totals = try #require(scenario.world.node(client)).totals
        #expect(totals.drops == 0 && totals.carries >= 1)
        try expectEnd(of: client, in: &scenario, until: .seconds(350))
    }

    /// The diffs by which it is carried are changed by two of four holders; they pay, and it is fetched all the same.
    @Test func falseDiffsOnTheWayCostTheirSenders() throws {
        var scenario = try scenario(seed: 53)
        _ = scenario.world.run(until: .seconds(12))
        let sly = [scenario.holders[0], scenario.holders[1]]
        for host in sly {
            scenario.world.corrupt(
                host,
                tampering: { job, value, _ in
                    guard case .serveDiffs = job, value.count > 200 else { return value }
                    var value = value
                    // Inside the columns, where bodies and slots are.
                    value[value.count - 40] ^= 1
                    return value
                })
        }
        let client = try scenario.addWalker()
        try expectEnd(of: client, in: &scenario, until: .seconds(350))
        let node = try #require(scenario.world.node(client))
        #expect(node.totals.invalidAnswers > 0)
        for host in scenario.holders {
            let id = try #require(scenario.world.node(host)).record.id
            let isBanned = node.overlay.standing(of: id)?.bannedUntil != nil
            if !sly.contains(host) { #expect(!isBanned, "an honest one pays") }
        }
    }
}
