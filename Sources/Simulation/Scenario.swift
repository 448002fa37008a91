import Chain
import Discovery
import Node
import Primitives
import StateNetwork
import StateStore

/// A network in a world: a bridge that replays a synthetic chain, holders of an arc each, and walkers that join later.
public struct Scenario: Sendable {
    public let plan: Plan
    public let network: NetworkConfiguration
    public let chain: SyntheticChain
    public var world: World
    public let bridge: HostID
    /// The second bridge and its chain, where the plan has one.
    public private(set) var rival: (host: HostID, chain: SyntheticChain)?
    /// The line that the bridge goes over to, where the plan has one.
    public private(set) var branch: SyntheticChain?
    public private(set) var holders: [HostID] = []
    /// Whether bridges keep their blocks for those who go block by block.
    private let keepsBlocks: Bool
    /// Chooses boot nodes.
    private var generator: SeededGenerator

    /// Seed of the bridge's attesting key.
    private static let attestingSeed = [UInt8](repeating: 7, count: 32)
    private static let clientInfo = "carousel/simulated"

    /// A world in which the bridge and the holders run or are about to start, and every block of the chain is
    /// scheduled. `keepingBlocks`: bridges keep them for those who go block by block.
    public init(_ plan: Plan, keepingBlocks: Bool = false) throws {
        self.plan = plan
        keepsBlocks = keepingBlocks
        generator = SeededGenerator(seed: plan.seed ^ 0x626f_6f74)
        chain = try SyntheticChain(shape: plan.shape, seed: plan.seed, network: plan.made)
        guard let secret = Bytes32(Scenario.attestingSeed), let attesting = AttestingKey(seed: secret) else {
            throw NodeError.unexpected("no attesting key can be made")
        }
        let genesis = chain.genesisHeader.hash
        let attested = try NetworkConfiguration(
            name: "simulated", chainID: SyntheticChain.chainID, genesisHash: genesis,
            checkpoint: StatePoint(number: 0, hash: genesis), epochLength: plan.epochLength,
            sectionDepth: plan.sectionDepth, wideDepth: plan.wideDepth,
            rule: NetworkConfiguration.Rule(keys: [attesting.publicKey], threshold: 1, maxAgeSeconds: 3_600))
        network =
            try plan.made?.configuration(above: chain.genesisHeader, chainID: SyntheticChain.chainID) ?? attested
        world = World(conditions: plan.conditions, seed: plan.seed)
        var configuration = NodeConfiguration(
            network: network, role: .bridge, key: world.key(idPrefix: 0, bits: 0), clientInfo: Scenario.clientInfo)
        configuration.attestingSeeds = plan.rule == nil ? [Scenario.attestingSeed] : []
        configuration.finalityDepth = plan.finalityDepth
        configuration.keeping.blocks.kept = keepingBlocks ? .max : 0
        if plan.former.isBridge { configuration.knows = plan.former.knows }
        bridge = world.add(configuration)
        try world.start(bridge)
        for group in plan.kinds { try addHolders(group) }
        feed(bridge)
        if let rival = plan.rival { try addRival(rival, configuration) }
        if let branch = plan.branch { try addBranch(branch) }
    }

    /// Makes the line that the bridge goes over to, and schedules its blocks: after the last of the old line, at the
    /// same pace.
    private mutating func addBranch(_ other: Branch) throws {
        var shape = plan.shape
        shape.blocks = other.blocks
        let fork = SyntheticChain.Fork(after: other.forksAfter, seed: plan.seed ^ 0x666f_726b)
        branch = try SyntheticChain(shape: shape, seed: plan.seed, fork: fork, network: plan.made)
        feedBranch(from: other.forksAfter + 1)
    }

    private mutating func feedBranch(from first: Int) {
        guard let other = plan.branch, let branch else { return }
        let begin = plan.time(ofBlock: plan.shape.blocks + 1)
        for (index, entry) in branch.entries.enumerated().dropFirst(first - 1) {
            let time = begin + plan.blockInterval * (index - other.forksAfter)
            world.schedule(replayed(entry), for: bridge, at: time)
        }
    }

    private func replayed(_ entry: SyntheticChain.Entry) -> ReplayedBlock {
        ReplayedBlock(
            header: entry.block.header, changes: entry.accessList.accountChanges,
            bytes: keepsBlocks ? BlockBytes(entry.block, entry.accessList) : nil, certificate: entry.certificate)
    }

    private mutating func addRival(_ rival: Rival, _ other: NodeConfiguration) throws {
        var shape = plan.shape
        shape.blocks = rival.blocks
        let fork = SyntheticChain.Fork(after: rival.forksAfter, seed: plan.seed ^ 0x666f_726b)
        var configuration = other
        configuration.key = world.key(idPrefix: 0, bits: 0)
        let host = world.add(configuration)
        self.rival = (host, try SyntheticChain(shape: shape, seed: plan.seed, fork: fork, network: plan.made))
        try world.start(host, bootNodes: world.record(of: bridge).map { [$0] } ?? [])
        feed(host)
    }

