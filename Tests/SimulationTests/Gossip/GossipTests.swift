import Chain
import Overlay
import Primitives
import StateContent
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// Many holders of one arc, a bridge that knows some of them, and a lossy wire: every block's diff has to reach all.
@Suite("Gossip in a large arc") struct GossipTests {
    private static let arc: UInt64 = 10
    private static let blocks = 20

    private func plan(seed: UInt64, depth: Int, blockInterval: Interval) -> Scenario.Plan {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.groups = [Scenario.Group(count: 60, radiusExponent: 252, onlyArc: GossipTests.arc)]
        plan.sectionDepth = depth
        // So many changes that the arc has its share of each block's.
        plan.shape = SyntheticChain.Shape(accounts: 240, blocks: 60, changesPerBlock: 96, emptyEvery: 1_000)
        plan.firstBlock = .zero + .milliseconds(500)
        plan.quickBlocks = 34
        // No epoch ends while blocks are counted.
        plan.epochLength = 32
        plan.blockInterval = blockInterval
        plan.startSpread = .seconds(3)
        plan.boot = .earlierHolder
        plan.conditions = SimulatedNetwork.Conditions(loss: 0.05, latency: .milliseconds(30))
        return plan
    }

    /// Runs the whole chain and prints what came of it.
    private func run(seed: UInt64, depth: Int, blockInterval: Interval) throws -> GossipFigures {
        var scenario = try Scenario(plan(seed: seed, depth: depth, blockInterval: blockInterval))
        let filled = scenario.fillHolders(limit: .seconds(60))
        try #require(filled)
        let filledAt = scenario.world.now
        // What they are told of each other settles: kept peers are pinged every five seconds, and every twentieth
        // datagram is lost.
        _ = scenario.world.run(until: filledAt + .seconds(7))
        var figures = GossipFigures(scenario)
        figures.watch(&scenario, blocks: GossipTests.blocks)
        figures.conclude(scenario)
        print("filled at \(filledAt.microseconds / 1_000) ms; depth \(depth), a block each \(blockInterval.seconds) s")
        print(figures.text)
        #expect(figures.needed.count == GossipTests.blocks)
        #expect(figures.needed.values.allSatisfy { $0 > 0 }, "each block changes the arc")
        return figures
    }

    /// Sections by depth, and seconds between blocks. (2, 2) and (1, 12) take longer, and more of them ask too early.
    @Test(arguments: [(1, 2)])
    func everyBlockReachesEveryHolder(_ depth: Int, _ seconds: Int) throws {
        let figures = try run(seed: 91, depth: depth, blockInterval: .seconds(seconds))
        #expect(figures.share(within: .seconds(10)) == 1, "pushed or asked for")
        #expect(figures.share(within: .seconds(3)) >= 0.95)
        // The others ask before the offers come: whoever has verified nothing for two seconds takes itself for behind.
        #expect(figures.pushedShare >= 0.95)
        // Each diff goes to each holder about once: who is offered it twice declines.
        #expect(figures.offered <= 1.3)
    }
}

/// What is measured while blocks go round.
struct GossipFigures {
    /// One block at one holder.
    struct Arrival {
        let after: Interval
        /// Whether it came by offers alone, and no section had to be asked for.
        let isPushed: Bool
    }

    private let sections: Range<Int>
    private var appliedAt: [UInt64: Instant] = [:]
    private var blocks = 0
    private var end: Instant?
    /// Bytes of each block's diffs of the arc: what every holder needs once.
    private(set) var needed: [UInt64: Int] = [:]
    private(set) var arrivals: [Arrival] = []
    private var reached: [HostID: UInt64] = [:]
    /// Section diffs that a host had when it last verified a block.
    private var counted: [HostID: Int] = [:]
    private var seenReports: Int
    private let before: Sums
    /// What hosts sent in offers, against what was needed.
    private(set) var offered = 0.0
    private(set) var text = ""

    /// Sums over all hosts.
    private struct Sums {
        var offersSent: UInt64 = 0, contentSent: UInt64 = 0, sent: UInt64 = 0
        var made: UInt64 = 0, repeated: UInt64 = 0, failed: UInt64 = 0, requests: UInt64 = 0
        var codes: [AcceptCode: UInt64] = [:]
        var pushed = 0, asked = 0

        init(_ scenario: Scenario) {
            let hosts = [scenario.bridge] + scenario.holders
            let nodes = hosts.compactMap { scenario.world.node($0) }
            let ids = nodes.map(\.record.id)
            for (host, node) in zip(hosts, nodes) {
                sent += scenario.world.traffic(of: host).sent
                for id in ids {
                    let traffic = node.overlay.traffic(with: id, network: .state)
                    offersSent += traffic.offersSent
                    contentSent += traffic.contentSent
                }
                let counts = node.overlay.statistics
                made += counts.offersMade
                repeated += counts.offersRepeated
                failed += counts.offersFailed
                requests += counts.requestsMade
                for code in Sums.all { codes[code, default: 0] += counts.codesReceived[code] }
                if host != scenario.bridge {
                    pushed += node.totals.blockDiffs
                    asked += node.totals.sectionDiffs
                }
            }
        }

