import Chain
import Discovery
import MerklePatricia
import Overlay
import Primitives
import StateContent
import StateStore

/// The state network's machine: what this node holds of the state, how it gets the rest, and what it gives to others.
/// See the essay in `StateNetwork.swift`. The attested chain and the wire's peer book are lent to it with each call.
public struct StateSync: Sendable {
    /// What can happen to it.
    public enum Event: Sendable {
        /// A node became a peer of the network, or what it says of itself has changed.
        case peerUpdated(PeerInfo)
        /// A node answered its first PING, and the routing table has no place for it.
        case peerMet(PeerInfo)
        case peerLost(Bytes32)
        /// The wire cannot keep a peer.
        case notKept(Bytes32)
        /// A peer asks for content.
        case asked(key: [UInt8], by: Bytes32, Overlay.ContentToken)
        /// The one end of a `request`, with the bytes of content that came.
        case answered(OperationID, Result<ContentAnswer, OverlayError>, bytes: Int)
        /// A peer offers items.
        case offered(keys: [[UInt8]], by: Bytes32, Overlay.OfferToken)
        /// Items that were offered and accepted have come.
        case received([ContentItem], from: Bytes32)
        /// They will not come.
        case broken(keys: [[UInt8]], from: Bytes32)
        /// A peer declined items that it was offered.
        case declined(keys: [[UInt8]], by: Bytes32)
        /// The one end of a `lookup`.
        case lookedUp(HolderDirectory.SearchID, LookupResult)
        case jobFinished(OperationID, StateJobResult)
        case committed(OperationID)
        /// The store could not take a transaction; nothing of it was written.
        case commitFailed(OperationID)
        /// The attested head moved. `leaving`: the lowest height of blocks that are attested no longer.
        case headAdvanced(leaving: UInt64?)
        /// Another block is final; the anchors that became usable by it, rising, or none.
        case finalAdvanced([Anchor])
        /// A heavier line took the place of these anchors' blocks; comes before `headAdvanced`.
        case anchorsLost([Anchor])
        /// A bridge's next block.
        case block(ReplayedBlock)
    }

    /// What is to be done.
    public enum Directive: Sendable {
        /// Ask a peer for content; ends in `answered`.
        case request(OperationID, peer: Bytes32, key: [UInt8], limit: Int, timeout: Interval)
        case offer([ContentItem], to: Bytes32)
        /// The answer to `asked`.
        case answer(Overlay.ContentToken, ContentAnswer)
        /// The same: these records, and after them those of the nodes nearest to the position.
        case name(Overlay.ContentToken, [NodeRecord], near: Bytes32, asker: Bytes32)
        /// The answer to `offered`: a code for each key, and the bytes that the accepted ones may bring.
        case decide(Overlay.OfferToken, [AcceptCode], limit: Int)
        /// Run on a snapshot taken after every commit that was reported as committed; ends in `jobFinished`.
        case run(OperationID, StateJob)
        /// One transaction; ends in `committed` or `commitFailed`.
        case commit(OperationID, WriteBatch)
        case judge(Bytes32, PeerVerdict)
        /// The radius that a peer says it has.
        case note(radius: UInt256, of: Bytes32)
        /// What our own pings say from now on; `fellows` are peers that wait for it more than others do.
        case announce(StatePingPayload, isUrgent: Bool, fellows: [Bytes32])
        /// Look for the nodes nearest to a position; ends in `lookedUp`.
        case lookup(HolderDirectory.SearchID, near: Bytes32, width: Int, avoiding: Set<Bytes32>)
        /// Meet nodes: each ends in `peerMet`, `peerUpdated` or `peerLost`.
        case meet([NodeRecord])
        /// Keep a peer, whether the routing table has a place for it or not; `notKept` where that cannot be.
        case keep(Bytes32)
        case release(Bytes32)
        /// A header that came with a block diff.
        case learned(CertifiedHeader, from: Bytes32)
        /// A header of this bridge's own making.
        case produced(CertifiedHeader)
        case report(NodeReport)
    }

    /// What it is told at its start.
    public struct Configuration: Sendable {
        public var network: NetworkConfiguration
        public var role: Role
        public var id: Bytes32
        /// What of the state is kept.
        public var keeping: Keeping
        public var arcPlan: ArcPlan { keeping.arcPlan }
        /// Bytes that the store may have, by which a holder chooses its arc; nil: no limit.
        public var storageBytes: Int?
        public var lanes: Int
        /// Upper bound of one range answer, bytes.
        public var rangeBytes: UInt32
        /// nil: no limit.
        public var downloadBytesPerSecond: UInt64?
        /// Bridges of the network that its configuration names: where a holder goes that nobody else can fill.
        public var bridges: [NodeRecord]
        /// Secret seeds (32 bytes each) of the attesting keys a bridge signs with.
        public var attestingSeeds: [[UInt8]]
        /// A bridge signs as final the block this far below its head.
        public var finalityDepth: UInt64
        /// What is encoded ahead of requests.
        public var serveAhead = ServeAhead()
        public var knows = KnownContents()