    /// Starts a bridge that was killed, and goes on with its blocks where it needs them.
    public mutating func restartBridge(_ host: HostID) throws {
        try world.start(host)
        if let other = plan.branch, let head = world.node(host)?.replayedHead {
            let isOld =
                head.number > UInt64(other.forksAfter) && chain.entries.contains { $0.block.header.point == head }
            feedBranch(from: isOld ? other.forksAfter + 1 : Int(head.number) + 1)
            if !isOld { return }
        }
        feed(host)
    }

    /// Schedules the blocks that a bridge needs from now on.
    private mutating func feed(_ host: HostID) {
        let chain = rival.map { $0.host == host ? $0.chain : self.chain } ?? self.chain
        let first = world.node(host)?.nextReplayed ?? 0
        if first == 0 {
            let genesis = ReplayedBlock(header: chain.genesisHeader, changes: chain.genesisAccounts)
            world.schedule(genesis, for: host, at: rival?.host == host ? plan.rival?.begins ?? .zero : .zero)
        }
        for (index, entry) in chain.entries.enumerated() where UInt64(index) + 1 >= first {
            world.schedule(replayed(entry), for: host, at: time(ofBlock: index + 1, by: host))
        }
    }

    private func time(ofBlock number: Int, by host: HostID) -> Instant {
        guard let rival = plan.rival, host != bridge else { return plan.time(ofBlock: number) }
        let common = min(number, rival.forksAfter)
        return rival.begins + .milliseconds(50) * common + plan.blockInterval * (number - common)
    }

    private mutating func addHolders(_ group: Group) throws {
        let count = plan.kinds.reduce(0) { $0 + $1.count }
        for place in 0..<group.count {
            let key = world.key(idPrefix: group.arc(at: place), bits: group.arcBits)
            var configuration = NodeConfiguration(
                network: network, role: .holder, key: key, clientInfo: Scenario.clientInfo)
            configuration.arcPlan = group.storageBytes == nil ? .fixed(group.radiusExponent) : .automatic
            configuration.storageBytes = group.storageBytes
            if group.isFormer { configuration.knows = plan.former.knows }
            configuration.rates.upload = group.uploadRate
            let boot = plan.boot == .bridge ? bridge : anyHolder ?? bridge
            let id = world.add(configuration)
            let delay = Interval(microseconds: plan.startSpread.microseconds * UInt64(holders.count) / UInt64(count))
            holders.append(id)
            try start(id, knowing: boot, after: delay)
        }
    }

    /// One of the holders added so far; nil where there is none.
    private var anyHolder: HostID? {
        mutating get { holders.randomElement(using: &generator) }
    }

    private mutating func start(_ id: HostID, knowing boot: HostID, after delay: Interval) throws {
        if delay == .zero {
            try world.start(id, bootNodes: world.record(of: boot).map { [$0] } ?? [])
        } else {
            world.scheduleStart(of: id, knowing: boot, at: world.now + delay)
        }
    }

    /// Adds a client that knows one holder's record and nothing else. `kept`: whose storage and code it keeps.
    public mutating func addWalker(keeping kept: KeptStorage = .all) throws -> HostID {
        var configuration = walkerConfiguration()
        configuration.keeping.storage = kept
        let walker = world.add(configuration)
        try start(walker, knowing: walkersBoot(), after: .zero)
        return walker
    }

    /// Adds a visitor that knows one holder's record: it asks, and keeps nothing.
    public mutating func addVisitor() throws -> HostID {
        var configuration = walkerConfiguration()
        (configuration.lanes, configuration.arcPlan) = (0, .fixed(0))
        let visitor = world.add(configuration)
        try start(visitor, knowing: walkersBoot(), after: .zero)
        return visitor
    }

    /// Adds a client that goes block by block, given genesis and the record of one node. `kept`: how many of the newest
    /// blocks it keeps for others.
    public mutating func addBlockByBlock(knowing boot: HostID, keeping kept: UInt64 = .max) throws -> HostID {
        var configuration = walkerConfiguration()
        configuration.keeping.blocks = BlockPlan(kept: kept, applies: true)
        let client = world.add(configuration)
        try start(client, knowing: boot, after: .zero)
        let genesis = ReplayedBlock(header: chain.genesisHeader, changes: chain.genesisAccounts)
        world.schedule(genesis, for: client, at: world.now)
        return client
    }

    private mutating func walkersBoot() -> HostID {
        switch plan.boot {
        case .bridge: holders.first { world.record(of: $0) != nil } ?? bridge
        case .earlierHolder: anyHolder ?? bridge
        }
    }

    private mutating func walkerConfiguration() -> NodeConfiguration {
        var configuration = NodeConfiguration(
            network: network, role: .walker, key: world.key(idPrefix: 0, bits: 0), clientInfo: Scenario.clientInfo)
        configuration.lanes = plan.walkerLanes
        configuration.rangeBytes = plan.walkerRangeBytes
        configuration.rates.download = plan.walkerRate
        if plan.former.areWalkers { configuration.knows = plan.former.knows }
        return configuration
    }

    /// The chain that is there in the end.
    public var winner: SyntheticChain { branch ?? rival?.chain ?? chain }

    /// The last block of that chain.
    public var lastBlock: StatePoint { winner.entries.last?.block.header.point ?? winner.genesisHeader.point }
}
