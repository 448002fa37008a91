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
    enum Event: Sendable {
        case deliver([UInt8], from: Endpoint, to: HostID)
        case wake(HostID, life: Int)
        case jobFinished(HostID, life: Int, JobID, StateJobResult)
        case commit(HostID, life: Int, CommitID, WriteBatch)
        case block(HostID, ReplayedBlock)
    }

    struct Host: Sendable {
        let configuration: NodeConfiguration
        let endpoint: Endpoint
        let store: FaultyMap
        var node: Node?
        /// Counts restarts: what was under way for an earlier life is lost.
        var life = 0
        var nextWake: Instant?
        var progress: Progress?
        /// What it does to the values it serves; nil for an honest host.
        var forgery: Forgery?
        /// Its line to the others; nil: as the network's conditions say.
        var line: Line?
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
    public private(set) var logHash = Bytes32.zero
    public private(set) var eventCount = 0
    var hosts: [Host] = []
    var byEndpoint: [Endpoint: HostID] = [:]
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
        hosts.append(Host(configuration: configuration, endpoint: endpoint, store: FaultyMap(), node: nil))
        byEndpoint[endpoint] = id
        return id
    }

    /// Every host has an address of its own, each in another /24.
    static func endpoint(_ id: HostID) -> Endpoint {
        Endpoint(ipv4: (10, UInt8(id.index >> 8), UInt8(id.index & 255), 1), port: 9_009)
    }

    // MARK: Life and death

    /// Starts a host, or starts it again, from what its store holds.
    public mutating func start(_ id: HostID, bootNodes: [NodeRecord] = []) throws {
        var configuration = hosts[id.index].configuration
        if !bootNodes.isEmpty { configuration.bootNodes = bootNodes }
        let stored = try StoredState.load(from: hosts[id.index].store.snapshot(), network: configuration.network)
        hosts[id.index].life += 1
        hosts[id.index].nextWake = nil
        hosts[id.index].node = try Node(
            configuration: configuration, stored: stored, entropy: Entropy(seed: entropy.bytes32()), at: moment)
        settle(id)
    }

    /// Stops a host as `kill -9` would: what was not committed is gone.
    public mutating func kill(_ id: HostID) {
        hosts[id.index].node = nil
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
    public mutating func set(line: Line, of id: HostID) { hosts[id.index].line = line }

    /// The node of a host; nil while it is stopped.
    public func node(_ id: HostID) -> Node? { hosts[id.index].node }
    /// What the host's disk has.
    public func store(_ id: HostID) -> FaultyMap { hosts[id.index].store }
    /// What the host last said of its progress.
    public func progress(_ id: HostID) -> Progress? { hosts[id.index].progress }

    /// Gives a bridge a block at a time to come.
    public mutating func schedule(_ block: ReplayedBlock, for id: HostID, at time: Instant) {
        queue.add(.block(id, block), at: max(time, now))
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
        case .deliver(let bytes, let source, let id):
            log(1, id, Keccak.hash(bytes))
            give(id, .datagram(bytes, from: source))
        case .wake(let id, let life):
            guard hosts[id.index].life == life, let due = hosts[id.index].nextWake, due <= now else { return }
            hosts[id.index].nextWake = nil
            log(2, id, .zero)
            give(id, .tick)
        case .jobFinished(let id, let life, let job, let result):
            guard hosts[id.index].life == life else { return }
            log(3, id, Bytes32(0, 0, 0, job.value))
            give(id, .jobFinished(job, result))
        case .commit(let id, let life, let commit, let batch):
            guard hosts[id.index].life == life else { return }
            log(4, id, Bytes32(0, 0, 0, commit.value))
            do throws(StoreError) {
                try hosts[id.index].store.commit(batch)
                give(id, .committed(commit))
            } catch {
                give(id, .commitFailed(commit, error))
            }
        case .block(let id, let block):
            log(5, id, block.header.hash)
            give(id, .block(block))
        }
    }

    private mutating func log(_ kind: UInt64, _ id: HostID, _ detail: Bytes32) {
        let entry = logHash.bytes + Bytes32(kind, UInt64(id.index), now.microseconds, 0).bytes + detail.bytes
        logHash = Keccak.hash(entry)
    }

    private mutating func give(_ id: HostID, _ event: Node.Event) {
        let moment = moment
        guard hosts[id.index].node != nil else { return }
        hosts[id.index].node?.handle(event, at: moment)
        settle(id)
    }

    /// Executes what a node wants and sees to it that it is woken in time.
    private mutating func settle(_ id: HostID) {
        let life = hosts[id.index].life
        for directive in hosts[id.index].node?.drain() ?? [] {
            switch directive {
            case .send(let bytes, let target):
                guard var arrival = network.arrival(sentAt: now), let receiver = byEndpoint[target] else { continue }
                if let delay = hosts[receiver.index].line?.latency { arrival = arrival + delay }
                if hosts[id.index].line != nil {
                    guard let wait = hosts[id.index].line?.delay(of: bytes.count, at: now) else { continue }
                    arrival = arrival + wait
                }
                queue.add(.deliver(bytes, from: hosts[id.index].endpoint, to: receiver), at: arrival)
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
            case .report(.progress(let progress)): hosts[id.index].progress = progress
            case .report(let report): reports.append((now, id, report))
            }
        }
        guard let deadline = hosts[id.index].node?.nextDeadline(at: moment) else { return }
        let due = max(deadline, now + Interval(microseconds: 1))
        if let planned = hosts[id.index].nextWake, planned <= due { return }
        hosts[id.index].nextWake = due
        queue.add(.wake(id, life: life), at: due)
    }
}
