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
    var unfinal: [StatePoint]
    /// The newest block that these keys have called final since this start.
    var signedFinal: StatePoint?
    /// What the next block waits for room for, which is told once; nil where it does not wait.
    var shortage: Shortage?

    /// What there may be no more of before a later block is final.
    enum Shortage: Equatable, Sendable {
        /// Changes above the last anchor.
        case changes
        /// Blocks above the last final one.
        case blocks
    }

    /// What the keys say with a block: its certificate, and the block that it calls final, if any.
    struct Word: Sendable {
        let certified: CertifiedHeader
        let final: StatePoint?
    }

    /// Throws where a seed is no secret key, or one that nobody in this network believes: a bridge that signs with less
    /// than it was given would go unnoticed until its network stands still.
    /// `unfinal`: the blocks above the last final one up to the head, as far as the store has them.
    init(_ configuration: NodeConfiguration, head: StatePoint?, unfinal: [StatePoint]) throws(NodeError) {
        self.unfinal = unfinal
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

    /// What this bridge's keys say with the next block, and of the newest that is final then. It counts once the block
    /// is committed (`said`).
    func word(on header: BlockHeader, at unixSeconds: UInt64) -> Word {
        var claims = [Claim(kind: .head, point: header.point, unixSeconds: unixSeconds)]
        let final = final(below: header.point)
        if let final { claims.append(Claim(kind: .final, point: final, unixSeconds: unixSeconds)) }
        let certificate = Certificate(keys.flatMap { key in claims.map { key.sign($0, in: context) } })
        return Word(certified: CertifiedHeader(header: header, certificate: certificate), final: final)
    }

    /// The block that is called final with this next one; nil where none that is known lies deep enough.
    private func final(below next: StatePoint) -> StatePoint? {
        guard next.number >= finalityDepth else { return nil }
        let number = next.number - finalityDepth
        guard number < next.number, let first = unfinal.first else { return finalityDepth == 0 ? next : nil }
        // They follow one another.
        guard number >= first.number, number - first.number < UInt64(unfinal.count) else { return nil }
        return unfinal[Int(number - first.number)]
    }

    /// The block is the newest one now, and its word is out.
    mutating func said(_ word: Word) {
        head = word.certified.point
        if let last = unfinal.last, last.number &+ 1 != word.certified.point.number { unfinal = [] }
        unfinal.append(word.certified.point)
        guard let final = word.final else { return }
        unfinal.removeFirst(unfinal.prefix { $0.number < final.number }.count)
        signedFinal = final
    }
}

extension Node {
    /// The newest block this bridge has applied; nil for other roles and before genesis.
    public var replayedHead: StatePoint? { bridge?.head }

    /// The first block that this bridge is to be given. That is the one after the last it applied; where the header of
    /// that is not here (an earlier version wrote it in a transaction of its own, or the same key attested another
    /// branch elsewhere), the first above the final block, so that the headers come again.
    public var nextReplayed: UInt64 {
        guard let head = bridge?.head else { return 0 }
        return lacksHeader(of: head) ? chain.final.number + 1 : head.number + 1
    }

    private func lacksHeader(of point: StatePoint) -> Bool {
        point.number > chain.final.number && !chain.holds(point.hash)
    }

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
        guard takeApplied(at: moment), let state = bridge else { return }
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

    /// Takes the headers of blocks that were applied before, where the chain lacks them. False where the block that was
    /// applied last is another one in this chain.
    private mutating func takeApplied(at moment: Moment) -> Bool {
        while let head = bridge?.head, let block = bridge?.waiting.first, block.header.number <= head.number,
            lacksHeader(of: head)
        {
            bridge?.waiting.removeFirst()
            let isLast = block.header.number == head.number
            guard !isLast || block.header.hash == head.hash else {
                report(.failed("block \(block.header.point) was given, but \(head) is what was applied at its height"))
                return false
            }
            report(.replayed(block.header.point))
            // One that the final block excludes by now is told when a block is to follow it.
            guard chain.joins(block.header) else { continue }
            var entry = CertifiedHeader(header: block.header)
            if isLast, let word = bridge?.word(on: block.header, at: moment.unixSeconds) {
                bridge?.said(word)
                entry = word.certified
            }
            chain.produced(entry, at: moment.instant)
        }
        return true
    }

