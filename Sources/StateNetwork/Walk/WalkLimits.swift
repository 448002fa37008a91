import Primitives

/// Bounds of the walk. Each has its unit, its reason and its source.
public enum WalkLimits {
    /// Ranges, diffs, crowns and code requests outstanding at once, in all. A request holds at most its answer.
    public static let requestsInFlight = 64
    /// Requests outstanding to one peer, so that one slow peer cannot hold every lane.
    public static let requestsPerPeer = 4
    /// Sections asked for in one diff request: the bitmask of `0x41` has 256 bits.
    public static let sectionsPerDiff = 64
    /// Sections that holders are looked for ahead of each lane, and of those to be carried forward: a lookup takes
    /// about as long as three sections of a small state.
    static let sectionsAheadOfLane = 4, sectionsBehind = 64
    /// How long one of the last ranges of a walk is waited for at least before a second peer is asked for it too:
    /// several round trips of a far peer, or 1 MiB at a megabyte a second.
    static let doubledAfter = Interval.seconds(1)
    /// The longest that is waited, where ranges take long anyway: less than it takes to find out that somebody is
    /// silent.
    static let doubledAtLast = Interval.seconds(4)
    /// Peers that are asked for the same at once at the end of a walk, at most: that none of four gives anything is
    /// rare even where half of them are useless.
    static let askedOfAtOnce = 4
    /// How long a bundle is to take: what is under way longer could have been had of somebody else meanwhile, who has
    /// it by then; in less much of the time is a far peer's round trip.
    static let bundleTime = Interval.seconds(2)
    /// Largest answer with subtree hashes that is asked for, bytes: 128 full branches and room for three times as many.
    static let comparedBytes: UInt32 = 256 << 10
    /// The share of leaves that have changed above which a section is compared by ranges, see `ChangedShare`: at a
    /// quarter both take some 60 bytes a leaf.
    static let changedShare = 0.25
    /// Leaves by which that is known: of 256 a quarter is told from a third.
    static let changesSampled = 256
    /// Leaves by which it is remembered: parts of the state differ.
    static let changesRemembered = 8_192
    /// Answers with nodes after which it is found out anew: together 16 MiB at most, a five hundredth of them then.
    static let answersUntilSample = 64
    /// A range by which it is found out, bytes: 256 leaves of 64 bytes, and the proof of both ends in a state of
    /// mainnet's size.
    static let sampleBytes: UInt32 = 32 << 10
    /// Levels of nodes asked for where one place is left, as when a comparison begins: 17 nodes at most, of which most
    /// differ then.
    static let firstLevels = 2
    /// Sections compared at once: from its first answer until its last a section is of no use to others.
    static let comparisonsAtOnce = 8
    /// Code hashes in one request (protocol: at most 20 hashes in a key).
    public static let codesPerRequest = 20
    /// Code hashes known to be missing and not yet asked for; a walk pauses above it until codes arrive.
    public static let codesWanted = 65_536
    /// What an answer whose size is not known beforehand (diffs, codes, a crown) is taken for when a peer is chosen for
    /// it, bytes: a middling one.
    public static let unknownAnswerBytes = 64 << 10
    /// The largest range asked for, bytes: what one answer may be.
    public static let rangeBytesMaximum: UInt32 = 32 << 20
    /// A peer that failed a task is not given another for this long, doubled with each failure in a row.
    public static let backoff = Interval.milliseconds(250)
    /// The longest such pause.
    public static let backoffMaximum = Interval.seconds(30)
    /// A peer that said "busy" or "not at this anchor" is asked something else for this long.
    public static let refusalPause = Interval.milliseconds(500)
    /// How long those who were asked to lead a section on, or for a range at an anchor that nobody else serves, and
    /// gave nothing, keep it waiting: two requests that run out, with the pause between them.
    public static let uselessAfter = Interval.seconds(60)
    /// How long all holders must have refused to lead a section on before it is compared, where they are fewer than
    /// `manyRefuse`: time for two searches for others. Where they are more one round of pings is enough
    /// (`orphanGrace`).
    public static let fewRefuseGrace = Interval.seconds(30), manyRefuse = 3
    /// How long a partly fetched section may be without a holder at its anchor before it goes on at another, and one
    /// that all refuse to lead on before it is compared: long enough for one round of pings.
    static let orphanGrace = Interval.seconds(8)
    /// Anchors a holder serves: its working one and the one before. A section at an older one waits for nobody.
    static let anchorsServed: UInt64 = 2
    /// Where the peer book lets none of the able ones be asked (they are banned for a while) the plan is made again
    /// after this.
    static let barredPause = Interval.seconds(1)
    /// No verified byte for this long is called a stall and given a reason.
    public static let stallAfter = Interval.seconds(30)
    /// How much of the past an estimate of the walk's end is made of, and how much of it there must be: time for some
    /// sections of a middling size, whose answers come in lumps.
    static let estimateWindow = Interval.seconds(60), estimateFrom = Interval.seconds(30)
    /// How many times as much one half of that may have brought as the other, for the pace to be called steady.
    static let estimateSteadiness = 2.0
    /// A share of the keyspace by which what is held may seem to fall without having done so: rounding.
    static let estimateTolerance = 1e-9
    /// An estimate beyond a month says nothing that can be relied on.
    static let longestEstimate = Interval.seconds(30 * 86_400)
    /// An answer under way for longer than this is told as what is waited for: a round trip and a lost packet take
    /// less.
    static let slowAfter = Interval.seconds(3)
    /// Every request's timeout, the stream included. Covers a 32 MiB answer at 1 MiB/s.
    public static let requestTimeout = Interval.seconds(32)
    /// How long a peer is not asked again for a part that it said it lacks: it may be fetching it.
    static let partPause = Interval.seconds(3)
    /// Peers that are asked, for each section, which storage is spread: one could leave something out.
    static let directoriesPerSection = 2
    /// What peers say of spread storage and was not looked into yet. More tries than that are spread in no network that
    /// is known of; what finds no room is said again at the next anchor.
    static let directoryHints = 4_096
    /// Of these so many are looked into at once, each by a small answer.
    static let hintsLookedInto = 32
    /// One that so many peers could not show is given up until the next anchor: whoever has the account can.
    static let hintFailures = 8
    /// Attested blocks above the verified head whose diffs are asked for at once, by whoever is offered none: some
    /// seconds of a fast chain. What is further behind is caught up by section diffs.
    static let blocksAsked: UInt64 = 16
    /// How long after its header a block's diffs are asked for: a hop or two of gossip, in which holders get them.
    static let blockPatience = Interval.milliseconds(150)
    /// How long a section waits at a new anchor for the storage crowns of its accounts before it is led there by a
    /// diff.
    static let crownPatience = Interval.seconds(5)
}
