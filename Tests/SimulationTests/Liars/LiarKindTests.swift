import Chain
import Primitives
import StateContent
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation

/// Every kind of liar alone: four of six holders are of it, and one honest holder is left for each half of the ring.
@Suite("One kind of liar") struct LiarKindTests {
    /// Those that a walk along a moving chain meets. Others need spread storage, or a client that was away.
    private static let met = LiarKind.all(depth: 1).map(\.name).filter { !Self.others.contains($0) }
    private static let others = [
        "gives other subtree hashes", "joins parts to another root",
        "says that storage is spread which is not",
    ]

    /// Where chance has it that a liar of the kind is asked for nothing that it lies about, the next seed is taken.
    @Test(arguments: met) func theClientEndsWithTheRightState(name: String) throws {
        for seed in UInt64(101)...110 where try run(name, seed: seed) { return }
        Issue.record("it found nobody to lie to")
    }

    /// Whether anybody was lied to.
    private func run(_ name: String, seed: UInt64) throws -> Bool {
        print("seed \(seed)")
        var plan = Scenarios.small(seed: seed)
        plan.holders = 6
        plan.shape.accounts = 120
        plan.shape.blocks = 18
        plan.blockInterval = .seconds(1)
        plan.walkerRate = 12_000
        plan.walkerRangeBytes = 16_384
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(12))
        let tally = LieCount()
        let liar = try #require(LiarKind.named(name, depth: 1))
        let liars = Array(scenario.holders[0..<4])
        for host in liars { scenario.world.corrupt(host, as: liar.counted(by: tally)) }
        let (client, ledger) = try scenario.addWalker(among: liars)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(200)) { $0.progress(client)?.verifiedHead == last }
        let outcome = scenario.outcome(of: client, reachedHead: reached)
        #expect(outcome.reachedHead, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let honest = [client] + scenario.holders[4...]
        try LiarRun.expectNoHonestOnePays(in: scenario, honest + [scenario.bridge])
        let accused = Set(scenario.world.accusations.map(\.accused))
        let charged = try liars.filter { liar in
            try honest.contains { try LiarRun.charges($0, liar, in: scenario) }
        }
        print(
            "\(name): \(tally.value) lies, \(accused.count) named, \(charged.count) charged, end",
            outcome.virtualSeconds)
        // Liars go on asking for what they hold, and some take no answer.
        for host in liars { scenario.world.kill(host) }
        LiarRun.expectNothingIsKept(in: &scenario, by: honest)
        switch liar.price {
        case .ban:
            _ = try LiarRun.expectEveryLiarIsNamed(by: client, liars, ledger, in: scenario)
            guard tally.value > 0 else { return false }
            #expect(!charged.isEmpty)
        case .patience: #expect(!charged.isEmpty)
        case .nothing: #expect(accused.isEmpty)
        }
        return true
    }
}
