import Chain
import Overlay
import Primitives
import StateContent

/// How many peers there are, and how they stand.
public struct PeerCounts: Sendable, Equatable {
    /// Peers of the state network.
    public var connected = 0
    /// Of those, peers that state may be taken from and that say they have some.
    public var holding = 0
    /// Of those, peers of which something came and held.
    public var useful = 0
    /// Peers whose word counts for nothing at the moment: they had not what they announced, or gave nothing several
    /// times in a row.
    public var charged = 0

    /// No peer.
    public init() {}
}

extension StatePeer {
    /// Whether it says that it has anything.
    var holdsSomething: Bool { served.contains { !$0.runs.isEmpty } }

    /// Why its word counts for nothing at the moment.
    public enum Charge: String, Sendable {
        /// It had not what it announced.
        case disbelieved
        /// Several requests in a row brought nothing.
        case unhelpful
    }

    /// Why its word counts for nothing at the moment; nil where it counts.
    public var charge: Charge? { disbelievedUntil != nil ? .disbelieved : isDoubtful ? .unhelpful : nil }

    /// Whether its last word to a request was that it is busy.
    public var saidBusy: Bool { pace.saidBusy }

    /// Sections that it says it has complete, of the anchor at which those are most.
    public var heldSections: (anchor: Anchor, count: Int)? {
        let counts = served.map { (anchor: $0.anchor, count: $0.runs.reduce(0) { $0 + $1.count }) }
        return counts.max { ($0.count, $0.anchor) < ($1.count, $1.anchor) }
    }
}

extension StateSync {
    /// How its peers stand, but for how many there are.
    public var peerCounts: PeerCounts {
        var counts = PeerCounts()
        for peer in holders.peers.values {
            if peer.charge != nil { counts.charged += 1 }
            guard configuration.role.takesState(from: peer.role) else { continue }
            if peer.holdsSomething { counts.holding += 1 }
            if peer.hasHelped { counts.useful += 1 }
        }
        return counts
    }

    /// What peers were asked for and have not given yet, by peer.
    public var peerLoads: [Bytes32: Int] { operations.loads }
}
