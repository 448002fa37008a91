import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation
@testable import StateNetwork
@testable import UTP

/// Liars that send nothing plainly false: holders that announce sections they do not have, prove an old state rightly,
/// or send a byte a second. Two of six are such, one in each half of the ring. The sync ends in time, they are charged
/// for it, and what was locked for them is free again.
@Suite("Sly holders") struct SlyHolderTests {
    private struct Run {
        var scenario: Scenario
        let client: HostID
        let reached: Bool
        /// When the client stood at the last block.
        let end: Instant

        func standing(of host: HostID) throws -> PeerStanding {
            let id = try #require(scenario.world.node(host)).record.id
            return try #require(scenario.world.node(client)?.overlay.standing(of: id))
        }
    }

    /// `accounts`: 400 make answers that need a stream.
    private func scenario(seed: UInt64, accounts: Int = 120) throws -> (Scenario, sly: [HostID]) {
        print("seed \(seed)")
        var plan = Scenarios.small(seed: seed)
        plan.holders = 6
        plan.shape.accounts = accounts
        plan.walkerRate = UInt64(accounts) * 16
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(12))
        return (scenario, [scenario.holders[0], scenario.holders[1]])
    }

    /// Runs until the client stands at the last block, at most until `limit`; after each event the sly ones do theirs.
    private func run(
        _ given: Scenario, until limit: Instant, _ meddle: (inout World) -> Void = { _ in }
    ) throws -> Run {
        var scenario = given
        let client = try scenario.addWalker()
        let last = scenario.lastBlock.number
        let isSynced = { (world: World) in world.progress(client)?.verifiedHead == last }
        var steps = 0
        while scenario.world.now < limit, scenario.world.step() {
            meddle(&scenario.world)
            steps += 1
            if steps.isMultiple(of: 64), isSynced(scenario.world) { break }
        }
        let (end, reached) = (scenario.world.now, isSynced(scenario.world))
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        // Nothing is taken for ever: a moment comes in which nothing of the walk's is under way.
        print("ended at \(end.microseconds / 1_000) ms")
        let isIdle = scenario.world.run(until: end + .seconds(60)) { world in
            guard let node = world.node(client) else { return false }
            return node.state.operations.askCount == 0 && node.overlay.load.requests == 0
                && node.overlay.load.streams == 0 && node.arc.allSatisfy { !node.state.holdings.book.isLocked($0) }
        }
        #expect(isIdle, "something is never given back")
        return Run(scenario: scenario, client: client, reached: reached, end: end)
    }

    private func expectNoHonestOnePays(_ run: Run, sly: [HostID]) throws {
        for host in run.scenario.holders where !sly.contains(host) {
            let standing = try run.standing(of: host)
            #expect(standing.bannedUntil == nil && standing.score > 0, "an honest one pays: \(standing)")
        }
    }

    /// The last block is replayed at 65 s; honest holders alone bring a client there seconds later.
    private let lastBlockAt = Instant.seconds(65)

    /// Whether one is asked twice for what it does not have is a matter of chance: in one of a few runs it is.
    @Test func sectionsAnnouncedThatAreNotThere() throws {
        let bans = try [UInt64(41), 44, 45, 46].map { try announceEverything(seed: $0) }
        #expect(bans.reduce(0, +) > 0, "one announced again what it did not have")
    }

    /// How many of those who announce the whole ring, at every anchor they serve, are banned for it.
    private func announceEverything(seed: UInt64) throws -> Int {
        let (scenario, sly) = try scenario(seed: seed)
        let run = try run(scenario, until: .seconds(150)) { world in
            for host in sly { world.announceEverything(host) }
        }
        let node = try #require(run.scenario.world.node(run.client))
        #expect(node.totals.falseAnnouncements > 0)
        #expect(node.totals.invalidAnswers == 0, "nothing false was sent")
        let standings = try sly.map { try run.standing(of: $0) }
        let asked = standings.filter { $0.sampleCount > 0 }
        #expect(asked.contains { $0.failureRate > 0 }, "it is noted: \(standings)")
        try expectNoHonestOnePays(run, sly: sly)
        #expect(run.end <= lastBlockAt + .seconds(25), "\(run.end)")
        return standings.count { $0.bannedUntil != nil }
    }

    @Test func theRightProofOfAnOldRoot() throws {
        var (scenario, sly) = try scenario(seed: 42)
        let chain = scenario.chain
        for host in sly {
            scenario.world.corrupt(
                host,
                tampering: { job, value, store in
                    oldAnswer(to: job, from: store, in: chain) ?? value
                })
        }
        let run = try run(scenario, until: .seconds(150))
        let node = try #require(run.scenario.world.node(run.client))
        #expect(node.totals.invalidAnswers > 0)
        let blamed = run.scenario.world.reports.contains { entry in
            guard entry.host == run.client, case .log(.warning, let text) = entry.report else { return false }
            return text.contains("the accounts are not proven: the proof lacks the node at")
        }
        #expect(blamed, "right in itself, but not under the root that was asked for")
        #expect(try sly.contains { try run.standing(of: $0).bannedUntil != nil })
        try expectNoHonestOnePays(run, sly: sly)
        #expect(run.end <= lastBlockAt + .seconds(20), "\(run.end)")
    }

    /// Whether one is asked for something that needs a stream is a matter of chance: in one of a few runs it is.
    @Test func aByteASecond() throws {
        let slowest = try [UInt64(43), 44, 45, 46, 47, 48, 49].map { try trickle(seed: $0) }
        #expect(slowest.contains { $0 >= .seconds(10) }, "one of them at least was asked, and trickled: \(slowest)")
    }

    /// How long the slowest of those who trickle was waited for.
    private func trickle(seed: UInt64) throws -> Interval {
        var (scenario, sly) = try scenario(seed: seed, accounts: 400)
        for host in sly { try scenario.world.makeTrickle(host) }
        let run = try run(scenario, until: .seconds(250))
        let totals = try #require(run.scenario.world.node(run.client)).totals
        let all = totals.stateBytesByPeer.values.reduce(0, +)
        var slowest = Interval.zero
        for host in sly {
            let standing = try run.standing(of: host)
            #expect(standing.bannedUntil == nil, "slowness is no lie")
            if standing.sampleCount > 0 { slowest = max(slowest, standing.failureTime ?? .zero) }
            let id = try #require(run.scenario.world.node(host)).record.id
            #expect((totals.stateBytesByPeer[id] ?? 0) * 10 < all, "it is left alone")
        }
        try expectNoHonestOnePays(run, sly: sly)
        // Each lane falls for each of them once, at most, and then for a tenth of its choices.
        #expect(run.end <= lastBlockAt + .seconds(2 * 32 + 20), "\(run.end)")
        return slowest
    }
}

