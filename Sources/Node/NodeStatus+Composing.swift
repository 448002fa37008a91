import Chain
import ChainNetwork
import Overlay
import Primitives
import StateContent
import StateNetwork
import StateStore

extension NodeStatus {
    /// What only the world knows of a node.
    public struct World: Sendable {
        /// Name and version of the program.
        public var program: String
        public var started: Instant
        /// Bytes of all datagrams that came since then.
        public var udpBytes: Int
        /// What it last reported as complete.
        public var complete: Complete?
        /// The last block that a bridge reported as applied.
        public var replayed: UInt64?

        public init(program: String, started: Instant) {
            self.program = program
            self.started = started
            udpBytes = 0
        }
    }

    /// Where a node stands. `progress`: what it last reported, or reports now.
    public init(_ node: CarouselNode, _ progress: NodeProgress, _ world: World, at moment: Moment) {
        let (now, configuration) = (moment.instant, node.configuration)
        let ran = now - world.started
        time = moment.unixSeconds
        self.node = Identity(
            role: "\(configuration.role)", id: "\(configuration.key.nodeID)", network: configuration.network.name,
            program: world.program, storageOf: configuration.keeping.storage.accounts?.count,
            uptime: UInt64(ran.seconds))
        phase = progress.phase.rawValue
        let (totals, epochs) = (node.totals, configuration.network.epochs)
        epoch = progress.anchor.map { anchor in
            Epoch(
                number: anchor.epoch, block: epochs.boundary(of: anchor.epoch) ?? 0, hash: "\(anchor.hash)",
                age: totals.rollForward.finalSince.map { UInt64((now - $0).seconds) })
        }
        let isBridge = configuration.role == .bridge
        head = Head(
            block: isBridge ? world.replayed ?? 0 : progress.head, verified: progress.verifiedHead,
            age: progress.headAge, stale: progress.isStale, progress.sync)
        keyspace = Keyspace(progress, sectionDepth: configuration.network.sectionDepth)
        let held = progress.keyspace
        sections = Sections(
            verified: held.sectionsAtNewest, stale: held.sectionsStale, complete: held.sectionsComplete,
            begun: held.sectionsBegun, inFlight: progress.sectionsInFlight, wanted: held.sectionsWanted)
        transfer = Transfer(
            stateBytes: progress.stateBytes, bytesPerSecond: UInt64(max(0, progress.bytesPerSecond)),
            averageRate: UInt64(Double(progress.stateBytes) / max(ran.seconds, 0.001)),
            udpBytes: UInt64(world.udpBytes), remaining: progress.remaining.map { UInt64($0.seconds.rounded(.up)) })
        crossings = Crossings(totals, at: now)
        let bans = node.overlay.bans
        peers = Peers(
            connected: progress.peerCounts.connected, holding: progress.peerCounts.holding,
            useful: progress.peerCounts.useful, charged: progress.peerCounts.charged, banned: bans.count,
            kept: node.holders.keptCount, searches: progress.searches, searchesMade: node.holders.searchCount,
            told: progress.sync.told.peers, toldLowest: progress.sync.told.lowest,
            toldHighest: progress.sync.told.highest)
        lanes = progress.lanes.map { Lane($0) }
        waiting = progress.waiting.map {
            Waiting(section: $0.section, providers: $0.providers, keepers: $0.keepers, why: $0.why)
        }
        stall = progress.stall.map {
            StallStatus(seconds: $0.seconds, reason: $0.cause.name, text: $0.reason, advice: $0.advice)
        }
        upkeep = UpkeepStatus(node, progress)
        done = Done(totals)
        complete = world.complete
        supply = node.holders.supply.map {
            Supply(first: "\($0.first)", last: "\($0.last)", providers: $0.providers, keepers: $0.keepers)
        }
        peerList = Peer.all(of: node, bans, at: now)
    }
}

extension NodeStatus.Keyspace {
    /// What is complete and not yet compared with the root of all is not called the whole.
    init(_ progress: NodeProgress, sectionDepth: Int) {
        let most = progress.isRootVerified ? 1 : NodeStatus.Keyspace.mostUnverified
        held = min(progress.held, most)
        newest = min(progress.keyspace.newest, most)
        stale = progress.keyspace.stale
        oldestEpoch = progress.keyspace.oldestEpoch
        ofRing = Double(progress.keyspace.sectionsComplete) / Double(1 << (4 * sectionDepth))
        rootVerified = progress.isRootVerified
    }

    /// The most that is said to be held before the root of all is verified.
    static let mostUnverified = 0.9999
}

extension NodeStatus.Crossings {
    init(_ totals: Totals, at now: Instant) {
        count = totals.crossingsWhileFetching
        rollForward = totals.rollForward.last?.seconds
        epochLength = totals.rollForward.epoch?.seconds
        share = totals.rollForward.share(at: now)
        underWay = totals.rollForward.isUnderWay
    }
}

extension NodeStatus.Lane {
    init(_ status: LaneStatus) {
        (lane, section, share) = (status.lane, "\(status.section)", status.share)
        switch status.doing {
        case .waiting: doing = "waiting"
        case .asked(let id, let since): (doing, peer, seconds) = ("asked", "\(id)", since.seconds)
        case .checking: doing = "checking"
        case .writing: doing = "writing"
        }
    }
}

