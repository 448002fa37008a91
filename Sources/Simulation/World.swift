import Discovery
import Node
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Many nodes, one clock.
public struct World: Sendable {
    /// What is to come.
    enum Event: Sendable {
        case of(HostID, Host.Event)
        case start(HostID, knowing: HostID)
    }

    /// Bytes of a host's datagrams. Lost ones were sent and not received.
    public struct Traffic: Sendable, Equatable {
        public internal(set) var sent: UInt64 = 0
        public internal(set) var received: UInt64 = 0
        /// Of both, what streams carried: content, with its headers, acks and repetitions.
        public internal(set) var streamed: UInt64 = 0
        /// Of leaves that it fetched in earlier lives.
        var earlierLeaves: UInt64 = 0
    }

    /// What a byzantine host makes of a value that a job of its node made for a peer; nil: it never answers.
    public typealias Lie = @Sendable (_ value: [UInt8]) -> [UInt8]?
    /// The same by one that looks at what it was asked and at what it has.
    public typealias Tampering = @Sendable (_ job: StateJob, _ value: [UInt8], _ store: MemorySnapshot) -> [UInt8]?
    /// Is told what a host's store has after a commit.
    public typealias CommitWatcher = @Sendable (HostID, MemorySnapshot) -> Void
    /// Calls `body` with each number below `count` once, in any order and on any threads, and returns when all calls
    /// have.
    public typealias Executor = @Sendable (_ count: Int, _ body: @Sendable (Int) -> Void) -> Void

    public internal(set) var now = Instant.zero
    public var network: SimulatedNetwork
    /// Everything nodes reported that is not progress, with time and host, by time.
    public internal(set) var reports: [(time: Instant, host: HostID, report: NodeReport)] = []
    /// Called with what a host's store has after each of its commits: what a kill at any later write would leave. One
    /// host's commits come in their order; on which thread is the executor's business.
    public var committed: CommitWatcher?
    /// Who runs the hosts of a stretch; nil: the caller, one after the other. What comes of it is the same.
    public var executor: Executor?
    /// Hosts that have reported all of their arc at some time.
    public internal(set) var completeCount = 0
    var hosts: [Host] = []
    var byEndpoint: [Endpoint: HostID] = [:]
    /// Whether any host has a line of its own.
    private(set) var hasLines = false
    /// What lies between hosts for a while.
    public var partition: Partition?
    var queue = TimerQueue<Event>()
    /// What a host has handed over, while it is looked through.
    var outbox = Host.Outbox()
    private var entropy: Entropy
    /// Keys that were drawn for another place of the ring and that no host has.
    private var spareKeys: [IdentityKey] = []

    /// Unix seconds at which virtual time begins: any fixed date.
    static let epochStart: UInt64 = 1_800_000_000
    /// How long a job and a transaction take.
    static let jobTime = Interval(microseconds: 200)
    static let commitTime = Interval.milliseconds(1)

    public init(conditions: SimulatedNetwork.Conditions, seed: UInt64) {
        network = SimulatedNetwork(conditions: conditions, seed: seed)
        entropy = Entropy(seed: Bytes32(seed, 1, 2, 3))
    }

    /// Virtual time, on both clocks.
    public var moment: Moment { World.moment(at: now) }

    static func moment(at time: Instant) -> Moment {
        Moment(instant: time, unixSeconds: epochStart + time.microseconds / 1_000_000)
    }

    /// A hash over every event that any host handled: two runs are the same if this is.
    public var logHash: Bytes32 {
        var hash = RunningHash()
        for host in hosts { hash.add(host.log.value.bytes) }
        return hash.value
    }

    /// Events that any host handled.
    public var eventCount: Int { hosts.reduce(0) { $0 + $1.eventCount } }

    /// A key for a host: from the world's seed, with an id that begins with the given bits.
    public mutating func key(idPrefix: UInt64, bits: Int) -> IdentityKey {
        func fits(_ key: IdentityKey) -> Bool { bits == 0 || key.nodeID.word0 >> UInt64(64 - bits) == idPrefix }
        // Where many hosts are spread over the ring, most keys that do not fit one of them fit another.
        if let place = spareKeys.firstIndex(where: fits) { return spareKeys.remove(at: place) }
        while true {
            let key = IdentityKey(from: &entropy)
            if fits(key) { return key }
            spareKeys.append(key)
        }
    }

