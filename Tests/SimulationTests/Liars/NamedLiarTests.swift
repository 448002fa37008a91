import Primitives
import Testing

@testable import Node
@testable import Simulation

/// Liars are found out one by one. Three of the six holders of each half lie, each in a way of its own; over the seeds
/// every way to say something false has its turn.
@Suite("Every liar is named") struct NamedLiarTests {
    /// Whoever gave an answer that cannot be true is named, charged and asked no more; whoever was not asked for what
    /// it lies about cannot be known.
    @Test(arguments: [UInt64(121), 122, 123, 124])
    func whoGaveAnAnswerThatCannotBeTrueIsNamedAndLeft(seed: UInt64) throws {
        print("seed \(seed)")
        var scenario = try Scenario(Scenario.amongLiars(seed: seed, blocks: 60))
        let filled = scenario.fillHolders(limit: .seconds(60))
        #expect(filled)
        let kinds = LiarKind.all(depth: 2).filter { $0.price == .ban }
        let liars = Array(scenario.holders[0..<6])
        for (place, host) in liars.enumerated() {
            let kind = kinds[(Int(seed - 121) * liars.count + place) % kinds.count]
            scenario.world.corrupt(host, as: kind)
        }
        let (client, ledger) = try scenario.addWalker(among: liars)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(300)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let found = try LiarRun.expectEveryLiarIsNamed(by: client, liars, ledger, in: scenario)
        #expect(found > 0, "nobody was asked")
        for host in liars { #expect(ledger[scenario.world.id(of: host)].askedSince == 0, "\(host) is asked again") }
        let honest = [client] + scenario.holders[6...]
        try LiarRun.expectNoHonestOnePays(in: scenario, honest)
    }
}
