import Chain
import Primitives
import StateContent

/// What peers are told of this node, and when it is time to look at what is held for it.
struct Announcer: Sendable {
    private let role: Role
    /// What the radius says, and what peers were told last.
    private(set) var radiusExponent: Int
    private var toldExponent: Int
    /// The newest anchor that peers were told all that is held has reached, and whether they know that this node
    /// follows the head.
    private var toldAnchor: Anchor?
    private var toldFollowing = false

    init(role: Role, radiusExponent: Int) {
        self.role = role
        self.radiusExponent = radiusExponent
        toldExponent = radiusExponent
    }

    /// The radius is another from now on.
    mutating func announce(radiusExponent exponent: Int) { radiusExponent = exponent }

    /// The payload of our pings, and whether peers wait to hear it. That this node follows the head: it is offered no
    /// block's diffs before. That all it holds has reached a new anchor: askers change over as soon as they know who
    /// serves it, since the old one is soon gone. That its radius is another: who keeps what follows from
    /// it. All come about once, or once in an epoch.
    mutating func payload(of holdings: Holdings) -> (payload: StatePingPayload, isUrgent: Bool) {
        let head = holdings.verifiedHead ?? holdings.completeAnchor.map { holdings.book.point(of: $0) }
        let served = holdings.servedAnchors()
        let reached = served.first.flatMap { newest in
            newest.runs.reduce(0) { $0 + $1.count } == holdings.book.completeCount ? newest.anchor : nil
        }
        let isUrgent = (head != nil && !toldFollowing) || (reached != nil && reached != toldAnchor)
        let hasMoved = radiusExponent != toldExponent
        toldExponent = radiusExponent
        toldFollowing = head != nil
        toldAnchor = reached ?? toldAnchor
        // Who leaves storage out keeps nothing for others, and is offered nothing that it could not take.
        guard holdings.kept.isAll else {
            return (StatePingPayload(role: role, radius: .zero, head: nil, served: []), false)
        }
        let radius = UInt256.mask(bits: radiusExponent)
        return (StatePingPayload(role: role, radius: radius, head: head, served: served), isUrgent || hasMoved)
    }
}
