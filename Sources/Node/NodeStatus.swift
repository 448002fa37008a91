import StateNetwork

/// Where a node stands, as plain values that can be written down and read back: what the progress line, the status
/// file, the status record and `carousel status` print. `Specs/status.md` tells of each field.
///
/// Numbers are decimal, hashes and ids hex with 0x, times whole Unix seconds, durations seconds, sections their leading
/// nibbles. What is not known is not there.
public struct NodeStatus: Codable, Equatable, Sendable {
    /// Of the layout. Another layout has another number; a field that is new has not.
    public static let currentVersion = 1

    public var version = NodeStatus.currentVersion
    /// When this was so.
    public var time: UInt64
    /// False in the last one before the node's end.
    public var running = true
    public var node: Identity
    public var phase: String
    public var epoch: Epoch?
    public var head: Head
    public var keyspace: Keyspace
    public var sections: Sections
    public var transfer: Transfer
    public var crossings: Crossings
    public var peers: Peers
    public var lanes: [Lane]
    public var waiting: Waiting?
    public var stall: StallStatus?
    public var upkeep: UpkeepStatus
    public var done: Done
    /// The newest anchor at which all of the arc was found complete in this run.
    public var complete: Complete?
    /// How many known nodes have each section, those with the same numbers together.
    public var supply: [Supply]
    /// At most 256, those that were of use first.
    public var peerList: [Peer]
}

extension NodeStatus {
    /// Which node it is.
    public struct Identity: Codable, Equatable, Sendable {
        public var role, id, network, program: String
        /// Of how many contracts storage is kept with all accounts; nil: of all.
        public var storageOf: Int?
        /// Seconds since its start.
        public var uptime: UInt64
    }

    /// The newest usable anchor.
    public struct Epoch: Codable, Equatable, Sendable {
        public var number, block: UInt64
        public var hash: String
        /// Seconds since it became final for this node; nil where it was at the start.
        public var age: UInt64?
    }

    /// The newest attested block.
    public struct Head: Codable, Equatable, Sendable {
        public var block: UInt64
        /// The newest block at which all that is held was verified; for a bridge the last that it applied.
        public var verified: UInt64
        /// Seconds since it was attested; nil before the first.
        public var age: UInt64?
        /// Whether that is longer than the network allows.
        public var stale: Bool
        /// `sync` or `pacemaker`, and for how many seconds; nothing in a record of a former version.
        public var mode: String?
        public var modeFor: UInt64?
        /// Attested blocks that are meant to be here and are not yet.
        public var behind: UInt64?
        /// The headers that it serves; nothing where it serves none.
        public var lowest, highest: UInt64?
        /// By which way one that applies blocks catches up, `blocks` or `state`, and what each would cost in bytes;
        /// nothing where it is not behind.
        public var catchUp: String?
        public var blocksCost, stateCost: UInt64?
    }

    /// Shares of what is to be held, 0…1.
    public struct Keyspace: Codable, Equatable, Sendable {
        /// Verified at any anchor: the sum of the two that follow.
        public var held: Double
        /// Verified at the newest anchor.
        public var newest: Double
        /// Verified at older ones, on its way to the newest.
        public var stale: Double
        /// The oldest epoch of what is stale.
        public var oldestEpoch: UInt64?
        /// Of the whole ring, whatever the arc.
        public var ofRing: Double
        /// Whether all was complete at one anchor whose root it made up. Before that nothing is called 100 %.
        public var rootVerified: Bool
    }

    /// Sections of the arc.
    public struct Sections: Codable, Equatable, Sendable {
        /// Whole at the newest anchor, and whole at others (or compared with the newest).
        public var verified, stale: Int
        /// Whole, at whatever anchor; fetched in part; asked for just now; all.
        public var complete, begun, inFlight, wanted: Int
    }

    /// What came.
    public struct Transfer: Codable, Equatable, Sendable {
        /// State in answers that were verified, bytes; a second over the last ten, and on average.
        public var stateBytes, bytesPerSecond, averageRate: UInt64
        /// Of all datagrams.
        public var udpBytes: UInt64
        /// Seconds until the walk is done; nil where that cannot be said.
        public var remaining: UInt64?
    }

