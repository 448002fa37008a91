// Simulation: the other world.
//
// The same node that runs on sockets and a disk runs here on a virtual clock, a seeded wire and a map in memory. One
// process holds as many as fit; a second of virtual time takes as long as its events do.
//
// Picture.
//
//     TimerQueue ──next──▶ World ──event──▶ Node (of one host)
//         ▲                  │                  │ directives
//         │   datagrams ◀────┴── SimulatedNetwork ◀── send
//         │   results   ◀─────── job run at once on the host's store
//         └── commits   ◀─────── FaultyMap
//
// Invariants. Nothing here or in a node reads a clock, a random source or an address: the seed and the order of calls
// decide everything, so two runs with the same seed have the same `logHash`, in two processes too. A job sees the store
// as it was when the job was handed out, never a later commit.
//
// Why not threads with a fake clock: their interleaving cannot be replayed. A failure here is a seed.

import Chain
import Discovery
import Node
import Primitives
import StateNetwork
import StateStore

/// Names a host of the world.
public struct HostID: Hashable, Comparable, Sendable {
    public let index: Int
    public static func < (a: HostID, b: HostID) -> Bool { a.index < b.index }
}

/// Many nodes, one clock.
public struct World: Sendable {
    /// What is to come. The large ones lie beside the queue, which moves its entries about.
    enum Event: Sendable {
        case deliver([UInt8], from: HostID, to: HostID, isStream: Bool)
        case wake(HostID, life: Int)
        indirect case jobFinished(HostID, life: Int, JobID, StateJobResult)
        indirect case commit(HostID, life: Int, CommitID, WriteBatch)
        indirect case block(HostID, life: Int, ReplayedBlock)
        case start(HostID, knowing: HostID)
    }

    /// Bytes of a host's datagrams. Lost ones were sent and not received.
    public struct Traffic: Sendable, Equatable {
        public fileprivate(set) var sent: UInt64 = 0
        public fileprivate(set) var received: UInt64 = 0
        /// Of both, what streams carried: content, with its headers, acks and repetitions.
        public fileprivate(set) var streamed: UInt64 = 0
    }

    struct Host: Sendable {
        var configuration: NodeConfiguration
        let endpoint: Endpoint
        let store: FaultyMap
        var seat: Seat?
        var node: Node? {
            get { seat?.node }
            set { seat = newValue.map { Seat($0) } }
        }
        /// Counts restarts: what was under way for an earlier life is lost.
        var life = 0
        var nextWake: Instant?
        var progress: Progress?
        var firstStart: Instant?
        /// When it first reported all of its arc.
        var completion: Instant?
        var traffic = Traffic()
        /// What it does to the values it serves; nil for an honest host.
        var forgery: Forgery?
        /// Its line to the others; nil: as the network's conditions say.
        var line: Line?
    }

    /// Where a node lies: apart from its host, so that looking at a host copies no node.
    final class Seat: @unchecked Sendable {
        // Only the world that alone has the seat changes what is in it; see `ownSeat`.
        var node: Node

        init(_ node: Node) { self.node = node }
    }

    /// What a byzantine host makes of a value that a job of its node made for a peer; nil: it never answers.
    public typealias Lie = @Sendable (_ value: [UInt8]) -> [UInt8]?
    /// The same by one that looks at what it was asked and at what it has.
    public typealias Forgery = @Sendable (_ job: StateJob, _ value: [UInt8], _ store: MemorySnapshot) -> [UInt8]?

    public private(set) var now = Instant.zero
    public var network: SimulatedNetwork
    /// Everything nodes reported that is not progress, with time and host.
    public private(set) var reports: [(time: Instant, host: HostID, report: Report)] = []
    /// A running hash over every event handled: two runs are the same if this is.
    public var logHash: Bytes32 { log.value }
    private var log = RunningHash()
    public private(set) var eventCount = 0
    /// Called with what a host's store has after each of its commits: what a kill at any later write would leave.
    public var committed: (@Sendable (HostID, MemorySnapshot) -> Void)?
    /// Hosts that have reported all of their arc at some time.
    public private(set) var completeCount = 0
    var hosts: [Host] = []
    var byEndpoint: [Endpoint: HostID] = [:]
    /// Whether any host has a line of its own.
    private var hasLines = false
    var queue = TimerQueue<Event>()
    private var entropy: Entropy

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
    public var moment: Moment {
        Moment(instant: now, unixSeconds: World.epochStart + now.microseconds / 1_000_000)
    }