        public init(
            network: NetworkConfiguration, role: Role, id: Bytes32, arcPlan: ArcPlan, lanes: Int,
            rangeBytes: UInt32, downloadBytesPerSecond: UInt64? = nil, bridges: [NodeRecord] = [],
            attestingSeeds: [[UInt8]] = [], finalityDepth: UInt64 = 2
        ) {
            self.network = network
            self.role = role
            self.id = id
            keeping = Keeping(arcPlan: arcPlan)
            self.lanes = lanes
            self.rangeBytes = rangeBytes
            self.downloadBytesPerSecond = downloadBytesPerSecond
            self.bridges = bridges
            self.attestingSeeds = attestingSeeds
            self.finalityDepth = finalityDepth
        }

        /// Whether it is a visitor: it keeps nothing, walks nothing and looks for nobody.
        var isVisitor: Bool { lanes == 0 }
        /// Whether it looks for those who have the state.
        var seeksHolders: Bool { !isVisitor && !keeping.blocks.applies }

        /// The arc of 2^`exponent` keys round the id.
        func arc(_ exponent: Int) -> Arc { Arc(of: id, radiusExponent: exponent, depth: network.sectionDepth) }

        /// The arcs that are kept and announced at the start. Only a holder moves them.
        func mark(_ stored: HeldState) -> ArcMark {
            let depth = network.sectionDepth
            return ArcMark.start(
                stored: role == .holder ? stored.arc : nil, plan: arcPlan, id: id, depth: depth,
                complete: Set(
                    stored.records.lazy.filter { $0.isComplete && $0.section.owner == nil }.map(\.section.index)))
        }
    }

    public let configuration: Configuration
    public internal(set) var holdings: Holdings
    /// What is under way.
    public internal(set) var operations = OperationTable()
    var planner: WalkPlanner
    /// Who has what, as far as its peers have told this node.
    public internal(set) var holders: HolderDirectory
    var pending = PendingDiffs()
    var gossip: DiffGossip
    let server: StateServer
    /// nil for every other role.
    var replayer: BlockReplayer?
    var headWatch: HeadWatch
    var announcer: Announcer
    var completion: Completion
    var dropped = DroppedSections()
    /// What is encoded ahead of requests.
    var ahead: ReadySections
    var upkeep: Upkeep
    public internal(set) var totals = Totals()
    /// What came and held.
    public internal(set) var verifiedBytes: VerifiedBytes
    var outbox = Outbox()

    /// A machine that goes on from what the store holds.
    public init(
        configuration: Configuration, stored: HeldState, chain: some AttestedHeaders, at moment: Moment
    ) throws(BridgeKeyError) {
        self.configuration = configuration
        let (network, role) = (configuration.network, configuration.role)
        let mark = configuration.mark(stored)
        let arc = configuration.arc(mark.kept)
        holdings = Holdings(
            depth: network.sectionDepth, epochLength: network.epochLength, arc: arc.sections, records: stored.records,
            layers: stored.layers, crowns: stored.crowns,
            wantedCodes: stored.wantedCodes.filter { arc.sections.contains($0.section) },
            rule: network.placement, keeping: configuration.keeping.storage)
        holdings.resume(tries: stored.tries, crowns: stored.storageCrowns)
        holdings.book.move(to: arc.sections, announced: configuration.arc(mark.announced).sections)
        if let proof = stored.headProof { holdings.note(proof.nodes, at: proof.point.number) }
        planner = WalkPlanner(
            configuration: WalkPlanner.Configuration(
                role: role, lanes: configuration.lanes, rangeBytes: configuration.rangeBytes,
                downloadBytesPerSecond: configuration.downloadBytesPerSecond,
                turn: Double(configuration.id.word1 >> 11) * 0x1p-53, asksForBundles: configuration.knows.bundles,
                kept: configuration.keeping.storage),
            holdings.book, at: moment.instant)
        // Whoever takes nothing from a bridge does not look for one.
        let isHolder = role == .holder
        let named = configuration.bridges.map {
            StoredHolder(record: $0, arc: .whole(network), toldAt: moment.unixSeconds)
        }
        holders = HolderDirectory(
            role: role, arc: isHolder ? arc : .whole(network), named: isHolder ? named : [], stored: stored.holders)
        // Whoever applies blocks takes no diffs of them, as a bridge takes none.
        gossip = DiffGossip(
            role: configuration.keeping.blocks.applies ? .bridge : role, id: configuration.id,
            sectionDepth: network.sectionDepth, arc: arc.sections,
            knows: configuration.knows)
        server = StateServer(role: role, depth: network.sectionDepth)
        ahead = ReadySections(limit: configuration.serveAhead.bytes, jobs: configuration.serveAhead.jobs)
        headWatch = HeadWatch(resumed: stored.headProof?.point, at: moment.instant)
        announcer = Announcer(role: role, radiusExponent: mark.announced)
        upkeep = Upkeep(configuration, mark: mark, records: stored.records, holdings.book, at: moment)
        // It counts as long as nothing of the arc was given up since.
        completion = Completion(
            sections: arc.sections.count, resumed: holdings.book.isAllComplete ? stored.completeAnchor : nil)
        verifiedBytes = VerifiedBytes(at: moment.instant)
        if role == .bridge || configuration.keeping.blocks.applies {
            replayer = try BlockReplayer(
                network, seeds: configuration.attestingSeeds, finalityDepth: configuration.finalityDepth,
                head: stored.replayedHead, unfinal: stored.replayedHead.map { chain.line(to: $0) } ?? [],
                signs: role == .bridge)
        }
        begin(chain, at: moment)
    }

