import Chain
import ChainNetwork
import Node
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Simulation

/// Nodes that apply the blocks of others come to the state that a walk would have brought.
@Suite("Block by block") struct BlockByBlockTests {
    private static func scenario(seed: UInt64, blocks: Int = 80, loss: Double = 0) throws -> Scenario {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 1
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: blocks, changesPerBlock: 5)
        plan.quickBlocks = blocks
        plan.finalityDepth = 0
        plan.conditions = SimulatedNetwork.Conditions(loss: loss, latency: .milliseconds(20))
        return try Scenario(plan, keepingBlocks: true)
    }

    private static func expectAll(_ scenario: Scenario, _ client: HostID) throws {
        let last = scenario.lastBlock
        #expect(scenario.world.node(client)?.replayedHead == last)
        #expect(scenario.world.progress(client)?.phase == .following)
        try Oracle.expectFinalState(in: scenario, of: client)
        let store = scenario.world.store(client).snapshot()
        #expect(try BlockRecords.heights(in: store) == 1...last.number, "and can give them to others")
        let roots = scenario.world.reports.compactMap { entry -> StatePoint? in
            guard entry.host == client, case .verified(let point) = entry.report else { return nil }
            return point
        }
        #expect(roots.last == last)
    }

    @Test(arguments: [0, 0.05]) func aClientEndsWithTheStateOfTheChain(loss: Double) throws {
        var scenario = try Self.scenario(seed: 21, loss: loss)
        _ = scenario.world.run(until: .seconds(20))
        let client = try scenario.addBlockByBlock(knowing: scenario.bridge)
        let last = scenario.lastBlock.number
        let reached = scenario.world.run(until: .seconds(200)) {
            $0.progress(client)?.verifiedHead == last && $0.progress(client)?.phase == .following
        }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Self.expectAll(scenario, client)
        // Not one byte of state was asked of anybody.
        #expect(scenario.world.progress(client)?.stateBytes == 0)
        #expect(scenario.world.node(client)?.totals.invalidAnswers == 0)
    }

    /// Of four peers one is slow, one has nothing behind the height it tells, one sends wrong bodies, and one goes.
    @Test func fourPeersOfWhomNoneIsLikeTheOther() throws {
        var scenario = try Self.scenario(seed: 22, blocks: 200)
        let last = scenario.lastBlock.number
        var peers: [HostID] = []
        for _ in 0..<4 { peers.append(try scenario.addBlockByBlock(knowing: scenario.bridge)) }
        let synced = scenario.world.run(until: .seconds(200)) { world in
            peers.allSatisfy { world.progress($0)?.verifiedHead == last }
        }
        #expect(synced)
        scenario.world.kill(scenario.bridge)
        for holder in scenario.holders { scenario.world.kill(holder) }
        scenario.world.set(line: Line(latency: .milliseconds(400), bytesPerSecond: 20_000), of: peers[0])
        scenario.world.corrupt(peers[1]) { job, value, _ in
            guard case .read(let reading) = job, reading is ServeBlocks else { return value }
            return BlocksValue.notServed(lowest: 1, highest: 0).encoded
        }
        scenario.world.corrupt(peers[2]) { job, value, _ in
            guard case .read(let reading) = job, reading is ServeBlocks,
                case .success(.blocks(let blocks)) = Result(catching: { try BlocksValue(decoding: value) })
            else { return value }
            return BlocksValue.blocks(
                blocks.map { BlockBytes(header: $0.header, body: [0xc0], accessList: $0.accessList) }
            ).encoded
        }
        let client = try scenario.addBlockByBlock(knowing: peers[3])
        _ = scenario.world.run(until: scenario.world.now + .seconds(60)) { world in
            world.progress(client)?.verifiedHead ?? 0 > 8
        }
        scenario.world.kill(peers[3])
        let reached = scenario.world.run(until: scenario.world.now + .seconds(400)) {
            $0.progress(client)?.verifiedHead == last && $0.progress(client)?.phase == .following
        }
        #expect(reached, "\(String(describing: scenario.world.progress(client)))")
        try Self.expectAll(scenario, client)
    }

    /// Killed at whatever moment, it goes on after the last block that was committed, and applies none twice.
    @Test func itGoesOnWhereItsStoreStands() throws {
        var scenario = try Self.scenario(seed: 23)
        _ = scenario.world.run(until: .seconds(20))
        let client = try scenario.addBlockByBlock(knowing: scenario.bridge)
        let last = scenario.lastBlock.number
        var kills = 0
        for wanted in [8, 24, 56] as [UInt64] {
            _ = scenario.world.run(until: .seconds(200)) { $0.progress(client)?.verifiedHead ?? 0 >= wanted }
            scenario.world.kill(client)
            let mark = try ReplayMark.read(from: scenario.world.store(client).snapshot())
            let boot = try #require(scenario.world.record(of: scenario.bridge))
            try scenario.world.start(client, bootNodes: [boot])
            #expect(scenario.world.node(client)?.replayedHead == mark)
            kills += 1
        }
        let reached = scenario.world.run(until: .seconds(300)) { $0.progress(client)?.verifiedHead == last }
        #expect(reached && kills == 3, "\(String(describing: scenario.world.progress(client)))")
        let applied = scenario.world.reports.compactMap { entry -> UInt64? in
            guard entry.host == client, case .replayed(let point) = entry.report else { return nil }
            return point.number
        }
        #expect(Set(applied).count == applied.count)
        try Oracle.expectFinalState(in: scenario, of: client)
    }
}
