import Chain
import Node
import Primitives
import StateNetwork
import Testing

@testable import Simulation

/// A node that everybody has left: it says how old its head is, and what it has is verified after a start too.
@Suite("Alone") struct AloneTests {
    /// A network that has come to its last block, and a client that follows it.
    private static func followed(seed: UInt64) throws -> (scenario: Scenario, client: HostID) {
        var scenario = try Scenario(Scenarios.small(seed: seed))
        let (client, outcome) = try scenario.runClient(joining: .seconds(12), limit: .seconds(200))
        #expect(outcome.reachedHead)
        return (scenario, client)
    }

    private static func leave(_ host: HostID, alone scenario: inout Scenario, for time: Interval) {
        for other in [scenario.bridge] + scenario.holders where other != host { scenario.world.kill(other) }
        _ = scenario.world.run(until: scenario.world.now + time)
    }

    private static func expectOld(_ progress: NodeProgress?, limit: UInt64) {
        #expect(progress?.isStale == true)
        #expect(progress?.headAge ?? 0 > limit)
        let reason = progress?.stall?.reason ?? ""
        #expect(reason.contains("limit is \(limit) s"), "\(reason)")
        #expect(progress?.stall?.advice.contains("no peer answers (IPv4: ") == true, "\(progress?.stall?.advice ?? "")")
        #expect(progress.map { UInt64($0.stall?.seconds ?? 0) == $0.headAge } == true)
    }

    @Test(arguments: [true, false]) func aFollowerSaysThatItsHeadIsOld(isHolder: Bool) throws {
        var (scenario, client) = try Self.followed(seed: 31)
        let host = isHolder ? scenario.holders[1] : client
        if isHolder { scenario.world.kill(client) }
        let limit = scenario.network.rule.maxAgeSeconds
        #expect(scenario.world.progress(host)?.isStale == false)
        #expect(scenario.world.progress(host)?.stall == nil)
        #expect(scenario.world.progress(host)?.phase == .following)
        Self.leave(host, alone: &scenario, for: .seconds(Int(limit) / 2))
        #expect(scenario.world.progress(host)?.phase == .alone, "nobody is left to follow by")
        #expect(scenario.world.progress(host)?.isStale == false, "it is not that old yet")
        _ = scenario.world.run(until: scenario.world.now + .seconds(Int(limit)))
        Self.expectOld(scenario.world.progress(host), limit: limit)
    }

    /// The same once it was started again, without anybody; and what it had verified counts from the first second.
    @Test func aFollowerThatIsStartedAgainAloneKnowsWhatItHas() throws {
        var (scenario, client) = try Self.followed(seed: 32)
        let limit = scenario.network.rule.maxAgeSeconds
        let before = try #require(scenario.world.progress(client)).verifiedHead
        Self.leave(client, alone: &scenario, for: .seconds(Int(limit) + 60))
        scenario.world.kill(client)
        let told = scenario.world.reports.count
        try scenario.world.start(client)
        _ = scenario.world.run(until: scenario.world.now + .seconds(2))
        #expect(scenario.world.progress(client)?.verifiedHead == before)
        #expect(scenario.world.progress(client)?.stall == nil, "peers have their time first")
        let verified = scenario.world.reports[told...].compactMap { entry -> UInt64? in
            if entry.host == client, case .verified(let point) = entry.report { point.number } else { nil }
        }
        #expect(verified.max() == before, "what ends at a block ends without a network")
        _ = scenario.world.run(until: scenario.world.now + .seconds(60))
        Self.expectOld(scenario.world.progress(client), limit: limit)
    }

    /// Without what proves the head, the anchor at which everything is complete still counts.
    @Test func aCompleteAnchorIsVerifiedWithoutANetwork() throws {
        var scenario = try Scenario(Scenarios.small(seed: 33))
        let (client, outcome) = try scenario.runClientToWholeState(limit: .seconds(300))
        let anchor = try #require(outcome.completions.last?.anchor)
        let block = anchor.epoch * scenario.plan.epochLength
        Self.leave(client, alone: &scenario, for: .seconds(1))
        scenario.world.kill(client)
        let told = scenario.world.reports.count
        try scenario.world.start(client)
        _ = scenario.world.run(until: scenario.world.now + .seconds(2))
        let found = scenario.world.progress(client)?.verifiedHead ?? 0
        #expect(found >= block, "\(scenario.world.reports[told...].map { "\($0.report)" })")
        let verified = scenario.world.reports[told...].contains { entry in
            if entry.host == client, case .verified(let point) = entry.report { point.number >= block } else { false }
        }
        #expect(verified)
    }
}
