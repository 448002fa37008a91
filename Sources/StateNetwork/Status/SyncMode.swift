/// What a node is about, seen from the chain: it catches up with it, or it keeps up with it. It serves in both.
public enum SyncMode: String, Sendable {
    /// It is behind what is attested, or cannot know that it is not.
    case sync
    /// It is caught up, and takes block after block as they come.
    case pacemaker
}

/// A node beside the chain.
public struct SyncStanding: Sendable, Equatable {
    public var mode = SyncMode.sync
    /// Seconds since it is in this mode.
    public var seconds: UInt64 = 0
    /// Blocks that are attested, that this node means to have, and that it has not yet.
    public var behind: UInt64 = 0
    /// Whether the head that is known here is as high as any peer shows.
    public var hasNewestHeaders = false
    /// The headers that it serves; none where lowest > highest.
    public var lowest: UInt64 = 1, highest: UInt64 = 0
    /// What peers of the chain network say.
    public var told = ToldHeights()
    /// How one that applies blocks comes to the head; nil where it is there, and for others.
    public var choice: CatchUpChoice?

    public init() {}

    /// What peers say of their heights, all together. It is no more than what they say: it moves nothing.
    public struct ToldHeights: Sendable, Equatable {
        /// Peers that say they have headers.
        public var peers = 0
        /// The lowest header that any of them serves, and the highest block that any calls attested; nil without peers.
        public var lowest: UInt64?, highest: UInt64?

        public init() {}
    }
}
