import Node
import StateNetwork

/// Where a bridge's blocks come from, and at what pace: its chain directory, or a chain that is made as time passes.
struct BridgeFeed {
    let chain: ChainDirectory
    let replay: RuntimeSettings.Replay
    let node: CarouselNode
    let directory: DataDirectory
    let clock: SystemClock
    /// What the node believes, for a maker; nil where nothing is made.
    let line: BelievedLine?
    let terminal: Terminal

    /// How often a maker looks whether a block is due, times a second.
    private static let looks = 10.0

    /// Starts it. Throws where the chain cannot be made.
    func start(to mailbox: Mailbox<MachineEvent<RunningNode>>) throws -> PacedFeed<ReplayedBlock> {
        let deliver: @Sendable (ReplayedBlock) -> Void = { mailbox.post(.command($0)) }
        let ended: @Sendable (PacedFeed<ReplayedBlock>.End) -> Void = { [replay, terminal] end in
            switch end {
            case .finished:
                guard !replay.isGenesisAlone else { return }
                terminal.log(.info, "the chain's last block is replayed; serving on")
            case .failed(let reason): mailbox.post(.feedFailed(reason))
            }
        }
        if let plan = replay.made, let line {
            let source = try LiveSource(plan, from: node.nextReplayed, line)
            return PacedFeed(
                asking: BridgeFeed.looks, ahead: ShellLimits.blocksAhead,
                source: { [clock] in try source.next(at: clock.now().unixSeconds) }, deliver: deliver, ended: ended)
        }
        let source = ReplaySource(
            directory: chain, from: node.nextReplayed, after: node.replayedHead, genesisAlone: replay.isGenesisAlone)
        return PacedFeed(
            perSecond: replay.blocksPerSecond, ahead: ShellLimits.blocksAhead, source: { try source.next() },
            deliver: deliver, ended: ended)
    }
}
