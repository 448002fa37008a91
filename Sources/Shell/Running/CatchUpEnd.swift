import Chain
import StateNetwork

/// When a sync with `--catch-up` goes over from one way to the other. Each way is a node of its own on the same store.
enum CatchUpEnd {
    /// Whether it is to go over now. From blocks to state as soon as the choice says so, while the node is behind. Back
    /// when the store has the whole state at the newest anchor that any peer shows: `wholeState` says at which block it
    /// has one, and is only asked where all else is so.
    static func isReached(
        by progress: NodeProgress, _ settings: RuntimeSettings, wholeState: () -> StatePoint?
    ) -> Bool {
        let plan = settings.keeping.blocks
        guard plan.catchUp != .blocks else { return false }
        guard plan.applies else {
            guard progress.phase == .following, progress.sync.hasNewestHeaders, let anchor = progress.anchor else {
                return false
            }
            return wholeState()?.hash == anchor.hash
        }
        return progress.sync.mode == .sync && progress.sync.choice?.way == .state
    }

    /// What is told of it.
    static func line(_ progress: NodeProgress, _ settings: RuntimeSettings) -> String {
        guard settings.keeping.blocks.applies, let choice = progress.sync.choice else {
            return "the state of the newest anchor is whole: from now on by blocks"
        }
        return "\(progress.sync.behind) blocks behind: the state of the newest anchor is fetched"
            + (choice.isForced ? ", as --catch-up says" : "")
            + "; by blocks it would be \(choice.blocksCost) B, by state \(choice.stateCost) B and less"
    }
}
