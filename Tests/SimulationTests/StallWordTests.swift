import Chain
import ChainNetwork
import Primitives
import Testing

@testable import Node
@testable import Simulation

/// What a node says while nothing is verified: why, and not something else that is not known.
@Suite("What a stall says") struct StallWordTests {
    /// A client on its way, and the moment at which it had its first anchor.
    private func walking(seed: UInt64) throws -> (scenario: Scenario, client: HostID) {
        print("seed \(seed)")
        var scenario = try Scenario(Scenarios.small(seed: seed))
        _ = scenario.world.run(until: .seconds(20))
        let client = try scenario.addWalker()
        let begun = scenario.world.run(until: .seconds(60)) { ($0.progress(client)?.held ?? 0) > 0.05 }
        #expect(begun)
        return (scenario, client)
    }

    /// Runs on while the client knows of the chain what `chain` does, whatever comes; the reasons told.
    private func reasons(
        _ scenario: inout Scenario, _ client: HostID, holding chain: ChainSync, for time: Interval
    ) -> Set<String> {
        let end = scenario.world.now + time
        let before = scenario.world.reports.count
        while scenario.world.now < end, scenario.world.step() { scenario.world.hold(chain, at: client) }
        return Set(
            scenario.world.reports[before...].compactMap { entry in
                guard entry.host == client, case .progress(let progress) = entry.report else { return nil }
                return progress.stall?.reason
            })
    }

    /// Headers stop coming, while holders go on to later epochs: that is no lack of holders.
    @Test func lateHeadersAreToldAsLateHeaders() throws {
        var (scenario, client) = try walking(seed: 61)
        let chain = try #require(scenario.world.node(client)).chain
        let told = reasons(&scenario, client, holding: chain, for: .seconds(120))
        #expect(told.contains { $0.contains("the headers up to it are not here yet") }, "\(told)")
        #expect(!told.contains { $0.contains("has 0 reachable holders") }, "\(told)")
    }

    /// Attested headers are here, but no epoch's first block is final among them.
    @Test func headersWithoutAnAnchorAreToldSo() throws {
        var (scenario, client) = try walking(seed: 62)
        let bridge = try #require(scenario.world.node(scenario.bridge)).chain
        var chain = try ChainSync(configuration: scenario.network, seed: 1)
        for number in UInt64(1)...3 {
            chain.learned(try #require(bridge.certifiedHeader(at: number)), from: .zero, at: scenario.world.now)
        }
        #expect(chain.head.number == 3 && chain.newestAnchor == nil)
        let fresh = try scenario.addWalker()
        scenario.world.kill(client)
        let told = reasons(&scenario, fresh, holding: chain, for: .seconds(60))
        #expect(told.contains { $0.contains("headers are here up to block 3") }, "\(told)")
        #expect(!told.contains { $0.contains("no attested header") }, "\(told)")
    }

    /// Nobody is left who gives diffs; headers still come from the bridge.
    @Test func aFollowerThatLagsSaysSo() throws {
        var scenario = try Scenario(Scenarios.small(seed: 63))
        let (client, outcome) = try scenario.runClientToWholeState(limit: .seconds(200))
        let complete = try #require(outcome.completions.first)
        #expect(complete.root != nil)
        let verified = scenario.world.progress(client)?.verifiedHead ?? 0
        try #require(verified + 2 < scenario.lastBlock.number, "the chain is over already")
        for holder in scenario.holders { scenario.world.kill(holder) }
        _ = scenario.world.run(until: scenario.world.now + .seconds(90))
        let progress = try #require(scenario.world.progress(client))
        #expect(progress.head > progress.verifiedHead)
        let reason = progress.stall?.reason ?? ""
        #expect(reason.contains("block \(progress.verifiedHead) of \(progress.head) is verified"), "\(reason)")
    }
}

extension World {
    /// Gives a host back what it knew of the chain before, as if nothing had come since.
    fileprivate mutating func hold(_ chain: ChainSync, at host: HostID) {
        hosts[host.index].node?.chain = chain
    }
}
