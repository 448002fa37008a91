import Chain
import StateNetwork
import StateStore

/// What is to be seen to before a node goes block by block, or does so no more.
enum BlockByBlock {
    /// Looks whether the store is one that blocks can be applied to: an empty one, or one that blocks have made. Where
    /// the state of such a store is to be fetched from now on, the mark of its last block goes: what comes is not that
    /// block's state.
    static func prepare(_ store: LMDBStore, _ settings: RuntimeSettings, _ network: NetworkConfiguration) throws {
        try StoreAccess.telling(settings.dataDirectory, settings.networkFile) {
            let snapshot = try store.snapshot()
            let mark = try ReplayMark.read(from: snapshot)
            guard settings.keeping.blocks.applies else {
                if settings.role != .bridge, mark != nil { try store.commit(ReplayMark.deleting) }
                return
            }
            guard network.checkpoint.number == 0 else {
                throw ShellError.badFile(
                    path: settings.networkFile,
                    reason: "its checkpoint is block \(network.checkpoint.number): block by block begins at genesis, "
                        + "and headers below the checkpoint are asked of nobody: sync without --block-by-block")
            }
            guard try mark != nil || SectionRecord.all(in: snapshot).isEmpty else {
                throw ShellError.badFile(
                    path: settings.dataDirectory.path,
                    reason: "holds a state that was fetched, not one that blocks have made: give another directory "
                        + "with --data-dir, or sync without --block-by-block")
            }
        }
    }
}
