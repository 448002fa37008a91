import Chain
import Overlay
import Primitives
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// Nodes that know block diffs by stretches (0x4A) and nodes of the former version, which do not, in one network.
@Suite("Nodes with and without stretches") struct MixedVersionTests {
    private func plan(isFormerBridge: Bool, areFormerWalkers: Bool) -> Scenario.Plan {
        var plan = Scenario.Plan(seed: 41)
        plan.groups = [
            Scenario.Group(count: 4, radiusExponent: 255), Scenario.Group(count: 4, radiusExponent: 255),
        ]
        plan.groups[1].isFormer = true
        plan.former.isBridge = isFormerBridge
        plan.former.areWalkers = areFormerWalkers
        plan.shape = SyntheticChain.Shape(accounts: 200, blocks: 40, changesPerBlock: 12)
        plan.conditions = SimulatedNetwork.Conditions(loss: 0.02, latency: .milliseconds(20))
        return plan
    }

    /// What was offered and declined by somebody in the whole network.
    private func declined(_ scenario: Scenario) -> UInt64 {
        ([scenario.bridge] + scenario.holders).reduce(0) { sum, host in
            sum + (scenario.world.node(host)?.overlay.statistics.codesReceived[.declined] ?? 0)
        }
    }

    @Test(arguments: [false, true])
    func bothFollowTheHeadAndEndAtTheSameState(isFormerBridge: Bool) throws {
        print("seed 41")
        var scenario = try Scenario(plan(isFormerBridge: isFormerBridge, areFormerWalkers: !isFormerBridge))
        let (client, outcome) = try scenario.runClient(joining: .seconds(20), limit: .seconds(250))
        #expect(outcome.reachedHead, "\(String(describing: scenario.world.progress(client)))")
        let last = scenario.lastBlock.number
        let holders = scenario.holders
        let reached = scenario.world.run(until: .seconds(300)) { world in
            holders.allSatisfy { world.progress($0)?.verifiedHead == last }
        }
        #expect(reached)
        try Oracle.expectFinalState(in: scenario, of: client)
        // Each of both kinds took its blocks as they went round, and none was ever taken for a liar.
        for host in holders + [client] {
            let totals = try #require(scenario.world.node(host)?.totals)
            #expect(totals.blockDiffs > totals.sectionDiffs, "\(host)")
            #expect(totals.invalidAnswers == 0)
        }
        // Who does not know a stretch is asked to take one once, and again only when that was long ago: at most one
        // block a peer, or two where the second went out before the first was answered.
        let refused = declined(scenario)
        let pairs = UInt64(holders.count + 1) * 5
        #expect(refused > 0 && refused <= 2 * pairs, "\(refused)")
    }

    /// Where all know stretches nobody declines one, and what goes round is far less.
    @Test func whereAllKnowThemLessGoesRound() throws {
        func offered(isFormer: Bool) throws -> UInt64 {
            var plan = plan(isFormerBridge: isFormer, areFormerWalkers: isFormer)
            plan.groups[0].isFormer = isFormer
            plan.groups[1].isFormer = isFormer
            var scenario = try Scenario(plan)
            let last = scenario.lastBlock.number
            let holders = scenario.holders
            let reached = scenario.world.run(until: .seconds(200)) { world in
                holders.allSatisfy { world.progress($0)?.verifiedHead == last }
            }
            #expect(reached)
            #expect(declined(scenario) == 0)
            let nodes = ([scenario.bridge] + holders).compactMap { scenario.world.node($0) }
            return nodes.reduce(0) { sum, node in
                nodes.reduce(sum) { $0 + node.overlay.traffic(with: $1.record.id, network: .state).offersSent }
            }
        }
        let (stretches, sections) = (try offered(isFormer: false), try offered(isFormer: true))
        print("offered by stretches \(stretches) bytes, by sections \(sections) bytes")
        #expect(stretches * 2 < sections)
    }
}

/// Nodes that know several sections at once (0x45) and nodes of a former version, which do not, in one network.
@Suite("Nodes with and without bundles") struct MixedBundleTests {
    @Test(arguments: [false, true])
    func everybodyComesToTheSameStateAndNobodyIsTakenForALiar(isFormerWalker: Bool) throws {
        print("seed 45")
        var plan = Scenario.Plan(seed: 45)
        plan.groups = [
            Scenario.Group(count: 4, radiusExponent: 255), Scenario.Group(count: 4, radiusExponent: 255),
        ]
        plan.groups[1].isFormer = true
        plan.former.areWalkers = isFormerWalker
        plan.former.knows = KnownContents(bundles: false)
        plan.sectionDepth = 2
        plan.shape = SyntheticChain.Shape(accounts: 2_000, blocks: 24, changesPerBlock: 12)
        plan.walkerRangeBytes = 32_768
        plan.conditions = SimulatedNetwork.Conditions(loss: 0.02, latency: .milliseconds(20))
        var scenario = try Scenario(plan)
        let (client, outcome) = try scenario.runClient(joining: .seconds(20), limit: .seconds(250))
        #expect(outcome.reachedHead, "\(String(describing: scenario.world.progress(client)))")
        let holders = scenario.holders
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(300)) { world in
            holders.allSatisfy { world.progress($0)?.verifiedHead == last }
        }
        #expect(reached)
        try Oracle.expectFinalState(in: scenario, of: client)
        let totals = try #require(scenario.world.node(client)?.totals)
        #expect(totals.ranges > 0)
        #expect((totals.sections == 0) == isFormerWalker, "\(totals.sections) sections came several at once")
        let ids = try ([client] + holders).map { try #require(scenario.world.record(of: $0)).id }
        for host in holders + [client, scenario.bridge] {
            let node = try #require(scenario.world.node(host))
            #expect(node.totals.invalidAnswers == 0, "\(host)")
            for id in ids { #expect(node.overlay.standing(of: id)?.bannedUntil == nil, "\(host) has banned \(id)") }
        }
    }
}
