import Chain
import ChainNetwork
import Primitives
import StateNetwork
import StateStore

extension Node {
    /// Writes headers that are vouched for now, and forgets those that are not any more, in one transaction: what a
    /// crash leaves is one state of the chain or the other.
    mutating func persist(_ headers: [CertifiedHeader], forgetting forgotten: [StatePoint]) {
        var batch = WriteBatch()
        for point in forgotten { batch.append(HeaderRecords.deleting(point)) }
        for entry in headers { batch.append(HeaderRecords.writing(entry)) }
        commit(batch, then: .written)
    }

    /// Begins to forget final headers beyond those that are to be kept, where there are enough of them to be worth a
    /// transaction.
    mutating func pruneHeaders() {
        guard let kept = configuration.keptHeaders, !status.isPruning, let first = chain.storedFrom,
            chain.final.number > kept, chain.final.number - kept >= first + NodeLimits.headersPrunedTogether
        else { return }
        status.isPruning = true
        let end = chain.final.number - kept
        run(
            .pruneHeaders(
                PruneHeaders(from: first, upTo: end, epochLength: configuration.network.epochLength)),
            then: .pruneHeaders)
    }

    /// What is about to go is not served any more.
    mutating func headersPruned(_ outcome: Result<HeaderRecords.Pruning, StateJobError>, at moment: Moment) {
        switch outcome {
        case .success(let pruning):
            chain.pruned(below: pruning.lowest)
            commit(pruning.batch, then: .headersPruned)
        case .failure(let error):
            status.isPruning = false
            report(.failed("old headers cannot be forgotten: \(error)"))
        }
    }

    /// Says once in a while that no peer has the header that is needed next, and what helps.
    mutating func tellGap(at moment: Moment) {
        guard let gap = chain.gap else {
            status.gapSince = nil
            return
        }
        let since = status.gapSince ?? moment.instant
        status.gapSince = since
        // Peers come one by one: the first need not be the best.
        guard moment.instant - since >= NodeLimits.gapPatience, status.toldGap != gap else { return }
        status.toldGap = gap
        log(.warning, Node.text(of: gap))
    }

    static func text(of gap: HeaderGap) -> String {
        "block \(gap.wanted)'s header is needed next, and no peer serves any below block \(gap.lowest): give a boot "
            + "node that keeps older headers (without --prune-headers), or a network file with a newer checkpoint and "
            + "a new --data-dir"
    }
}
