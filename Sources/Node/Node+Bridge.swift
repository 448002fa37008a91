import Chain
import ChainNetwork
import MerklePatricia
import Primitives
import StateNetwork
import StateStore

/// What a bridge keeps beside what every node keeps.
struct BridgeState: Sendable {
    let keys: [AttestingKey]
    let context: ClaimContext
    let finalityDepth: UInt64
    /// Blocks given and not yet applied, in order; one is applied at a time.
    var waiting: [ReplayedBlock] = []
    var isBusy = false
    /// Not before this is a block tried again that the store refused.
    var pausedUntil: Instant?
    /// The newest block applied; nil before genesis.
    var head: StatePoint?
    /// Blocks applied and not yet signed as final, rising.
    var unfinal: [StatePoint] = []
    /// The newest block that these keys have called final since this start.
    var signedFinal: StatePoint?
    /// Whether the next block waits for room, which is told once.
    var isHeldBack = false

    /// Throws where a seed is no secret key, or one that nobody in this network believes: a bridge that signs with less
    /// than it was given would go unnoticed until its network stands still.
    init(_ configuration: NodeConfiguration, head: StatePoint?) throws(NodeError) {
        var keys: [AttestingKey] = []
        for (index, seed) in configuration.attestingSeeds.enumerated() {
            guard let key = Bytes32(seed).flatMap({ AttestingKey(seed: $0) }) else {
                throw .attestingSeed(index: index)
            }
            guard configuration.network.rule.keys.contains(key.publicKey) else {
                throw .attestingKeyNotOfNetwork(index: index, key: key.publicKey)
            }
            guard !keys.contains(where: { $0.publicKey == key.publicKey }) else {
                throw .attestingKeyTwice(index: index, key: key.publicKey)
            }
            keys.append(key)
        }
        self.keys = keys
        context = ClaimContext(configuration.network)
        finalityDepth = configuration.finalityDepth
        self.head = head
    }

    /// What this bridge's keys say of its newest block, and of the newest that is final now.
    mutating func certificate(at unixSeconds: UInt64) -> Certificate? {
        guard let head else { return nil }
        var claims = [Claim(kind: .head, point: head, unixSeconds: unixSeconds)]
        let isFinal = { (point: StatePoint) in
            point.number <= head.number && head.number - point.number >= finalityDepth
        }
        if let final = unfinal.last(where: isFinal) {
            claims.append(Claim(kind: .final, point: final, unixSeconds: unixSeconds))
            unfinal.removeAll { $0.number < final.number }
            signedFinal = final
        }
        return Certificate(keys.flatMap { key in claims.map { key.sign($0, in: context) } })
    }
}

extension Node {
    /// The newest block this bridge has applied; nil for other roles and before genesis.
    public var replayedHead: StatePoint? { bridge?.head }

    /// Blocks given to this bridge that are not applied yet.
    public var replayBacklog: Int { (bridge?.waiting.count ?? 0) + (bridge?.isBusy == true ? 1 : 0) }

    /// A block of the execution chain, in order, from genesis on.
    mutating func replay(_ block: ReplayedBlock, at moment: Moment) {
        bridge?.waiting.append(block)
        replayNext(at: moment)
    }

    /// Begins with the next block that waits, unless one is under way, a section is being folded, or there is no room
    /// for its layers.
    mutating func replayNext(at moment: Moment) {
        guard let state = bridge, !state.isBusy else { return }
        if let until = state.pausedUntil, moment.instant < until { return }
        bridge?.pausedUntil = nil
        let expected = state.head.map { $0.number + 1 } ?? 0
        let passed = state.waiting.prefix { $0.header.number != expected }
        for block in passed where block.header.number > expected {
            report(
                .failed(
                    "block \(block.header.number) was given where \(expected) is next: the chain's files must leave "
                        + "none out"))
        }
        if !passed.isEmpty { bridge?.waiting.removeFirst(passed.count) }
        guard let block = bridge?.waiting.first, !isHeldBack(before: block), holdings.lockAll() else { return }
        bridge?.waiting.removeFirst()
        bridge?.isBusy = true
        if block.header.number == 0 {
            run(.genesis(BuildGenesis(block: block, depth: holdings.depth)), then: .genesis(block))
        } else {
            run(.replay(ReplayBlock(block: block, holdings: holdings)), then: .replay(block))
        }
    }

    /// Whether the next block waits until an anchor becomes final and the layers up to it are folded: they have all the
    /// room there is, and the word of others is what is missing. Where it is this bridge's own, more blocks have to
    /// come: it calls a boundary final only `finalityDepth` blocks later, and if all bridges waited before they had
    /// done so, none would ever go on.
    private mutating func isHeldBack(before block: ReplayedBlock) -> Bool {
        let isFull = holdings.isFullOfLayers && hasSignedNextAnchor
        guard isFull != bridge?.isHeldBack else { return isFull }
        bridge?.isHeldBack = isFull
        let number = block.header.number
        if isFull {
            log(
                .warning,
                "block \(number) waits: \(holdings.layerBytes >> 20) MiB of changes are above the last anchor, and no "
                    + "later one is final; are all bridges up whose keys the network's configuration asks for?")
        } else {
            log(.info, "block \(number) waits no longer: there is room for its changes")
        }
        return isFull
    }

