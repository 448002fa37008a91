import Primitives

/// Bounds of what a holder does for itself: how much room its arc may take, and how fast it reads back what it holds.
/// Each has its unit, its reason and its source; all are ours.
public enum UpkeepLimits {
    /// Shares of the capacity, in sixteenths. A larger arc is taken where twice the state leaves it at or below the
    /// first; or the second, where the arc beside has too few holders. Beyond the third something is given up.
    ///
    /// Why so far apart: an arc that was just doubled stands at 10 of 16 at most, so the state has to grow by 30 %
    /// before it is halved; one that was just halved stands below 7, and twice that is above 12: it is not doubled
    /// again until the state has shrunk. The room between 10 and 13 is for history, and what is above 13 for the
    /// transactions of a moment: a map of pages needs some to change others.
    static let widensUpTo = 10, widensForOthersUpTo = 12, keepsUpTo = 13
    /// How long an arc that turned out to be too large is not tried again: sections differ in size, so the half that
    /// was measured says little of the other. One half of an arc fetched in vain a day is bearable.
    static let retryAfter = Interval.seconds(86_400)
    /// Of the capacity, as its divisor, how much is written between two looks at what the store takes up.
    static let partBetweenLooks = 64
    /// Live holders, this node not among them, below which the arc beside is under-held: as many as are looked for.
    public static let holders = HolderLimits.wanted
    /// Between a larger radius and the next step: a bridge gives state of the arc that it has heard of and of the one
    /// beside, and a PING to every kept peer takes 5 s; this is two of them, in case one is lost.
    static let stepPause = Interval.seconds(10)
    /// Between two looks at the arc beside: it may have thousands of sections.
    static let siblingLook = Interval.seconds(1)
    /// How long the arc beside has to be under-held before that counts: a few searches for holders, each of which has
    /// some seconds, and a round of PINGs.
    static let siblingPatience = Interval.seconds(60)
    /// How long after a smaller radius was announced the first section outside goes: one PING to every kept peer.
    static let goodbye = Interval.seconds(5)
    /// Leaves that one transaction takes back of a section outside the arc: some megabytes of pages.
    static let leavesDropped = 16_384
    /// Sections whose old history goes in one transaction.
    static let sectionsPruned = 64

    /// Leaves that one job of the scrubber reads: some 20 ms of a core.
    static let leavesScrubbed = 16_384
    /// Pause for each leaf read: reading and hashing one takes about 1.25 µs with its branches, so that the scrubber
    /// takes 1 % of a core. Within that everything is read once a day.
    static let scrubPause = Interval(microseconds: 125)
    /// The shortest pause between two of its jobs: small sections follow each other no faster.
    static let shortestScrubPause = Interval.seconds(1)
    /// From the begin of one round over the arc to that of the next.
    static let scrubRound = Interval.seconds(86_400)
    /// After a start, before the first: the walk and the head come first.
    static let firstScrub = Interval.seconds(60)
    /// A peer that got a range and asks for nothing more in this time may have refused it: the section is read next.
    static let servedSilence = Interval.seconds(60)
    /// How often a section is read for that reason at most: whoever asks and goes must not make us read without end.
    static let suspectPause = Interval.seconds(3_600)
    /// Peers whose last range is remembered, and sections that wait to be read for that reason.
    static let servedPeers = 1_024, suspects = 256
}
