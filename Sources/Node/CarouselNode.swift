// Node: one node as one machine, made of three.
//
// Picture.
//
//   datagrams ─▶ Overlay (discv5, Portal wire, uTP) ─┬─ headers, new blocks ──▶ ChainSync ─▶ attested headers, anchors
//                    ▲                               │                              │ lent to be read
//                    │                               └─ state, diffs ───────▶ StateSync ─▶ what is held of the state
//                    └──── requests, offers, answers, lookups, verdicts ◀───────────┘
//
//   heavy work leaves as `.run(job)` and comes back as `.jobFinished`; writes leave as `.commit` and come back as
//   `.committed`. Memory changes only after the store did.
//
// Terms. A *job* is a pure function of its inputs and of one snapshot of the store; the world runs it where it likes.
// What waits for a job, a transaction, a request or a lookup is the machine that asked for it, by the name it gave;
// that is data, not a closure, so a node can be compared, logged and replayed.
//
// Phases: see `StateSync` and `ChainSync`. The three roles differ only in data: the arc, whether state is asked from
// bridges, and whether blocks come from outside.
//
// Invariants. This target decides nothing about state or headers: it carries what one machine wants to the other that
// does it, in order, until none wants anything (`settle`). It adds what only the whole can know: where the node stands,
// who answered lately, which headers the store still needs. No clock, socket, disk, thread or random source is touched
// here.
//
// Why three machines and not one: each can be tested, read and replaced without the others, and what one may know of
// another is written down in its directives and in `AttestedHeaders`.

import Chain
import ChainNetwork
import Discovery
import Overlay
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Names one job until its result comes back.
public struct JobID: Hashable, Sendable {
    /// Counted from 1.
    public let value: UInt64
}

/// Names one transaction until it is committed.
public struct CommitID: Hashable, Sendable {
    /// Counted from 1.
    public let value: UInt64
}

