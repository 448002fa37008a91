// BlockSync: block by block. Which blocks of the attested line to ask of whom, and in which order they are applied.
//
// Terms. The *line* is the attested one up to the block below which nothing changes any more (`AttestedChain.floor`);
// headers come before blocks, by `ChainSync`. A *run* is some blocks that follow each other. A block is *checked* by
// itself (`CheckedBlock`), and *ready* once it was. To *apply* blocks is to bring the state forward by their access
// lists and to compare its root with that of the last header; that is somebody else's to do.
//
//     line ──▶ runs ──▶ requests (0x51) ──▶ answers ──▶ jobs: check ──▶ ready, in order ──▶ apply ──▶ applied
//               ▲            of several peers               │                                 │
//               └──── wanted again, of somebody else ◀──────┴───── one by one, to name it ◀───┘ the root does not fit
//
// Phases. There are none: runs at any stage stand in one queue, in order, and the front of it is applied. What is
// bounded is how far it reaches (`blocksAhead`, `blockBytesAhead`).
//
// Invariants.
// - A target is moved by the attested chain alone. What a peer says of its height chooses whom to ask, and costs one
//   request where it is not so.
// - Every block is checked against the hash that its place on the line has. So an answer can only be of use, late, or a
//   lie; and what one peer holds up another is asked for.
// - A block that does not hold is asked of everybody else who says that he has it, each once. Whoever sent one that the
//   header shows to be false pays. Where nobody is left that is told once, and every new peer is asked.
// - Memory is bounded: by the answers that may be under way, each of 4 MiB, and by what may wait. One block that is
//   larger than that is asked for alone, and only when it holds up all others.
// - Blocks are applied each once and in order: the next ones are handed out when the last were reported as applied.
// - Nothing is applied that could be undone by the chain: the line ends at the floor.
// - The same seed and events give the same directives.
//
// Why runs go upward and not down from the tip, as headers first would have it: the headers are here already, so the
// hash of every block is known, and what comes first can be applied first. Nothing waits in a store of its own.
import Chain
import Primitives

/// Asks for blocks and has them applied in order. See the essay above. The attested chain is lent with each call.
public struct BlockSync: Sendable {
    /// Names one request; comes back with its answer.
    public struct RequestTag: Hashable, Sendable {
        let value: UInt64
    }

    /// Names one job that checks; comes back with its outcome.
    public struct CheckTag: Hashable, Sendable {
        let value: UInt64
    }

    /// What can happen to it.
    public enum Event: Sendable {
        /// A peer said what blocks it has; nil: it keeps none.
        case peerUpdated(Bytes32, heights: ClosedRange<UInt64>?)
        /// A peer offered new blocks, up to this one.
        case offered(Bytes32, highest: UInt64)
        case peerLost(Bytes32)
        /// What a request gave: the content, or nil where none came.
        case answered(RequestTag, content: [UInt8]?)
        case checked(CheckTag, BlockCheck.Outcome)
        /// What the store has of the line from the block on that was asked for.
        case line([StatePoint])
        /// The state stands at this block: that of the last `apply`, or where everything begins.
        case applied(StatePoint)
        /// The blocks of the last `apply` do not hold.
        case refused(String)
    }

    /// What is to be done.
    public enum Directive: Sendable {
        /// Ask `peer` for the content of `key`, of so many bytes at most; ends in `answered`. After `timeout` it is
        /// waited for as long as something comes of it.
        case request(peer: Bytes32, key: [UInt8], tag: RequestTag, limit: Int, timeout: Interval)
        /// Run; ends in `checked`.
        case check(CheckTag, BlockCheck)
        /// Read from the store which blocks of the line stand at these heights; ends in `line`.
        case readLine(ClosedRange<UInt64>)
        /// Apply these blocks, which follow the last one applied; ends in `applied` or `refused`.
        case apply([CheckedBlock])
        /// The peer did what no honest one does.
        case penalise(peer: Bytes32, reason: ChainNetworkError)
        /// Everybody who has this block has sent one that does not hold, for this reason. Told once.
        case wrongFromAll(StatePoint, peers: Int, reason: String)
        /// A block that was told as wrong from everybody was sent by somebody as it must be.
        case cameAfterAll(block: UInt64)
    }

    struct Request: Sendable {
        let peer: Bytes32
        let first: UInt64
        let count: Int
        let sentAt: Instant
    }

    /// What was wrong with one block, and from whom it came.
    struct Wrong: Sendable {
        var senders: Set<Bytes32> = []
        var reason = ""
        var isTold = false
    }