    /// Takes up what the store held: anchors, crowns, and what is told to peers.
    private mutating func begin(_ chain: some AttestedHeaders, at moment: Moment) {
        // A crash may have come between a change of the head and the going of the layers that it excludes.
        if let lowest = chain.lowest { rewind(from: lowest, chain, at: moment.instant) }
        Returning.resume(&self, chain, at: moment.instant)
        holdings.noteOwnCrown(chain, at: replayer?.head)
        let newest = BlockFollowing.newestAnchor(self, chain)
        planner.follow(&holdings, newest: newest)
        if let newest {
            holders.anchorsAdvanced(to: chain.newestAnchors)
            // A crash may have come between the anchor's finality and its crown, which nobody else may have.
            if !holdings.crowns.contains(newest) { storeOwnCrown(of: newest, chain, at: moment.instant) }
        }
        // Before anybody answers: whoever waits for a block need not wait for one that was verified before.
        if let point = verifiedPoint, replayer == nil { outbox.report(.verified(point)) }
        completion.somethingCameAbout(at: moment.instant)
    }

    /// Section indices this node keeps or wants.
    public var arc: Range<Int> { holdings.book.arc }

    // MARK: The machine

    /// Takes one event in.
    public mutating func handle(_ event: Event, _ chain: some AttestedHeaders, at moment: Moment) {
        let now = moment.instant
        planner.hear(event, holders)
        switch event {
        case .peerUpdated(let info): told(by: info)
        case .peerMet(let info): holders.met(info)
        case .peerLost(let id):
            holders.lost(id)
            gossip.lost(id)
        case .notKept(let id): holders.notKept(id)
        case .asked(let key, let asker, let token): asked(key, by: asker, token, chain, at: now)
        case .answered(let id, let result, let bytes): answered(id, result, bytes: bytes, chain, at: now)
        case .offered(let keys, let peer, let token): offered(keys, by: peer, token, chain, at: now)
        case .received(let items, let peer):
            for item in items { received(item, from: peer, chain, at: now) }
        case .broken(let keys, let peer): gossip.broken(keys, by: peer)
        case .declined(let keys, let peer): gossip.declined(keys, by: peer, holders, at: now)
        case .lookedUp(let search, let result): holders.lookedUp(search, result, at: now)
        case .jobFinished(let id, let result): jobFinished(id, result, chain, at: moment)
        case .committed(let id): committed(id, chain, at: moment)
        case .commitFailed(let id): end(id, .aborted, at: now)
        case .headAdvanced(let leaving):
            if let leaving { rewind(from: leaving, chain, at: now) }
            chainMoved(final: [], chain, at: now)
        case .finalAdvanced(let anchors): chainMoved(final: anchors, chain, at: now)
        case .anchorsLost(let lost): LostAnchors.forget(lost, &self, at: now)
        case .block(let block): replayer?.give(block)
        }
    }