    /// A key for a host: from the world's seed, with an id that begins with the given bits.
    public mutating func key(idPrefix: UInt64, bits: Int) -> IdentityKey {
        while true {
            let key = IdentityKey(from: &entropy)
            if bits == 0 || key.nodeID.word0 >> UInt64(64 - bits) == idPrefix { return key }
        }
    }

    /// Adds a host that is not started yet. Its address is given by the world.
    public mutating func add(_ configuration: NodeConfiguration) -> HostID {
        let id = HostID(index: hosts.count)
        let endpoint = World.endpoint(id)
        var configuration = configuration
        configuration.endpoint = endpoint
        hosts.append(Host(configuration: configuration, endpoint: endpoint, store: FaultyMap()))
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
        let configuration = hosts[id.index].configuration
        hosts[id.index].store.restart()
        let stored = try StoredState.load(from: hosts[id.index].store.snapshot(), network: configuration.network)
        hosts[id.index].life += 1
        hosts[id.index].nextWake = nil
        hosts[id.index].firstStart = hosts[id.index].firstStart ?? now
        let node = try Node(
            configuration: configuration, stored: stored, entropy: Entropy(seed: entropy.bytes32()), at: moment)
        let seat = Seat(node)
        hosts[id.index].seat = seat
        settle(id, seat)
    }

    /// Starts a host at a time to come, with the record that another one has then.
    public mutating func scheduleStart(of id: HostID, knowing boot: HostID, at time: Instant) {
        queue.add(.start(id, knowing: boot), at: max(time, now))
    }

    /// Stops a host as `kill -9` would: what was not committed is gone.
    public mutating func kill(_ id: HostID) {
        hosts[id.index].seat = nil
        hosts[id.index].life += 1
    }

    /// Makes a host byzantine from now on: what it claims is true, and what it serves of the state is what `lie` makes
    /// of it.
    public mutating func corrupt(_ id: HostID, _ lie: @escaping Lie) {
        hosts[id.index].forgery = { _, value, _ in lie(value) }
    }

    /// The same by one that looks at what it was asked and at what it has.
    public mutating func corrupt(_ id: HostID, forging forgery: @escaping Forgery) {
        hosts[id.index].forgery = forgery
    }

    /// Puts a host behind a line of its own from now on.
    public mutating func set(line: Line, of id: HostID) {
        hosts[id.index].line = line
        hasLines = true
    }

    /// The node of a host; nil while it is stopped.
    public func node(_ id: HostID) -> Node? { hosts[id.index].node }
    /// What the host's disk has.
    public func store(_ id: HostID) -> FaultyMap { hosts[id.index].store }
    /// What the host last said of its progress.
    public func progress(_ id: HostID) -> Progress? { hosts[id.index].progress }

    /// The record of a host's node, without a copy of the node; nil while it is stopped.
    public func record(of id: HostID) -> NodeRecord? { hosts[id.index].seat?.node.record }
    /// When a host was first started; nil before.
    public func firstStart(of id: HostID) -> Instant? { hosts[id.index].firstStart }
    /// When a host first reported all of its arc; nil before.
    public func completion(of id: HostID) -> Instant? { hosts[id.index].completion }
    /// What a host sent and received so far.
    public func traffic(of id: HostID) -> Traffic { hosts[id.index].traffic }

    /// Gives a bridge a block at a time to come, unless it is killed before.
    public mutating func schedule(_ block: ReplayedBlock, for id: HostID, at time: Instant) {
        queue.add(.block(id, life: hosts[id.index].life, block), at: max(time, now))
    }

    // MARK: Time

    /// Handles the next event; false where there is none.
    @discardableResult
    public mutating func step() -> Bool {
        guard let (time, event) = queue.next() else { return false }
        now = max(now, time)
        eventCount += 1
        handle(event)
        return true
    }

    /// Runs until `condition` holds or the clock reaches `deadline`; whether it held.
    public mutating func run(until deadline: Instant, condition: (World) -> Bool = { _ in false }) -> Bool {
        var untilCheck = 0
        while let next = queue.earliest, next <= deadline {
            step()
            untilCheck += 1
            // Looking at a world costs more than an event; every 64th is soon enough.
            if untilCheck.isMultiple(of: 64), condition(self) { return true }
        }
        now = max(now, deadline)
        return condition(self)
    }