        static let all: [AcceptCode] = [
            .accepted, .declined, .alreadyStored, .outsideRadius, .rateLimited, .inProgress, .notVerifiable,
        ]
    }

    init(_ scenario: Scenario) {
        let bits = 4 * scenario.plan.sectionDepth
        sections = Int(10) << (bits - 4)..<Int(11) << (bits - 4)
        seenReports = scenario.world.reports.count
        before = Sums(scenario)
        for host in scenario.holders { counted[host] = scenario.world.node(host)?.totals.sectionDiffs }
    }

    /// Watches as many of the coming blocks, until every holder has them or the last of them is twelve seconds old.
    mutating func watch(_ scenario: inout Scenario, blocks: Int) {
        self.blocks = blocks
        let limit = scenario.world.now + (scenario.plan.blockInterval * (blocks + 1) + .seconds(12))
        while scenario.world.now < end ?? limit, scenario.world.step() {
            while seenReports < scenario.world.reports.count {
                let entry = scenario.world.reports[seenReports]
                seenReports += 1
                switch entry.report {
                case .replayed(let point) where entry.host == scenario.bridge:
                    replayed(point, at: entry.time, scenario)
                case .verified(let point) where entry.host != scenario.bridge:
                    verified(point, by: entry.host, at: entry.time, scenario)
                default: break
                }
            }
            if needed.count == blocks, arrivals.count == blocks * scenario.holders.count { break }
        }
    }

    private mutating func replayed(_ point: StatePoint, at time: Instant, _ scenario: Scenario) {
        guard needed.count < blocks else { return }
        if needed.count + 1 == blocks { end = time + .seconds(12) }
        appliedAt[point.number] = time
        guard let bridge = scenario.world.node(scenario.bridge) else { return }
        needed[point.number] = sections.reduce(0) { sum, section in
            sum + (bridge.state.gossip.recentDiff(BlockDiffKey(point: point, section: section))?.count ?? 0)
        }
    }

    private mutating func verified(_ point: StatePoint, by host: HostID, at time: Instant, _ scenario: Scenario) {
        guard let totals = scenario.world.node(host)?.totals else { return }
        let asked = counted[host] ?? 0
        counted[host] = totals.sectionDiffs
        let first = (reached[host] ?? 0) + 1
        guard first <= point.number else { return }
        reached[host] = point.number
        for number in first...point.number {
            guard let start = appliedAt[number] else { continue }
            arrivals.append(Arrival(after: time - start, isPushed: totals.sectionDiffs == asked))
        }
    }

    /// The share of all arrivals, each block at each holder, that took no longer than `limit`.
    func share(within limit: Interval) -> Double {
        Double(arrivals.count { $0.after <= limit }) / Double(needed.count * 60)
    }

    var pushedShare: Double { Double(arrivals.count(where: \.isPushed)) / Double(needed.count * 60) }

    mutating func conclude(_ scenario: Scenario) {
        let after = Sums(scenario)
        let need = Double(needed.values.reduce(0, +) * scenario.holders.count)
        offered = Double(after.offersSent - before.offersSent) / need
        let pulled = Double(after.contentSent - before.contentSent) / need
        let wire = Double(after.sent - before.sent) / need
        let times = arrivals.map { Int($0.after.microseconds / 1_000) }.sorted()
        func time(_ part: Double) -> Int { times.isEmpty ? 0 : times[Int(Double(times.count - 1) * part)] }
        let nodes = scenario.holders.compactMap { scenario.world.node($0) }
        let known = nodes.map { $0.holders.covering(sections.lowerBound).count }.sorted()
        let kept = nodes.map { $0.holders.keptCount }.sorted()
        let bridge = scenario.world.node(scenario.bridge)
        let codes = Sums.all.map { "\($0.rawValue): \((after.codes[$0] ?? 0) - (before.codes[$0] ?? 0))" }
        text = """
            arrivals \(arrivals.count) of \(needed.count * 60); within 1 s \(share(within: .seconds(1))), 3 s \
            \(share(within: .seconds(3))), 10 s \(share(within: .seconds(10))); pushed \(pushedShare); \
            ms at 50/90/95/99/100 %: \(time(0.5)) \(time(0.9)) \(time(0.95)) \(time(0.99)) \(time(1))
              needed \(Int(need)) bytes; offers/needed \(offered), requests/needed \(pulled), datagrams/needed \(wire)
              block diffs taken \(after.pushed - before.pushed), section diffs \(after.asked - before.asked); offers \
            \(after.made - before.made), repeated \(after.repeated - before.repeated), failed \
            \(after.failed - before.failed); requests \(after.requests - before.requests); codes \(codes)
              peers known of the arc: \(known.first ?? 0)…\(known.last ?? 0), kept \(kept.first ?? 0)…\(kept.last ?? 0)
              the bridge knows \(bridge?.holders.covering(sections.lowerBound).count ?? 0), keeps \
            \(bridge?.holders.keptCount ?? 0)
            """
    }
}
