// Node: one node as one state machine.
//
// Picture.
//
//   datagrams ─▶ Overlay (discv5, Portal wire, uTP) ─▶ chain network ─▶ attested headers, anchors
//                    │                                     │
//                    ├── offers, requests ─▶ Holdings ◀────┤ (what is held, layers, crowns)
//                    │                          │          ▼
//                    ◀── requests, offers ◀── Sync (what to ask whom)
//                    ◀── lookups, PINGs ◀──── HolderDirectory (who has what, and how they are found)
//
//   heavy work leaves as `.run(job)` and comes back as `.jobFinished`; writes leave as `.commit` and come back as
//   `.committed`. Memory changes only after the store did.
//
// Terms. A *job* is a pure function of its inputs and of one snapshot of the store; the world runs it where it likes. A
// *continuation* is what this node wants to do with a job's result or after a commit; it is data, not a closure, so a
// node can be compared, logged and replayed. A *lock* on a section is taken before a job that will change it and given
// back on every path.
//
// Phases: *headers* (no attested block yet), *walking*, *following*; see `Sync`. The three roles differ only in data:
// the arc, whether state is asked from bridges, and whether blocks come from a directory.
//
// Invariants. Nothing unverified is stored or passed on: a range, a diff, a crown or a code leaves the job that checks
// it only when it was right. A root is believed only under an attested header. Bad input costs its sender (`judge`) and
// nothing else. No clock, socket, disk, thread or random source is touched here.

import Chain
import ChainNetwork
import Discovery
import MerklePatricia
import Overlay
import Primitives
import StateNetwork
import StateStore
import Sync

/// One node.
public struct Node: Sendable {
    /// What happens to it.
    public enum Event: Sendable {
        case datagram([UInt8], from: Endpoint)
        case jobFinished(JobID, StateJobResult)
        case committed(CommitID)
        /// The store could not take a transaction; nothing of it was written.
        case commitFailed(CommitID, StoreError)
        /// The system would not send to these addresses.
        case unsent([Endpoint])
        /// A bridge's next block.
        case block(ReplayedBlock)
        /// A deadline was reached.
        case tick
    }

    /// What the world is to do.
    public enum Directive: Sendable {
        case send([UInt8], to: Endpoint)
        /// Run on a snapshot taken after every commit of this node that was reported as committed.
        case run(JobID, StateJob)
        /// One transaction, in the order given.
        case commit(CommitID, WriteBatch)
        case report(Report)
    }

    public let configuration: NodeConfiguration
    /// Section indices this node keeps or wants.
    public let arc: Range<Int>

    var overlay: Overlay
    var chain: ChainSync
    var holdings: Holdings
    var sync: StateSync
    var directives: [Directive] = []
    var jobs: [JobID: Continuation] = [:]
    var commits: [CommitID: Continuation] = [:]
    var requests: [Overlay.RequestID: RequestPurpose] = [:]
    /// Who has what, as far as its peers have told this node.
    public internal(set) var holders: HolderDirectory
    var lookups: [Overlay.LookupID: HolderDirectory.SearchID] = [:]
    var gossip = GossipQueue()
    var certificates = CheckedCertificates()
    var bridge: BridgeState?
    var status: StatusKeeper
    var knownNodes: KnownNodeKeeper
    public internal(set) var totals = Totals()
    private var nextJob: UInt64 = 1
    private var nextCommit: UInt64 = 1

