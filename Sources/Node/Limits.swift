import Overlay
import Primitives

/// Bounds of the node itself; those of each protocol live with it.
public enum NodeLimits {
    /// Rounds in which machines answer each other within one event. Each round handles all that the one before brought;
    /// more than a few mean two machines chasing each other.
    static let settleRounds = 16
    /// Old headers are forgotten when there are so many: fewer are not worth a transaction.
    static let headersPrunedTogether: UInt64 = 256
    /// How long no peer has the header that is needed next before that is told: peers come one by one.
    static let gapPatience = Interval.seconds(10)
    /// A headers answer: 100 headers with certificates are some 80 KiB.
    static let headerAnswerBytes = 1 << 20
    static let headerTimeout = Interval.seconds(10)
    /// Jobs that serve peers outstanding at once; further askers are told to come back (status 2).
    static let servingJobs = 64
    /// Records given to an asker that must look elsewhere; the overlay sends as many as fit.
    static let recordsInAnswer = 8
    /// How long after the last verified head a node that follows looks for sections that were left behind.
    static let headPatience = Interval.seconds(2)
    /// Between two progress reports.
    static let reportInterval = Interval.seconds(1)
    /// After each progress everything held is looked over. With many sections that is done at most this often, per
    /// section of the arc: 4,096 sections are looked over every 41 ms.
    static let overlookPerSection = Interval(microseconds: 10)
    /// Between two lines that tell of sections begun again: there may be thousands at once, and again soon.
    static let droppedLines = Interval.seconds(60)
    /// How long a bridge waits after its store refused a block.
    static let storeRetry = Interval.seconds(1)
    /// Seconds a busy peer is asked to wait.
    static let busySeconds: UInt16 = 1
    /// PINGs to peers that the directory keeps are this far apart, so that claims are fresh.
    static let pingInterval = Interval.seconds(5)
    /// Nodes kept for the next start, some 200 bytes each, and how many of them are tried at once then (geth: 30).
    static let knownNodes = 128
    static let knownNodesTried = 30
    /// Seconds after which a node that did not answer is not kept any more: five days, as in geth.
    static let knownNodeSeconds: UInt64 = 5 * 86_400
    /// When the nodes that answer are first written down, and between two times.
    static let firstKnownNodeSave = Interval.seconds(15)
    static let knownNodeSaveInterval = Interval.seconds(60)
    /// How often a peer may turn out not to have what it claims before that is a lie: by mistake it happens where a
    /// section was lost between two of its PINGs.
    static let falseClaims = 2
    /// What one asks for who wants names and no content: less than any range has, so that nobody reads for it.
    static let namesBytes: UInt32 = 1
    /// How long such an answer may take: two tries of a request.
    static let namesTimeout = Interval.seconds(2)
    /// Accepted offers whose items have not come yet, per node.
    static let expectedOffers = 8_192
    /// How long an accepted item is waited for before another offer of it is accepted: a little less than the wait
    /// after which those that were put off offer it once more, so that one who accepts to withhold delays an item by
    /// that and no longer.
    static let expectedWait = Interval(microseconds: OverlayLimits.inProgressDelay.microseconds * 5 / 6)
    /// A diffs answer. One epoch of a whole mainnet is 10 to 20 MiB; a group of 64 of its 4,096 sections far less.
    static let diffBytes: UInt32 = 8 << 20
    /// Anchors behind the newest whose history of leaves is kept (protocol.md §4: weeks are cheap as leaves).
    static let historyFolds = 512
}
