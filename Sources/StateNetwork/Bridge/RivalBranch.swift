import Chain
import Primitives
import StateStore

/// Blocks that a bridge was given beside the line of those it has applied. They wait until the chain has weighed
/// them: if it goes over to them the state goes back to where they part and they are applied, and if not they are
/// given up.
///
/// They are one line: a block that parts from it takes the place of those above its parent. There are never more of
/// them than a feed is ahead.
struct RivalBranch: Sendable {
    private(set) var blocks: [ReplayedBlock] = []

    /// Takes a block in if it goes on from one of these, or parts from the line at one of `points`; gives those that it
    /// takes the place of. nil where it does neither.
    mutating func takes(_ block: ReplayedBlock, beside points: some Sequence<StatePoint>) -> [ReplayedBlock]? {
        let parent = block.header.parentHash
        let place = blocks.firstIndex { $0.header.hash == parent }.map { $0 + 1 }
        guard let kept = place ?? (points.contains { $0.hash == parent } ? 0 : nil) else { return nil }
        let givenUp = Array(blocks[kept...])
        blocks = blocks[..<kept] + [block]
        return givenUp
    }

    /// Gives them away.
    mutating func giveUp() -> [ReplayedBlock] {
        defer { blocks = [] }
        return blocks
    }
}

/// A bridge's state leaves blocks that a heavier line has replaced: their layers go, down to the block where it parts.
enum Returning {
    /// Begins: one transaction forgets the layers and says at which block the state stands then. Nothing happens
    /// while a section is locked.
    static func begin(_ fork: StatePoint, _ sync: inout StateSync, at now: Instant) {
        guard sync.holdings.book.lockAll() else {
            sync.replayer?.stayed()
            return
        }
        var batch = StateWrites.dropLayers(layers(sync.holdings.book).filter { $0.point.number > fork.number })
        batch.append(ReplayMark.writing(fork))
        let id = sync.operations.begin(.goBack, stage: .writing(.wentBack(fork)), at: now)
        sync.outbox.append(.commit(id, batch))
    }

    /// All layers that are held, of sections and of parts, in order.
    private static func layers(_ book: SectionBook) -> [BlockLayer] {
        let parts = book.parts.entries.sorted { $0.key < $1.key }.map(\.value)
        return (book.all + parts).flatMap(\.layers)
    }

    /// After a start: the chain has gone over to another line, and a kill came before the state could leave the old
    /// one, whose headers are kept no longer. The state goes back to the newest block of which a layer tells that it is
    /// on the line now, or to the base.
    static func resume(_ sync: inout StateSync, _ chain: some AttestedHeaders, at now: Instant) {
        guard let replayer = sync.replayer, replayer.countsWork, let head = replayer.head, !chain.holds(head.hash),
            chain.isCanonical(head) == false
        else { return }
        let layers = layers(sync.holdings.book)
        let points = Set(layers.map(\.point)).sorted()
        let base = sync.holdings.book.lowestPoint.flatMap { chain.isAttested($0) ? $0 : nil }
        guard let fork = points.prefix(while: { chain.isAttested($0) }).last ?? base else {
            return sync.outbox.report(
                .failed(
                    "the chain left the blocks applied here below block \(points.first ?? head), and these cannot be "
                        + "undone: begin again with another --data-dir"))
        }
        var batch = StateWrites.dropLayers(layers.filter { $0.point.number > fork.number })
        batch.append(ReplayMark.writing(fork))
        sync.note(batch, at: now)
        committed(fork, &sync, at: now)
    }

    /// It is committed: memory follows.
    static func committed(_ fork: StatePoint, _ sync: inout StateSync, at now: Instant) {
        let undone = (sync.replayer?.head?.number ?? fork.number) - fork.number
        _ = sync.holdings.rewind { $0.number <= fork.number }
        sync.replayer?.wentBack(to: fork)
        sync.outbox.log(
            .info, "a heavier line of blocks parts at block \(fork.number): the last \(undone) blocks are undone")
        sync.completion.somethingCameAbout(at: now)
    }
}
