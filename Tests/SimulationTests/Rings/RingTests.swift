import Chain
import Primitives
import Testing

@testable import Simulation

@Suite("Rings of many holders") struct RingTests {
    private func plan(seed: UInt64) -> Scenario.Plan {
        var plan = Scenario.Plan(seed: seed)
        plan.groups = [
            Scenario.Group(count: 8, radiusExponent: 254), Scenario.Group(count: 2, radiusExponent: 255),
        ]
        plan.sectionDepth = 2
        plan.shape = SyntheticChain.Shape(accounts: 600, blocks: 40, changesPerBlock: 6)
        plan.startSpread = .seconds(4)
        plan.boot = .earlierHolder
        plan.walkerLanes = 8
        plan.walkerRangeBytes = 16_384
        return plan
    }

    @Test func theHoldersFillAndAClientFetchesTheWholeState() throws {
        print("seed 71")
        var scenario = try Scenario(plan(seed: 71))
        let filled = scenario.fillHolders(limit: .seconds(120))
        #expect(filled)
        let (client, outcome) = try scenario.runClientToWholeState(limit: .seconds(240))
        let after = try #require(outcome.wholeStateAfter, "\(String(describing: scenario.world.progress(client)))")
        #expect(after > .zero && !outcome.completions.isEmpty)
        #expect(outcome.holdersFilledAfter.count == 10 && outcome.holdersFilledAfter.allSatisfy { $0 != nil })
        // It tells where it stands once a second, and the whole state took less.
        _ = scenario.world.run(until: scenario.world.now + .seconds(1))
        // What was verified has come over the wire, and nothing was ever received that nobody sent.
        let state = try #require(scenario.world.progress(client)).stateBytes
        #expect(outcome.traffic.received > state && state > 50_000)
        let hosts = [client, scenario.bridge] + scenario.holders
        let (sent, received) = hosts.reduce((UInt64(0), UInt64(0))) { sums, host in
            let traffic = scenario.world.traffic(of: host)
            return (sums.0 + traffic.sent, sums.1 + traffic.received)
        }
        #expect(received <= sent)
    }

    @Test func everyArcHasItsShareOfHolders() throws {
        var plan = plan(seed: 72)
        plan.groups = [Scenario.Group(count: 32, radiusExponent: 252)]
        let scenario = try Scenario(plan)
        let arcs = scenario.holders.map { scenario.world.hosts[$0.index].configuration.key.nodeID.nibble(0) }
        for arc in 0..<16 { #expect(arcs.count { $0 == arc } == 2) }
        #expect(Set(scenario.world.hosts.map(\.configuration.key.nodeID)).count == 33, "each has a key of its own")
        let running = scenario.holders.count { scenario.world.record(of: $0) != nil }
        #expect(running == 1, "the others start later")
    }

    @Test func everyHostHasASubnetOfItsOwn() {
        let subnets = Set((0..<4_096).map { World.endpoint(HostID(index: $0)).address.prefix(3) })
        #expect(subnets.count == 4_096)
    }
}

@Suite("Synthetic chains") struct SyntheticChainTests {
    @Test func theRootIsThatOfTheWholeState() throws {
        for seed in [UInt64(81), 82] {
            var shape = SyntheticChain.Shape(accounts: 150, blocks: 60, changesPerBlock: 12)
            shape.wideSlots = seed == 82 ? 100 : 0
            let chain = try SyntheticChain(shape: shape, seed: seed)
            let last = try #require(chain.entries.last).block.header
            #expect(last.stateRoot == SyntheticChain.root(of: chain.finalState))
        }
    }

    /// The chain that a seed gives stays the same from version to version: seeds are written down where they failed.
    @Test func aSeedKeepsItsChain() throws {
        let chain = try SyntheticChain(shape: SyntheticChain.Shape(), seed: 3)
        let hash = Bytes32(0x7c3d_8f09_2bf8_ee9f, 0x0eb0_f526_5430_4045, 0xbc56_f6eb_162c_fcd2, 0x67ee_7fd7_a7d5_077c)
        #expect(chain.entries.last?.block.header.hash == hash)
    }

    @Test func aLargeChainIsMadeInNoTime() throws {
        let began = ContinuousClock.now
        let shape = SyntheticChain.Shape(accounts: 20_000, blocks: 60, changesPerBlock: 20)
        let chain = try SyntheticChain(shape: shape, seed: 83)
        let spent = ContinuousClock.now - began
        print("20,000 accounts, 60 blocks: \(spent)")
        // Under 2 s on a quiet machine. A root over all accounts for each block would take a minute.
        #expect(spent < .seconds(10))
        #expect(chain.entries.count == 60)
    }
}