/// One node.
public struct CarouselNode: Sendable {
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
        /// Something is asked of the ring, of this block or of the newest that is served.
        case question(StateQuestion, block: UInt64?)
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
        case report(NodeReport)
    }

    /// Who waits for a job.
    enum JobOwner: Sendable {
        case state(OperationID)
        /// Old headers for a peer that asked.
        case headers(Overlay.ContentToken)
        case pruning
        /// Blocks that peers sent, and where they stand.
        case blockCheck(BlockSync.CheckTag)
        case blockLine
    }

    /// Who waits for a transaction.
    enum CommitOwner: Sendable {
        case state(OperationID)
        case pruning
        /// Headers, and what is kept for the next start.
        case nobody
    }

    /// Who waits for content of a peer.
    enum RequestOwner: Sendable {
        case state(OperationID)
        case chain(ChainSync.RequestTag)
        case blocks(BlockSync.RequestTag)
        case query(RingQuery.Ask)
    }

    public let configuration: NodeConfiguration
    var overlay: Overlay
    var chain: ChainSync
    /// nil for a node that does not go block by block.
    var blocks: BlockSync?
    var state: StateSync
    var jobs: [JobID: JobOwner] = [:]
    var commits: [CommitID: CommitOwner] = [:]
    var requests: [Overlay.RequestID: RequestOwner] = [:]
    var lookups: [Overlay.LookupID: HolderDirectory.SearchID] = [:]
    /// New blocks that were accepted and have not come.
    var expectedBlocks = ExpectedOffers()
    var offers: OfferGathering
    var headerStore: HeaderStore
    var knownNodes: KnownNodeKeeper
    /// How it speaks of the state; nil: as it is.
    package var voice: (any StateVoice)?
    /// What was asked of the ring and is not answered yet.
    var query: RingQuery?
    /// What is told about once a second.
    private(set) var reporting: Reporting
    /// The highest sequence number of the node's record that was written down.
    private var keptSequence: UInt64
    private var directives: [Directive] = []
    /// What the next job and the next transaction are called.
    private var next = (job: UInt64(1), commit: UInt64(1))

    /// A node that goes on from what its store holds. Throws where its record cannot be made or the store's headers do
    /// not join the checkpoint.
    public init(
        configuration: NodeConfiguration, stored: StoredState, entropy: Entropy, at moment: Moment
    ) throws(NodeError) {
        var entropy = entropy
        self.configuration = configuration
        do {
            overlay = try Overlay(
                key: configuration.key, configuration: configuration.overlay, entropy: Entropy(seed: entropy.bytes32()))
            chain = try ChainSync(
                configuration: configuration.network, restoring: stored.headers, storedFrom: stored.lowestHeader,
                floor: stored.floor, seed: entropy.bytes32().word0)
            chain.unixSeconds = moment.unixSeconds
            state = try StateSync(
                configuration: configuration.stateSync, stored: stored.held, chain: chain.attested, at: moment)
        } catch let error as DiscoveryError {
            throw .record(error)
        } catch let error as ChainError {
            throw .headers(error)
        } catch let error as BridgeKeyError {
            throw .bridgeKey(error)
        } catch {
            throw .unexpected("\(error)")
        }
        if configuration.keeping.blocks.applies {
            blocks = BlockSync(after: stored.held.replayedHead, seed: entropy.bytes32().word0)
        }
        offers = OfferGathering(id: configuration.key.nodeID, threshold: configuration.network.rule.threshold)
        headerStore = HeaderStore(kept: configuration.keptHeaders, epochLength: configuration.network.epochLength)
        knownNodes = KnownNodeKeeper(stored.knownNodes, at: moment.instant)
        reporting = Reporting(at: moment.instant)
        keptSequence = configuration.recordSequence
        overlay.addBootNodes(configuration.bootNodes, at: moment.instant)
        overlay.addKnownNodes(knownNodes.worthTrying(unixSeconds: moment.unixSeconds), at: moment.instant)
        pruneHeaders()
        // What the store held is on its way to peers before any of them answers.
        for directive in state.drain() { perform(directive, at: moment) }
    }

    // MARK: The machine

    /// Handles one event. Directives come about in order; take them with `drain`.
    public mutating func handle(_ event: Event, at moment: Moment) {
        let now = moment.instant
        chain.unixSeconds = moment.unixSeconds
        switch event {
        case .datagram(let bytes, let source): overlay.receive(bytes, from: source, at: now)
        case .jobFinished(let id, let result):
            if let owner = jobs.removeValue(forKey: id) { finished(owner, result, at: moment) }
        case .committed(let id):
            switch commits.removeValue(forKey: id) {
            case .state(let operation)?: state.handle(.committed(operation), chain.attested, at: moment)
            case .pruning?:
                headerStore.isPruning = false
                pruneHeaders()
            case .nobody?, nil: break
            }
        case .commitFailed(let id, let error):
            if let owner = commits.removeValue(forKey: id) { commitFailed(owner, error, at: moment) }
        case .unsent(let endpoints): overlay.unsent(to: endpoints, at: now)
        case .block(let block): state.handle(.block(block), chain.attested, at: moment)
        case .question(let question, let block): ask(question, block: block, at: now)
        case .tick: break
        }
        settle(at: moment)
    }

    /// Lets every machine act on what has come about, until nothing new comes.
    private mutating func settle(at moment: Moment) {
        overlay.advance(to: moment.instant)
        chain.advance(to: moment.instant)
        blocks?.advance(to: moment.instant, chain.attested)
        for _ in 0..<NodeLimits.settleRounds {
            state.advance(to: moment, chain.attested, choosing: &overlay)
            // What the state network wants is carried out before the wire is drained, so that what that makes it send
            // leaves with this event.
            let fromState = state.drain()
            for directive in fromState {
                guard voice != nil else {
                    perform(directive, at: moment)
                    continue
                }
                for said in voice?.says(directive) ?? [] { perform(said, at: moment) }
            }
            advanceQuery(at: moment)
            makeOffers(at: moment.instant)
            let fromOverlay = overlay.drainDirectives()
            let fromChain = chain.drain()
            let fromBlocks = blocks?.drain() ?? []
            for directive in fromOverlay { perform(directive, at: moment) }
            for directive in fromChain { perform(directive, at: moment) }
            for directive in fromBlocks { BlockCarrying.perform(directive, by: &self, at: moment) }
            if fromState.isEmpty && fromOverlay.isEmpty && fromChain.isEmpty && fromBlocks.isEmpty { break }
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
        var first = min(reporting.next, knownNodes.nextSave, state.nextDeadline)
        if let time = overlay.nextDeadline, time < first { first = time }
        if let time = chain.nextDeadline, time < first { first = time }
        if let time = blocks?.nextDeadline, time < first { first = time }
        if let time = offers.deadline, time < first { first = time }
        if let time = query?.deadline, time < first { first = time }
        return first
    }

    // MARK: What the world is asked for

    mutating func send(_ bytes: [UInt8], to target: Endpoint) { directives.append(.send(bytes, to: target)) }

    mutating func run(_ job: StateJob, for owner: JobOwner) {
        let id = JobID(value: next.job)
        next.job += 1
        jobs[id] = owner
        directives.append(.run(id, job))
    }

    mutating func commit(_ batch: WriteBatch, for owner: CommitOwner = .nobody) {
        let id = CommitID(value: next.commit)
        next.commit += 1
        commits[id] = owner
        directives.append(.commit(id, batch))
    }

    mutating func report(_ report: NodeReport) { directives.append(.report(report)) }

    mutating func log(_ level: NodeReport.Level, _ text: String) { report(.log(level, text)) }

    private mutating func finished(_ owner: JobOwner, _ result: StateJobResult, at moment: Moment) {
        switch (owner, result) {
        case (.state(let operation), _): state.handle(.jobFinished(operation, result), chain.attested, at: moment)
        case (.headers(let token), .served(let value)):
            headerStore.reads -= 1
            overlay.answer(token, .content(value), at: moment.instant)
        case (.headers, _): headerStore.reads -= 1
        case (.blockCheck(let tag), .checkedBlocks(let outcome)):
            BlockCarrying.tell(.checked(tag, outcome), &self, at: moment.instant)
        case (.blockLine, .line(let result)):
            BlockCarrying.tell(.line((try? result.get()) ?? []), &self, at: moment.instant)
        case (.blockCheck, _), (.blockLine, _): break
        case (.pruning, .pruned(let outcome)): headersPruned(outcome, at: moment.instant)
        case (.pruning, _): headerStore.isPruning = false
        }
    }

    /// The store refused a transaction: whoever waits for it is told, and so is the one who runs the node.
    private mutating func commitFailed(_ owner: CommitOwner, _ error: StoreError, at moment: Moment) {
        switch owner {
        case .state(let operation): state.handle(.commitFailed(operation), chain.attested, at: moment)
        case .pruning: headerStore.isPruning = false
        case .nobody: break
        }
        switch error {
        case .full: report(.failed("the store is full: raise --storage-capacity; nothing was lost"))
        case .diskFull: report(.failed("the disk, or a limit on files, is full: make room; nothing was lost"))
        default: report(.storeFailed(error))
        }
    }

    // MARK: Now and then

    /// Writes down who answers and who holds what, for the next start.
    private mutating func saveKnownNodes(at moment: Moment) {
        guard var batch = knownNodes.dueToSave(overlay, at: moment) else { return }
        batch.append(
            StoredHolder.writing(
                state.holders.worthStoring(at: moment.instant, unixSeconds: moment.unixSeconds)))
        commit(batch)
    }

    private mutating func reportStatus(at moment: Moment) {
        guard reporting.isDue(at: moment.instant) else { return }
        keepRecordSequence()
        if let gap = headerStore.gapToTell(chain.gap, at: moment.instant) {
            log(.warning, Standing.text(of: gap))
        }
        if let line = reporting.note(ModeKeeper.Sight(self, at: moment), at: moment.instant) { log(.info, line) }
        let progress = progress(at: moment)
        reporting.estimate.note(progress.held, at: moment.instant)
        report(.progress(progress))
    }

    /// Writes down that the record has another number now: it changed while this node ran.
    private mutating func keepRecordSequence() {
        let sequence = overlay.localRecord.sequence
        guard sequence > keptSequence else { return }
        keptSequence = sequence
        commit(RecordSequence.writing(sequence))
    }
}

/// Why a node cannot begin.
public enum NodeError: Error, Equatable, Sendable {
    /// The node record cannot be made of the configured address and key.
    case record(DiscoveryError)
    /// Stored headers that do not join the configured checkpoint.
    case headers(ChainError)
    /// A bridge's attesting keys.
    case bridgeKey(BridgeKeyError)
    case unexpected(String)
}