    /// Epochs that passed.
    public struct Crossings: Codable, Equatable, Sendable {
        /// While ranges were missing.
        public var count: Int
        /// Seconds that the last one took until nothing was behind the new anchor; seconds between the last two.
        public var rollForward, epochLength: Double?
        /// The first as a share of the second: from 1 on a node never catches up.
        public var share: Double?
        /// Whether something is on its way to the newest anchor.
        public var underWay: Bool
    }

    /// Peers of the state network.
    public struct Peers: Codable, Equatable, Sendable {
        /// All; those that say they have state; those of which some came and held; those whose word counts for nothing
        /// now; those that are banned.
        public var connected, holding, useful, charged, banned: Int
        /// Those that are kept for what they have; searches for holders under way, and begun since the start.
        public var kept, searches, searchesMade: Int
        /// Peers of the chain network that say they have headers, the lowest that any of them serves, and the highest
        /// block that any calls attested.
        public var told: Int?
        public var toldLowest, toldHighest: UInt64?
    }

    /// A lane of the walk.
    public struct Lane: Codable, Equatable, Sendable {
        public var lane: Int
        public var section: String
        /// Held of the section, 0…1.
        public var share: Double
        /// `waiting`, `asked`, `checking` or `writing`.
        public var doing: String
        /// Who was asked, and how many seconds ago.
        public var peer: String?
        public var seconds: Double?
    }

    /// A section that the walk waits for.
    public struct Waiting: Codable, Equatable, Sendable {
        public var section: String
        public var providers, keepers: Int
        public var why: String
    }

    /// Why nothing was verified lately.
    public struct StallStatus: Codable, Equatable, Sendable {
        public var seconds: Int
        /// The reason's name.
        public var reason: String
        public var text, advice: String
    }

    /// What a node does for itself and for others.
    public struct UpkeepStatus: Codable, Equatable, Sendable {
        /// Exponents of the arcs that a holder keeps and announces.
        public var radiusKept, radiusAnnounced: Int?
        public var readySections, readyBytes: Int
        public var scrubbedSections, damagedSections: Int
        /// Sections without a known holder, and those that few nodes have; the first of each.
        public var unheld, underHeld: Int
        public var unheldFirst, underHeldFirst: String?
    }

    /// What was received and done since the start.
    public struct Done: Codable, Equatable, Sendable {
        public var leafBytes, followedBytes: UInt64
        public var ranges, bundledSections, sectionDiffs, blockDiffs, codes, folds, comparisons: Int
        public var invalidAnswers, falseAnnouncements: Int
        /// Verified state bytes by sender.
        public var stateBytesFrom: [String: UInt64]
    }

    /// All of the arc at one anchor.
    public struct Complete: Codable, Equatable, Sendable {
        public var epoch: UInt64
        /// Made of all section hashes; nil for an arc smaller than the ring.
        public var root: String?
        /// Seconds from the start to the first time.
        public var after: Double

        public init(epoch: UInt64, root: String?, after: Double) {
            self.epoch = epoch
            self.root = root
            self.after = after
        }
    }

    /// Neighbouring sections that as many have.
    public struct Supply: Codable, Equatable, Sendable {
        public var first, last: String
        /// Live nodes that have each, and kept holders that cover it.
        public var providers, keepers: Int
    }

    /// A peer of the state network, or a node that is banned.
    public struct Peer: Codable, Equatable, Sendable {
        public var id: String
        public var address, client, role: String?
        /// First and last section that its radius covers.
        public var arc: String?
        /// Sections that it says it has, and at which epoch.
        public var sections: Int?
        public var epoch: UInt64?
        /// Lowest and highest block whose header it says it serves, and the newest that it calls attested.
        public var lowest, highest, head: UInt64?
        /// `sync` or `pacemaker`, by what it says of its state and its head.
        public var mode: String?
        /// The blocks that it keeps, as far as it has said to a node that goes block by block.
        public var lowestBlock, highestBlock: UInt64?
        /// Share of the last requests to it that came to nothing, 0…1.
        public var failureRate: Double?
        /// Milliseconds of a PING; bytes a second that come from it.
        public var roundTrip: Double?
        public var rate: UInt64?
        public var inFlight: Int
        /// Seconds since something of it first held; nil: nothing did.
        public var usefulFor: UInt64?
        /// `disbelieved`, `unhelpful` or `banned`, and for how many more seconds, where that is settled.
        public var charge: String?
        public var chargedFor: UInt64?
    }
}
