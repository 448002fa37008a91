import Overlay
import Primitives

/// What bounds the state network's machine: how many things are under way, how long is waited, and how much may wait.
public enum StateNetworkLimits {
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
    /// Blocks for which it is remembered where their comparison failed: as many as are compared at a time, and as many
    /// of another line.
    static let suspectBlocks = 2 * Int(headsCompared)
    /// Bytes of recent block diffs kept beside `recentDiffs`.
    public static let recentDiffBytes = 128 << 20
    /// How long a diff waits for its header.
    public static let unknownHeaderWait = Interval.seconds(12)
    /// How long a diff waits for its predecessor before the section counts as having a gap: a few round trips, since
    /// diffs of neighbouring blocks travel different ways.
    public static let gapPatience = Interval.milliseconds(1_500)
    /// The same where nothing that was accepted may bring the predecessor: an offer of it by somebody else is all that
    /// could still come, and whoever passed on the later block has passed on the earlier one before.
    public static let unexpectedPatience = Interval.milliseconds(300)

    /// Values of recent block diffs kept in memory to be passed on and served: sixteen blocks that touch everything.
    public static func recentDiffs(sections: Int) -> Int { 16 * max(sections, 16) }

    /// Peers that a block diff is passed on to by a node that received it.
    public static let gossipFanout = 6
    /// Keys for one peer are collected this long, so that a block's diffs travel in one OFFER and one stream.
    public static let gossipGather = Interval.milliseconds(20)
    /// Accepted offers whose items have not come yet.
    public static let expectedOffers = 8_192
    /// How long an accepted item is waited for before another offer of it is accepted: a little less than the wait
    /// after which those that were put off offer it once more, so that one who accepts to withhold delays an item by
    /// that and no longer.
    static let expectedWait = Interval(microseconds: OverlayLimits.inProgressDelay.microseconds * 5 / 6)

    /// Stretches of block diffs that are expected, or came a moment ago: dozens of blocks, each from a few peers.
    static let expectedStretches = 512
    /// How long one that came stands for all of its sections: as long as a diff waits for its header. What it lacked is
    /// asked for long before.
    static let cameWait = unknownHeaderWait
    /// Peers of the former version that are remembered, and how long: after that they are offered a stretch once more.
    static let formerPeers = 1_024
    static let formerTerm = Interval.seconds(600)

    /// Jobs that serve peers under way.
    static let servingJobs = 64
    /// Sections that one job encodes ahead: some milliseconds of a worker.
    static let encodedAtOnce = 16
    /// Seconds after which an asker for whom there is no job is told to come back (status 2).
    public static let busyAnswerSeconds: UInt16 = 1
    /// Records given to an asker that must look elsewhere; the overlay sends as many as fit.
    public static let recordsInAnswer = 8
    /// What one asks for who wants names and no content: less than any range has, so that nobody reads for it. How long
    /// such an answer may take: two tries of a request.
    static let namesBytes: UInt32 = 1
    static let namesTimeout = Interval.seconds(2)
    /// A diffs answer. One epoch of a whole mainnet is 10 to 20 MiB; a group of 64 of its 4,096 sections far less.
    static let diffBytes: UInt32 = 8 << 20
    /// How often a peer may turn out not to have what it announces before that is a lie: by mistake it happens where a
    /// section was lost between two of its PINGs.
    static let falseAnnouncements = 2
    /// Headers that one transaction forgets: some megabytes of pages.
    static let prunedHeaders = 4_096

    /// Blocks below the head at which all that is held is compared, where it does not stand at the head: whoever is a
    /// second behind a chain of 60 blocks a second still follows it, and need not be led to the head by section diffs.
    /// To compare one that does not stand costs a look at one section.
    static let headsCompared: UInt64 = 64
    /// How long after the last verified head a node that follows looks for sections that were left behind.
    static let headPatience = Interval.seconds(2)
    /// Between two looks at what was completed, per section of the arc: 4,096 sections are looked over every 41 ms.
    static let reviewPerSection = Interval(microseconds: 10)
    /// Between two lines that tell of sections begun again: there may be thousands at once, and again soon.
    static let droppedLines = Interval.seconds(60)
    /// How long a bridge waits after its store refused a block.
    public static let storeRetry = Interval.seconds(1)
    /// Anchors behind the newest whose history of leaves is kept: weeks are cheap as leaves.
    static let historyFolds = 512
}
