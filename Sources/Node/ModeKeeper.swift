import ChainNetwork
import Primitives
import StateNetwork

/// Whether a node catches up with the chain or keeps up with it: the one place where that is decided. It is looked at
/// once a second.
///
///     ┌──── near the head for `caughtUpAfter`, with headers as high as any peer shows ────▶ ┐
///   sync                                                                                pacemaker
///     └ ◀──── more than `pacemakerBlocks` behind, nobody answers, or the head is too old ──── ┘
///
/// To have no peers is not to be caught up, and to be slow is not to be done: both are *sync*. The server is no state
/// beside these, since a node serves what it has in both.
struct ModeKeeper: Sendable {
    /// What was seen at one moment.
    struct Sight: Sendable {
        /// Whether all of the state that the node is to have is here, of whatever block.
        var isWhole: Bool
        /// Blocks that it lacks.
        var behind: UInt64
        /// Whether somebody answers, and the newest attestation is as young as the network's rule wants it.
        var isInTouch: Bool
        /// Whether no peer shows a later head than the one that is known here.
        var hasNewestHeaders: Bool
    }

    private(set) var mode = SyncMode.sync
    /// Since when it is in that mode.
    private(set) var since: Instant
    /// Since when all says that it is caught up, while it is not taken to be so yet.
    private var nearSince: Instant?

    init(at now: Instant) { since = now }

    /// Takes in what is seen; true where the mode is another one by it.
    mutating func note(_ sight: Sight, at now: Instant) -> Bool {
        let isNear = sight.isWhole && sight.isInTouch && sight.behind <= NodeLimits.pacemakerBlocks
        switch mode {
        case .sync:
            guard isNear, sight.hasNewestHeaders else {
                nearSince = nil
                return false
            }
            let began = nearSince ?? now
            nearSince = began
            guard began + NodeLimits.caughtUpAfter <= now else { return false }
            change(to: .pacemaker, at: now)
        case .pacemaker:
            // A head that somebody claims is no reason: blocks that are attested and not here are.
            guard !isNear else { return false }
            change(to: .sync, at: now)
        }
        return true
    }

    private mutating func change(to mode: SyncMode, at now: Instant) {
        self.mode = mode
        since = now
        nearSince = nil
    }
}

extension ModeKeeper.Sight {
    /// What is to be seen of a node.
    init(_ node: CarouselNode, at moment: Moment) {
        behind = ModeKeeper.Sight.behind(node)
        if node.configuration.role == .bridge {
            // It brings the blocks itself, and needs nobody to have the newest.
            (isWhole, isInTouch, hasNewestHeaders) = (node.state.replayedHead != nil, true, true)
            return
        }
        let hasBegun = node.chain.head != node.configuration.network.checkpoint
        isWhole = hasBegun && (node.blocks == nil ? node.state.phase == .following : node.state.replayedHead != nil)
        isInTouch =
            node.overlay.peerCount(network: .chain).all > 0 && !node.chain.attested.isStale(at: moment.unixSeconds)
        hasNewestHeaders = SeenHeights(node.chain).isCaughtUp(at: moment.instant)
    }

    /// Blocks that are attested, that the node means to have, and that it has not yet. Who goes block by block means to
    /// have those that nothing can undo.
    static func behind(_ node: CarouselNode) -> UInt64 {
        if let blocks = node.blocks {
            guard let standing = blocks.standing(node.chain.attested) else { return node.chain.attested.floor.number }
            return standing.target + 1 - min(standing.next, standing.target + 1)
        }
        let head = node.chain.head.number
        let point = node.configuration.role == .bridge ? node.state.replayedHead : node.state.verifiedPoint
        return head - min(point?.number ?? node.configuration.network.checkpoint.number, head)
    }
}

extension SyncStanding {
    /// A node beside the chain, as it is to be shown.
    init(_ node: CarouselNode, at now: Instant) {
        self.init()
        mode = node.reporting.modes.mode
        seconds = UInt64((now - node.reporting.modes.since).seconds)
        behind = ModeKeeper.Sight.behind(node)
        let seen = SeenHeights(node.chain)
        hasNewestHeaders = seen.isCaughtUp(at: now)
        (lowest, highest) = seen.own
        (told.peers, told.lowest, told.highest) = seen.told
        choice = CatchingUp.choice(node)
    }
}
