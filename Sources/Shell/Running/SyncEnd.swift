import StateNetwork

/// When a sync that was to end with the whole state (`--until-synced`) has it.
enum SyncEnd {
    /// Whether it has come to its end by what was just reported. A walk ends with a state that is complete at an anchor
    /// (`NodeReport.complete`), so progress alone never ends it. Block by block there is such a state at the first
    /// block of each epoch, long before the end. That is the last final block, once it is applied and its root
    /// compared, the headers are as high as any peer shows, and somebody is there to show it (`SyncMode.pacemaker`).
    static func isReached(by progress: NodeProgress, _ settings: RuntimeSettings) -> Bool {
        settings.end == .synced && settings.keeping.blocks.applies && progress.sync.mode == .pacemaker
            && progress.sync.behind == 0
    }

    /// Whether it has come to its end by a state that is complete at an anchor.
    static func isReachedByCompletion(_ settings: RuntimeSettings) -> Bool {
        settings.end == .synced && !settings.keeping.blocks.applies && settings.keeping.blocks.catchUp == .blocks
    }
}
