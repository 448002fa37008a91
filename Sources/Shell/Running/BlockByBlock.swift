import Chain
import StateNetwork
import StateStore

/// What is to be seen to before a node goes block by block, or does so no more.
enum BlockByBlock {
    /// With `--catch-up state` or `auto`, a store that blocks cannot be applied to as it is gets its state first.
    static func chooseFirstWay(
        _ store: LMDBStore, _ settings: inout RuntimeSettings, _ network: NetworkConfiguration
    ) throws {
        guard settings.keeping.blocks.applies, settings.keeping.blocks.catchUp != .blocks else { return }
        let snapshot = try store.snapshot()
        guard try ReplayMark.read(from: snapshot) == nil,
            try FetchedState.start(depth: network.sectionDepth, in: snapshot) == nil
        else { return }
        settings.keeping.blocks.applies = false
    }

    /// Looks whether the store is one that blocks can be applied to: an empty one, where genesis is given; one that
    /// blocks have made; or one that has a whole state at an anchor, fetched from others, which blocks go on from.
    /// Where the state of such a store is to be fetched from now on, the mark of its last block goes: what comes is not
    /// that block's state. A line to be told, if there is something to tell.
    static func prepare(_ store: LMDBStore, _ settings: RuntimeSettings, _ network: NetworkConfiguration) throws
        -> String?
    {
        try StoreAccess.telling(settings.dataDirectory, settings.networkFile) {
            let snapshot = try store.snapshot()
            let mark = try ReplayMark.read(from: snapshot)
            guard settings.keeping.blocks.applies else {
                if settings.role != .bridge, mark != nil { try store.commit(ReplayMark.deleting) }
                return nil
            }
            if let mark {
                guard mark.number >= network.checkpoint.number else {
                    throw belowCheckpoint(mark.number, settings, network)
                }
                return nil
            }
            guard try !SectionRecord.all(in: snapshot).isEmpty else {
                guard network.checkpoint.number == 0 else { throw belowCheckpoint(0, settings, network) }
                guard settings.replay != nil else {
                    throw ShellError.badFile(
                        path: settings.dataDirectory.path,
                        reason: "holds no state yet: give the chain's directory with --chain, for its genesis, or sync "
                            + "without --block-by-block first")
                }
                return nil
            }
            guard let start = try FetchedState.start(depth: network.sectionDepth, in: snapshot) else {
                throw ShellError.badFile(
                    path: settings.dataDirectory.path,
                    reason: "holds a state that was fetched and is not whole at one anchor: sync without "
                        + "--block-by-block until it is (--until-synced), or give another directory with --data-dir")
            }
            try store.commit(start.batch)
            return "the state fetched is that of block \(start.point.number): blocks go on from there"
        }
    }

    private static func belowCheckpoint(
        _ number: UInt64, _ settings: RuntimeSettings, _ network: NetworkConfiguration
    ) -> ShellError {
        .badFile(
            path: settings.networkFile,
            reason: "its checkpoint is block \(network.checkpoint.number), and block by block would go on from block "
                + "\(number): headers below the checkpoint are asked of nobody: sync without --block-by-block first")
    }
}
