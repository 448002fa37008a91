import Chain
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// A client that was away comes back by what changed, however long that was and whatever holders still have.
@Suite("Back from an absence") struct AbsenceTests {
    private static func scenario(seed: UInt64, epochs: Int, accounts: Int = 1_500, rangeBytes: UInt32 = 64 << 10) throws
        -> Scenario
    {
        print("seed \(seed), away for \(epochs) epochs")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 4
        // The walk, the absence, and three epochs in which everybody follows.
        plan.shape = SyntheticChain.Shape(accounts: accounts, blocks: 8 * (epochs + 8), changesPerBlock: 2)
        plan.walkerRangeBytes = rangeBytes
        plan.quickBlocks = 8 * (epochs + 5)
        return try Scenario(plan)
    }

    /// What holders say of a diff that begins more than two epochs before its end.
    private enum History: Sendable {
        case kept
        /// "Too short" everywhere; or from half of them, and "not here" from the others.
        case tooShort, halfElsewhere
        /// One has it, and is busy for ten minutes; the others say "too short".
        case oneBusy
    }

    private static func forget(_ history: History, in scenario: inout Scenario) {
        let span = 2 * scenario.plan.epochLength
        for (place, host) in scenario.holders.enumerated() where history != .kept {
            scenario.world.corrupt(
                host,
                tampering: { job, value, _ in
                    guard case .serveDiffs(let job) = job, job.key.to.number - job.key.from.number > span else {
                        return value
                    }
                    switch history {
                    case .kept: return value
                    case .halfElsewhere where place % 2 == 1:
                        let anchor = Anchor(epoch: 2 * job.key.to.number / span, hash: job.key.to.hash)
                        return StateStatus.notAtThisAnchor(served: [anchor]).encoded
                    case .oneBusy where place == 0: return StateStatus.busy(seconds: 600).encoded
                    case .tooShort, .halfElsewhere, .oneBusy: return StateStatus.historyTooShort.encoded
                    }
                })
        }
    }

