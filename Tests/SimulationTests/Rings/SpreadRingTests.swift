import Chain
import MerklePatricia
import Primitives
import StateNetwork
import StateStore
import Synchronization
import Testing

@testable import Node
@testable import Simulation

/// Storage that is spread round the ring: no holder has all of it, and a client ends with it whole.
@Suite("Storage spread round the ring") struct SpreadRingTests {
    private func plan(seed: UInt64) -> Scenario.Plan {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.wideDepth = 1
        plan.holders = 16
        // An eighth of the ring each.
        plan.radiusExponent = 253
        plan.shape = SyntheticChain.Shape(accounts: 40, blocks: 60, changesPerBlock: 2)
        plan.shape.wideSlots = 1_500
        return plan
    }

    private func expectEnd(of client: HostID, in scenario: inout Scenario, until end: Instant) throws {
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: end) { $0.progress(client)?.verifiedHead == last }
        let standing = ([client] + scenario.holders).map { String(describing: scenario.world.progress($0)) }
        #expect(reached, "\(standing.joined(separator: "\n"))")
        try Oracle.expectFinalState(in: scenario, of: client)
        for host in [client] + scenario.holders {
            #expect(scenario.world.node(host)?.totals.invalidAnswers == 0)
        }
        let totals = try #require(scenario.world.node(client)).totals
        print("\(totals.ranges) ranges, \(totals.sectionDiffs) diffs, \(totals.folds) folds, \(totals.drops) drops")
    }

    /// Slots of spread storage that a host has, and how far that is spread by what it says of its accounts.
    private func held(by host: HostID, in scenario: Scenario) throws -> (slots: Int, depths: [Int]) {
        let snapshot = scenario.world.store(host).snapshot()
        var count = 0
        try snapshot.forEach(.partLeaves, from: [], upTo: nil) { (_, _) throws(StoreError) in
            count += 1
            return true
        }
        return (count, try SpreadRecords.all(in: snapshot).map(\.depth))
    }

    @Test func aClientWalksPartsThatNobodyHasAllOf() throws {
        var scenario = try Scenario(plan(seed: 91))
        _ = scenario.world.run(until: .seconds(40))
        var sum = 0
        for holder in scenario.holders {
            let slots = try held(by: holder, in: scenario).slots
            #expect(slots <= 1_500 / 8 + 150)
            sum += slots
        }
        // Sixteen holders of an eighth each have everything twice.
        #expect(sum > 2 * 1_450)
        #expect(try held(by: scenario.bridge, in: scenario).depths == [1])
        let client = try scenario.addWalker()
        try expectEnd(of: client, in: &scenario, until: .seconds(300))
        let (slots, depths) = try held(by: client, in: scenario)
        #expect(slots > 1_450 && depths == [1])
        #expect(scenario.world.node(client)?.totals.drops == 0)
    }

    @Test func storageGoesFromNarrowToWideAndBack() throws {
        var plan = plan(seed: 92)
        plan.shape.wideFrom = 20
        plan.shape.wideUntil = 50
        plan.shape.blocks = 80
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(30))
        let client = try scenario.addWalker()
        let isWide = scenario.world.run(until: .seconds(110)) { world in
            (try? SpreadRecords.all(in: world.store(client).snapshot()).isEmpty) == false
        }
        #expect(isWide)
        try expectEnd(of: client, in: &scenario, until: .seconds(400))
        #expect(try held(by: client, in: scenario) == (0, []))
        for holder in scenario.holders { #expect(try held(by: holder, in: scenario).slots == 0) }
    }

    /// At depth 2 a trie grows from one placement into the next: what was in 16 parts is in 256, and back.
    @Test func storageGoesFromOnePlacementToTheNextAndBack() throws {
        var plan = plan(seed: 93)
        plan.sectionDepth = 2
        plan.holders = 8
        plan.radiusExponent = 254
        plan.walkerRangeBytes = 16_384
        plan.shape.narrowSlots = 1_500
        plan.shape.wideSlots = 14_000
        plan.shape.wideFrom = 20
        plan.shape.wideUntil = 50
        plan.shape.blocks = 80
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(30))
        let client = try scenario.addWalker()
        var seen: Set<Int> = []
        _ = scenario.world.run(until: .seconds(150)) { world in
            for (_, depth) in (try? SpreadRecords.all(in: world.store(client).snapshot())) ?? [] { seen.insert(depth) }
            return seen.count == 2
        }
        #expect(seen == [1, 2])
        try expectEnd(of: client, in: &scenario, until: .seconds(500))
        #expect(try held(by: client, in: scenario).depths == [1])
    }

    /// Killed while parts are missing: what was committed is there, and the rest is walked.
    @Test func aClientThatIsKilledGoesOnWithItsParts() throws {
        var plan = plan(seed: 94)
        plan.walkerRate = 6_000
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(30))
        let client = try scenario.addWalker()
        let begun = scenario.world.run(until: .seconds(100)) { world in
            (try? SectionRecord.all(in: world.store(client).snapshot()).count { $0.section.owner != nil } >= 4) == true
        }
        #expect(begun)
        let before = try held(by: client, in: scenario).slots
        scenario.world.kill(client)
        for holder in scenario.holders.prefix(4) { scenario.world.kill(holder) }
        let boot = try #require(scenario.world.node(scenario.holders[9])).record
        for host in [client] + scenario.holders.prefix(4) { try scenario.world.start(host, bootNodes: [boot]) }
        #expect(try held(by: client, in: scenario).slots == before && before > 100)
        try expectEnd(of: client, in: &scenario, until: .seconds(400))
    }

    /// What any kill leaves is what one of the commits left: each is sound by itself, leaf by leaf, with its storage in
    /// one place, and a node starts from it.
    @Test func everyCommitLeavesStorageInOnePlace() throws {
        var plan = plan(seed: 95)
        plan.holders = 4
        plan.radiusExponent = 254
        plan.shape.wideFrom = 20
        plan.shape.wideUntil = 36
        plan.shape.blocks = 50
        plan.shape.wideSlots = 1_000
        var scenario = try Scenario(plan)
        let shelf = Shelf()
        scenario.world.committed = { host, store in shelf.stores.withLock { $0.append((host, store)) } }
        _ = scenario.world.run(until: .seconds(20))
        let client = try scenario.addWalker()
        try expectEnd(of: client, in: &scenario, until: .seconds(300))
        let stores = shelf.stores.withLock { $0 }
        var spread = 0
        for (number, (host, store)) in stores.enumerated() where number % 9 == 0 {
            let check = try StateCheck(store, depth: 1)
            for record in check.records {
                let faults = try check.check(record).faults
                #expect(faults.isEmpty, "commit \(number) of \(host): section \(record.section): \(faults)")
            }
            let accounts = try SpreadRecords.all(in: store).map(\.account)
            spread += accounts.count
            for account in accounts {
                let view = StateView(store, depth: 1)
                #expect(try view.isSpread(account), "commit \(number) of \(host)")
            }
            let stored = try StoredState.load(from: store, network: scenario.network)
            _ = try CarouselNode(
                configuration: scenario.world.hosts[host.index].configuration, stored: stored,
                entropy: Entropy(seed: Bytes32(0, 0, 0, 95)), at: scenario.world.moment)
        }
        #expect(spread > 20)
        print("\(stores.count) commits, a ninth of them looked into")
    }

    private final class Shelf: Sendable {
        let stores = Mutex<[(host: HostID, store: MemorySnapshot)]>([])
    }
}
