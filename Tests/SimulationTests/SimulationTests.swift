import Chain
import Foundation
import MerklePatricia
import Node
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Simulation

@Suite("A network in virtual time") struct NetworkTests {
    /// Twenty nodes and a client, 5 % loss, 50 ms each way, through at least three epochs while it still fetches.
    @Test(arguments: [UInt64(1)])
    func aClientEndsWithTheRightRootAcrossEpochs(seed: UInt64) throws {
        print("seed \(seed)")
        var scenario = try Scenario(Scenarios.lossy(seed: seed))
        let (client, outcome) = try scenario.runClient(joining: .seconds(15), limit: .seconds(300))
        #expect(outcome.reachedHead, "\(String(describing: scenario.world.progress(client)))")
        #expect(outcome.crossings >= 3)
        let completion = try #require(outcome.completions.last)
        let boundary = Int(completion.anchor.epoch * scenario.plan.epochLength)
        #expect(completion.root == scenario.chain.entries[boundary - 1].block.header.stateRoot)
        try Oracle.expectFinalState(in: scenario, of: client)
        // Nobody was ever taken for a liar: loss and delay are no lies.
        #expect(scenario.world.node(client)?.totals.invalidAnswers == 0)
    }

    @Test func aClientTakesNoStateFromTheBridge() throws {
        var scenario = try Scenario(Scenarios.small(seed: 3))
        let (client, outcome) = try scenario.runClient(joining: .seconds(12), limit: .seconds(200))
        #expect(outcome.reachedHead)
        let senders = try #require(scenario.world.node(client)?.totals.stateBytesByPeer)
        let bridge = try #require(scenario.world.node(scenario.bridge)).record.id
        #expect(senders[bridge] == nil)
        #expect(senders.values.reduce(0, +) > 10_000)
    }
}

@Suite("Killed and started again") struct RestartTests {
    @Test func aClientGoesOnWhereItsStoreStands() throws {
        var scenario = try Scenario(Scenarios.small(seed: 5))
        _ = scenario.world.run(until: .seconds(12))
        let client = try scenario.addWalker()
        _ = scenario.world.run(until: .seconds(120)) { ($0.progress(client)?.held ?? 0) > 0.4 }
        let before = try SectionRecord.all(in: scenario.world.store(client).snapshot())
        #expect(!before.isEmpty)
        scenario.world.kill(client)
        let boot = try #require(scenario.world.node(scenario.holders[1])).record
        try scenario.world.start(client, bootNodes: [boot])
        let held = try #require(scenario.world.node(client)).progress(at: scenario.world.moment).held
        #expect(held > 0.3, "what was committed is not fetched again")
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(300)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached)
        try Oracle.expectFinalState(in: scenario, of: client)
    }

    @Test func aHolderCatchesUpAfterAnEpochAway() throws {
        var scenario = try Scenario(Scenarios.small(seed: 6))
        _ = scenario.world.run(until: .seconds(20))
        let holder = scenario.holders[2]
        scenario.world.kill(holder)
        _ = scenario.world.run(until: .seconds(45))
        try scenario.world.start(holder)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(200)) { $0.progress(holder)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(holder)))")
    }

    /// Nobody is left who saw the blocks come: the bridge is gone, and every holder knows only what its store kept.
    @Test func aFreshClientLearnsTheChainFromHoldersThatWereAllStartedAgain() throws {
        var scenario = try Scenario(Scenarios.small(seed: 7))
        let last = scenario.lastBlock.number
        let holders = scenario.holders
        let filled = scenario.world.run(until: .seconds(120)) { world in
            holders.allSatisfy { world.progress($0)?.verifiedHead == last }
        }
        #expect(filled)
        scenario.world.kill(scenario.bridge)
        for holder in holders { scenario.world.kill(holder) }
        for holder in holders { try expectProof(of: last, in: scenario, holder) }
        _ = scenario.world.run(until: .seconds(130))
        for holder in holders {
            let boot = scenario.world.node(holders[0]).map { [$0.record] } ?? []
            try scenario.world.start(holder, bootNodes: boot)
        }
        let client = try scenario.addWalker()
        let reached = scenario.world.run(until: .seconds(250)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
    }
}

