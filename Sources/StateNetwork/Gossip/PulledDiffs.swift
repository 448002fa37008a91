import Primitives
import StateContent
import StateStore

/// Block diffs that a peer was asked for, as they come: from here on they are as if they had been offered.
struct PulledDiffs {
    let value: [UInt8]
    let key: BlockDiffsKey

    /// Takes them up for the operation that asked for them. What their proof does not hold costs their sender.
    func apply(to sync: inout StateSync, _ id: OperationID, bytes: Int, at now: Instant) {
        guard let peer = sync.operations[id]?.peer else { return }
        do throws(DiffError) {
            let depth = sync.holdings.book.depth
            let diffs = try BlockDiffsValue(decoding: value)
            let claims = try BlockDiffsCheck.verify(diffs, key: key, depth: depth)
            // Only attested blocks are asked for.
            sync.pending.enqueue(claims, of: .accounts, from: peer, isVouched: true, at: now, sync.holdings.book)
            sync.totals.followedBytes += UInt64(least(diffs, isFirst: sync.planner.pulls.came(of: key.point).isEmpty))
            sync.planner.pulls.came(key.stretch, of: key.point)
            sync.operations.checks(id, sections: [], bytes: bytes)
            sync.end(id, .done(bytes: bytes), at: now)
        } catch {
            sync.lied(id, "\(error)", at: now)
        }
    }

    /// What the changes take at least; header and certificate once a block.
    private func least(_ diffs: BlockDiffsValue, isFirst: Bool) -> Int {
        let leaves = diffs.changes.reduce(0) { $0 + 32 + ($1.value?.count ?? 0) }
        return diffs.proof.reduce(leaves) { $0 + $1.count }
            + (isFirst ? diffs.header.count + diffs.certificate.count : 0)
    }
}
