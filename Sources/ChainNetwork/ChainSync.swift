import Chain
import Primitives
import StateStore

/// The chain network's machine: which headers to ask of whom, what to believe of the answers, what to pass on.
/// See the essay in `ChainNetwork.swift`.
public struct ChainSync: Sendable {
    /// Names one request; comes back with its answer.
    public struct RequestTag: Hashable, Sendable {
        let value: UInt64
    }

    /// What is to be done.
    public enum Directive: Equatable, Sendable {
        /// Ask `peer` for the content of `key`; report with `.answered`, whatever comes of it.
        case request(peer: Bytes32, key: [UInt8], tag: RequestTag)
        /// Offer content to a peer.
        case offer(peer: Bytes32, key: [UInt8], value: [UInt8])
        /// In one transaction, keep these headers on disk, rising by number, and forget those. `floor`: what is to be
        /// written down with them, in place of the one before; nil where the rule hands nothing on.
        case persist([CertifiedHeader], forgetting: [StatePoint], floor: StoredFloor?)
        /// There is another attested head. `leaving`: the lowest height of those that are attested no longer.
        case headAdvanced(StatePoint, leaving: UInt64?)
        /// A heavier line took the place of these anchors' blocks; comes before the new head is told.
        case anchorsLost([Anchor])
        /// There is another final block; the anchors that became usable by it, rising, or none.
        case finalAdvanced([Anchor])
        /// There are as many blocks above the final one, whose number is given, as there may be: nothing much goes on
        /// until a later one is final. Told once for each final block.
        case lacksFinality(above: UInt64)
        /// The peer did what no honest one does.
        case penalise(peer: Bytes32, reason: ChainNetworkError)
        /// Two finals contradict each other, or a heavier line leaves ours below what may be undone, and nothing goes
        /// on; or a block that this node produced does not fit the attested chain.
        case conflict(ChainError)
    }

    /// A run of headers that is wanted, asked for, or waiting for the runs before it.
    struct Segment: Sendable {
        enum State: Sendable {
            case wanted
            /// Of one peer, or of several where the first is slow.
            case asked([RequestTag])
            case received(from: Bytes32, [CertifiedHeader])
        }
        var first: UInt64
        var count: Int
        var state = State.wanted

        /// Number after the last one; runs never reach the end of the numbers.
        var end: UInt64 { first &+ UInt64(count) }
    }

    /// How headers are asked for.
    enum Mode: Equatable, Sendable {
        /// Batches upward from the head, from several peers at once.
        case parallel
        /// From the final block upward, all from one peer that claims another line, until it has proven it or not.
        /// `goal` is the last block it serves, `certified` the last one it calls attested.
        case single(peer: Bytes32, next: UInt64, goal: UInt64, certified: UInt64)
        /// Proof of work: the same of a peer on another line, whatever its height. Total work decides.
        case probing(peer: Bytes32, next: UInt64, goal: UInt64)
        /// Proof of work: a line is weighed before anything of it is kept (`weighing`).
        case weighing
    }

    /// Nothing is to be planned until something is told or time has passed.
    struct Settled: Sendable {
        /// The first pause or request ends.
        let until: Instant?
        /// See `nextDeadline`.
        let deadline: Instant?
    }

    struct Request: Sendable {
        let peer: Bytes32
        let first: UInt64
        let count: Int
        /// Whether each header is to be the child of the one before.
        let isRun: Bool
        let sentAt: Instant
        var deadline: Instant { sentAt + ChainNetworkLimits.requestTimeout }
        /// false once what it was for is given up.
        var isWanted = true
    }

    // All that a plan depends on. Whoever changes any of it unsettles the machine.
    /// The attested chain as far as it is known: to be read, and lent to whoever needs to know it.
    public internal(set) var attested: AttestedChain { didSet { settled = nil } }
    var peers = HeaderPeers() { didSet { settled = nil } }
    var requests: [RequestTag: Request] = [:] { didSet { settled = nil } }
    var mode = Mode.parallel { didSet { settled = nil } }
    var segments: [Segment] = [] { didSet { settled = nil } }
    /// Number of the first header not yet taken in.
    var frontier: UInt64 = 0 { didSet { settled = nil } }
    /// Who delivered headers that it calls attested and that are not (yet), and up to where.
    var unproven: [(peer: Bytes32, upTo: UInt64)] = [] { didSet { settled = nil } }
    /// The lowest block from which on every header up to the final one is stored; nil before there is any.
    public internal(set) var storedFrom: UInt64?
    /// The line that is weighed, in mode `weighing`.
    var weighing: LineWeighing? { didSet { settled = nil } }
    /// The calendar's time as the node was told it last: headers dated too far after it wait. Before it was told none
    /// is too late.
    public var unixSeconds = UInt64.max
    /// The request for the checkpoint's header besides the walk, while it is under way.
    var checkpointRequest: RequestTag? { didSet { settled = nil } }
    /// Set while another plan would change nothing. The machine is asked after every event of the node, and most of
    /// them have nothing to do with it.
    var settled: Settled?
    /// The final block above which there was no more room, once that was told.
    var toldFull: UInt64?
    /// In single mode, the last header taken in.
    var lastOfSingle: Bytes32?
    var generator: SeededGenerator
    var directives: [Directive] = []
    private var nextTag: UInt64 = 1

