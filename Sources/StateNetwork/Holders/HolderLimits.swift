import Overlay
import Primitives
import StateContent

/// Bounds of the directory of holders and of the searches that fill it. Each has its unit, its reason and its source.
public enum HolderLimits {
    /// Live providers of a section below which more are looked for: one to ask, one if that fails, one besides.
    public static let wanted = 3
    /// The same for the arc beside a holder's own, which it takes over where it finds fewer and has room.
    public static let wantedBeside = 3
    /// Kept peers that cover one section, beyond which no more are kept for its sake: twice a block's fan-out among
    /// those that pass its diffs on would be of no more use.
    public static let keptPerSection = 8
    /// Kept peers of the whole ring's radius: walkers, bridges, and whoever says that it has everything.
    public static let keptWhole = 16
    /// Walkers that hear of newly complete sections within a second (`OverlayLimits.eagerPingGap`): 600 bytes for a
    /// PING with its PONG, so some 5 KB/s each way at most, and only while both still walk.
    static let fellows = 8
    /// Kept peers of one network prefix (an IPv4 /24 or IPv6 /48) among those that cover one section. Source: the
    /// discv5 tables' own limit of two a bucket.
    public static let keptPerSectionAndSubnet = 2
    /// The share of one network prefix in the whole directory, as its divisor.
    public static let subnetShare = 8

    /// Kept peers in all, by role: the sections of an arc and of its sibling; those ahead of a walker's lanes and those
    /// that carry what it has forward; for a bridge three for each section, and as many again while they change.
    static func kept(_ role: Role, sections: Int) -> Int {
        switch role {
        case .walker: 1_024
        case .bridge: min(max(512, 4 * sections), OverlayLimits.keptPeers)
        default: 512
        }
    }

    /// Searches under way at once: each has at most three queries in flight.
    public static let searches = 8
    /// Searches begun a second, and at once after a pause: a search costs some ten queries of 1.4 KB.
    public static let searchRate = 8.0, searchBurst = 32.0
    /// Nodes asked by the first search for a section, and by those after the first, second, … that found too few: wider
    /// each time, so that a position whose nearest nodes are hostile or silent is left behind.
    static let widths = [3, 16, 32, 48]
    /// The wait before a section is searched for again, where nobody announces it and where too few do; doubled with
    /// every search that changed nothing, up to the longest.
    static let pauseWithout = Interval.seconds(2), pauseWithFew = Interval.seconds(20)
    static let longestPauseWithout = Interval.seconds(60), longestPauseWithFew = Interval.seconds(600)
    /// How long found nodes may take to say what they have: a handshake, two PINGs, and one lost packet of each.
    static let meetingTime = Interval.seconds(3)
    /// Nodes met at once; each further wave of a search is twice as large.
    static let firstWave = 4
    /// Nodes near a position that are asked whom they know there.
    static let asked = 3
    /// Found nodes of one search that are kept in mind.
    static let found = 48
    /// Nodes of a lookup nearest to its target that it can be trusted to have found: nearer ones there are none.
    static let surelyFound = 8
    /// Between two looks at what is short, while something is; and while nothing is.
    static let reviewInterval = Interval.milliseconds(250), idleInterval = Interval.seconds(2)
    /// How long a section may be without a provider before that is told: a holder that was started again says what it
    /// has within seconds.
    public static let unheldAfter = Interval.seconds(60)
    /// Sections looked at in turn for providers of one network prefix only, at each review.
    static let diversityStep = 16

    /// Requests in a row without use, over at least this long, after which an announcement does not count, however one
    /// was put off; and after how long without another failure it counts again, so that whoever was only busy is tried
    /// again.
    static let failuresBeforeDoubt = 2, doubtTerm = Interval.seconds(2), doubtMemory = Interval.seconds(60)
    /// Nodes that are no peers any more whose behaviour is remembered: whoever goes and comes back is still who he was.
    static let formerPeers = 512
    /// How long nothing is believed that a peer announced, when it had not one thing of it, unless it says something
    /// else; doubled each time until it helps, so many times at most: 30 s, at last 16 minutes. A node that has lost a
    /// section says so within 5 s; what it has again by then it need not announce anew.
    static let disbeliefTerm = Interval.seconds(30), disbeliefDoublings = 5
    /// How long it is remembered that a peer had not what it announced.
    static let falseAnnouncementMemory = Interval.seconds(600)

    /// Holders kept for the next start, some 250 bytes each, and how many of them one search tries.
    public static let stored = 512
    static let storedTried = 8
    /// Seconds after which a stored holder is not worth trying any more: five days, as for known nodes.
    public static let storedSeconds: UInt64 = 5 * 86_400
}
