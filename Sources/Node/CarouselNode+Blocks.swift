import Chain
import ChainNetwork
import Overlay
import Primitives
import StateContent
import StateNetwork
import StateStore

// A node that goes block by block: what `BlockSync` wants, carried to the one that does it.
extension CarouselNode {
    /// Something happened that it has to know of, where there is one.
    mutating func tellBlocks(_ event: BlockSync.Event, at now: Instant) {
        blocks?.handle(event, chain.attested, at: now)
    }

    /// What it wants.
    mutating func perform(_ directive: BlockSync.Directive, at moment: Moment) {
        switch directive {
        case .request(let peer, let key, let tag, let limit, let timeout):
            let id = overlay.findContent(
                network: .chain, peer: peer, key: key, limit: limit, timeout: timeout, at: moment.instant)
            requests[id] = .blocks(tag)
        case .check(let tag, let check): run(.checkBlocks(check), for: .blockCheck(tag))
        case .readLine(let heights): run(.readLine(heights), for: .blockLine)
        case .apply(let blocks):
            if let block = ReplayedBlock(blocks) { state.handle(.block(block), chain.attested, at: moment) }
        case .penalise(let peer, let reason):
            log(.debug, "peer \(peer.short) sent blocks that do not hold: \(reason)")
            overlay.judge(peer, .lie, at: moment.instant)
        case .wrongFromAll(let point, let peers, let reason):
            log(
                .warning,
                "block \(point) does not hold as any of \(peers) peers sent it: \(reason); the state stays where it "
                    + "is, and every new peer is asked: give another boot node, or look whether the network's "
                    + "configuration is of this chain")
        case .cameAfterAll(let number): log(.info, "block \(number) came as it must be")
        }
    }

    /// What the state network tells. A node that goes block by block goes on by what became of the last blocks.
    mutating func stateReported(_ report: NodeReport, at now: Instant) {
        guard blocks != nil else { return self.report(report) }
        switch report {
        case .replayed(let point):
            tellBlocks(.applied(point), at: now)
            self.report(report)
        case .blockRefused(let point, let why) where point.number > 0: tellBlocks(.refused(why), at: now)
        default: self.report(report)
        }
    }

    /// The lowest header that blocks are still to be applied for; nil for a node that does not go block by block.
    var firstNeededHeader: UInt64? { blocks.map { $0.standing(chain.attested)?.next ?? 0 } }

    /// The blocks that a peer may have: as high as its headers go, if it says that it keeps blocks at all. How far down
    /// it keeps them it says when it is asked for a lower one.
    private func keptBlocks(of peer: PeerInfo) -> ClosedRange<UInt64>? {
        guard peer.capabilities.contains(ChainNetworkLimits.blocksCapability),
            let bytes = peer.lastExtension?.payload,
            case .success(let payload) = Result(catching: { try ChainPingPayload(decoding: bytes) }),
            payload.genesisHash == configuration.network.genesisHash, payload.lowest <= payload.highest
        else { return nil }
        return payload.lowest...payload.highest
    }
}
