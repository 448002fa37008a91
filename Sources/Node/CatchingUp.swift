import ChainNetwork
import StateNetwork

/// How a node that applies blocks is to come to the head: the one place where that is looked at.
enum CatchingUp {
    /// The choice as things stand; nil for a node that applies none, and where nothing is behind.
    static func choice(_ node: CarouselNode) -> CatchUpChoice? {
        guard let blocks = node.blocks else { return nil }
        let (network, behind) = (node.configuration.network, ModeKeeper.Sight.behind(node))
        guard behind > 0 else { return nil }
        let held = node.state.replayedHead.map { network.epochs.epoch(of: $0.number) }
        let sizes = blocks.sizesSeen
        return CatchUpChoice(
            node.configuration.keeping.blocks.catchUp, behind: behind, epochLength: network.epochLength,
            blockBytes: UInt64(sizes.block ?? NodeLimits.unknownBlockBytes),
            listBytes: UInt64(sizes.list ?? NodeLimits.unknownListBytes),
            sections: 1 << UInt64(4 * network.sectionDepth),
            hasLaterAnchor: node.chain.newestAnchor.map { anchor in held.map { anchor.epoch > $0 } ?? true } ?? false)
    }
}
