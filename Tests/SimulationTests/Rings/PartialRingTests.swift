import Chain
import Primitives
import StateContent
import StateStore
import Synchronization
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// Clients that keep all accounts and the storage of few, in a ring with others.
@Suite("Accounts and the storage of some, in a ring") struct PartialRingTests {
    private func plan(seed: UInt64, blocks: Int = 44) -> Scenario.Plan {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 150, blocks: blocks, changesPerBlock: 8)
        plan.conditions = SimulatedNetwork.Conditions(loss: 0.02, latency: .milliseconds(20))
        return plan
    }

    /// The contracts with most storage at the end, one that is gone by then if there is any, and one that never was.
    private func contracts(_ scenario: Scenario) -> KeptStorage {
        let largest = scenario.winner.finalState.sorted {
            ($0.value.storage.count, $0.key.key) > ($1.value.storage.count, $1.key.key)
        }
        let gone = scenario.winner.genesisAccounts.map(\.address).filter { scenario.winner.finalState[$0] == nil }
        return .only(largest.prefix(3).map(\.key.key) + gone.prefix(1).map(\.key) + [Bytes32(7, 7, 7, 7)])
    }

    private func stateBytes(_ scenario: Scenario, _ client: HostID) -> UInt64 {
        scenario.world.node(client)?.totals.stateBytesByPeer.values.reduce(0, +) ?? 0
    }

    private func expectNobodyBlamed(_ hosts: [HostID], in scenario: Scenario) throws {
        for host in hosts + scenario.holders + [scenario.bridge] {
            let node = try #require(scenario.world.node(host))
            #expect(node.totals.invalidAnswers == 0, "\(host)")
            for other in hosts + scenario.holders {
                guard let id = scenario.world.record(of: other)?.id else { continue }
                #expect(node.overlay.standing(of: id)?.bannedUntil == nil, "\(host) has banned \(other)")
            }
        }
    }

    @Test func eachKindOfClientEndsWithTheChainsOwnState() throws {
        var scenario = try Scenario(plan(seed: 301))
        let kept = contracts(scenario)
        _ = scenario.world.run(until: .seconds(9))
        let clients = [KeptStorage.all, .only([]), kept].map { ($0, try? scenario.addWalker(keeping: $0)) }
        let hosts = clients.compactMap(\.1)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(250)) { world in
            hosts.allSatisfy { world.progress($0)?.verifiedHead == last }
        }
        #expect(reached, "\(hosts.map { String(describing: scenario.world.progress($0)) })")
        for (kept, host) in clients {
            let host = try #require(host)
            try Oracle.expectFinalState(in: scenario, of: host, keeping: kept)
            let totals = try #require(scenario.world.node(host)).totals
            print(
                "\(kept.accounts?.count ?? -1) storages: \(stateBytes(scenario, host)) bytes, \(totals.blockDiffs) "
                    + "block diffs, \(totals.sectionDiffs) section diffs, \(totals.folds) folds, \(totals.codes) codes")
            #expect(totals.blockDiffs > totals.sectionDiffs)
            #expect(totals.drops == 0)
        }
        #expect(stateBytes(scenario, hosts[1]) < stateBytes(scenario, hosts[2]))
        #expect(stateBytes(scenario, hosts[2]) < stateBytes(scenario, hosts[0]))
        try expectNobodyBlamed(hosts, in: scenario)
        // Nobody hears of a section of theirs.
        for holder in scenario.holders {
            let peers = try #require(scenario.world.node(holder)).holders
            for host in hosts.dropFirst() {
                guard let id = scenario.world.record(of: host)?.id else { continue }
                #expect(peers[id]?.served.isEmpty ?? true)
                #expect(peers[id]?.head == nil)
            }
        }
    }

    /// Half of the ring does not know the form: it is passed by, and asked for nothing that it would not understand.
    @Test func nodesThatDoNotKnowTheFormArePassedBy() throws {
        var plan = plan(seed: 302)
        plan.groups = [
            Scenario.Group(count: 4, radiusExponent: 255), Scenario.Group(count: 4, radiusExponent: 255),
        ]
        plan.groups[1].isFormer = true
        plan.former.knows = KnownContents(partial: false)
        var scenario = try Scenario(plan)
        let kept = contracts(scenario)
        _ = scenario.world.run(until: .seconds(9))
        let client = try scenario.addWalker(keeping: kept)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(250)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client, keeping: kept)
        let node = try #require(scenario.world.node(client))
        for former in scenario.holders.suffix(4) {
            let id = try #require(scenario.world.record(of: former)?.id)
            #expect(node.totals.stateBytesByPeer[id] == nil)
            let ours = try #require(scenario.world.record(of: client)?.id)
            #expect(scenario.world.node(former)?.overlay.standing(of: ours)?.bannedUntil == nil)
        }
        try expectNobodyBlamed([client], in: scenario)
    }

    /// Killed at some of its writes, and it ends with the same all the same.
    @Test func aKilledClientGoesOn() throws {
        var plan = plan(seed: 303, blocks: 30)
        plan.holders = 2
        plan.radiusExponent = 256
        let kept = contracts(try Scenario(plan))
        func run(crashingAt write: Int?, _ watch: (@Sendable (Int) -> Void)?) throws {
            var scenario = try Scenario(plan)
            _ = scenario.world.run(until: .seconds(9))
            let client = try scenario.addWalker(keeping: kept)
            let store = scenario.world.store(client)
            store.faults.crashAtWrite = write
            if let watch {
                scenario.world.committed = { host, _ in if host == client { watch(store.writes) } }
            }
            let last = scenario.lastBlock.number
            if write != nil {
                #expect(scenario.world.run(until: .seconds(250)) { $0.store(client).hasCrashed })
                store.faults.crashAtWrite = nil
                _ = scenario.world.run(until: scenario.world.now + .seconds(1))
                try scenario.world.start(client)
            }
            let reached = scenario.world.run(until: .seconds(250)) { $0.progress(client)?.verifiedHead == last }
            #expect(
                reached,
                "killed at \(String(describing: write)): \(String(describing: scenario.world.progress(client)))")
            try Oracle.expectFinalState(in: scenario, of: client, keeping: kept)
            #expect(scenario.world.node(client)?.totals.invalidAnswers == 0)
        }
        let ends = CommitEnds()
        try run(crashingAt: nil) { ends.add($0) }
        let all = ends.all
        #expect(all.count > 20)
        for (index, end) in all.enumerated() where index % max(1, all.count / 8) == 3 {
            for write in [end - 1, end - 2] { try run(crashingAt: write, nil) }
        }
    }

    private final class CommitEnds: Sendable {
        private let ends = Mutex<[Int]>([])
        func add(_ writes: Int) { ends.withLock { $0.append(writes) } }
        var all: [Int] { ends.withLock { $0 } }
    }

    /// Away for so long that no diff leads on: what is held is compared by subtree hashes, and of the storage that is
    /// left out nothing is asked.
    @Test func aClientThatWasAwayForLongComparesItsAccounts() throws {
        var plan = plan(seed: 304, blocks: 8 * 14)
        plan.quickBlocks = 8 * 11
        var scenario = try Scenario(plan)
        let kept = contracts(scenario)
        _ = scenario.world.run(until: .seconds(7))
        let client = try scenario.addWalker(keeping: kept)
        #expect(scenario.world.run(until: .seconds(40)) { $0.completion(of: client) != nil })
        scenario.world.kill(client)
        let span = 2 * plan.epochLength
        for holder in scenario.holders {
            scenario.world.corrupt(
                holder,
                tampering: { job, value, _ in
                    guard case .serveDiffs(let job) = job, job.key.to.number - job.key.from.number > span else {
                        return value
                    }
                    return StateStatus.historyTooShort.encoded
                })
        }
        _ = scenario.world.run(until: .seconds(60))
        try scenario.world.start(client)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(400)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client, keeping: kept)
        let totals = try #require(scenario.world.node(client)).totals
        print("\(totals.comparisons) comparisons, \(totals.sectionDiffs) diffs")
        #expect(totals.comparisons > 0 && totals.invalidAnswers == 0)
    }

    /// In a network that spreads large storage a contract whose storage is spread is kept with all its parts.
    @Test func aNamedContractWhoseStorageIsSpreadIsKeptWhole() throws {
        var plan = plan(seed: 305, blocks: 60)
        plan.wideDepth = 1
        plan.holders = 16
        plan.radiusExponent = 253
        plan.shape.accounts = 40
        plan.shape.changesPerBlock = 2
        plan.shape.wideSlots = 1_500
        var scenario = try Scenario(plan)
        let wide = try #require(
            scenario.winner.finalState.max { $0.value.storage.count < $1.value.storage.count }
        ).key.key
        _ = scenario.world.run(until: .seconds(40))
        let (without, with) = (
            try scenario.addWalker(keeping: .only([])), try scenario.addWalker(keeping: .only([wide]))
        )
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(300)) { world in
            [without, with].allSatisfy { world.progress($0)?.verifiedHead == last }
        }
        #expect(reached, "\([without, with].map { String(describing: scenario.world.progress($0)) })")
        try Oracle.expectFinalState(in: scenario, of: without, keeping: .only([]))
        for (host, count) in [(without, 0), (with, 1_450)] {
            var slots = 0
            try scenario.world.store(host).snapshot().forEach(.partLeaves, from: [], upTo: nil) {
                (_, _) throws(StoreError) in
                slots += 1
                return true
            }
            #expect(count == 0 ? slots == 0 : slots > count, "\(slots) slots of parts")
            #expect(scenario.world.node(host)?.totals.invalidAnswers == 0)
        }
    }
}
