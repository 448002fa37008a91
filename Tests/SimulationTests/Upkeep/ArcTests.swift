import Chain
import Primitives
import StateStore
import Synchronization
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// Holders that choose their arcs by the room they are given.
@Suite("Holders of every size") struct ArcTests {
    /// The most bytes that each host's store had after any of its commits.
    private final class Peaks: Sendable {
        private let peaks = Mutex<[HostID: Int]>([:])
        func note(_ host: HostID, _ bytes: Int) { peaks.withLock { $0[host] = max($0[host] ?? 0, bytes) } }
        subscript(host: HostID) -> Int { peaks.withLock { $0[host] ?? 0 } }
    }

    private static func scenario(
        seed: UInt64, capacities: [Int], shape: SyntheticChain.Shape, interval: Interval = .seconds(2)
    ) throws -> (Scenario, Peaks) {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.groups = capacities.enumerated().map { place, bytes in
            var group = Scenario.Group(count: 1, radiusExponent: 252, onlyArc: UInt64(place * 7 % 16))
            group.storageBytes = bytes
            return group
        }
        plan.shape = shape
        plan.blockInterval = interval
        var scenario = try Scenario(plan)
        let peaks = Peaks()
        scenario.world.committed = { host, snapshot in peaks.note(host, snapshot.byteCount) }
        return (scenario, peaks)
    }

    private static func mark(_ scenario: Scenario, _ host: HostID) throws -> ArcMark {
        try #require(scenario.world.node(host)?.arcMark)
    }

    private static func report(_ scenario: Scenario, _ peaks: Peaks, _ capacities: [Int]) {
        for (place, host) in scenario.holders.enumerated() {
            let node = scenario.world.node(host)
            let mark = node?.arcMark
            print(
                "capacity \(capacities[place]): kept 2^\(mark?.kept ?? 0), announced 2^\(mark?.announced ?? 0), "
                    + "peak \(peaks[host]), now \(scenario.world.store(host).snapshot().byteCount), "
                    + "verified \(scenario.world.progress(host)?.verifiedHead ?? 0)")
        }
    }

    @Test func tenHoldersTakeWhatTheyHaveRoomFor() throws {
        let capacities = (0..<10).map { 180_000 + 105_000 * $0 }
        let shape = SyntheticChain.Shape(accounts: 1_500, blocks: 110, changesPerBlock: 4)
        var (scenario, peaks) = try Self.scenario(seed: 301, capacities: capacities, shape: shape)
        _ = scenario.world.run(until: .seconds(235))
        Self.report(scenario, peaks, capacities)
        var before = 0
        for (place, host) in scenario.holders.enumerated() {
            let mark = try Self.mark(scenario, host)
            #expect(mark.kept == mark.announced, "no step is left open")
            #expect(peaks[host] <= capacities[place], "the disk stays under the number given")
            #expect(mark.kept >= before, "more room, no smaller arc")
            before = max(before, mark.kept)
            // What it says is what it has, and nothing else is in its store.
            let node = try #require(scenario.world.node(host))
            let arc = Arc(of: node.configuration.key.nodeID, radiusExponent: mark.kept, depth: 1).sections
            #expect(node.arc == arc && node.state.holdings.book.isWholeArcComplete)
            let records = try SectionRecord.all(in: scenario.world.store(host).snapshot())
            #expect(records.map(\.section.index) == Array(arc))
            #expect(node.totals.drops == 0 && node.totals.invalidAnswers == 0)
            #expect(scenario.world.progress(host)?.verifiedHead == scenario.lastBlock.number)
        }
        let marks = try scenario.holders.map { try Self.mark(scenario, $0).kept }
        #expect(Set(marks).count >= 3, "small and large ones: \(marks)")
        // Together they hold the ring, and a client gets it of them.
        let (client, outcome) = try scenario.runClientToWholeState(limit: .seconds(320))
        #expect(outcome.wholeStateAfter != nil, "\(String(describing: scenario.world.progress(client)))")
    }

