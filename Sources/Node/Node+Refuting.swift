import Chain
import Primitives
import StateNetwork
import StateStore

// A block diff says on which state of its section it goes on. That is not under the header's root, so a diff that is
// right in everything else can say something false here and keep the true one of the same block from its turn. What is
// false can be shown as soon as the parent block's nodes above the section have been seen: its sender pays then, and
// the section goes on. Where they have not, another diff of the same block is let in beside it (`Holdings`).
extension Node {
    /// The section hash before a block, by its parent's state root; nil while that is not known.
    private func provenHashBefore(_ key: BlockDiffKey) -> Bytes32? {
        guard key.point.number > 0, let header = chain.header(of: key.point) else { return nil }
        let parent = StatePoint(number: key.point.number - 1, hash: header.parentHash)
        return chain.header(of: parent).flatMap { holdings.provenHash(of: key.section, root: $0.stateRoot) }
    }

    /// Whether a diff says something provably false of the state before its block.
    func isRefuted(_ diff: Holdings.PendingDiff) -> Bool {
        provenHashBefore(diff.key).map { $0 != diff.value.sectionHashBefore } ?? false
    }

    /// Throws the false ones away of the diffs whose turn it is; whether there were any.
    mutating func refuteBlocking(_ section: Int, at moment: Moment) -> Bool {
        let refuted = holdings.blockingDiffs(of: section).filter { isRefuted($0) }
        for diff in refuted { refute(diff, at: moment) }
        return !refuted.isEmpty
    }

    /// The sender of a false diff pays, and the section does not wait for it.
    mutating func refute(_ diff: Holdings.PendingDiff, at moment: Moment) {
        holdings.discard(diff)
        totals.invalidAnswers += 1
        guard let sender = diff.sender else { return }
        log(
            .warning,
            "peer \(sender.short) sent a diff of block \(diff.key.point) that goes on from a state that never was")
        overlay.judge(sender, .lie, at: moment.instant)
    }
}