    /// Adds a host that is not started yet. Its address is given by the world.
    public mutating func add(_ configuration: NodeConfiguration) -> HostID {
        let id = HostID(index: hosts.count)
        let endpoint = World.endpoint(id)
        var configuration = configuration
        configuration.endpoint = endpoint
        hosts.append(Host(id: id, configuration: configuration))
        byEndpoint[endpoint] = id
        return id
    }

    /// Every host has an address of its own, each in another /24: 65,536 of them.
    static func endpoint(_ id: HostID) -> Endpoint {
        Endpoint(ipv4: (10, UInt8(id.index >> 8), UInt8(id.index & 255), 1), port: 9_009)
    }

    // MARK: Life and death

    /// Starts a host, or starts it again, from what its store holds. `bootNodes`: whom it knows from now on; none: as
    /// at its last start.
    public mutating func start(_ id: HostID, bootNodes: [NodeRecord] = []) throws {
        if !bootNodes.isEmpty { hosts[id.index].configuration.bootNodes = bootNodes }
        try hosts[id.index].start(entropy: Entropy(seed: entropy.bytes32()), at: now)
        collect(id)
    }

    /// Starts a host at a time to come, with the record that another one has then.
    public mutating func scheduleStart(of id: HostID, knowing boot: HostID, at time: Instant) {
        queue.add(.start(id, knowing: boot), at: max(time, now))
    }

    /// Stops a host as `kill -9` would: what was not committed is gone.
    public mutating func kill(_ id: HostID) { hosts[id.index].kill() }

    /// Starts a host that was killed anew, configured otherwise, on what its store holds.
    public mutating func start(_ id: HostID, configured change: (inout NodeConfiguration) -> Void) throws {
        change(&hosts[id.index].configuration)
        try start(id)
    }

    /// Makes a host byzantine from now on: it announces what is true, and what it serves of the state is what `lie`
    /// makes of it.
    public mutating func corrupt(_ id: HostID, _ lie: @escaping Lie) {
        hosts[id.index].tampering = { _, value, _ in lie(value) }
    }

    /// The same by one that looks at what it was asked and at what it has.
    public mutating func corrupt(_ id: HostID, tampering: @escaping Tampering) {
        hosts[id.index].tampering = tampering
    }

    /// Puts a host behind a line of its own from now on.
    public mutating func set(line: Line, of id: HostID) {
        hosts[id.index].line = line
        hasLines = true
    }

    /// Gives a bridge a block at a time to come, unless it is killed before.
    public mutating func schedule(_ block: ReplayedBlock, for id: HostID, at time: Instant) {
        queue.add(.of(id, .block(life: hosts[id.index].life, block)), at: max(time, now))
    }

    /// Has a visitor ask the ring now; it ends in a report.
    public mutating func ask(_ question: StateQuestion, by id: HostID) {
        queue.add(.of(id, .question(life: hosts[id.index].life, question)), at: now)
    }

    // MARK: What is to be seen

    /// The node of a host; nil while it is stopped.
    public func node(_ id: HostID) -> CarouselNode? { hosts[id.index].node }
    /// What the host's disk has.
    public func store(_ id: HostID) -> FaultyMap { hosts[id.index].store }
    /// What the host last said of its progress.
    public func progress(_ id: HostID) -> NodeProgress? { hosts[id.index].progress }
    /// The record of a host's node, without a copy of the node; nil while it is stopped.
    public func record(of id: HostID) -> NodeRecord? { hosts[id.index].seat?.node.record }
    /// When a host was first started; nil before.
    public func firstStart(of id: HostID) -> Instant? { hosts[id.index].firstStart }
    /// When a host first reported all of its arc; nil before.
    public func completion(of id: HostID) -> Instant? { hosts[id.index].completion }
    /// Bytes of leaves that a host fetched as ranges and sections in all its lives.
    public func leafBytes(of id: HostID) -> UInt64 {
        hosts[id.index].traffic.earlierLeaves + (hosts[id.index].seat?.node.totals.leafBytes ?? 0)
    }
    /// What a host sent and received so far.
    public func traffic(of id: HostID) -> Traffic { hosts[id.index].traffic }
}
