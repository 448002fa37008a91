import Chain
import Discovery
import Primitives
import StateContent
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation

/// The sixteen nodes nearest to a section's position are hostile. A client that joins finds the section's
/// holders behind them, and says what it waits for.
@Suite("Eclipse of a section") struct SectionEclipseTests {
    enum Attack: String, CaseIterable, Sendable {
        /// There are none: what a run takes otherwise.
        case none
        /// They announce everything, and never answer a request for what they do have: the section and those around it.
        case silent
        /// Everybody has met them, and now they are gone.
        case dead
        /// They cover the section and never have any of it.
        case useless
    }

    private static let section = 0x5a
    private static let bits = 12
    /// Keys of the hostile nodes: looked for once.
    private static let keys: [IdentityKey] = {
        var entropy = Entropy(seed: Bytes32(9, 1, 2, 3))
        let position = Section(depth: 2, index: section).firstKey
        return (0..<16).compactMap { _ in IdentityKey(idPrefix: position, bits: bits, from: &entropy) }
    }()

    private func scenario(seed: UInt64, _ attack: Attack) throws -> (Scenario, hostile: [HostID]) {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.groups = [Scenario.Group(count: 48, radiusExponent: 252)]
        plan.sectionDepth = 2
        plan.shape = SyntheticChain.Shape(accounts: 600, blocks: 40, changesPerBlock: 6)
        // An epoch is over before anybody joins.
        plan.firstBlock = .zero + .milliseconds(500)
        plan.quickBlocks = 10
        plan.startSpread = .seconds(6)
        plan.boot = .earlierHolder
        plan.walkerLanes = 8
        plan.walkerRangeBytes = 16_384
        var scenario = try Scenario(plan)
        guard attack != .none else { return (scenario, []) }
        let position = Section(depth: 2, index: SectionEclipseTests.section).firstKey
        let honest = scenario.holders.map { scenario.world.hosts[$0.index].configuration.key.nodeID ^ position }
        let farthest = try #require(SectionEclipseTests.keys.map { $0.nodeID ^ position }.max())
        try #require(honest.allSatisfy { $0 > farthest }, "the hostile ones are the nearest")
        var hostile: [HostID] = []
        for (place, key) in SectionEclipseTests.keys.enumerated() {
            var configuration = NodeConfiguration(
                network: scenario.network, role: .holder, key: key, clientInfo: "carousel/simulated")
            configuration.arcPlan = .fixed(252)
            // Without a lane nothing is ever fetched.
            if attack == .useless { configuration.lanes = 0 }
            let host = scenario.world.add(configuration)
            scenario.world.scheduleStart(
                of: host, knowing: scenario.holders[place * 3], at: .seconds(6) + .milliseconds(100) * place)
            hostile.append(host)
        }
        return (scenario, hostile)
    }

    /// A stretch in which no section was completed.
    private struct Wait: CustomStringConvertible {
        var since: Instant
        var until: Instant
        var reasons: Set<String> = []
        var description: String { "\((until - since).seconds) s: \(reasons.sorted())" }
    }

    /// Runs the client to the whole state; its waits of more than 3 s, with the reasons it gave.
    private func run(
        _ scenario: inout Scenario, announcing: [HostID], limit: Interval
    ) throws -> (client: HostID, after: Interval?, waits: [Wait]) {
        let client = try scenario.addWalker()
        let start = scenario.world.now
        var complete = 0
        var wait = Wait(since: start, until: start)
        var waits: [Wait] = []
        while scenario.world.now < start + limit, scenario.world.completion(of: client) == nil {
            _ = scenario.world.run(until: scenario.world.now + .milliseconds(250))
            for host in announcing { scenario.world.announceTheRing(host) }
            wait.until = scenario.world.now
            if let progress = scenario.world.progress(client) {
                if progress.sectionsComplete > complete {
                    complete = progress.sectionsComplete
                    waits.append(wait)
                    wait = Wait(since: scenario.world.now, until: scenario.world.now)
                } else {
                    if let waiting = progress.waiting { wait.reasons.insert("\(waiting.section): \(waiting.why)") }
                    if let stall = progress.stall { wait.reasons.insert("\(stall.reason), \(stall.advice)") }
                }
            }
        }
        waits.append(wait)
        let after = scenario.world.completion(of: client).map { $0 - start }
        return (client, after, waits.filter { $0.until - $0.since > .seconds(3) })
    }

    /// Silent ones cost the most: there they are tried with several seeds.
    private static let runs: [(Attack, UInt64)] =
        Attack.allCases.map { ($0, 96) } + [(.silent, 95), (.silent, 97), (.silent, 98), (.silent, 99), (.silent, 100)]

    @Test(arguments: runs)
    func theClientGoesPastThem(_ attack: Attack, seed: UInt64) throws {
        var (scenario, hostile) = try scenario(seed: seed, attack)
        let filling = scenario.holders + (attack == .useless ? [] : hostile)
        let filled = scenario.world.run(until: .seconds(120)) { world in
            filling.allSatisfy { world.completion(of: $0) != nil }
        }
        let lacking = filling.filter { scenario.world.completion(of: $0) == nil }
        let first = lacking.first.flatMap { scenario.world.progress($0) }
        try #require(filled, "\(lacking.count) have not filled: \(String(describing: first))")
        let filledAt = scenario.world.now
        let announcing = attack == .silent ? hostile : []
        // A round of PINGs and another: everybody has met the hostile ones and knows what they say.
        for second in 1...12 {
            for host in announcing { scenario.world.announceTheRing(host) }
            _ = scenario.world.run(until: filledAt + .seconds(second))
        }
        for host in announcing { scenario.world.corrupt(host) { _ in nil } }
        if attack == .dead { for host in hostile { scenario.world.kill(host) } }
        let (client, after, waits) = try run(&scenario, announcing: announcing, limit: .seconds(60))
        let progress = scenario.world.progress(client)
        let node = try #require(scenario.world.node(client))
        let known = node.holders.covering(SectionEclipseTests.section)
        let ids = Set(SectionEclipseTests.keys.map(\.nodeID))
        print(
            "\(attack): filled at \(filledAt.microseconds / 1_000) ms, whole after \(after?.seconds ?? -1) s;",
            "\(node.holders.searchCount) searches, \(node.holders.queryCount) queries; of \(known.count) known that",
            "cover the section \(known.count { ids.contains($0.id) }) are hostile; longest waits:", waits)
        let whole = try #require(after, "\(String(describing: progress))")
        #expect(whole <= .seconds(10))
        // A request that somebody has taken on is told after three seconds, and progress once a second.
        let patience = Interval.seconds(5)
        #expect(waits.allSatisfy { !$0.reasons.isEmpty || $0.until - $0.since < patience }, "whoever waits says why")
    }
}

extension World {
    /// Makes a host say that it has the whole ring at each anchor it serves.
    fileprivate mutating func announceTheRing(_ host: HostID) {
        let (now, whole) = (now, 0..<256)
        guard let overlay = hosts[host.index].node?.overlay, let network = overlay.index(of: .state),
            let told = overlay.networks[network].profile.extensionPayload,
            let payload = try? StatePingPayload(decoding: told),
            payload.served.contains(where: { $0.runs != [whole] })
        else { return }
        let lie = StatePingPayload(
            role: payload.role, radius: .max, head: payload.head,
            served: payload.served.map { AnchorSections(anchor: $0.anchor, runs: [whole]) })
        hosts[host.index].node?.overlay.setLocal(
            network: .state, radius: .max, extensionPayload: lie.encoded, isUrgent: true, at: now)
    }
}
