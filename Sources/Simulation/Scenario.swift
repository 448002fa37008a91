import Chain
import Discovery
import Node
import Primitives
import StateNetwork
import StateStore

/// A network in a world: a bridge that replays a synthetic chain, holders of an arc each, and walkers that join later.
public struct Scenario: Sendable {
    /// How a run goes.
    public struct Plan: Sendable {
        public var shape = SyntheticChain.Shape()
        public var holders = 8
        /// Size of a holder's arc in bits: 255 is half the ring.
        public var radiusExponent = 255
        public var epochLength: UInt64 = 8
        public var blockInterval = Interval.seconds(2)
        public var conditions = SimulatedNetwork.Conditions(latency: .milliseconds(20))
        /// Of a walker, bytes a second; nil for no limit.
        public var walkerRate: UInt64?
        public var walkerRangeBytes: UInt32 = 4_096
        public var seed: UInt64

        public init(seed: UInt64) { self.seed = seed }
    }

    public let plan: Plan
    public let network: NetworkConfiguration
    public let chain: SyntheticChain
    public var world: World
    public let bridge: HostID
    public private(set) var holders: [HostID] = []

    /// Seed of the bridge's attesting key.
    private static let attestingSeed = [UInt8](repeating: 7, count: 32)
    /// The first block after genesis is replayed at this time: holders have met by then.
    private static let firstBlock = Instant(microseconds: 5_000_000)

    /// A world in which the bridge and the holders run, and every block of the chain is scheduled.
    public init(_ plan: Plan) throws {
        self.plan = plan
        chain = try SyntheticChain(shape: plan.shape, seed: plan.seed)
        guard let secret = Bytes32(Scenario.attestingSeed), let attesting = AttestingKey(seed: secret) else {
            throw NodeError.unexpected("no attesting key can be made")
        }
        let genesis = chain.genesisHeader.hash
        network = try NetworkConfiguration(
            name: "simulated", chainID: 7_777, genesisHash: genesis,
            checkpoint: StatePoint(number: 0, hash: genesis), epochLength: plan.epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: [attesting.publicKey], threshold: 1, maxAgeSeconds: 3_600))
        world = World(conditions: plan.conditions, seed: plan.seed)
        var configuration = NodeConfiguration(
            network: network, role: .bridge, key: world.key(idPrefix: 0, bits: 0), clientInfo: "carousel/simulated")
        configuration.attestingSeeds = [Scenario.attestingSeed]
        bridge = world.add(configuration)
        try world.start(bridge)
        try addHolders(count: plan.holders)
        world.schedule(
            ReplayedBlock(header: chain.genesisHeader, changes: chain.genesisAccounts), for: bridge, at: .zero)
        for (number, entry) in chain.entries.enumerated() {
            let block = ReplayedBlock(header: entry.block.header, changes: entry.accessList.accountChanges)
            world.schedule(block, for: bridge, at: Scenario.firstBlock + plan.blockInterval * (number + 1))
        }
    }

    /// Holders' ids begin with 0 and 1 in turn, so that every half of the ring has its share.
    private mutating func addHolders(count: Int) throws {
        let boot = world.node(bridge).map { [$0.record] } ?? []
        for index in 0..<count {
            var configuration = NodeConfiguration(
                network: network, role: .holder, key: world.key(idPrefix: UInt64(index & 1), bits: 1),
                clientInfo: "carousel/simulated")
            configuration.radiusExponent = plan.radiusExponent
            configuration.bootNodes = boot
            let id = world.add(configuration)
            holders.append(id)
            try world.start(id)
        }
    }

    /// Adds a client that knows the first holder's record and nothing else.
    public mutating func addWalker() throws -> HostID {
        var configuration = NodeConfiguration(
            network: network, role: .walker, key: world.key(idPrefix: 0, bits: 0), clientInfo: "carousel/simulated")
        configuration.bootNodes = world.node(holders[0]).map { [$0.record] } ?? []
        configuration.lanes = 4
        configuration.rangeBytes = plan.walkerRangeBytes
        configuration.downloadBytesPerSecond = plan.walkerRate
        let id = world.add(configuration)
        try world.start(id)
        return id
    }

    /// The last block of the chain.
    public var lastBlock: StatePoint { chain.entries.last?.block.header.point ?? chain.genesisHeader.point }

    /// What a run of a client through all of the chain came to.
    public struct Outcome: Sendable, Equatable {
        /// The client verified everything it holds at the last block's state root.
        public let reachedHead: Bool
        /// The anchors at which the client reported the whole state, with the root it recomputed.
        public let completions: [Completion]
        public let crossings: Int
        public let virtualSeconds: Int
        public let events: Int
        /// The same for two runs from one seed.
        public let logHash: Bytes32

        /// One report of a whole state.
        public struct Completion: Sendable, Equatable {
            public let anchor: Anchor
            public let root: Bytes32?
        }
    }

    /// Starts a client at `joining`, and runs until it stands at the last block or `limit` is reached.
    public mutating func runClient(joining: Instant, limit: Instant) throws -> (client: HostID, outcome: Outcome) {
        _ = world.run(until: joining)
        let client = try addWalker()
        let last = lastBlock.number
        let reached = world.run(until: limit) { $0.progress(client)?.verifiedHead == last }
        return (client, outcome(of: client, reachedHead: reached))
    }

    /// What a client's reports say so far.
    public func outcome(of client: HostID, reachedHead: Bool) -> Outcome {
        let completions = world.reports.compactMap { entry -> Outcome.Completion? in
            guard entry.host == client, case .complete(let anchor, let root) = entry.report else { return nil }
            return Outcome.Completion(anchor: anchor, root: root)
        }
        return Outcome(
            reachedHead: reachedHead, completions: completions, crossings: world.progress(client)?.crossings ?? 0,
            virtualSeconds: Int(world.now.microseconds / 1_000_000), events: world.eventCount, logHash: world.logHash)
    }
}