    var peers = BlockPeers()
    /// nil before it is known where everything begins.
    var queue: BlockQueue?
    var requests: [RequestTag: Request] = [:]
    /// Who sent what is being checked.
    var checks: [CheckTag: Bytes32] = [:]
    /// Blocks that are being applied; none between two.
    var applying: [BlockQueue.Ready] = []
    /// Up to this block they are applied one by one: somewhere there one does not hold.
    var singlesUpTo: UInt64 = 0
    var wrong: [UInt64: Wrong] = [:]
    var isReadingLine = false
    /// When the line is read again that was read in vain, and when somebody is looked for where nobody could be asked.
    var lineRetryAt: Instant?
    var retryAt: Instant?
    /// The last block that is wanted, as of the last plan.
    var target: UInt64 = 0
    /// When blocks were last applied, or more of them came to be wanted than there were to be had.
    var movedAt = Instant.zero
    /// When something is to be done next though nothing happens.
    var due: Instant?
    /// Bytes of a block, smoothed; nil before the first.
    var sizes = BlockSizes()
    var generator: SeededGenerator
    var directives: [Directive] = []
    private var nextTag: UInt64 = 1

    /// A machine that goes on after this block; nil: it is told by the first `applied`.
    public init(after head: StatePoint?, seed: UInt64) {
        queue = head.map { BlockQueue(next: $0.number + 1) }
        generator = SeededGenerator(seed: seed)
    }

    /// Takes what has come about, in order.
    public mutating func drain() -> [Directive] {
        defer { directives = [] }
        return directives
    }

    /// A name for a request or a check.
    mutating func newName() -> UInt64 {
        defer { nextTag += 1 }
        return nextTag
    }

    // MARK: What is to be seen

    /// Where it stands.
    public struct Standing: Hashable, Sendable {
        /// Number of the next block to be applied.
        public let next: UInt64
        /// The last block that is wanted.
        public let target: UInt64
        /// Blocks that peers were asked for, and those that are here and wait.
        public let asked, ready: Int
        /// Peers that have blocks.
        public let peers: Int
        /// The block that nobody could send as it must be.
        public let wrong: UInt64?
        /// The lowest block that anybody keeps, where that is above the next one.
        public let pruned: UInt64?
    }

    /// Where it stands; nil before it is known where everything begins.
    public func standing(_ chain: AttestedChain) -> Standing? {
        guard let queue else { return nil }
        var (asked, ready) = (0, 0)
        for run in queue.runs {
            switch run.state {
            case .asked: asked += run.count
            case .checking, .ready: ready += run.count
            case .wanted: break
            }
        }
        return Standing(
            next: applying.first?.block.header.number ?? queue.next, target: chain.floor.number, asked: asked,
            ready: ready, peers: peers.count, wrong: wrong.filter { $0.value.isTold }.keys.min(),
            pruned: peers.lowest(above: queue.next))
    }

    /// Bytes of a block with its access list, and of the list, on average of those that came lately; nil before the
    /// first.
    public var sizesSeen: (block: Int?, list: Int?) { (sizes.block, sizes.list) }

    /// What a peer says that it keeps, and how it went with it; nil for one that has said nothing.
    public func peer(_ id: Bytes32) -> PeerStanding? {
        peers[id].map { PeerStanding(kept: $0.kept, failureRate: $0.failureRate, usefulSince: $0.usefulSince) }
    }

    /// One peer, as far as blocks go.
    public struct PeerStanding: Hashable, Sendable {
        /// The blocks that it has, as far as it has said; nil where it keeps none.
        public let kept: ClosedRange<UInt64>?
        /// The share of the last 16 requests that came to nothing; nil before there are eight.
        public let failureRate: Double?
        /// Since when blocks have come from it; nil where none did yet.
        public let usefulSince: Instant?
    }

    /// How long blocks have been wanted and none was applied.
    public func quiet(at now: Instant) -> Interval {
        guard let next = queue?.next, next <= target || !applying.isEmpty else { return .zero }
        return now - movedAt
    }

    // MARK: Time

    /// When `advance` is next due; nil while nothing is awaited.
    public var nextDeadline: Instant? { due }

    /// Acts on the time that has passed, and on blocks that became final. It is called after every event of the node,
    /// and mostly there is nothing to do.
    public mutating func advance(to now: Instant, _ chain: AttestedChain) {
        guard chain.floor.number != target || due.map({ $0 <= now }) ?? false else { return }
        plan(chain, at: now)
    }

    /// Takes one event in.
    public mutating func handle(_ event: Event, _ chain: AttestedChain, at now: Instant) {
        switch event {
        case .peerUpdated(let id, let heights): peers.told(heights, by: id)
        case .offered(let id, let highest): peers.offered(highest, by: id)
        case .peerLost(let id):
            for tag in requests.filter({ $0.value.peer == id }).keys { _ = release(tag, failed: false) }
            peers.lost(id)
        case .answered(let tag, let content): answered(tag, content, at: now)
        case .checked(let tag, let outcome): checked(tag, outcome, at: now)
        case .line(let points): lineRead(points, at: now)
        case .applied(let point): applied(point, at: now)
        case .refused(let why): refused(why, at: now)
        }
        plan(chain, at: now)
    }
}