extension RestartTests {
    /// What the store keeps proves every section of the arc at the head, without any layer's or crown's help.
    private func expectProof(of number: UInt64, in scenario: Scenario, _ host: HostID) throws {
        let snapshot = scenario.world.store(host).snapshot()
        let proof = try #require(try StoredState.load(from: snapshot, network: scenario.network).held.headProof)
        #expect(proof.point == scenario.lastBlock && proof.point.number == number)
        let root = try #require(scenario.chain.entries.last).block.header.stateRoot
        var pool = NodePool()
        pool.add(proof.nodes, at: number)
        for section in Section.all(depth: 1) {
            let path = pool.path(to: section.path, root: root)
            #expect(throws: Never.self) {
                try SectionProof.sectionHash(root: root, proof: path, section: section.path)
            }
        }
    }
}

@Suite("Determinism") struct DeterminismTests {
    @Test func theSameSeedGivesTheSameRunAndAnotherSeedAnother() throws {
        func run(_ seed: UInt64) throws -> Bytes32 {
            var scenario = try Scenario(Scenarios.small(seed: seed))
            return try scenario.runClient(joining: .seconds(8), limit: .seconds(25)).outcome.logHash
        }
        let first = try run(11)
        #expect(try run(11) == first)
        #expect(try run(12) != first)
    }

    /// Hosts of a stretch may be run in any order and on any threads: what comes of it is the same, to the last event.
    @Test func whoRunsTheHostsMakesNoDifference() throws {
        let backwards: World.Executor = { count, body in (0..<count).reversed().forEach(body) }
        let onThreads: World.Executor = { count, body in
            DispatchQueue.concurrentPerform(iterations: count, execute: body)
        }
        func run(_ executor: World.Executor?) throws -> Scenario.Outcome {
            var plan = Scenarios.lossy(seed: 13)
            plan.shape.blocks = 12
            var scenario = try Scenario(plan)
            scenario.world.executor = executor
            return try scenario.runClient(joining: .seconds(8), limit: .seconds(25)).outcome
        }
        let alone = try run(nil)
        #expect(alone.events > 10_000)
        #expect(try run(backwards) == alone)
        #expect(try run(onThreads) == alone)
    }

    /// The command line runs the scenario too; two of its processes must agree.
    @Test func twoProcessesAgree() throws {
        let binary = Bundle.main.bundleURL.appendingPathComponent("carousel")
        let tool =
            FileManager.default.isExecutableFile(atPath: binary.path)
            ? binary
            : URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
                .appendingPathComponent("carousel")
        try #require(FileManager.default.isExecutableFile(atPath: tool.path), "\(tool.path) is not built")
        func run() throws -> String {
            let process = Process()
            process.executableURL = tool
            process.arguments = ["developer", "simulate", "--seed", "4", "--holders", "4", "--seconds", "25"]
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return text
        }
        let first = try run()
        #expect(first.contains("log hash 0x"))
        #expect(try run() == first)
    }
}

/// The plans the tests run.
enum Scenarios {
    static func lossy(seed: UInt64) -> Scenario.Plan {
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 20
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: 44, changesPerBlock: 6)
        plan.conditions = SimulatedNetwork.Conditions(
            loss: 0.05, latency: .milliseconds(50), jitter: .milliseconds(10))
        plan.walkerRate = 1_500
        plan.walkerRangeBytes = 3_000
        return plan
    }

    static func small(seed: UInt64) -> Scenario.Plan {
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: 30, changesPerBlock: 5)
        plan.walkerRate = 2_000
        plan.walkerRangeBytes = 3_000
        return plan
    }
}

