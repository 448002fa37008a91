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
        "gives other subtree hashes", "joins parts to another root", "says that storage is spread which is not",
    ]

    @Test(arguments: met) func theClientEndsWithTheRightState(name: String) throws {
        print("seed 101")
        var plan = Scenarios.small(seed: 101)
        plan.holders = 6
        plan.shape.accounts = 200
        plan.shape.blocks = 20
        plan.blockInterval = .seconds(1)
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(12))
        let tally = LieCount()
        let liar = try #require(LiarKind.named(name, depth: 1))
        let liars = Array(scenario.holders[0..<4])
        for host in liars { scenario.world.corrupt(host, as: liar.counted(by: tally)) }
        let (client, outcome) = try scenario.runClient(joining: .seconds(12), limit: .seconds(200))
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
        switch liar.price {
        case .ban where liar.line == nil:
            #expect(tally.value > 0, "it found nobody to lie to")
            #expect(!charged.isEmpty)
        case .ban, .patience: #expect(!charged.isEmpty)
        case .nothing: #expect(accused.isEmpty)
        }
        LiarRun.expectNothingIsKept(in: &scenario, by: honest)
    }
}