    /// A machine that goes on from the headers the node has stored (`Directive.persist`), in any order: all of them, or
    /// the newest and those of epoch boundaries. `storedFrom`: what the store has down to; nil: what is given here.
    /// `floor`: what was stored with them.
    public init(
        configuration: NetworkConfiguration, restoring stored: [CertifiedHeader] = [], storedFrom: UInt64? = nil,
        floor: StoredFloor? = nil, seed: UInt64
    ) throws(ChainError) {
        attested = try AttestedChain(configuration: configuration, restoring: stored, floor: floor)
        generator = SeededGenerator(seed: seed)
        resetWalk()
        self.storedFrom = storedFrom ?? attested.lowest
        if !attested.leftovers.isEmpty { directives.append(.persist([], forgetting: attested.leftovers, floor: nil)) }
    }

    /// Takes what has come about, in order.
    public mutating func drain() -> [Directive] {
        defer { directives = [] }
        return directives
    }

    // MARK: What is served

    /// The payload of our own pings (type 10102).
    public var localPayload: [UInt8] {
        let heights = servedHeights
        return ChainPingPayload(
            genesisHash: configuration.genesisHash, lowest: heights.lowest, highest: heights.highest,
            headHash: attested.head.hash, certified: attested.head.number
        ).encoded
    }

    var servedHeights: (lowest: UInt64, highest: UInt64) {
        (storedFrom ?? attested.lowest ?? attested.floor.number + 1, attested.servedTip)
    }

    /// What has to be read from the store to answer for a content key; nil where `serve` answers from memory.
    public func reading(for key: [UInt8]) -> (any StoreReading)? {
        switch Result(catching: { try ChainContentKey(decoding: key) }) {
        case .success(.headers(let wanted)): reading(for: wanted)
        case .success(.blocks(let wanted)): ServeBlocks(wanted, attested)
        case .success(.newBlock), .failure: nil
        }
    }

    private func reading(for wanted: HeadersKey) -> ServeHeaders? {
        guard let storedFrom, let lowest = attested.lowest, storedFrom < lowest else { return nil }
        switch wanted.start {
        case .number(let number): guard number >= storedFrom, number < lowest else { return nil }
        case .hash(let hash): guard attested.header(hash: hash) == nil else { return nil }
        }
        return ServeHeaders(key: wanted, stored: storedFrom...attested.floor.number, highest: attested.servedTip)
    }

    /// The value for a content key. A key that is none gets the same answer as one we have nothing for.
    public func serve(_ key: [UInt8]) -> [UInt8] {
        let heights = servedHeights
        let nothing = HeadersValue.notServed(lowest: heights.lowest, highest: heights.highest).encoded()
        guard case .success(let key) = Result(catching: { try ChainContentKey(decoding: key) }) else { return nothing }
        switch key {
        case .headers(let wanted):
            let entries = headers(wanted)
            return entries.isEmpty ? nothing : HeadersValue.headers(entries).encoded()
        // A block is never in memory.
        case .blocks: return BlocksValue.busy(seconds: 1).encoded
        case .newBlock(let point):
            guard let entry = attested.servedHeader(at: point.number), entry.point == point else { return nothing }
            return NewBlockValue.encode(entry)
        }
    }

    private func headers(_ key: HeadersKey) -> [CertifiedHeader] {
        let first: UInt64?
        switch key.start {
        case .number(let number): first = number
        case .hash(let hash): first = attested.header(hash: hash)?.number
        }
        guard let first else { return [] }
        var entries: [CertifiedHeader] = []
        for number in key.numbers(from: first) {
            guard let entry = attested.servedHeader(at: number) else { break }
            entries.append(entry)
        }
        return entries
    }

    // MARK: Time

    /// When `advance(to:)` is next due; nil while nothing is awaited.
    public var nextDeadline: Instant? {
        if let settled { return settled.deadline }
        var first: Instant?
        for request in requests.values { first = min(first ?? request.deadline, request.deadline) }
        let restEnd = peers.firstRestEnd(above: attested.lacksCheckpoint ? nil : attested.head.number)
        return [first, restEnd].compactMap { $0 }.min()
    }

    /// Gives up requests that are overdue and asks anew.
    public mutating func advance(to now: Instant) {
        if let settled, settled.until.map({ now < $0 }) ?? true { return }
        let overdue = requests.lazy.filter { $0.value.deadline <= now }.map(\.key).sorted { $0.value < $1.value }
        for tag in overdue { answered(tag, nil, at: now) }
        // To write is to plan anew, and most calls find no rest that has ended.
        if peers.haveRested(at: now) { peers.endRests(at: now) }
        plan(at: now)
    }

    /// Asks `peer` for headers at doubling distances from `first` downward.
    mutating func requestDownward(from first: UInt64, of peer: Bytes32, at now: Instant) {
        let key = HeadersKey(start: .number(first), count: 64, stride: 0, direction: .downward)
        if let key { _ = request(key, first, of: peer, at: now) }
    }

    /// Asks `peer` for `count` headers from `first` upward.
    mutating func request(_ first: UInt64, _ count: Int, of peer: Bytes32, at now: Instant) -> RequestTag? {
        guard let key = HeadersKey(start: .number(first), count: count) else { return nil }
        return request(key, first, of: peer, at: now)
    }

    private mutating func request(
        _ key: HeadersKey, _ first: UInt64, of peer: Bytes32, at now: Instant
    ) -> RequestTag {
        let tag = RequestTag(value: nextTag)
        nextTag += 1
        requests[tag] = Request(
            peer: peer, first: first, count: Int(key.count), isRun: key.stride == 1, sentAt: now)
        peers[peer]?.requests += 1
        directives.append(.request(peer: peer, key: ChainContentKey.headers(key).encoded, tag: tag))
        return tag
    }
}
