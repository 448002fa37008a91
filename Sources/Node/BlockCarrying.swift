import Chain
import ChainNetwork
import Overlay
import Primitives
import StateContent
import StateNetwork

/// A node that goes block by block: what `BlockSync` wants, carried to the one that does it, and what becomes of that,
/// carried back.
enum BlockCarrying {
    /// Something happened that it has to know of, where there is one.
    static func tell(_ event: BlockSync.Event, _ node: inout CarouselNode, at now: Instant) {
        node.blocks?.handle(event, node.chain.attested, at: now)
    }

    /// A peer said anew what it has. Whoever does not go block by block does not look at it.
    static func peerUpdated(_ peer: PeerInfo, _ node: inout CarouselNode, at now: Instant) {
        guard node.blocks != nil else { return }
        let heights = keptBlocks(of: peer, node.configuration.network)
        tell(.peerUpdated(peer.id, heights: heights), &node, at: now)
    }

    /// A peer offers new blocks: it is as high as the highest of them, which it says by a PING only seconds later.
    static func offered(_ keys: [[UInt8]], by peer: Bytes32, _ node: inout CarouselNode, at now: Instant) {
        guard node.blocks != nil else { return }
        let numbers = keys.compactMap { key -> UInt64? in
            guard case .newBlock(let point)? = try? ChainContentKey(decoding: key) else { return nil }
            return point.number
        }
        if let highest = numbers.max() { tell(.offered(peer, highest: highest), &node, at: now) }
    }

    /// What it wants.
    static func perform(_ directive: BlockSync.Directive, by node: inout CarouselNode, at moment: Moment) {
        switch directive {
        case .request(let peer, let key, let tag, let limit, let timeout):
            let id = node.overlay.findContent(
                network: .chain, peer: peer, key: key, limit: limit, timeout: timeout, at: moment.instant)
            node.requests[id] = .blocks(tag)
        case .check(let tag, let check): node.run(.checkBlocks(check), for: .blockCheck(tag))
        case .readLine(let heights): node.run(.readLine(heights), for: .blockLine)
        case .apply(let blocks):
            guard let block = ReplayedBlock(blocks) else { return }
            node.state.handle(.block(block), node.chain.attested, at: moment)
        case .penalise(let peer, let reason):
            node.log(.warning, "peer \(peer.short) sent blocks that do not hold: \(reason)")
            node.overlay.judge(peer, .lie, at: moment.instant)
        case .wrongFromAll(let point, let peers, let reason):
            node.log(
                .warning,
                "block \(point) does not hold as any of \(peers) peers sent it: \(reason); the state stays where it "
                    + "is, and every new peer is asked: give another boot node, or look whether the network's "
                    + "configuration is of this chain")
        case .cameAfterAll(let number): node.log(.info, "block \(number) came as it must be")
        }
    }

    /// What the state network tells. A node that goes block by block goes on by what became of the last blocks.
    static func reported(_ report: NodeReport, _ node: inout CarouselNode, at now: Instant) {
        guard node.blocks != nil else { return node.report(report) }
        switch report {
        case .replayed(let point):
            tell(.applied(point), &node, at: now)
            node.report(report)
        case .blockRefused(let point, let why) where point.number > 0: tell(.refused(why), &node, at: now)
        default: node.report(report)
        }
    }

    /// The lowest header that blocks are still to be applied for; nil for a node that does not go block by block.
    static func firstNeededHeader(_ node: CarouselNode) -> UInt64? {
        node.blocks.map { $0.standing(node.chain.attested)?.next ?? 0 }
    }

    /// The blocks that a peer may have: as high as its headers go, if it says that it keeps blocks at all. How far down
    /// it keeps them it says when it is asked for a lower one.
    private static func keptBlocks(of peer: PeerInfo, _ network: NetworkConfiguration) -> ClosedRange<UInt64>? {
        guard peer.capabilities.contains(ChainNetworkLimits.blocksCapability),
            let bytes = peer.lastExtension?.payload,
            case .success(let payload) = Result(catching: { try ChainPingPayload(decoding: bytes) }),
            payload.genesisHash == network.genesisHash, payload.lowest <= payload.highest
        else { return nil }
        return payload.lowest...payload.highest
    }

    /// What such a node is at, as the progress says it; nil for others.
    static func phase(of node: CarouselNode, at moment: Moment) -> NodeProgress.Phase? {
        guard let blocks = node.blocks else { return nil }
        guard node.chain.head != node.configuration.network.checkpoint,
            let standing = blocks.standing(node.chain.attested)
        else { return .headers }
        if standing.next <= standing.target { return .applying }
        if node.overlay.peerCount(network: .chain).all == 0 { return .alone }
        return node.chain.attested.isStale(at: moment.unixSeconds) ? .outdated : .following
    }
}
