import Chain
import Primitives

/// Who says, or said, that he has a section whole, and whose word is worth nothing: for the one who waits for it.
public struct WorthlessHolders: Sendable, Equatable {
    /// Peers that had it not when they were asked, and are not believed for a while.
    public private(set) var disbelieved = 0
    /// Peers that gave nothing several times in a row.
    public private(set) var unhelpful = 0
    /// Nodes that gave nothing of use when they were asked for something, and are no peers any more: banned for what
    /// they sent, or gone.
    public private(set) var left: Set<Bytes32> = []
    /// The epochs of the anchors at which all these said that they have it, rising.
    public private(set) var epochs: [UInt64] = []

    /// What the directory knows of a section of the ring.
    public init(of section: Int, in directory: HolderDirectory) {
        var named: Set<UInt64> = []
        for peer in directory.peers.values where directory.role.takesState(from: peer.role) {
            let anchors = peer.anchorsNamed(for: section)
            guard let charge = peer.charge, !anchors.isEmpty else { continue }
            switch charge {
            case .disbelieved: disbelieved += 1
            case .unhelpful: unhelpful += 1
            }
            named.formUnion(anchors.map(\.epoch))
        }
        for (id, peer) in directory.former {
            let anchors = peer.anchorsNamed(for: section)
            if !anchors.isEmpty { left.insert(id) }
            named.formUnion(anchors.map(\.epoch))
        }
        epochs = named.sorted()
    }

    /// How many they are.
    public var count: Int { disbelieved + unhelpful + left.count }
}
