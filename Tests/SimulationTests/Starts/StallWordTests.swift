import Chain
import Primitives
import Testing

@testable import Node
@testable import Simulation

/// What a node says while nothing is verified: why, and not something else that is not known.
@Suite("What a stall says") struct StallWordTests {
    /// Nobody is left who gives diffs; headers still come from the bridge.
    @Test func aFollowerThatLagsSaysSo() throws {
        var scenario = try Scenario(Scenarios.small(seed: 63))
        let (client, outcome) = try scenario.runClientToWholeState(limit: .seconds(200))
        let complete = try #require(outcome.completions.first)
        #expect(complete.root != nil)
        // So far that what is held is folded to the last anchor of the chain without anybody's help.
        let enough = scenario.lastBlock.number - 4
        let isFar = scenario.world.run(until: .seconds(300)) { ($0.progress(client)?.verifiedHead ?? 0) >= enough }
        let verified = scenario.world.progress(client)?.verifiedHead ?? 0
        try #require(isFar && verified + 2 < scenario.lastBlock.number, "the chain is over already")
        for holder in scenario.holders { scenario.world.kill(holder) }
        _ = scenario.world.run(until: scenario.world.now + .seconds(90))
        let progress = try #require(scenario.world.progress(client))
        #expect(progress.head > progress.verifiedHead)
        let reason = progress.stall?.reason ?? ""
        #expect(reason.contains("block \(progress.verifiedHead) of \(progress.head) is verified"), "\(reason)")
    }
}
