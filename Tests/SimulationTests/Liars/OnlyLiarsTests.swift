import Chain
import Primitives
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// One half of the ring has liars for holders and nobody else.
@Suite("Nobody but liars") struct OnlyLiarsTests {
    /// The client says what it waits for, fetches the other half meanwhile, and goes on as soon as an honest holder is
    /// there.
    @Test(arguments: ["flips a bit", "announces what it lacks"])
    func itIsSaidAndEndsWhenAnHonestOneComes(name: String) throws {
        print("seed 131")
        var plan = Scenario.amongLiars(seed: 131, blocks: 400)
        plan.groups = [Scenario.Group(count: 6, radiusExponent: 255), Scenario.Group(count: 1, radiusExponent: 255)]
        plan.sectionDepth = 1
        plan.shape.accounts = 300
        var scenario = try Scenario(plan)
        let filled = scenario.fillHolders(limit: .seconds(60))
        #expect(filled)
        // Of the lower half, the one of the second group among them.
        let lower = scenario.holders.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        let late = try #require(scenario.holders.last)
        scenario.world.kill(late)
        let liar = try #require(LiarKind.named(name, depth: 1))
        let liars = lower.filter { $0 != late }
        for host in liars { scenario.world.corrupt(host, as: liar) }
        if liar.answers == nil {
            // They announce a half of which they have nothing.
            for host in liars {
                scenario.world.corrupt(host, tampering: { _, _, _ in nil })
            }
        }
        let client = try scenario.addWalker()
        let start = scenario.world.now
        _ = scenario.world.run(until: start + .seconds(45))
        let progress = try #require(scenario.world.progress(client))
        #expect(progress.sectionsComplete == 8, "the other half is there: \(progress)")
        let waiting = try #require(progress.waiting, "\(progress)")
        print("\(name): section \(waiting.section) waits: \(waiting.why)")
        // Of silent ones one may be asked again just then.
        let isAsking = liar.price == .patience && waiting.why.hasPrefix("peer ")
        #expect("01234567".contains(waiting.section), "of the half that has nobody else")
        #expect(isAsking || waiting.why.contains("said that they have it (epochs "))
        // The other half goes on from anchor to anchor.
        let head = try #require(scenario.world.node(client)).chain.newestAnchor
        _ = scenario.world.run(until: start + .seconds(70))
        let node = try #require(scenario.world.node(client))
        let later = try #require(node.chain.newestAnchor)
        #expect(later.epoch > head?.epoch ?? 0)
        #expect(node.state.holdings.book.completeCount(at: later) == 8)
        let boot = try #require(scenario.world.record(of: scenario.holders[1]))
        try scenario.world.start(late, bootNodes: [boot])
        let whole = scenario.world.run(until: scenario.world.now + .seconds(120)) { $0.completion(of: client) != nil }
        #expect(whole, "\(String(describing: scenario.world.progress(client)))")
        print("whole", (scenario.world.now - start).seconds, "s after the start, honest holder at 70 s")
        try LiarRun.expectNoHonestOnePays(in: scenario, [client, late])
    }
}
