import Chain
import Discovery
import Node
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Simulation

/// A network in a world: a bridge that replays a synthetic chain, holders of half the ring each, and walkers.
struct Cluster {
    let network: NetworkConfiguration
    let chain: SyntheticChain
    var world: World
    private(set) var bridge: HostID
    private(set) var holders: [HostID] = []
    private(set) var walkers: [HostID] = []

    /// How a run goes.
    struct Plan {
        var shape = SyntheticChain.Shape()
        var holders = 8
        /// Of the ring, in bits: 255 is half of it.
        var radiusExponent = 255
        var epochLength: UInt64 = 8
        var blockInterval = Interval.seconds(2)
        var conditions = SimulatedNetwork.Conditions(latency: .milliseconds(20))
        var walkerRate: UInt64?
        var walkerRangeBytes: UInt32 = 4_096
        var seed: UInt64 = 1
    }

    let plan: Plan

    init(_ plan: Plan) throws {
        self.plan = plan
        chain = try SyntheticChain(shape: plan.shape, seed: plan.seed)
        let seed = [UInt8](repeating: 7, count: 32)
        let attesting = try #require(AttestingKey(seed: Bytes32(seed) ?? .zero))
        let genesis = chain.genesisHeader.hash
        network = try NetworkConfiguration(
            name: "simulated", chainID: 7_777, genesisHash: genesis,
            checkpoint: StatePoint(number: 0, hash: genesis), epochLength: plan.epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: [attesting.publicKey], threshold: 1, maxAgeSeconds: 3_600))
        world = World(conditions: plan.conditions, seed: plan.seed)
        var configuration = NodeConfiguration(
            network: network, role: .bridge, key: world.key(idPrefix: 0, bits: 0), clientInfo: "carousel/sim")
        configuration.attestingSeeds = [seed]
        bridge = world.add(configuration)
        try world.start(bridge)
        let boot = try #require(world.node(bridge)).record
        for index in 0..<plan.holders {
            var configuration = NodeConfiguration(
                network: network, role: .holder, key: world.key(idPrefix: UInt64(index & 1), bits: 1),
                clientInfo: "carousel/sim")
            configuration.radiusExponent = plan.radiusExponent
            configuration.bootNodes = [boot]
            let id = world.add(configuration)
            holders.append(id)
            try world.start(id)
        }
        let first = ReplayedBlock(header: chain.genesisHeader, changes: chain.genesisAccounts)
        world.schedule(first, for: bridge, at: .zero)
        for (number, entry) in chain.entries.enumerated() {
            let block = ReplayedBlock(header: entry.block.header, changes: entry.accessList.accountChanges)
            world.schedule(block, for: bridge, at: .seconds(5) + plan.blockInterval * (number + 1))
        }
    }

    /// Adds a client that knows one holder.
    mutating func addWalker() throws -> HostID {
        let boot = try #require(world.node(holders[0])).record
        var configuration = NodeConfiguration(
            network: network, role: .walker, key: world.key(idPrefix: 0, bits: 0), clientInfo: "carousel/sim")
        configuration.bootNodes = [boot]
        configuration.lanes = 4
        configuration.rangeBytes = plan.walkerRangeBytes
        configuration.downloadBytesPerSecond = plan.walkerRate
        let id = world.add(configuration)
        walkers.append(id)
        try world.start(id)
        return id
    }

    var lastHeader: BlockHeader { chain.entries.last?.block.header ?? chain.genesisHeader }

    /// Whether a host has verified everything at the last block.
    func isAtHead(_ id: HostID) -> Bool { world.progress(id)?.verifiedHead == lastHeader.number }
}

extension Instant {
    static func seconds(_ count: Int) -> Instant { Instant(microseconds: UInt64(count) * 1_000_000) }
}