/// What the host had one anchor ago, with the right proofs of that state; nil where it has none.
private func oldAnswer(to job: StateJob, from store: MemorySnapshot, in chain: SyntheticChain) -> [UInt8]? {
    guard case .serveRange(let job) = job,
        let record = try? SectionRecord.read(job.section, in: store), record.working == job.point,
        let old = record.previous
    else { return nil }
    let root =
        old.number == 0
        ? chain.genesisHeader.stateRoot : chain.entries[Int(old.number) - 1].block.header.stateRoot
    var view = StateView(store, depth: 1, at: old, records: [record])
    // A crown is only looked up in: one of the whole old state, built from what this host holds of it, proves its own.
    guard let crown = try? oldCrown(root: root, in: store) else { return nil }
    return try? RangeServer.serve(job.key, view: &view, crown: crown)
}

private func oldCrown(root: Bytes32, in store: MemorySnapshot) throws -> Crown? {
    var found: Crown?
    try store.forEach(.crowns, from: [], upTo: nil) { (_, value) throws(StoreError) in
        if let crown = try? CrownValue.verify(Array(value), stateRoot: root, depth: 1) { found = crown }
        return true
    }
    return found
}

extension World {
    /// Makes a host say that it holds the whole ring at each anchor it serves.
    fileprivate mutating func announceEverything(_ host: HostID) {
        let now = now
        guard let node = hosts[host.index].node, let network = node.overlay.index(of: .state),
            let told = node.overlay.networks[network].profile.extensionPayload,
            let payload = try? StatePingPayload(decoding: told),
            payload.served.contains(where: { $0.runs != [0..<16] })
        else { return }
        let lie = StatePingPayload(
            role: payload.role, radius: .max, head: payload.head,
            served: payload.served.map { AnchorSections(anchor: $0.anchor, runs: [0..<16]) })
        hosts[host.index].node?.overlay.setLocal(
            network: .state, radius: .max, extensionPayload: lie.encoded, isUrgent: true, at: now)
    }

    /// Makes a host's streams carry a byte a packet, and a packet a second.
    fileprivate mutating func makeTrickle(_ host: HostID) throws {
        var configuration = UTPConfiguration()
        configuration.payloadBytes = 1
        hosts[host.index].node?.overlay.wire.utp = UTP(configuration: configuration, entropy: Entropy(seed: .max))
        // A uTP packet with one byte in a discv5 packet; answers and requests of the Portal wire are smaller or larger.
        set(line: Line(trickling: 115...126), of: host)
    }
}
