import Primitives
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation

/// Holders with good lines, with bad ones, and some that never answer a request: two failing, two slow, four fast, half
/// of each in each half of the ring.
@Suite("Holders of every kind") struct UnequalHoldersTests {
    @Test func mostComesFromTheFastAndTheSlowAreStillTried() throws {
        // Most of the bytes are block diffs, and those come from whoever offers them first: whether anything comes from
        // the slow in one run is a matter of chance.
        let slow = try [UInt64(61), 62, 63].map { try bytesOfTheSlow(seed: $0) }
        #expect(slow.contains { $0 > 0 }, "they are tried")
    }

    /// What came from the slow, when most came from the fast.
    private func bytesOfTheSlow(seed: UInt64) throws -> UInt64 {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 8
        plan.shape = SyntheticChain.Shape(accounts: 600, blocks: 40, changesPerBlock: 5)
        plan.walkerRate = 4_000
        plan.walkerRangeBytes = 3_000
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(12))
        let (failing, slow, fast) = (scenario.holders[0..<2], scenario.holders[2..<4], scenario.holders[4...])
        for host in failing { scenario.world.corrupt(host) { _ in nil } }
        for host in slow {
            scenario.world.set(line: Line(latency: .milliseconds(120), bytesPerSecond: 12_000), of: host)
        }
        let (client, outcome) = try scenario.runClient(joining: .seconds(12), limit: .seconds(300))
        #expect(outcome.reachedHead, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let node = try #require(scenario.world.node(client))
        func bytes(_ hosts: ArraySlice<HostID>) throws -> [UInt64] {
            try hosts.map { node.totals.stateBytesByPeer[try #require(scenario.world.node($0)).record.id] ?? 0 }
        }
        let (fromFailing, fromSlow, fromFast) = (try bytes(failing), try bytes(slow), try bytes(fast))
        print("bytes: failing \(fromFailing), slow \(fromSlow), fast \(fromFast), at \(outcome.virtualSeconds) s")
        let total = (fromFailing + fromSlow + fromFast).reduce(0, +)
        #expect(fromFast.reduce(0, +) * 10 > total * 7)
        #expect(fromFast.allSatisfy { $0 > 0 && $0 * 10 < total * 7 }, "none carries it alone")
        for host in failing {
            let standing = node.overlay.standing(of: try #require(scenario.world.node(host)).record.id)
            // On the state network, which is the first: what needs no job it answers.
            #expect(standing?.window(0).failures ?? 0 > 0 && standing?.bannedUntil == nil)
            #expect(standing?.failureTime ?? .zero >= .seconds(5), "a mean, of requests that run out and of others")
        }
        return fromSlow.reduce(0, +)
    }
}
