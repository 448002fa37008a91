import ChainForge
import Primitives
import StateNetwork

extension Scenario {
    /// How a run goes.
    public struct Plan: Sendable {
        public var shape = SyntheticChain.Shape()
        /// Holders of one kind, where `groups` names none.
        public var holders = 8
        /// Size of such a holder's arc in bits: 255 is half the ring.
        public var radiusExponent = 255
        /// Holders of several kinds, in this order.
        public var groups: [Group] = []
        /// There are 16^sectionDepth sections.
        public var sectionDepth = 1
        /// From how wide on storage is spread round the ring; nil: all of it is with its account.
        public var wideDepth: Int?
        public var epochLength: UInt64 = 8
        public var blockInterval = Interval.seconds(2)
        /// The bridge calls final the block this far below its head.
        public var finalityDepth: UInt64 = 2
        /// The first so many blocks come 100 ms apart instead: a chain that has an anchor before anybody joins.
        public var quickBlocks = 0
        /// The first block after genesis comes one interval after this time: holders have met by then.
        public var firstBlock = Instant(microseconds: 5_000_000)
        public var conditions = SimulatedNetwork.Conditions(latency: .milliseconds(20))
        /// Over how long holders start, evenly, so that not all shake hands in one instant. Zero: all at once.
        public var startSpread = Interval.zero
        public var boot = Boot.bridge
        /// Sections that a walker fetches side by side.
        public var walkerLanes = 4
        /// Bytes a second that a walker fetches at most; nil for no limit.
        public var walkerRate: UInt64?
        public var walkerRangeBytes: UInt32 = 4_096
        /// What is of a former version, besides groups of holders.
        public var former = Former()
        private var lines = Lines()
        public var seed: UInt64

        public init(seed: UInt64) { self.seed = seed }

        /// What makes a block believed, and what competes with the bridge's blocks.
        private struct Lines: Sendable {
            var rule: MadeNetwork.Rule?
            var rival: Rival?
            var branch: Branch?
        }

        /// What makes the chain's headers believed: work, or committees; nil: the word of the bridge's key.
        public var rule: MadeNetwork.Rule? {
            get { lines.rule }
            set { lines.rule = newValue }
        }

        /// A second bridge with the same key, whose branch wins; nil: there is none.
        public var rival: Rival? {
            get { lines.rival }
            set { lines.rival = newValue }
        }

        /// The bridge itself leaves its line after its last block: it is given those of another, which is longer. Only
        /// where blocks count by their work.
        public var branch: Branch? {
            get { lines.branch }
            set { lines.branch = newValue }
        }

        /// The network of a chain that is mined or signed by committees; nil for one that a key attests.
        var made: MadeNetwork? {
            rule.map { rule in
                var network = MadeNetwork(rule)
                network.epochLength = epochLength
                network.sectionDepth = sectionDepth
                network.wideDepth = wideDepth
                return network
            }
        }

        /// When the bridge gets a block.
        func time(ofBlock number: Int) -> Instant {
            let quick = min(number, quickBlocks)
            return firstBlock + .milliseconds(100) * quick + blockInterval * (number - quick)
        }

        /// Every holder's kind, in the order in which they start.
        var kinds: [Group] {
            groups.isEmpty ? [Group(count: holders, radiusExponent: radiusExponent)] : groups
        }
    }

    /// Holders with arcs of one size. Their ids are spread evenly: every arc of that size has its equal share of them.
    public struct Group: Sendable {
        public var count: Int
        /// Size of the arc in bits.
        public var radiusExponent: Int
        /// The one arc that all of them keep, counted from 0; nil: they are spread.
        public var onlyArc: UInt64?
        /// Nodes of the former version.
        public var isFormer = false
        /// Bytes a second that each of them sends as content at most; nil: no limit.
        public var uploadRate: UInt64?
        /// They choose their arcs by so many bytes; `radiusExponent` only spreads their ids then. nil: they do not.
        public var storageBytes: Int?

        public init(count: Int, radiusExponent: Int, onlyArc: UInt64? = nil) {
            self.count = count
            self.radiusExponent = radiusExponent
            self.onlyArc = onlyArc
        }

        /// Arcs of this size in the ring, as the number of bits that tell them apart.
        var arcBits: Int { max(0, 256 - radiusExponent) }

        /// The arc of the holder at `place`.
        func arc(at place: Int) -> UInt64 { onlyArc ?? UInt64(place) & (1 << UInt64(arcBits) - 1) }
    }

    /// The former version, and who is of it.
    public struct Former: Sendable {
        /// What its nodes know.
        public var knows = KnownContents(stretches: false)
        public var isBridge = false, areWalkers = false
    }

    /// A bridge that leaves the first one's chain and goes on alone: what a reorganisation looks like to everybody.
    public struct Rival: Sendable {
        /// The last block that both have.
        public var forksAfter: Int
        /// Number of its last block.
        public var blocks: Int
        /// When it begins to replay: the common blocks come 50 ms apart, its own at the plan's pace.
        public var begins: Instant

        public init(forksAfter: Int, blocks: Int, begins: Instant) {
            self.forksAfter = forksAfter
            self.blocks = blocks
            self.begins = begins
        }
    }

    /// A line that takes the place of the bridge's own.
    public struct Branch: Sendable {
        /// The last block that both have.
        public var forksAfter: Int
        /// Number of its last block.
        public var blocks: Int

        public init(forksAfter: Int, blocks: Int) {
            self.forksAfter = forksAfter
            self.blocks = blocks
        }
    }

    /// The one node that a newcomer knows.
    public enum Boot: Sendable {
        /// A holder knows the bridge, a walker the first holder: so somebody has everybody in a table.
        case bridge
        /// Any of the holders that started before; the first one knows the bridge. Nobody is known to all.
        case earlierHolder
    }
}
