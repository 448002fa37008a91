import Chain
import ChainForge
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import Simulation

/// Whole networks whose blocks are mined, or signed by committees: what makes a header believed is another thing there,
/// and all else is the same.
@Suite("Networks under other rules") struct RuleTests {
    enum Kind: CaseIterable, Sendable { case proofOfWork, committee }

    static func rule(_ kind: Kind, undoDepth: UInt64 = 12) throws -> MadeNetwork.Rule {
        switch kind {
        case .proofOfWork:
            let terms = try WorkTerms(
                minimumDifficulty: 2, blockSeconds: 10, aheadSeconds: 15, undoDepth: undoDepth, minimumWork: 0)
            return .work(terms, difficulty: 16)
        // The committee changes in the middle of an epoch, and more than once.
        case .committee: return .committees(MadeCommittees(seed: 5, size: 4, termLength: 20))
        }
    }

    static func scenario(_ kind: Kind, seed: UInt64, loss: Double) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: 72, changesPerBlock: 5)
        plan.quickBlocks = 30
        plan.blockInterval = .milliseconds(800)
        plan.conditions = SimulatedNetwork.Conditions(loss: loss, latency: .milliseconds(20))
        plan.rule = try rule(kind)
        return try Scenario(plan, keepingBlocks: true)
    }

    /// One client walks the ring, another applies every block; the bridge has no key to sign with.
    @Test(arguments: Kind.allCases, [0, 0.1]) func aWalkerAndOneThatGoesBlockByBlock(kind: Kind, loss: Double) throws {
        var scenario = try Self.scenario(kind, seed: 61, loss: loss)
        let last = scenario.lastBlock
        _ = scenario.world.run(until: .seconds(10))
        let walker = try scenario.addWalker()
        let client = try scenario.addBlockByBlock(knowing: scenario.bridge)
        // Blocks are applied once nothing can take their place: under proof of work so far below the head.
        let applied = kind == .proofOfWork ? last.number - 12 : last.number
        let reached = scenario.world.run(until: .seconds(400)) {
            $0.progress(walker)?.verifiedHead == last.number && $0.progress(client)?.verifiedHead == applied
        }
        #expect(reached, "\([walker, client].map { String(describing: scenario.world.progress($0)) })")
        try Oracle.expectFinalState(in: scenario, of: walker)
        for host in [walker, client] + scenario.holders {
            #expect(scenario.world.node(host)?.chain.head == last)
            #expect(scenario.world.node(host)?.totals.invalidAnswers == 0)
        }
        #expect(scenario.world.node(client)?.replayedHead?.number == applied)
        let complete = scenario.world.reports.contains { entry in
            if case .complete = entry.report { entry.host == client } else { false }
        }
        #expect(complete, "it says so at the newest anchor that it can come to")
        if kind == .committee { try Oracle.expectFinalState(in: scenario, of: client) }
        for entry in scenario.world.reports {
            if case .failed(let why) = entry.report { Issue.record("host \(entry.host): \(why)") }
        }
    }
}