extension NodeStatus.UpkeepStatus {
    init(_ node: CarouselNode, _ progress: NodeProgress) {
        radiusKept = node.arcMark?.kept
        radiusAnnounced = node.arcMark?.announced
        (readySections, readyBytes) = (progress.ready.sections, progress.ready.bytes)
        (scrubbedSections, damagedSections) = (node.scrubbedSections, node.damagedSections)
        let lacking = progress.lacking
        (unheld, unheldFirst) = (lacking.unheld?.count ?? 0, lacking.unheld.map { "\($0.first)" })
        (underHeld, underHeldFirst) = (lacking.underHeld?.count ?? 0, lacking.underHeld.map { "\($0.first)" })
    }
}

extension NodeStatus.Done {
    init(_ totals: Totals) {
        (leafBytes, followedBytes) = (totals.leafBytes, totals.followedBytes)
        (ranges, bundledSections, sectionDiffs) = (totals.ranges, totals.sections, totals.sectionDiffs)
        (blockDiffs, codes, folds, comparisons) = (totals.blockDiffs, totals.codes, totals.folds, totals.comparisons)
        (invalidAnswers, falseAnnouncements) = (totals.invalidAnswers, totals.falseAnnouncements)
        stateBytesFrom = Dictionary(
            totals.stateBytesByPeer.map { ("\($0.key)", $0.value) }, uniquingKeysWith: { $0 + $1 })
    }
}

extension NodeStatus.Head {
    init(block: UInt64, verified: UInt64, age: UInt64?, stale: Bool, _ sync: SyncStanding) {
        self.init(
            block: block, verified: verified, age: age, stale: stale, mode: sync.mode.rawValue, modeFor: sync.seconds,
            behind: sync.behind)
        if sync.lowest <= sync.highest { (lowest, highest) = (sync.lowest, sync.highest) }
        catchUp = sync.choice?.way.rawValue
        (blocksCost, stateCost) = (sync.choice?.blocksCost, sync.choice?.stateCost)
    }
}

extension NodeStatus.Peer {
    /// The peers of both networks, those that were of use longest first, and then those that are banned.
    fileprivate static func all(
        of node: CarouselNode, _ bans: [(id: Bytes32, until: Instant)], at now: Instant
    ) -> [NodeStatus.Peer] {
        let (holders, loads, seen) = (node.holders, node.state.peerLoads, SeenHeights(node.chain))
        let ofState = node.overlay.peers(network: .state)
        let known = Set(ofState.map(\.id))
        let ofChainAlone = node.overlay.peers(network: .chain).filter { !known.contains($0.id) }
        func usefulSince(_ id: Bytes32) -> Instant? {
            [holders[id]?.helpedSince, node.blocks?.peer(id)?.usefulSince].compactMap { $0 }.min()
        }
        let sorted = (ofState + ofChainAlone).map { (info: $0, since: usefulSince($0.id)) }.sorted { a, b in
            guard let first = a.since, let second = b.since else {
                return (a.since == nil) == (b.since == nil) ? a.info.id < b.info.id : a.since != nil
            }
            return (first, a.info.id) < (second, b.info.id)
        }
        let listed = sorted.prefix(NodeLimits.listedPeers)
        let peers = listed.map { info, since in
            var peer = NodeStatus.Peer(info, holders[info.id], inFlight: loads[info.id] ?? 0, at: now)
            peer.usefulFor = since.map { UInt64((now - $0).seconds) }
            peer.add(seen.heights(of: info.id), node.blocks?.peer(info.id), holders[info.id])
            return peer
        }
        let banned = bans.prefix(NodeLimits.listedPeers - listed.count).map { id, until in
            NodeStatus.Peer(
                id: "\(id)", inFlight: 0, charge: "banned", chargedFor: UInt64((until - now).seconds.rounded(.up)))
        }
        return peers + banned
    }

    private init(_ info: PeerInfo, _ peer: StatePeer?, inFlight: Int, at now: Instant) {
        id = "\(info.id)"
        address = "\(info.address.endpoint)"
        client = NodeStatus.Peer.printable(info.clientInfo)
        role = peer.map { "\($0.role)" }
        arc = peer.map { peer in
            let (first, last) = (peer.arc.sections.lowerBound, peer.arc.sections.upperBound - 1)
            return "\(Section(depth: peer.arc.depth, index: first))-\(Section(depth: peer.arc.depth, index: last))"
        }
        (sections, epoch) = (peer?.heldSections?.count, peer?.heldSections?.anchor.epoch)
        roundTrip = info.standing.roundTrip.map { $0.seconds * 1_000 }
        rate = info.standing.throughput.map { UInt64(max(0, $0)) }
        self.inFlight = inFlight
        failureRate = info.standing.sampleCount > 0 ? info.standing.failureRate : nil
        charge = peer?.charge?.rawValue
        chargedFor = peer?.disbelievedUntil.map { $0 > now ? UInt64(($0 - now).seconds.rounded(.up)) : 0 }
    }

    /// What it says that it has of the chain. Whose state stands as high as its head, or nearly so, keeps up.
    private mutating func add(_ heights: PeerHeights?, _ blocks: BlockSync.PeerStanding?, _ peer: StatePeer?) {
        if let heights {
            if heights.lowest <= heights.highest { (lowest, highest) = (heights.lowest, heights.highest) }
            head = heights.certified
            if let verified = peer?.head?.number {
                let isNear = verified + NodeLimits.pacemakerBlocks >= heights.certified
                mode = (isNear ? SyncMode.pacemaker : .sync).rawValue
            }
        }
        (lowestBlock, highestBlock) = (blocks?.kept?.lowerBound, blocks?.kept?.upperBound)
    }

    /// What a peer calls itself, as far as a terminal can be shown it.
    static func printable(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
