import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// A bridge's blocks: each is applied to the whole state by a job, and committed with its header and the bridge's word.
extension StateSync {
    /// The newest block this bridge has applied; nil for other roles and before genesis.
    public var replayedHead: StatePoint? { replayer?.head }

    /// Blocks given to this bridge that are not applied yet.
    public var replayBacklog: Int { replayer?.backlog ?? 0 }

    /// The first block that this bridge is to be given.
    public func nextReplayed(_ chain: some AttestedHeaders) -> UInt64 { replayer?.nextNumber(chain) ?? 0 }

    /// Begins with the next block that waits, where that can be.
    mutating func replayNext(_ chain: some AttestedHeaders, at moment: Moment) {
        guard SpreadKeeping.mayGoOn(&self, chain, at: moment.instant) else { return }
        while let step = replayer?.next(holdings.book, chain, at: moment) {
            switch step {
            case .wait: return
            case .outOfOrder(let text): outbox.report(.failed(text))
            case .tell(let level, let text): outbox.log(level, text)
            case .weigh(let header, let points):
                outbox.append(.produced(header))
                for point in points { outbox.report(.replayed(point)) }
            case .goBack(let fork): return Returning.begin(fork, &self, at: moment.instant)
            case .passedBy(let points): for point in points { outbox.report(.replayed(point)) }
            case .passOver(let point, let header):
                outbox.report(.replayed(point))
                if let header { outbox.append(.produced(header)) }
            case .apply(let block):
                guard holdings.book.lockAll() else { return }
                replayer?.begin()
                let job: StateJob =
                    block.header.number == 0
                    ? .genesis(
                        BuildGenesis(
                            block: block, depth: holdings.book.depth, rule: holdings.spread.rule,
                            keepsPreimages: configuration.keeping.preimages))
                    : .replay(
                        ReplayBlock(
                            block: block, holdings, keeping: configuration.keeping,
                            checkpoint: configuration.network.checkpoint.number))
                return run(job, for: .replay(block), at: moment.instant)
            }
        }
    }

    /// A block holds: it is committed with its header as it goes out, so a crash leaves the block with its header and
    /// this bridge's word, or nothing of it. Where it does not join the attested chain nothing of it is written.
    mutating func commit(
        _ id: OperationID, _ block: ReplayedBlock, _ batch: WriteBatch, _ chain: some AttestedHeaders,
        at moment: Moment, _ change: (Attestation) -> Operation.Change
    ) {
        guard let word = replayer?.attestation(of: block, at: moment.unixSeconds) else {
            return end(id, .aborted, at: moment.instant)
        }
        // Who goes block by block has the headers from the chain network, which keeps them.
        let signs = replayer?.signs ?? false
        guard !signs || chain.wouldTake(word.certified, at: moment.unixSeconds) else {
            // The chain network says what it contradicts.
            outbox.append(.produced(word.certified))
            return end(id, .invalid, at: moment.instant)
        }
        var batch = batch
        // Below the checkpoint no header is kept, and the checkpoint's needs nobody's word.
        if signs, block.header.number > chain.final.number {
            batch.append(HeaderRecords.writing(chain.merged(word.certified)))
        } else if block.header.point == chain.final, chain.lowest == nil {
            batch.append(HeaderRecords.writing(CertifiedHeader(header: block.header)))
        }
        write(id, batch, change(word))
    }

    /// A block is applied and committed: the chain network hears of it, and its diffs go out.
    mutating func applied(
        _ id: OperationID, _ word: Attestation, _ changes: [ReplayTaken.Change], _ chain: some AttestedHeaders,
        at moment: Moment
    ) {
        let point = word.certified.point
        replayer?.applied(word)
        end(id, .done(bytes: 0), at: moment.instant)
        guard replayer?.signs == true else { return BlockFollowing.applied(word, &self, chain, at: moment) }
        outbox.append(.produced(word.certified))
        outbox.report(.replayed(point))
        for change in changes {
            let section = change.layer.section
            let key = BlockDiffKey(trie: StateTrie(of: section), point: point, section: section.index)
            let value = BlockDiffValue(
                header: word.certified.header.rlp, certificate: word.certified.certificate?.encoded ?? [],
                sectionHashBefore: change.layer.sectionHashBefore, changes: change.changes, codes: change.codes,
                pathProof: change.layer.pathProof)
            guard let bytes = value.encodedCount, bytes <= StateContentLimits.blockDiffsBytes else {
                outbox.log(.warning, "the diff of section \(change.layer.section) at \(point) is too large to gossip")
                continue
            }
            gossip.remember(key, value, bytes: bytes)
            gossip.passOn(key, to: holders, except: nil, fanout: .max, at: moment.instant)
        }
        completion.somethingCameAbout(at: moment.instant)
        // Before the next block locks the sections again: with blocks waiting none would ever be folded.
        if let newest = chain.newestAnchor { fold(to: newest, isNew: true, at: moment.instant) }
    }
}

extension HeaderRecords {
    /// A verified header with its certificate.
    public static func writing(_ entry: CertifiedHeader) -> WriteBatch {
        writing(header: entry.header.rlp, at: entry.point, certificate: entry.certificate?.encoded)
    }
}