    /// A node that goes on from what its store holds. Throws where its record cannot be made or the store's headers do
    /// not join the checkpoint.
    public init(
        configuration: NodeConfiguration, stored: StoredState, entropy: Entropy, at moment: Moment
    ) throws(NodeError) {
        var entropy = entropy
        let network = configuration.network
        self.configuration = configuration
        arc = configuration.arc.sections
        do {
            overlay = try Overlay(
                key: configuration.key, configuration: configuration.overlay, entropy: Entropy(seed: entropy.bytes32()))
            chain = try ChainSync(
                configuration: network, restoring: stored.headers, storedFrom: stored.lowestHeader,
                seed: entropy.bytes32().word0)
        } catch let error as DiscoveryError {
            throw .record(error)
        } catch let error as ChainError {
            throw .headers(error)
        } catch {
            throw .unexpected("\(error)")
        }
        holdings = Holdings(
            depth: network.sectionDepth, epochLength: network.epochLength, arc: arc, records: stored.records,
            layers: stored.layers, crowns: stored.crowns)
        if let proof = stored.headProof { holdings.note(proof.nodes, at: proof.point.number) }
        let statuses = arc.map { [holdings] in Node.status(of: $0, in: holdings, at: moment.instant) }
        sync = StateSync(
            configuration: StateSync.Configuration(
                depth: network.sectionDepth, arc: arc, lanes: configuration.lanes,
                rangeBytes: configuration.rangeBytes,
                downloadBytesPerSecond: configuration.downloadBytesPerSecond),
            sections: statuses, wantedCodes: stored.wantedCodes.filter { [arc] in arc.contains($0.section) },
            at: moment.instant)
        let named = configuration.bridges.map {
            StoredHolder(record: $0, arc: .whole(network), toldAt: moment.unixSeconds)
        }
        // Whoever takes nothing from a bridge does not look for one.
        let isHolder = configuration.role == .holder
        holders = HolderDirectory(
            role: configuration.role, arc: isHolder ? configuration.arc : .whole(network), named: isHolder ? named : [],
            stored: stored.holders)
        status = StatusKeeper(startedAt: moment.instant, keptSequence: configuration.recordSequence)
        status.resumed = stored.headProof?.point
        // It counts as long as nothing of the arc was given up since.
        if holdings.completeCount == arc.count { status.resumedAnchor = stored.completeAnchor }
        knownNodes = KnownNodeKeeper(stored.knownNodes, at: moment.instant)
        if configuration.role == .bridge {
            let unfinal = stored.replayedHead.map { chain.line(to: $0) } ?? []
            bridge = try BridgeState(configuration, head: stored.replayedHead, unfinal: unfinal)
        }
        begin(at: moment)
    }

    /// Takes up what the store held: anchors, crowns, and what is told to peers.
    private mutating func begin(at moment: Moment) {
        overlay.addBootNodes(configuration.bootNodes, at: moment.instant)
        meetKnownNodes(at: moment)
        for (anchor, _) in holdings.crowns { sync.crownStored(anchor) }
        // A crash may have come between a change of the head and the going of the layers that it excludes.
        if let lowest = chain.lowest { rewind(from: lowest, at: moment) }
        noteOwnCrown()
        if let newest = chain.newestAnchor {
            sync.anchorAdvanced(to: newest)
            tellAnchors()
            // A crash may have come between the anchor's finality and its crown, which nobody else may have.
            if holdings.crown(at: newest) == nil { storeOwnCrown(of: newest) }
        }
        // Before anybody answers: whoever waits for a block need not wait for one that was verified before.
        if let point = verifiedPoint, configuration.role != .bridge { report(.verified(point)) }
        pruneHeaders()
        afterProgress(at: moment)
    }

    /// The record others find this node by.
    public var record: NodeRecord { overlay.localRecord }

    /// Handles one event. Directives come about in order; take them with `drain`.
    public mutating func handle(_ event: Event, at moment: Moment) {
        let now = moment.instant
        switch event {
        case .datagram(let bytes, let source): overlay.receive(bytes, from: source, at: now)
        case .jobFinished(let id, let result):
            if let continuation = jobs.removeValue(forKey: id) { resume(continuation, with: result, at: moment) }
        case .committed(let id):
            if let continuation = commits.removeValue(forKey: id) { committed(continuation, at: moment) }
        case .commitFailed(let id, let error):
            if let continuation = commits.removeValue(forKey: id) { commitFailed(continuation, error, at: moment) }
        case .unsent(let endpoints): overlay.unsent(to: endpoints, at: now)
        case .block(let block): replay(block, at: moment)
        case .tick: break
        }
        settle(at: moment)
    }