/// What the chain's plain final state says, against what a host's store holds.
enum Oracle {
    /// `kept`: whose storage and code the host is to have, and no more.
    static func expectFinalState(
        in scenario: Scenario, of host: HostID, keeping kept: KeptStorage = .all
    ) throws {
        let snapshot = scenario.world.store(host).snapshot()
        let records = try SectionRecord.all(in: snapshot)
        let layers = Dictionary(grouping: try BlockLayer.all(in: snapshot), by: \.section)
        let sections = records.compactMap { record -> (section: Section, layering: SectionLayering)? in
            let own = (layers[record.section] ?? []).filter { $0.point.number > record.working.number }
            let top = own.max { $0.point < $1.point }?.point ?? record.working
            return SectionLayering(of: record, at: top, layers: own).map { (section: record.section, layering: $0) }
        }
        let ring = sections.filter { $0.section.owner == nil }
        let depth = scenario.plan.sectionDepth
        #expect(ring.count == Section.count(depth: depth))
        let view = StateView(snapshot, depth: depth, sections: ring)
        var spread: [Bytes32: StateView<MemorySnapshot>] = [:]
        for (account, depth) in try SpreadRecords.all(in: snapshot) {
            let parts = sections.filter { $0.section.owner == account && $0.section.depth == depth }
            #expect(parts.count == Section.count(depth: depth), "a part of \(account) is missing")
            spread[account] = StateView(snapshot, depth: depth, of: account, sections: parts)
        }
        var expected = 0
        for (address, account) in scenario.winner.finalState {
            let found = try #require(try view.account(address.key), "account \(address) is missing")
            #expect(found.balance == account.balance && found.nonce == account.nonce)
            #expect(found.codeHash == Keccak.hash(account.code))
            guard kept.keeps(address.key) else {
                expected += 1
                continue
            }
            if !account.code.isEmpty { #expect(try CodeRecords.code(found.codeHash, in: snapshot) == account.code) }
            for (slot, value) in account.storage {
                let key = FlatKey(account: address.key, slot: Keccak.hash(slot.big.bytes))
                #expect(try (spread[address.key] ?? view).leaf(key) == value.minimalBytes)
            }
            expected += 1 + account.storage.count
        }
        var count = 0
        var walk = try view.walk(from: .first)
        while try walk.next() != nil { count += 1 }
        for parts in spread.values {
            for part in parts.heldSections {
                var walk = try parts.walk(from: part.firstCursor)
                while let key = try walk.next(), key.slot.map({ part.contains($0) }) ?? false { count += 1 }
            }
        }
        #expect(count == expected, "no leaf too many")
    }
}

extension Instant {
    static func seconds(_ count: Int) -> Instant { Instant(microseconds: UInt64(count) * 1_000_000) }
}

@Suite("Finality far behind the head") struct LateFinalityTests {
    /// More than two epochs behind: holders fill and a client syncs at the anchor that is final, though newer
    /// boundaries have passed.
    @Test(arguments: [UInt64(8), 19])
    func everybodyGoesOnToTheAnchorThatIsFinal(depth: UInt64) throws {
        var plan = Scenarios.small(seed: 31)
        plan.finalityDepth = depth
        var scenario = try Scenario(plan)
        let filled = scenario.fillHolders(limit: .seconds(240))
        #expect(filled)
        let (client, outcome) = try scenario.runClientToWholeState(limit: .seconds(400))
        let anchor = try #require(outcome.completions.first?.anchor)
        #expect(outcome.completions.first?.root == scenario.stateRoot(at: anchor))
        let last = scenario.lastBlock.number
        let followed = scenario.world.run(until: .seconds(600)) { $0.progress(client)?.verifiedHead == last }
        #expect(followed)
        try Oracle.expectFinalState(in: scenario, of: client)
    }
}

extension Scenario {
    /// The state root of an anchor's boundary block.
    fileprivate func stateRoot(at anchor: Anchor) -> Bytes32 {
        let number = Int(anchor.epoch * plan.epochLength)
        return number == 0 ? chain.genesisHeader.stateRoot : chain.entries[number - 1].block.header.stateRoot
    }
}