    /// Whether the next block waits until a later block is final: there are as many above the last final one as there
    /// may be; or the layers above the last anchor have all the room there is, and the word of others is what is
    /// missing to fold them. Where it is this bridge's own, more blocks have to come: it calls a boundary final only
    /// `finalityDepth` blocks later, and if all bridges waited before they had done so, none would ever go on.
    private mutating func isHeldBack(before block: ReplayedBlock) -> Bool {
        let shortage: BridgeState.Shortage? =
            chain.isFull && !chain.holds(block.header.hash)
            ? .blocks : holdings.isFullOfLayers && hasSignedNextAnchor ? .changes : nil
        guard shortage != bridge?.shortage else { return shortage != nil }
        bridge?.shortage = shortage
        let number = block.header.number
        let cure = "are all bridges up whose keys the network's configuration asks for?"
        switch shortage {
        case .changes:
            log(
                .warning,
                "block \(number) waits: \(holdings.layerBytes >> 20) MiB of changes are above the last anchor, and no "
                    + "later one is final; \(cure)")
        case .blocks:
            log(
                .warning,
                "block \(number) waits: \(ChainLimits.unfinalHeaders) blocks are above block \(chain.final.number), "
                    + "the last one that is final; \(cure)")
        case nil: log(.info, "block \(number) waits no longer: there is room for its changes")
        }
        return shortage != nil
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
        case .success(let taken):
            guard let (word, batch) = spoken(of: block, at: moment) else { return }
            commit(taken.batch + batch, then: .genesisCommitted(block, taken, word))
        case .failure(let error): replayFailed(block, error)
        }
    }

    /// What the keys say of a block that is about to be committed, and the header as it is committed with it: a crash
    /// leaves the block with its header and this word, or nothing of it. nil where the block does not join the attested
    /// chain: then nothing of it is written.
    private mutating func spoken(of block: ReplayedBlock, at moment: Moment) -> (BridgeState.Word, WriteBatch)? {
        guard let word = bridge?.word(on: block.header, at: moment.unixSeconds), chain.admits(block.header) else {
            bridge?.isBusy = false
            holdings.unlockAll()
            return nil
        }
        // Below the checkpoint no header is kept, and the checkpoint's needs nobody's word.
        if block.header.number > chain.final.number {
            return (word, HeaderRecords.writing(chain.merged(word.certified)))
        }
        guard block.header.point == chain.final, chain.lowest == nil else { return (word, WriteBatch()) }
        return (word, HeaderRecords.writing(CertifiedHeader(header: block.header)))
    }

    mutating func genesisStored(
        _ block: ReplayedBlock, _ taken: GenesisTaken, _ word: BridgeState.Word, at moment: Moment
    ) {
        for record in taken.records { holdings.committed(record, section: record.section.index) }
        for index in arc { holdings.caughtUp(index) }
        holdings.store(taken.crown, at: Anchor(epoch: 0, hash: block.header.hash))
        applied(block, word, at: moment)
    }

    mutating func replayed(
        _ block: ReplayedBlock, _ outcome: Result<ReplayTaken, StateJobError>, at moment: Moment
    ) {
        switch outcome {
        case .success(let taken):
            guard let (word, batch) = spoken(of: block, at: moment) else { return }
            commit(taken.batch + batch, then: .replayCommitted(block, taken, word))
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
    mutating func replayStored(
        _ block: ReplayedBlock, _ taken: ReplayTaken, _ word: BridgeState.Word, at moment: Moment
    ) {
        for change in taken.changes { holdings.committed(change.layer, replacing: false) }
        if block.header.number.isMultiple(of: holdings.epochLength) {
            // Held until the block is final; then it is the anchor's crown.
            let anchor = Anchor(epoch: block.header.number / holdings.epochLength, hash: block.header.hash)
            holdings.store(taken.crown, at: anchor)
        } else {
            holdings.note(taken.crown.nodes, at: block.header.number)
        }
        applied(block, word, at: moment)
        let certified = word.certified
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
    private mutating func applied(_ block: ReplayedBlock, _ word: BridgeState.Word, at moment: Moment) {
        bridge?.isBusy = false
        bridge?.said(word)
        holdings.unlockAll()
        chain.produced(word.certified, at: moment.instant)
        report(.replayed(block.header.point))
    }

    /// Writes the crown of a final anchor, and passes it on, where all sections that it is made of are held.
    mutating func storeOwnCrown(of anchor: Anchor) {
        // After a start between the block and its finality the crown is not in memory, but what it is made of is.
        let number = holdings.point(of: anchor).number
        guard let crown = holdings.crown(at: anchor) ?? holdings.rebuiltCrown(at: number),
            crown.root == chain.header(of: anchor)?.stateRoot
        else { return }
        commit(
            StateWrites.crown(anchor, CrownValue.serve(crown)), then: .crownCommitted(anchor, crown, assignment: nil))
    }
}