    /// A kill while the new half is being filled: the next life goes on with it, and fetches nothing again.
    @Test(arguments: [UInt64(302), 303]) func aKillInTheMiddleOfAStepLosesNothing(seed: UInt64) throws {
        let shape = SyntheticChain.Shape(accounts: 1_500, blocks: 60, changesPerBlock: 4)
        var (scenario, _) = try Self.scenario(
            seed: seed, capacities: [4_000_000, 4_000_000], shape: shape)
        let host = scenario.holders[0]
        var kills = 0
        for exponent in 253...256 {
            let isMidway = scenario.world.run(until: scenario.world.now + .seconds(120)) { world in
                guard let node = world.node(host), let mark = node.arcMark else { return false }
                return mark.kept == exponent && mark.isWidening
            }
            guard isMidway else { break }
            let stored = try SectionRecord.all(in: scenario.world.store(host).snapshot())
            scenario.world.kill(host)
            kills += 1
            try scenario.world.start(host)
            let mark = try Self.mark(scenario, host)
            #expect(mark == ArcMark(kept: exponent, announced: exponent - 1))
            let node = try #require(scenario.world.node(host))
            #expect(node.state.holdings.book.completeCount == stored.count { $0.isComplete })
            #expect(node.state.announcer.radiusExponent == exponent - 1, "what is not filled is not announced")
        }
        #expect(kills == 4)
        let isWhole = scenario.world.run(until: scenario.world.now + .seconds(100)) {
            $0.node(host)?.arcMark == ArcMark(kept: 256, announced: 256)
        }
        #expect(isWhole)
        let last = scenario.lastBlock.number
        let follows = scenario.world.run(until: .seconds(240)) { $0.progress(host)?.verifiedHead == last }
        #expect(follows)
        #expect(try #require(scenario.world.node(host)).totals.drops == 0)
        try Oracle.expectFinalState(in: scenario, of: host)
    }

    /// The state grows to more than twice its size: who began with all of it ends with less, and stays below what it
    /// was given all the time.
    @Test(arguments: [UInt64(304), 305]) func aStateThatDoublesIsHalved(seed: UInt64) throws {
        let capacities = [700_000, 900_000, 6_000_000]
        let shape = SyntheticChain.Shape(accounts: 300, blocks: 110, changesPerBlock: 60)
        var (scenario, peaks) = try Self.scenario(seed: seed, capacities: capacities, shape: shape)
        var largest = [Int](repeating: 0, count: capacities.count)
        var sizes: [[Int]] = capacities.map { _ in [] }
        for second in stride(from: 10, through: 260, by: 1) {
            _ = scenario.world.run(until: .seconds(second))
            for (place, host) in scenario.holders.enumerated() {
                let kept = try Self.mark(scenario, host).kept
                largest[place] = max(largest[place], kept)
                if sizes[place].last != kept { sizes[place].append(kept) }
            }
        }
        Self.report(scenario, peaks, capacities)
        print("sizes \(sizes)")
        for (place, host) in scenario.holders.enumerated() {
            #expect(peaks[host] <= capacities[place], "capacity \(capacities[place])")
            let node = try #require(scenario.world.node(host))
            #expect(node.totals.invalidAnswers == 0)
            #expect(scenario.world.progress(host)?.verifiedHead == scenario.lastBlock.number)
            let records = try SectionRecord.all(in: scenario.world.store(host).snapshot())
            #expect(records.map(\.section.index) == Array(node.arc), "what is outside is gone")
            // Up and, once it is too much, down: never up again.
            let peak = sizes[place].firstIndex(of: largest[place]) ?? 0
            #expect(Array(sizes[place][...peak]) == sizes[place][...peak].sorted())
            #expect(Array(sizes[place][peak...]) == sizes[place][peak...].sorted(by: >), "\(sizes[place])")
        }
        #expect(try Self.mark(scenario, scenario.holders[0]).kept < largest[0])
        #expect(try Self.mark(scenario, scenario.holders[2]).kept == 256)
    }
}
