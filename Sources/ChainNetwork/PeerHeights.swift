import Primitives

/// What one peer says that it has of the chain.
public struct PeerHeights: Equatable, Sendable {
    /// Lowest and highest block whose header it serves; none where lowest > highest.
    public let lowest, highest: UInt64
    /// The last block that it calls attested.
    public let certified: UInt64
}

/// What is said of heights, by peers and by this node, as it stood when it was looked at. It is for those who are shown
/// it, and says whether anything of it is still to be looked into.
public struct SeenHeights: Sendable {
    private let peers: HeaderPeers
    private let head: UInt64
    private let isWeighing: Bool
    /// Lowest and highest block whose header is served here; none where lowest > highest.
    public let own: (lowest: UInt64, highest: UInt64)

    public init(_ chain: ChainSync) {
        (peers, head, isWeighing, own) = (
            chain.peers, chain.attested.head.number, chain.weighing != nil, chain.servedHeights
        )
    }

    /// What a peer says that it has; nil for one that has said nothing.
    public func heights(of peer: Bytes32) -> PeerHeights? {
        peers[peer].map { PeerHeights(lowest: $0.lowest, highest: $0.highest, certified: $0.certified) }
    }

    /// What all peers together say: how many have headers, the lowest that any serves, the highest that any calls
    /// attested. Of no peers 0 and nothing.
    public var told: (peers: Int, lowest: UInt64?, highest: UInt64?) {
        var told: (peers: Int, lowest: UInt64?, highest: UInt64?) = (0, nil, nil)
        peers.forEach { peer in
            guard peer.lowest <= peer.highest else { return }
            told.peers += 1
            told.lowest = min(told.lowest ?? peer.lowest, peer.lowest)
            told.highest = max(told.highest ?? peer.certified, peer.certified)
        }
        return told
    }

    /// Whether the attested head here is as high as anybody shows: somebody who answers calls nothing later attested,
    /// nobody who answers does, and no line is being weighed. Who tells a great height and gives nothing is so waited
    /// for once; and where nobody but one of those is there, this is no reason to think that nothing is missing.
    public func isCaughtUp(at now: Instant) -> Bool { !isWeighing && peers.agree(on: head, at: now) }
}
