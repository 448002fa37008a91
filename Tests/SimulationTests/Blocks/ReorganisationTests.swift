import Chain
import ChainForge
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import Simulation

/// Heavier lines in networks of proof of work: everybody goes over to them, and the state of the lost blocks is nowhere
/// left.
@Suite("A heavier line in a network") struct ReorganisationTests {
    private static func plan(seed: UInt64, blocks: Int, loss: Double) throws -> Scenario.Plan {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 3
        plan.radiusExponent = 256
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: blocks, changesPerBlock: 5)
        plan.quickBlocks = 20
        plan.blockInterval = .milliseconds(800)
        plan.conditions = SimulatedNetwork.Conditions(loss: loss, latency: .milliseconds(20))
        plan.rule = try RuleTests.rule(.proofOfWork)
        return plan
    }

    /// Runs until a walker, and one who goes block by block, have come to the end of the winning line.
    private static func expectTheWinner(_ plan: Scenario.Plan) throws -> (scenario: Scenario, hosts: [HostID]) {
        var scenario = try Scenario(plan, keepingBlocks: true)
        let last = scenario.lastBlock
        _ = scenario.world.run(until: .seconds(8))
        let walker = try scenario.addWalker()
        let client = try scenario.addBlockByBlock(knowing: scenario.bridge)
        let hosts = [walker] + scenario.holders
        let applied = last.number - 12
        let reached = scenario.world.run(until: .seconds(600)) { world in
            hosts.allSatisfy { world.progress($0)?.verifiedHead == last.number }
                && world.progress(client)?.verifiedHead == applied
                && world.node(client)?.chain.head == last
        }
        #expect(reached, "\((hosts + [client]).map { String(describing: scenario.world.progress($0)) })")
        for host in hosts {
            #expect(scenario.world.node(host)?.chain.head == last)
            try Oracle.expectFinalState(in: scenario, of: host)
        }
        #expect(
            scenario.world.node(client)?.replayedHead == scenario.winner.entries[Int(applied) - 1].block.header.point)
        for entry in scenario.world.reports {
            if case .failed(let why) = entry.report { Issue.record("host \(entry.host): \(why)") }
        }
        return (scenario, hosts)
    }

    /// The bridge's own line loses its newest blocks: its state goes back by their layers, and on along the other.
    @Test(arguments: [(38, 0), (40, 0), (35, 0.1)] as [(Int, Double)])
    func theBridgeLeavesItsLine(fork: Int, loss: Double) throws {
        var plan = try Self.plan(seed: 71, blocks: 40, loss: loss)
        // Where nothing is left the blocks simply go on.
        plan.branch = Scenario.Branch(forksAfter: fork, blocks: 60)
        let (scenario, _) = try Self.expectTheWinner(plan)
        #expect(scenario.world.node(scenario.bridge)?.replayedHead == scenario.lastBlock)
        try Oracle.expectFinalState(in: scenario, of: scenario.bridge)
        let applied = scenario.world.reports.compactMap { entry -> UInt64? in
            guard entry.host == scenario.bridge, case .replayed(let point) = entry.report else { return nil }
            return point.number
        }
        #expect(applied == (0...40).map { UInt64($0) } + (fork + 1...60).map { UInt64($0) })
    }

    /// A line that never gets heavier is given up, and its blocks are nowhere.
    @Test func aLighterLineChangesNothing() throws {
        var plan = try Self.plan(seed: 72, blocks: 40, loss: 0)
        plan.branch = Scenario.Branch(forksAfter: 36, blocks: 39)
        var scenario = try Scenario(plan, keepingBlocks: true)
        let end = try #require(scenario.chain.entries.last?.block.header.point)
        _ = scenario.world.run(until: .seconds(120))
        #expect(scenario.world.node(scenario.bridge)?.replayedHead == end)
        for host in scenario.holders { #expect(scenario.world.node(host)?.chain.head == end) }
        #expect(
            scenario.world.node(scenario.bridge)?.chain.attested.unfinalCount == 15, "three of them of the other line")
    }

    /// Blocks of other lines, of others again, and of its own line a second time come between: none holds it up.
    @Test func whatIsOfNoUseHoldsNothingUp() throws {
        let plan = try Self.plan(seed: 75, blocks: 44, loss: 0)
        var scenario = try Scenario(plan, keepingBlocks: true)
        var shape = plan.shape
        shape.blocks = 40
        let others = try (1...2).map { salt in
            try SyntheticChain(
                shape: shape, seed: plan.seed, fork: SyntheticChain.Fork(after: 38, seed: UInt64(salt)),
                network: plan.made
            ).entries
        }
        let own = scenario.chain.entries
        let between = [others[0][38], own[38], own[39], others[0][38], others[1][38], others[1][39]]
        let begin = plan.time(ofBlock: 40) + .milliseconds(400)
        for (index, entry) in between.enumerated() {
            let block = ReplayedBlock(
                header: entry.block.header, changes: entry.accessList.accountChanges,
                bytes: BlockBytes(entry.block, entry.accessList))
            scenario.world.schedule(block, for: scenario.bridge, at: begin + .milliseconds(20) * index)
        }
        let last = scenario.lastBlock
        _ = scenario.world.run(until: .seconds(60)) { $0.node(scenario.bridge)?.replayedHead == last }
        #expect(scenario.world.node(scenario.bridge)?.replayedHead == last)
        #expect(scenario.world.node(scenario.bridge)?.replayBacklog == 0)
        try Oracle.expectFinalState(in: scenario, of: scenario.bridge)
        for entry in scenario.world.reports {
            if case .failed(let why) = entry.report { Issue.record("host \(entry.host): \(why)") }
        }
    }

    /// Another bridge's line takes the place of more than what was final: anchors go, and sections are led over.
    @Test(arguments: [0, 0.1]) func anchorsAreLost(loss: Double) throws {
        var plan = try Self.plan(seed: 73, blocks: 40, loss: loss)
        plan.rival = Scenario.Rival(forksAfter: 30, blocks: 64, begins: .seconds(34))
        let (scenario, hosts) = try Self.expectTheWinner(plan)
        #expect(hosts.allSatisfy { scenario.world.node($0)?.chain.conflict == nil })
    }

    /// Killed between any of its writes, a bridge that goes over to another line comes to the same state.
    @Test func aBridgeThatIsKilledOnItsWayBack() throws {
        for kill in 0..<6 {
            var plan = try Self.plan(seed: 74, blocks: 20, loss: 0)
            plan.branch = Scenario.Branch(forksAfter: 17, blocks: 30)
            var scenario = try Scenario(plan, keepingBlocks: true)
            _ = scenario.world.run(until: .seconds(100)) {
                $0.node(scenario.bridge)?.chain.head.hash == scenario.branch?.entries[20].block.header.hash
            }
            _ = scenario.world.run(until: scenario.world.now + .milliseconds(kill))
            scenario.world.kill(scenario.bridge)
            try scenario.restartBridge(scenario.bridge)
            let last = scenario.lastBlock
            let reached = scenario.world.run(until: scenario.world.now + .seconds(100)) {
                $0.node(scenario.bridge)?.replayedHead == last
            }
            #expect(reached, "killed after \(kill) ms")
            if reached { try Oracle.expectFinalState(in: scenario, of: scenario.bridge) }
        }
    }
}