    /// A client that has everything goes, and comes back when `epochs` have passed. Gives the bytes of state of its
    /// first walk and those of its return.
    private static func leave(
        _ scenario: inout Scenario, epochs: Int, whole: Bool = true, _ history: History,
        limit: Interval = .seconds(200), rate: UInt64? = nil,
        then disturb: (inout Scenario, HostID) throws -> Void = { _, _ in }
    ) throws -> (client: HostID, first: UInt64, back: UInt64) {
        func stateBytes(_ world: World, _ client: HostID) -> UInt64 {
            world.node(client)?.totals.stateBytesByPeer.values.reduce(0, +) ?? 0
        }
        _ = scenario.world.run(until: .seconds(9))
        let client = try scenario.addWalker()
        let here = scenario.world.run(until: scenario.world.now + .seconds(60)) { world in
            whole ? world.completion(of: client) != nil : (world.progress(client)?.held ?? 0) > 0.5
        }
        #expect(here)
        let first = stateBytes(scenario.world, client)
        scenario.world.kill(client)
        let left = try #require(scenario.world.node(scenario.bridge)).chain.head.number
        let until = left + UInt64(epochs) * scenario.plan.epochLength
        let passed = scenario.world.run(until: scenario.world.now + .seconds(600)) { world in
            (world.node(scenario.bridge)?.chain.head.number ?? 0) >= until
        }
        #expect(passed)
        forget(history, in: &scenario)
        scenario.world.hosts[client.index].configuration.rates.download = rate
        let boot = try #require(scenario.world.node(scenario.holders[1])).record
        try scenario.world.start(client, bootNodes: [boot])
        try disturb(&scenario, client)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: scenario.world.now + limit) {
            $0.progress(client)?.verifiedHead == last
        }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        return (client, first, stateBytes(scenario.world, client))
    }

    @Test(arguments: [1, 10, 100]) func historyLeadsBack(epochs: Int) throws {
        var scenario = try Self.scenario(seed: 71, epochs: epochs)
        let (client, first, back) = try Self.leave(&scenario, epochs: epochs, .kept)
        let totals = try #require(scenario.world.node(client)).totals
        print("first \(first) bytes, back \(back)")
        #expect(totals.drops == 0 && totals.comparisons == 0 && totals.sectionDiffs > 0)
        if epochs <= 10 { #expect(back < first / 2) }
    }

    @Test(arguments: [UInt64(72), 73]) func withoutAnyHistoryNothingIsBegunAgain(seed: UInt64) throws {
        var scenario = try Self.scenario(seed: seed, epochs: 10)
        let (client, first, back) = try Self.leave(&scenario, epochs: 10, .tooShort)
        let totals = try #require(scenario.world.node(client)).totals
        print("first \(first) bytes, back \(back)")
        #expect(totals.drops == 0 && totals.comparisons > 0 && totals.invalidAnswers == 0)
        #expect(back < first, "what did not change is not fetched again")
    }

    /// While sections are compared in place they count as held and stale: the share that is shown never falls.
    @Test func whatIsComparedStaysHeld() throws {
        var scenario = try Self.scenario(seed: 72, epochs: 10)
        let last = scenario.lastBlock.number
        var (least, most) = (1.0, 0)
        _ = try Self.leave(&scenario, epochs: 10, .tooShort) { scenario, client in
            _ = scenario.world.run(until: scenario.world.now + .seconds(150)) { world in
                guard let progress = world.progress(client) else { return false }
                least = min(least, progress.held)
                most = max(most, progress.keyspace.sectionsWanted - progress.keyspace.sectionsComplete)
                return progress.verifiedHead == last
            }
        }
        #expect(least == 1 && most > 0, "\(most) sections were compared at once")
    }

    @Test func halfSayTooShortAndHalfNotHere() throws {
        var scenario = try Self.scenario(seed: 74, epochs: 10)
        let (client, _, _) = try Self.leave(&scenario, epochs: 10, .halfElsewhere)
        let totals = try #require(scenario.world.node(client)).totals
        #expect(totals.drops == 0 && totals.comparisons > 0 && totals.invalidAnswers == 0)
    }

    @Test func theOneThatHasItIsBusy() throws {
        var scenario = try Self.scenario(seed: 75, epochs: 10)
        let (client, _, _) = try Self.leave(&scenario, epochs: 10, .oneBusy)
        let totals = try #require(scenario.world.node(client)).totals
        #expect(totals.drops == 0 && totals.comparisons > 0)
    }

    /// Half of the ring is there and some sections in part when the client goes: all of it is of use when it comes
    /// back.
    @Test(arguments: [UInt64(76), 77]) func whatIsHeldInPartIsComparedToo(seed: UInt64) throws {
        var scenario = try Self.scenario(seed: seed, epochs: 24, rangeBytes: 4_096)
        let (client, _, _) = try Self.leave(&scenario, epochs: 10, whole: false, .tooShort)
        let totals = try #require(scenario.world.node(client)).totals
        print("compared \(totals.comparisons), carried \(totals.carries)")
        #expect(totals.drops == 0 && totals.comparisons > 0 && totals.invalidAnswers == 0)
    }

    /// Killed while it compares: what was led on stays, the rest is compared by the next life.
    @Test func aKillBetweenTwoAnswersLosesNothingThatWasLedOn() throws {
        var scenario = try Self.scenario(seed: 78, epochs: 12)
        var kills = 0
        let (client, _, _) = try Self.leave(&scenario, epochs: 10, .tooShort) { scenario, client in
            for compared in [1, 5] {
                let reached = scenario.world.run(until: scenario.world.now + .seconds(100)) {
                    ($0.node(client)?.totals.comparisons ?? 0) >= compared
                }
                guard reached else { continue }
                scenario.world.kill(client)
                kills += 1
                let boot = try #require(scenario.world.node(scenario.holders[2])).record
                try scenario.world.start(client, bootNodes: [boot])
            }
        }
        let totals = try #require(scenario.world.node(client)).totals
        #expect(kills == 2 && totals.drops == 0 && totals.comparisons <= 10)
    }

    /// Killed at one write after another, torn or just durable, until it is back: each life goes on with what the lives
    /// before it have written down.
    @Test(arguments: [UInt64(79), 80]) func killedAtAnyWriteItGoesOnWhereItWas(seed: UInt64) throws {
        var scenario = try Self.scenario(seed: seed, epochs: 60)
        var generator = SeededGenerator(seed: seed)
        var lives = Totals()
        var kills = 0
        let (client, first, back) = try Self.leave(&scenario, epochs: 10, .tooShort) { scenario, client in
            while kills < 40 {
                let store = scenario.world.store(client)
                store.faults.crashAtWrite = store.writes + Int.random(in: 1...400, using: &generator)
                let start = scenario.world.now
                // What a machine counted is gone with it.
                var life = Totals()
                while !store.hasCrashed, scenario.world.now - start < .seconds(60) {
                    if let totals = scenario.world.node(client)?.totals {
                        life.drops = totals.drops
                        life.comparisons = totals.comparisons
                        life.bytes = totals.stateBytesByPeer.values.reduce(0, +)
                    }
                    _ = scenario.world.run(until: scenario.world.now + .milliseconds(200))
                }
                lives.drops += life.drops
                lives.comparisons += life.comparisons
                lives.bytes += life.bytes
                guard store.hasCrashed else { break }
                store.faults.crashAtWrite = nil
                kills += 1
                let boot = try #require(scenario.world.node(scenario.holders[kills % 4])).record
                try scenario.world.start(client, bootNodes: [boot])
            }
            scenario.world.store(client).faults.crashAtWrite = nil
        }
        let totals = try #require(scenario.world.node(client)).totals
        print("\(kills) kills, \(lives.bytes + back) bytes in all lives, first walk \(first)")
        #expect(kills > 10 && lives.drops + totals.drops == 0)
        #expect(lives.comparisons + totals.comparisons > 0)
    }

    /// What the lives before the last one counted.
    private struct Totals {
        var drops = 0
        var comparisons = 0
        var bytes: UInt64 = 0
    }

    /// A line so thin that anchors come faster than a section can be compared: what was found stays found.
    @Test func fiftyCrossingsWhileItIsCompared() throws {
        print("seed 82")
        var plan = Scenario.Plan(seed: 82)
        plan.holders = 4
        plan.epochLength = 4
        plan.blockInterval = .seconds(1)
        plan.walkerRangeBytes = 64 << 10
        plan.quickBlocks = 440
        plan.shape = SyntheticChain.Shape(accounts: 1_200, blocks: 440 + 330, changesPerBlock: 1)
        var scenario = try Scenario(plan)
        let (client, first, back) = try Self.leave(
            &scenario, epochs: 80, .tooShort, limit: .seconds(700), rate: 700)
        let totals = try #require(scenario.world.node(client)).totals
        print("\(totals.crossingsWhileFetching) crossings, \(totals.comparisons) compared, \(first) and \(back) bytes")
        #expect(totals.crossingsWhileFetching >= 50)
        #expect(totals.comparisons >= 16 && totals.drops == 0 && totals.invalidAnswers == 0)
    }
}
