/// What part a process plays, and what it says of that in its ping payload. All three run the same node.
public enum Role: UInt8, Sendable, CaseIterable {
    /// Keeps an arc round its id, at anchors and at the head, and serves it: `carousel run`.
    case holder = 0
    /// Replays an execution chain, signs its blocks and gossips their diffs: `carousel bridge`. Serves state only to
    /// holders that fill their arcs.
    case bridge = 1
    /// Walks the whole ring for a full state; serves what it has as it goes: `carousel sync`.
    case walker = 2

    /// Whether a node of this role takes state from one of the other. Only holders fill their arcs from a bridge: what
    /// walkers get shows that the network alone is enough.
    public func takesState(from other: Role) -> Bool { other != .bridge || self == .holder }
}