    private mutating func handle(_ event: Event) {
        switch event {
        case .deliver(let bytes, let source, let id, let isStream):
            log(1, id)
            log.add(bytes)
            if hosts[id.index].seat != nil {
                hosts[id.index].traffic.received += UInt64(bytes.count)
                if isStream { hosts[id.index].traffic.streamed += UInt64(bytes.count) }
            }
            give(id, .datagram(bytes, from: hosts[source.index].endpoint))
        case .wake(let id, let life):
            guard hosts[id.index].life == life, let due = hosts[id.index].nextWake, due <= now else { return }
            hosts[id.index].nextWake = nil
            log(2, id)
            give(id, .tick)
        case .jobFinished(let id, let life, let job, let result):
            guard hosts[id.index].life == life else { return }
            log(3, id, job.value)
            give(id, .jobFinished(job, result))
        case .commit(let id, let life, let commit, let batch):
            guard hosts[id.index].life == life else { return }
            log(4, id, commit.value)
            do throws(StoreError) {
                try hosts[id.index].store.commit(batch)
                committed?(id, hosts[id.index].store.snapshot())
                give(id, .committed(commit))
            } catch {
                // Where the machine has crashed nobody is left to be told.
                if hosts[id.index].store.hasCrashed { return kill(id) }
                give(id, .commitFailed(commit, error))
            }
        case .block(let id, let life, let block):
            guard hosts[id.index].life == life else { return }
            log(5, id, block.header.number)
            give(id, .block(block))
        case .start(let id, let boot):
            log(6, id, UInt64(boot.index))
            do {
                try start(id, bootNodes: record(of: boot).map { [$0] } ?? [])
            } catch {
                note(.failed("\(error)"), of: id)
            }
        }
    }

    private mutating func log(_ kind: UInt64, _ id: HostID, _ detail: UInt64 = 0) {
        log.add(kind << 32 | UInt64(id.index))
        log.add(now.microseconds)
        log.add(detail)
    }

    private mutating func note(_ report: Report, of id: HostID) {
        switch report {
        case .progress(let progress):
            hosts[id.index].progress = progress
            return
        case .complete where hosts[id.index].completion == nil:
            hosts[id.index].completion = now
            completeCount += 1
        default: break
        }
        reports.append((now, id, report))
    }

    private mutating func give(_ id: HostID, _ event: Node.Event) {
        guard let seat = ownSeat(of: id) else { return }
        seat.node.handle(event, at: moment)
        settle(id, seat)
    }

    /// The host's node, to be changed in place. A copy of the world, which shares it until then, does not notice.
    private mutating func ownSeat(of id: HostID) -> Seat? {
        if !isKnownUniquelyReferenced(&hosts[id.index].seat), let shared = hosts[id.index].seat {
            hosts[id.index].seat = Seat(shared.node)
        }
        return hosts[id.index].seat
    }

    /// Executes what a node wants and sees to it that it is woken in time.
    private mutating func settle(_ id: HostID, _ seat: Seat) {
        let life = hosts[id.index].life
        for directive in seat.node.drainDirectives() {
            switch directive {
            case .send(let bytes, let target): send(bytes, from: id, to: target, isStream: false)
            case .run(let job, let work):
                let snapshot = hosts[id.index].store.snapshot()
                var result = work.run(on: snapshot)
                if let forgery = hosts[id.index].forgery, case .served(let value) = result {
                    guard let changed = forgery(work, value, snapshot) else { continue }
                    result = .served(changed)
                }
                queue.add(.jobFinished(id, life: life, job, result), at: now + World.jobTime)
            case .commit(let commit, let batch):
                queue.add(.commit(id, life: life, commit, batch), at: now + World.commitTime)
            case .report(let report): note(report, of: id)
            }
        }
        for (bytes, target) in seat.node.drainDatagrams() { send(bytes, from: id, to: target, isStream: true) }
        let due = max(World.deadline(of: &seat.node, at: moment), now + Interval(microseconds: 1))
        if let planned = hosts[id.index].nextWake, planned <= due { return }
        hosts[id.index].nextWake = due
        queue.add(.wake(id, life: life), at: due)
    }

    /// Asked in place: to read a node that lies in an object would copy it.
    private static func deadline(of node: inout Node, at moment: Moment) -> Instant { node.nextDeadline(at: moment) }

    private mutating func send(_ bytes: [UInt8], from id: HostID, to target: Endpoint, isStream: Bool) {
        hosts[id.index].traffic.sent += UInt64(bytes.count)
        if isStream { hosts[id.index].traffic.streamed += UInt64(bytes.count) }
        guard var arrival = network.arrival(sentAt: now), let receiver = byEndpoint[target] else { return }
        if hasLines {
            if let delay = hosts[receiver.index].line?.latency { arrival = arrival + delay }
            if hosts[id.index].line != nil {
                guard let wait = hosts[id.index].line?.delay(of: bytes.count, at: now) else { return }
                arrival = arrival + wait
            }
        }
        queue.add(.deliver(bytes, from: id, to: receiver, isStream: isStream), at: arrival)
    }
}
