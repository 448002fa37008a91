import Chain
import Primitives
import StateStore

/// Where a node stands, for the line a person reads and for machines. Every figure is of verified things.
public struct NodeProgress: Sendable, Equatable {
    /// What it is at.
    public enum Phase: String, Sendable {
        /// No attested header yet.
        case headers
        /// Ranges and diffs are fetched.
        case walking
        /// Everything of the arc is held; block diffs carry it on.
        case following
        /// Everything of the arc is held, and no peer answers who could carry it on.
        case alone
        /// Everything of the arc is held, and the newest attestation is older than the network allows.
        case outdated
        /// A bridge: it replays its chain.
        case replaying
        /// Blocks of peers are applied to the whole state, which is behind the last final one.
        case applying
    }

    public var phase: Phase
    /// The newest final anchor; nil before the first.
    public var anchor: Anchor?
    /// What of the arc is held and verified, and at which anchors.
    public var keyspace = KeyspaceHeld()
    /// Whether all of the arc was complete at one anchor, compared with the root of its header.
    public var isRootVerified = false
    /// Sections that something is asked of a peer about.
    public var sectionsInFlight = 0
    /// State bytes received in verified answers.
    public var stateBytes: UInt64 = 0
    /// The same in the last ten seconds, per second.
    public var bytesPerSecond = 0.0
    /// How long the rest of the walk takes; nil where that is unknown (`WalkEstimate`).
    public var remaining: Interval?
    public var peerCounts = PeerCounts()
    /// Lanes of the walk that are on a section.
    public var lanes: [LaneStatus] = []
    /// Sections that are encoded ahead of requests, and their bytes.
    public var ready = Ready()
    /// Searches for holders under way.
    public var searches = 0
    /// A section that the walk has come to and that nobody known has; nil where there is none.
    public var waiting: Waiting?
    /// Sections that too few have.
    public var lacking = Lacking()
    /// Seconds since the newest attestation of the head was made; nil before the first. Whether that is longer than the
    /// network's rule allows.
    public var headAge: UInt64?
    public var isStale = false
    /// Newest attested block, and the newest up to which all that is held was verified.
    public var head: UInt64 = 0
    public var verifiedHead: UInt64 = 0
    /// Whether it catches up with the chain or keeps up with it, and what peers say of their heights.
    public var sync = SyncStanding()
    /// Why nothing was verified lately; nil while things move.
    public var stall: Stall?

    /// One of which nothing but the phase is known.
    public init(phase: Phase) { self.phase = phase }
}

extension NodeProgress {
    /// Fraction of the arc held and verified at any anchor, 0…1, and at the newest anchor.
    public var held: Double { keyspace.held }
    public var atNewestAnchor: Double { keyspace.newest }
    /// Sections of which every leaf is held, at whatever anchor.
    public var sectionsComplete: Int { keyspace.sectionsComplete }
    /// Peers of the state network.
    public var peers: Int { peerCounts.connected }

    /// What is encoded ahead of requests.
    public struct Ready: Sendable, Equatable {
        public var sections = 0, bytes = 0
    }

    /// Sections that too few have.
    public struct Lacking: Sendable, Equatable {
        /// No complete holder of them is known for a while; nil where there are none.
        public var unheld: HolderDirectory.Unheld?
        /// Of the arc and the one beside it, those that few nodes have; nil where there are none.
        public var underHeld: UnderHeld?
    }

    /// What the walk waits for.
    public struct Waiting: Sendable, Equatable {
        /// Its leading nibbles.
        public var section: String
        /// Live providers and kept peers that cover it.
        public var providers, keepers: Int
        /// What is being done about it.
        public var why: String

        public init(section: String, providers: Int, keepers: Int, why: String) {
            self.section = section
            self.providers = providers
            self.keepers = keepers
            self.why = why
        }
    }
}

/// What a node tells the one who runs it.
public enum NodeReport: Sendable {
    /// How much a line matters.
    public enum Level: String, Sendable { case debug, info, warning, error }

    /// A line of log.
    case log(Level, String)
    /// Where it stands; about once a second.
    case progress(NodeProgress)
    /// The whole arc is held at `anchor`. `root` is made of the hashes of all sections, and equals the header's; nil
    /// for an arc smaller than the ring, where each section was compared with the crown.
    case complete(anchor: Anchor, root: Bytes32?)
    /// All that is held was verified at this block's root.
    case verified(StatePoint)
    /// A bridge applied a block and its root is right; or a node that goes block by block did so with several, of which
    /// this is the last.
    case replayed(StatePoint)
    /// A bridge's block does not hold: what its files say is not what its header commits to. The text says what was
    /// found and what was expected; who has the files names them.
    case blockRefused(StatePoint, String)
    /// A question to the ring was answered, and what it was answered with is proven.
    case answered(RingAnswer)
    /// It was not, in the time that a question has.
    case unanswered(RingFailure)
    /// The store cannot be read or written; who has its directory names it.
    case storeFailed(StoreError)
    /// The node cannot go on: what happened and what helps.
    case failed(String)
}

/// What a node received and did, for the summary at its end.
public struct Totals: Sendable, Equatable {
    /// Verified state bytes by sender.
    public var stateBytesByPeer: [Bytes32: UInt64] = [:]
    public var ranges = 0
    /// Sections that came several at once.
    public var sections = 0
    public var sectionDiffs = 0
    public var blockDiffs = 0
    public var codes = 0
    public var folds = 0
    /// Keys and values of the ranges and sections that were verified and stored, bytes: what the state itself has.
    public var leafBytes: UInt64 = 0
    /// Of blocks whose diffs were asked for: keys and bodies of what they changed, the nodes above it, header and
    /// certificate. What following them takes at least, bytes.
    public var followedBytes: UInt64 = 0
    /// Sections that were led to another anchor by comparing subtree hashes.
    public var comparisons = 0
    /// Partly fetched sections that were led on to another anchor; sections begun again.
    public var carries = 0, drops = 0
    /// Epoch boundaries passed while part of the arc was held and ranges were still missing.
    public var crossingsWhileFetching = 0
    public var invalidAnswers = 0
    /// Ranges that were asked of peers who announced the section and did not have it.
    public var falseAnnouncements = 0
    /// How long it takes to bring what is held to a new anchor.
    public var rollForward = RollForward()

    /// Nothing yet.
    public init() {}
}