    /// Does what is due: what came about is looked over, diffs that wait go on, what was gathered is offered, and what
    /// is missing is asked for.
    public mutating func advance(
        to moment: Moment, _ chain: some AttestedHeaders, choosing chooser: inout some PeerChooser
    ) {
        let now = moment.instant
        let newest = BlockFollowing.newestAnchor(self, chain)
        planner.follow(&holdings, newest: newest)
        if completion.isDue(at: now) { lookOver(chain, at: now) }
        if let line = dropped.line(at: now) { outbox.log(.info, line) }
        pumpDiffs(chain, at: now)
        if planner.phase == .following, replayer == nil { headWatch.noticeBehind(&holdings, chain, at: now) }
        for (peer, items) in gossip.takeOutgoing(for: holders, at: now) { outbox.append(.offer(items, to: peer)) }
        if replayer != nil {
            replayNext(chain, at: moment)
        } else if !configuration.isVisitor, planner.isDue(holdings, operations, holders, at: now) {
            let plan = planner.plan(holdings, operations, holders, chain, choosing: &chooser, at: now)
            for index in plan.drops { drop(index, at: now) }
            for ask in plan.asks { begin(ask, at: now) }
        }
        for step in upkeep.steps(holdings, operations, holders, at: now) {
            switch step {
            case .run(let job, let chore, let sections):
                if holdings.book.lock(sections) {
                    run(.upkeep(job), for: .upkeep(chore), sections: sections, at: now)
                } else {
                    upkeep.failed(chore, at: now)
                }
            case .write(let batch, let chore):
                let id = operations.begin(.upkeep(chore), stage: .writing(.upkeep(chore.written)), at: now)
                outbox.append(.commit(id, batch))
            case .drop(let index): drop(index, at: now)
            case .log(let level, let text): outbox.log(level, text)
            }
        }
        planSearches(chain, at: now)
    }

    /// When `advance` is next due.
    public var nextDeadline: Instant {
        var first = configuration.seeksHolders ? holders.nextDeadline : Instant(microseconds: .max)
        for case let time? in [
            planner.nextDeadline, gossip.deadline, pending.reviewAt, completion.reviewAt, replayer?.pausedUntil,
            upkeep.deadline,
        ] where time < first { first = time }
        return first
    }

    /// Takes what has come about, in order.
    public mutating func drain() -> [Directive] {
        let directives = outbox.drain()
        if !directives.isEmpty { replayer?.chainHears() }
        for case .commit(_, let batch) in directives { upkeep.wrote(batch.byteCount) }
        return directives
    }

    // MARK: Operations

    /// Has a job run for an operation that begins with it.
    mutating func run(
        _ job: StateJob, for purpose: Operation.Purpose, sections: [Int] = [], peer: Bytes32? = nil, at now: Instant
    ) {
        let id = operations.begin(purpose, stage: .checking, sections: sections, peer: peer, at: now)
        outbox.append(.run(id, job))
    }

    /// Has what an operation checked written, and memory follow.
    mutating func write(_ id: OperationID, _ batch: WriteBatch, _ change: Operation.Change) {
        operations.writes(id, change)
        outbox.append(.commit(id, batch))
    }

    /// Has something written that nothing waits for.
    mutating func note(_ batch: WriteBatch, at now: Instant) {
        let id = operations.begin(.note, stage: .writing(.nothing), at: now)
        outbox.append(.commit(id, batch))
    }

    /// The one end of every operation: all that it held is given back, whatever came of it.
    mutating func end(_ id: OperationID, _ outcome: AskOutcome, at now: Instant) {
        guard let operation = operations.end(id) else { return }
        holdings.book.unlock(operation.sections)
        for id in operation.sections where holdings.book.isPart(id) {
            if let owner = holdings.book.section(id).owner {
                holdings.spread.standing(of: owner).apply(to: &holdings.book)
            }
        }
        pending.review(operation.sections)
        switch operation.purpose {
        case .ask(let task, _):
            guard let peer = operation.peer else { return }
            planner.ended(
                task, of: peer, outcome, budgeted: operation.budgeted, arrived: operation.bytes,
                since: operation.startedAt, at: now)
            holders.ended(task, of: peer, outcome, at: now)
        case .replay(let block):
            holdings.book.unlockAll()
            pending.reviewAll()
            switch outcome {
            case .done: break
            case .invalid: replayer?.failed()
            default: replayer?.refused(block, at: now)
            }
        case .goBack:
            holdings.book.unlockAll()
            if outcome != .done(bytes: 0) { replayer?.stayed() }
        case .encode: ahead.ended()
        case .upkeep(let chore): if outcome != .done(bytes: 0) { upkeep.failed(chore, at: now) }
        case .serve, .names, .crown, .storageCrowns, .blockDiffs, .fold, .drop, .note: break
        }
    }
}
