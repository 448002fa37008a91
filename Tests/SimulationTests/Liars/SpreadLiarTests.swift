import Chain
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// Liars of the kinds that a walk meets only where storage is spread, or where a section is compared.
@Suite("Liars about what is rarely asked for") struct SpreadLiarTests {
    @Test(arguments: ["joins parts to another root", "says that storage is spread which is not", "flips a bit"])
    func partsAndDirectories(name: String) throws {
        // Whether anybody asks for what they lie about is the seed's choice.
        let haveLied = try (UInt64(141)...146).contains { try partsAndDirectories(name: name, seed: $0) > 0 }
        #expect(haveLied)
    }

    /// A walk among them; how often they lied.
    private func partsAndDirectories(name: String, seed: UInt64) throws -> Int {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.wideDepth = 1
        plan.holders = 16
        plan.radiusExponent = 253
        plan.shape = SyntheticChain.Shape(accounts: 40, blocks: 40, changesPerBlock: 2)
        plan.shape.wideSlots = 800
        var scenario = try Scenario(plan)
        let tally = LieCount()
        let liar = try #require(LiarKind.named(name, depth: 1)).counted(by: tally)
        // From the beginning: everybody asks for them at each anchor. One of the two that every eighth has is honest.
        let liars = Array(scenario.holders[0..<6])
        for host in liars { scenario.world.corrupt(host, as: liar) }
        _ = scenario.world.run(until: .seconds(30))
        let client = try scenario.addWalker()
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(300)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let honest = [client] + scenario.holders[6...]
        try LiarRun.expectNoHonestOnePays(in: scenario, honest)
        let accused = Set(scenario.world.accusations.filter { honest.contains($0.accuser) }.map(\.accused))
        print("\(name): \(tally.value) lies, \(accused.count) named, end", scenario.world.now.microseconds / 1_000)
        #expect(accused.isEmpty == (tally.value == 0) && accused.isSubset(of: liars))
        LiarRun.expectNothingIsKept(in: &scenario, by: honest)
        return tally.value
    }

    /// A client comes back after ten epochs to holders without history, half of which give nodes of another state.
    @Test func sectionsThatAreCompared() throws {
        print("seed 142")
        var plan = Scenario.Plan(seed: 142)
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 600, blocks: 144, changesPerBlock: 2)
        plan.walkerRangeBytes = 64 << 10
        plan.quickBlocks = 120
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(9))
        let client = try scenario.addWalker()
        let here = scenario.world.run(until: .seconds(60)) { $0.completion(of: client) != nil }
        #expect(here)
        scenario.world.kill(client)
        let left = try #require(scenario.world.node(scenario.bridge)).chain.head.number
        let passed = scenario.world.run(until: .seconds(600)) { world in
            (world.node(scenario.bridge)?.chain.head.number ?? 0) >= left + 80
        }
        #expect(passed)
        let tally = LieCount()
        let liar = try #require(LiarKind.named("gives other subtree hashes", depth: 1)).counted(by: tally)
        for (place, host) in scenario.holders.enumerated() {
            if place < 2 { scenario.world.corrupt(host, as: liar) }
            scenario.world.corrupt(
                host,
                tampering: { job, value, _ in
                    guard case .serveDiffs(let job) = job, job.key.to.number - job.key.from.number > 16 else {
                        return value
                    }
                    return StateStatus.historyTooShort.encoded
                })
        }
        let boot = try #require(scenario.world.record(of: scenario.holders[3]))
        try scenario.world.start(client, bootNodes: [boot])
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: scenario.world.now + .seconds(200)) {
            $0.progress(client)?.verifiedHead == last
        }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let totals = try #require(scenario.world.node(client)).totals
        let accused = Set(scenario.world.accusations.map(\.accused))
        print("\(tally.value) lies, \(accused.count) named, \(totals.comparisons) compared")
        #expect(tally.value > 0 && totals.comparisons > 0 && totals.drops == 0)
        #expect(!accused.isEmpty && accused.isSubset(of: scenario.holders[0..<2]))
        LiarRun.expectNothingIsKept(in: &scenario, by: [client] + scenario.holders[2...])
    }
}
