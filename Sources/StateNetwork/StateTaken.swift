import Chain
import Primitives
import StateStore

/// State that an operation brought and wrote: what is held in memory follows.
struct StateTaken {
    let operation: Operation
    let change: Operation.Change

    /// Nothing happens for changes of other kinds.
    func apply(to sync: inout StateSync, _ chain: some AttestedHeaders, at now: Instant) {
        switch change {
        case .range(let taken):
            sync.totals.ranges += 1
            if taken.isCarried, let index = operation.sections.first, let diff = sync.holdings.held(index)?.carrying {
                sync.totals.carries += 1
                sync.helped(diff.sender, diff.byteCount, at: now)
            }
            sync.totals.leafBytes += UInt64(taken.leafBytes)
            sync.planner.came(taken, bytes: operation.bytes, operation.task)
            if let section = operation.sections.first {
                sync.forget(sync.holdings.committed(taken.record, section: section), at: now)
            }
            sync.holdings.took(taken.replaced)
            sync.holdings.codes.want(taken.wantedCodes)
        case .sections(let taken):
            sync.totals.sections += taken.records.count
            sync.totals.leafBytes += UInt64(taken.leafBytes)
            sync.planner.came(taken, bytes: operation.bytes, operation.task)
            for record in taken.records {
                sync.forget(sync.holdings.committed(record, section: record.section.index), at: now)
            }
            sync.holdings.codes.want(taken.wantedCodes)
        case .diffs(let taken, let goal):
            sync.holdings.note(taken.proof, at: goal.number)
            for section in taken.sections {
                sync.totals.sectionDiffs += 1
                sync.forget(sync.holdings.crossed(section, isCanonical: chain.isCanonical(goal)), at: now)
            }
            sync.holdings.took(taken.replaced)
            sync.holdings.codes.want(taken.wantedCodes)
        case .compared(let compared):
            if compared.comparison.isFinished { sync.totals.comparisons += 1 }
            sync.planner.changes.came(changed: compared.changed, of: compared.leaves)
            sync.holdings.compared(compared)
            sync.holdings.took(compared.replaced)
            sync.holdings.codes.want(compared.wantedCodes)
        case .fold(let folded):
            sync.totals.folds += 1
            if let section = operation.sections.first {
                sync.forget(sync.holdings.committed(folded.record, section: section), at: now)
            }
            sync.holdings.took(folded.replaced)
            sync.holdings.codes.want(folded.wantedCodes)
        case .resplit(let resplit):
            for index in operation.sections { _ = sync.holdings.committed(nil, section: index) }
            sync.holdings.took(resplit.replaced)
        case .drop:
            for index in operation.sections {
                _ = sync.holdings.committed(nil, section: index)
                sync.upkeep.dropped(index)
            }
        case .codes(let hashes):
            sync.totals.codes += hashes.count
            sync.holdings.codes.stored(hashes)
        case .storageCrowns(let crowns):
            for crown in crowns {
                sync.holdings.spread.store(crown).apply(to: &sync.holdings.book)
                for liar in sync.planner.directory.looked(into: crown).sorted() {
                    sync.blame(
                        liar, "says of the storage of account \(crown.key.account.short) that it is spread otherwise")
                }
            }
            if let newest = BlockFollowing.newestAnchor(sync, chain) { sync.fold(to: newest, isNew: true, at: now) }
        case .upkeep, .layers, .crown, .genesis, .block, .wentBack, .nothing: return
        }
    }
}