    /// Whether this bridge has called final, since its start, an anchor that not all sections were brought to yet.
    private var hasSignedNextAnchor: Bool {
        guard let signed = bridge?.signedFinal else { return false }
        let base = arc.compactMap { holdings.held($0)?.record?.working.number }.min() ?? 0
        return signed.number / holdings.epochLength > base / holdings.epochLength
    }

    mutating func genesisBuilt(
        _ block: ReplayedBlock, _ outcome: Result<GenesisTaken, StateJobError>, at moment: Moment
    ) {
        switch outcome {
        case .success(let taken): commit(taken.batch, then: .genesisCommitted(block, taken))
        case .failure(let error): replayFailed(block, error)
        }
    }

    mutating func genesisStored(_ block: ReplayedBlock, _ taken: GenesisTaken, at moment: Moment) {
        for record in taken.records { holdings.committed(record, section: record.section.index) }
        for index in arc { holdings.caughtUp(index) }
        holdings.store(taken.crown, at: Anchor(epoch: 0, hash: block.header.hash))
        applied(block, at: moment)
    }

    mutating func replayed(
        _ block: ReplayedBlock, _ outcome: Result<ReplayTaken, StateJobError>, at moment: Moment
    ) {
        switch outcome {
        case .success(let taken): commit(taken.batch, then: .replayCommitted(block, taken))
        case .failure(let error): replayFailed(block, error)
        }
    }

    private mutating func replayFailed(_ block: ReplayedBlock, _ error: StateJobError) {
        bridge?.isBusy = false
        holdings.unlockAll()
        switch error {
        case .store(let error): report(.storeFailed(error))
        case .lie(let what), .falseDiff(let what): report(.blockRefused(block.header.point, what))
        case .outdated:
            report(.failed("block \(block.header.point) cannot be applied: \(error): start the bridge again"))
        }
    }

    /// The store refused a block: it waits, first in line, and everything it held is given back.
    mutating func replayRefused(_ block: ReplayedBlock, at moment: Moment) {
        bridge?.isBusy = false
        bridge?.waiting.insert(block, at: 0)
        bridge?.pausedUntil = moment.instant + NodeLimits.storeRetry
        holdings.unlockAll()
    }

    /// A block is applied and committed: sign it, tell the chain network, gossip its diffs.
    mutating func replayStored(_ block: ReplayedBlock, _ taken: ReplayTaken, at moment: Moment) {
        for change in taken.changes { holdings.committed(change.layer, replacing: false) }
        if block.header.number.isMultiple(of: holdings.epochLength) {
            // Held until the block is final; then it is the anchor's crown.
            let anchor = Anchor(epoch: block.header.number / holdings.epochLength, hash: block.header.hash)
            holdings.store(taken.crown, at: anchor)
        } else {
            holdings.note(taken.crown.nodes, at: block.header.number)
        }
        let certified = applied(block, at: moment)
        for change in taken.changes {
            let key = BlockDiffKey(point: block.header.point, section: change.layer.section.index)
            let value = BlockDiffValue(
                header: certified.header.rlp, certificate: certified.certificate?.encoded ?? [],
                sectionHashBefore: change.layer.sectionHashBefore, changes: change.changes, codes: change.codes,
                pathProof: change.layer.pathProof)
            guard let encoded = value.encoded else {
                let section = change.layer.section
                log(.warning, "the diff of section \(section) at \(block.header.point) is too large to gossip")
                continue
            }
            holdings.remember(key, encoded)
            passOn(key, except: nil, fanout: .max, at: moment)
        }
        afterProgress(at: moment)
        // Before the next block locks the sections again: with blocks waiting none would ever be folded.
        foldWhereItFits(at: moment)
        replayNext(at: moment)
    }

    /// The chain network hears of the block, with what this bridge's keys say of it.
    @discardableResult
    private mutating func applied(_ block: ReplayedBlock, at moment: Moment) -> CertifiedHeader {
        bridge?.isBusy = false
        bridge?.head = block.header.point
        bridge?.unfinal.append(block.header.point)
        holdings.unlockAll()
        let certified = CertifiedHeader(
            header: block.header, certificate: bridge?.certificate(at: moment.unixSeconds))
        chain.produced(certified, at: moment.instant)
        report(.replayed(block.header.point))
        return certified
    }

    /// An anchor of ours became final: its crown is written and passed on.
    mutating func bridgeFinal(_ anchor: Anchor, at moment: Moment) {
        // After a start between the block and its finality the crown is not in memory, but what it is made of is.
        let number = holdings.point(of: anchor).number
        guard let crown = holdings.crown(at: anchor) ?? holdings.rebuiltCrown(at: number),
            crown.root == chain.header(of: anchor)?.stateRoot
        else { return }
        commit(
            StateWrites.crown(anchor, CrownValue.serve(crown)), then: .crownCommitted(anchor, crown, assignment: nil))
    }
}
