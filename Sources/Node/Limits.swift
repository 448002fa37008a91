import Primitives
import StateNetwork

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
    /// Jobs that read old headers for peers under way; further askers are told to come back.
    static let headerJobs = 64
    /// How long a new block waits for a diff of it to the same peer: as long as diffs are gathered.
    static let newBlockGather = StateNetworkLimits.gossipGather
    /// How long blocks are gathered for a peer that had all that was last offered to it, or twice that: several blocks
    /// where they come quickly, and less than a diff waits for its predecessor.
    static let suppliedGather = Interval.milliseconds(400)
    /// Items and bytes gathered for one peer, with which they go at once. Less than one OFFER has keys.
    static let gatheredItems = 24, gatheredBytes = 1 << 20
    /// Keys of a peer's own offers that are remembered: as many as one OFFER has.
    static let heardKeys = 64
    /// Peers that a status lists, those that were of use first: a status is written every second, and one who reads it
    /// wants to see whom the node lives by.
    static let listedPeers = 256
    /// How long a question to the ring may take, headers and searching included.
    static let queryTime = Interval.seconds(120)
    /// How long one request of a question may take: a proof is some kilobytes.
    static let queryTimeout = Interval.seconds(8)
    /// How long one peer is waited for before a second is asked too: the round trip to a far one, and the handshake.
    static let queryPatience = Interval.seconds(1)
    /// Peers asked for one piece at once, at most.
    static let queryAtOnce = 3
    /// After everybody was asked in vain, and while no anchor is known.
    static let queryPause = Interval.milliseconds(500)
    /// Nodes that others have named and that are to be asked for one piece, at most: eight answers full.
    static let queryNamed = 64
    /// Peers that live near a position and may be asked for names.
    static let queryNeighbours = 16
    /// Blocks that a node may lack and be caught up all the same: they are on their way to it. As many as proof of work
    /// takes for final, so that whoever is further behind could be on another line.
    static let pacemakerBlocks: UInt64 = 6
    /// What a block and its access list are taken to have before one was seen, bytes: mainnet's, in round figures.
    static let unknownBlockBytes = 150_000, unknownListBytes = 60_000
    /// How long all has to say that a node is caught up before it is taken to be: peers come one by one.
    static let caughtUpAfter = Interval.seconds(2)
    /// Between two progress reports.
    static let reportInterval = Interval.seconds(1)
    /// PINGs to peers that the directory keeps are this far apart, so that what they announce is fresh.
    static let pingInterval = Interval.seconds(5)
    /// Nodes kept for the next start, some 200 bytes each, and how many of them are tried at once then (geth: 30).
    static let knownNodes = 128
    static let knownNodesTried = 30
    /// Seconds after which a node that did not answer is not kept any more: five days, as in geth.
    static let knownNodeSeconds: UInt64 = 5 * 86_400
    /// When the nodes that answer are first written down, and between two times.
    static let firstKnownNodeSave = Interval.seconds(15)
    static let knownNodeSaveInterval = Interval.seconds(60)
}
