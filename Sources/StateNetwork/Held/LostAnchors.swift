import Chain
import Primitives
import StateStore

/// What a node does about anchors that are usable no longer, since a heavier line took the place of their blocks. Only
/// proof of work has that.
///
/// Their crowns go, here and in the store, so that nothing is served, announced or folded to there. A section that is
/// held at such an anchor stays as it is. It is led to the newest anchor like any that is behind: whoever still has the
/// lost line in its history may give a diff, and where nobody has, its subtree hashes are compared (`0x46`), so that
/// only what differs is fetched.
enum LostAnchors {
    static func forget(_ lost: [Anchor], _ sync: inout StateSync, at now: Instant) {
        sync.completion.forget(lost)
        sync.completion.somethingCameAbout(at: now)
        var batch = WriteBatch()
        for anchor in sync.holdings.crowns.drop(lost) { batch.append(StateWrites.dropCrown(anchor)) }
        if !batch.isEmpty { sync.note(batch, at: now) }
        let names = lost.map { "\($0)" }.joined(separator: ", ")
        sync.outbox.log(.warning, "a heavier line of blocks took the place of \(names): going over to it")
    }
}
