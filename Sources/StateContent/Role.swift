/// What part a process plays, and what it says of that in its ping payload. All known ones run the same node. A later
/// version may add others, so any byte is a role.
public struct Role: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Keeps an arc round its id, at anchors and at the head, and serves it: `carousel run`.
    public static let holder = Role(rawValue: 0)
    /// Replays an execution chain, signs its blocks and gossips their diffs: `carousel bridge`. Serves state only to
    /// holders that fill their arcs.
    public static let bridge = Role(rawValue: 1)
    /// Walks the whole ring for a full state; serves what it has as it goes: `carousel sync`.
    public static let walker = Role(rawValue: 2)

    /// Whether a node of this role takes state from one of the other. Only holders fill their arcs from a bridge: what
    /// walkers get shows that the network alone is enough. Of a role that this version does not know nothing is asked,
    /// since nobody can say what it would give; that is no fault of the peer.
    public func takesState(from other: Role) -> Bool {
        switch other {
        case .holder, .walker: true
        case .bridge: self == .holder
        default: false
        }
    }
}

extension Role: CustomStringConvertible {
    /// One word, for logs and the status file.
    public var description: String {
        switch self {
        case .holder: "holder"
        case .bridge: "bridge"
        case .walker: "walker"
        default: "role \(rawValue)"
        }
    }
}
