import Primitives

extension StateNetworkLimits {
    /// Diffs of one block and section kept while they disagree about the state before: the first need not be the true
    /// one.
    static let rivalDiffs = 3
    /// Block diffs of one section that wait for their turn or for their predecessor. Beyond it a catch-up by `0x41` is
    /// cheaper anyway.
    public static let pendingDiffsPerSection = 64
    /// The same of blocks that nobody vouches for yet: anybody can make those up, so they have room of their own, and
    /// no sender takes more than its share of it.
    public static let unvouchedDiffsPerSection = 16, unvouchedDiffsPerSender = 2
    /// Bytes of block diffs that wait, over all sections: dozens of whole mainnet blocks, which have some MiB each.
    public static let pendingDiffBytes = 64 << 20
    /// The same of blocks that nobody vouches for yet, in all and of one sender.
    public static let unvouchedDiffBytes = 64 << 20, unvouchedDiffBytesPerSender = 8 << 20
    /// Bytes of block layers in memory, over all sections. An epoch of a whole mainnet has some 60 MiB of changes; this
    /// is many epochs without an anchor. Beyond it block diffs are refused, and sections are led to the head by one
    /// layer for the whole way, which takes the place of all they have.
    public static let layerBytes = 512 << 20
    /// Bytes of the pool of nodes above the sections: two crowns of the deepest network, and every node above the
    /// sections of a hundred blocks.
    public static let poolBytes = 64 << 20
    /// Blocks for which it is remembered where their comparison failed; a few heads are compared at a time.
    static let suspectBlocks = 64
    /// Bytes of recent block diffs kept beside `recentDiffs`.
    public static let recentDiffBytes = 128 << 20
    /// How long a diff waits for its header. Source: protocol.md §6.
    public static let unknownHeaderWait = Interval.seconds(12)
    /// How long a diff waits for its predecessor before the section counts as having a gap: a few round trips, since
    /// diffs of neighbouring blocks travel different ways.
    public static let gapPatience = Interval.milliseconds(1_500)

    /// Values of recent block diffs kept in memory to be passed on and served: sixteen blocks that touch everything.
    public static func recentDiffs(sections: Int) -> Int { 16 * max(sections, 16) }

    /// Peers that a block diff is passed on to by a node that received it (features.md A.1 row 8: 4 to 8).
    public static let gossipFanout = 6
    /// Keys for one peer are collected this long, so that a block's diffs travel in one OFFER and one stream.
    public static let gossipGather = Interval.milliseconds(20)
}