    /// Lets every machine act on what has come about, until nothing new comes.
    private mutating func settle(at moment: Moment) {
        overlay.advance(to: moment.instant)
        chain.advance(to: moment.instant)
        for _ in 0..<NodeLimits.settleRounds {
            // Work is planned before the machines are drained, so that what it makes them send leaves with this event.
            planWork(at: moment)
            planSearches(at: moment)
            let fromOverlay = overlay.drainDirectives()
            let fromChain = chain.drain()
            for directive in fromOverlay { handle(directive, at: moment) }
            for directive in fromChain { handle(directive, at: moment) }
            if fromOverlay.isEmpty && fromChain.isEmpty { break }
        }
        saveKnownNodes(at: moment)
        reportStatus(at: moment)
    }

    /// Takes a datagram in and does nothing about it yet: after a batch of them, `handle(.tick)`. The bytes are not
    /// kept.
    public mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at moment: Moment) {
        overlay.receive(datagram, from: source, at: moment.instant)
    }

    /// Takes what has come about.
    public mutating func drain() -> [Directive] {
        drainDirectives() + drainDatagrams().map { .send($0.bytes, to: $0.to) }
    }

    /// The datagrams of streams.
    public mutating func drainDatagrams() -> [(bytes: [UInt8], to: Endpoint)] { overlay.drainDatagrams() }

    /// All but the datagrams of streams, which `drainDatagrams` or `swapDatagrams` takes.
    public mutating func drainDirectives() -> [Directive] {
        guard !directives.isEmpty else { return [] }
        defer { directives = [] }
        return directives
    }

    /// Gives the datagrams of streams away for an empty buffer.
    public mutating func swapDatagrams(_ empty: inout DatagramBuffer) { overlay.swapDatagrams(&empty) }

    /// When `handle(.tick)` is next due.
    public func nextDeadline(at moment: Moment) -> Instant {
        let deadlines = [
            overlay.nextDeadline, chain.nextDeadline, sync.nextDeadline(at: moment.instant), gossip.deadline,
            holdings.nextDeadline(at: moment.instant), status.overlookAt, bridge?.pausedUntil, knownNodes.nextSave,
            holders.nextDeadline,
        ]
        return (deadlines.compactMap { $0 } + [status.nextReport]).min() ?? status.nextReport
    }

    // MARK: Directives

    mutating func run(_ job: StateJob, then continuation: Continuation) {
        let id = JobID(value: nextJob)
        nextJob += 1
        jobs[id] = continuation
        directives.append(.run(id, job))
    }

    mutating func commit(_ batch: WriteBatch, then continuation: Continuation) {
        let id = CommitID(value: nextCommit)
        nextCommit += 1
        commits[id] = continuation
        directives.append(.commit(id, batch))
    }

    mutating func report(_ report: Report) { directives.append(.report(report)) }

    mutating func log(_ level: Report.Level, _ text: String) { directives.append(.report(.log(level, text))) }
}

/// Why a node cannot begin.
public enum NodeError: Error, Equatable, Sendable {
    /// The node record cannot be made of the configured address and key.
    case record(DiscoveryError)
    /// Stored headers that do not join the configured checkpoint.
    case headers(ChainError)
    /// A bridge's attesting seed, counted from 0, that is not 32 bytes of a secret key.
    case attestingSeed(index: Int)
    /// A bridge's attesting key that is not among those of the network's rule.
    case attestingKeyNotOfNetwork(index: Int, key: Bytes32)
    /// A bridge's attesting key that was given before.
    case attestingKeyTwice(index: Int, key: Bytes32)
    case unexpected(String)
}
