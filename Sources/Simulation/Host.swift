import Node
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Names a host of the world.
public struct HostID: Hashable, Comparable, Sendable {
    public let index: Int
    public static func < (a: HostID, b: HostID) -> Bool { a.index < b.index }
}

/// One machine of the world: a node, its disk, its line, and what has come about on it.
struct Host: Sendable {
    /// What happens on a host. `life` tells for which of its lives it was meant. The large ones lie beside the queue,
    /// which moves its entries about.
    enum Event: Sendable {
        case deliver([UInt8], from: HostID, isStream: Bool)
        case wake(life: Int)
        indirect case jobFinished(life: Int, JobID, StateJobResult)
        indirect case commit(life: Int, CommitID, WriteBatch)
        indirect case block(life: Int, ReplayedBlock)
        case question(life: Int, StateQuestion)
    }

    /// Where a node lies: apart from its host, so that looking at a host copies no node.
    final class Seat: @unchecked Sendable {
        // Only the host that alone has the seat changes what is in it; see `ownSeat`.
        var node: CarouselNode

        init(_ node: CarouselNode) { self.node = node }
    }

    /// What a host's events have brought about for others, in their order.
    struct Outbox: Sendable {
        struct Datagram: Sendable {
            let bytes: [UInt8]
            let target: Endpoint
            let isStream: Bool
            let time: Instant
        }

        var datagrams: [Datagram] = []
        /// Its own events after the stretch.
        var later: [(event: Event, time: Instant)] = []
        var reports: [(time: Instant, report: NodeReport)] = []
        /// Whether it reported all of its arc for the first time.
        var isComplete = false

        /// Forgets it all and keeps the memory.
        mutating func empty() {
            datagrams.removeAll(keepingCapacity: true)
            later.removeAll(keepingCapacity: true)
            reports.removeAll(keepingCapacity: true)
            isComplete = false
        }
    }

    let id: HostID
    var configuration: NodeConfiguration
    let store = FaultyMap()
    var seat: Seat?
    var node: CarouselNode? {
        get { seat?.node }
        set { seat = newValue.map { Seat($0) } }
    }
    /// Counts restarts: what was under way for an earlier life is lost.
    private(set) var life = 0
    private var nextWake: Instant?
    private(set) var progress: NodeProgress?
    private(set) var firstStart: Instant?
    /// When it first reported all of its arc.
    private(set) var completion: Instant?
    var traffic = World.Traffic()
    /// What it does to the values it serves; nil for an honest host.
    var tampering: World.Tampering?
    /// As what it speaks; nil for an honest host.
    var liar: LiarKind?
    /// Its line to the others; nil: as the network's conditions say.
    var line: Line?

    /// The time of its last event.
    private(set) var now = Instant.zero
    private(set) var eventCount = 0
    /// A running hash over every event it handled.
    private(set) var log = RunningHash()
    /// Its events of this stretch.
    var inbox = TimerQueue<Event>()
    var outbox = Outbox()
    /// Whether the node has taken in a datagram and was not asked yet what it does about it.
    private var hasReceived = false
    /// The end of the stretch that it is run through: what is due later goes to the outbox. Zero between two.
    private var last = Instant.zero

    init(id: HostID, configuration: NodeConfiguration) {
        self.id = id
        self.configuration = configuration
    }

    /// Begins a life with what the store holds.
    mutating func start(entropy: Entropy, at time: Instant) throws {
        store.restart()
        let stored = try StoredState.load(from: store.snapshot(), network: configuration.network)
        life += 1
        nextWake = nil
        now = time
        firstStart = firstStart ?? time
        let seat = Seat(
            try CarouselNode(configuration: configuration, stored: stored, entropy: entropy, at: World.moment(at: time))
        )
        seat.node.voice = liar.map { LiarVoice($0) }
        self.seat = seat
        settle(seat)
    }

    /// Ends this life as `kill -9` would: what was not committed is gone.
    mutating func kill() {
        traffic.earlierLeaves += seat?.node.totals.leafBytes ?? 0
        seat = nil
        life += 1
    }

    /// Notes in the log that its start was due.
    mutating func noteStart(knowing boot: HostID, at time: Instant) {
        now = time
        eventCount += 1
        log(6, UInt64(boot.index))
    }

    /// Handles the events in its inbox and those that they bring about until `last`, that instant included.
    mutating func run(through last: Instant, committed: World.CommitWatcher?) {
        self.last = last
        while let (time, event) = inbox.next() {
            now = time
            eventCount += 1
            handle(event, committed)
            // What arrives in one instant is taken in together, as a socket gives it to a node.
            if hasReceived, inbox.earliest != now { give(.tick) }
        }
        self.last = .zero
    }

    private mutating func handle(_ event: Event, _ committed: World.CommitWatcher?) {
        switch event {
        case .deliver(let bytes, let source, let isStream):
            log(1)
            log.add(bytes)
            guard seat != nil else { return }
            traffic.received += UInt64(bytes.count)
            if isStream { traffic.streamed += UInt64(bytes.count) }
            receive(bytes, from: World.endpoint(source))
        case .wake(let life):
            guard self.life == life, let due = nextWake, due <= now else { return }
            nextWake = nil
            log(2)
            give(.tick)
        case .jobFinished(let life, let job, let result):
            guard self.life == life else { return }
            log(3, job.value)
            give(.jobFinished(job, result))
        case .commit(let life, let commit, let batch):
            guard self.life == life else { return }
            log(4, commit.value)
            do throws(StoreError) {
                try store.commit(batch)
                committed?(id, store.snapshot())
                give(.committed(commit))
            } catch {
                // Where the machine has crashed nobody is left to be told.
                if store.hasCrashed { return kill() }
                give(.commitFailed(commit, error))
            }
        case .block(let life, let block):
            guard self.life == life else { return }
            log(5, block.header.number)
            give(.block(block))
        case .question(let life, let question):
            guard self.life == life else { return }
            log(7)
            give(.question(question, block: nil))
        }
    }

    private mutating func log(_ kind: UInt64, _ detail: UInt64 = 0) {
        log.add(kind)
        log.add(now.microseconds)
        log.add(detail)
    }

    private mutating func receive(_ bytes: [UInt8], from source: Endpoint) {
        guard let seat = ownSeat() else { return }
        bytes.withUnsafeBytes { seat.node.receive($0, from: source, at: World.moment(at: now)) }
        hasReceived = true
    }

    private mutating func give(_ event: CarouselNode.Event) {
        hasReceived = false
        guard let seat = ownSeat() else { return }
        seat.node.handle(event, at: World.moment(at: now))
        settle(seat)
    }

    /// Its node, to be changed in place. A copy of the world, which shares it until then, does not notice.
    private mutating func ownSeat() -> Seat? {
        if !isKnownUniquelyReferenced(&seat), let shared = seat { seat = Seat(shared.node) }
        return seat
    }

    /// Executes what the node wants and sees to it that it is woken in time.
    private mutating func settle(_ seat: Seat) {
        for directive in seat.node.drainDirectives() {
            switch directive {
            case .send(let bytes, let target): send(bytes, to: target, isStream: false)
            case .run(let job, let work):
                let snapshot = store.snapshot()
                var result = work.run(on: snapshot)
                if let tampering, case .served(let value) = result {
                    guard let changed = tampering(work, value, snapshot) else { continue }
                    result = .served(changed)
                }
                add(.jobFinished(life: life, job, result), at: now + World.jobTime)
            case .commit(let commit, let batch):
                add(.commit(life: life, commit, batch), at: now + World.commitTime)
            case .report(let report): note(report)
            }
        }
        for (bytes, target) in seat.node.drainDatagrams() { send(bytes, to: target, isStream: true) }
        let due = max(
            Host.deadline(of: &seat.node, at: World.moment(at: now)), now + Interval(microseconds: 1))
        if let nextWake, nextWake <= due { return }
        nextWake = due
        add(.wake(life: life), at: due)
    }

    /// Asked in place: to read a node that lies in an object would copy it.
    private static func deadline(of node: inout CarouselNode, at moment: Moment) -> Instant {
        node.nextDeadline(at: moment)
    }

    private mutating func send(_ bytes: [UInt8], to target: Endpoint, isStream: Bool) {
        traffic.sent += UInt64(bytes.count)
        if isStream { traffic.streamed += UInt64(bytes.count) }
        outbox.datagrams.append(Outbox.Datagram(bytes: bytes, target: target, isStream: isStream, time: now))
    }

    private mutating func add(_ event: Event, at time: Instant) {
        if time <= last { inbox.add(event, at: time) } else { outbox.later.append((event, time)) }
    }

    private mutating func note(_ report: NodeReport) {
        if case .progress(let progress) = report {
            self.progress = progress
            return
        }
        if case .complete = report, completion == nil {
            completion = now
            outbox.isComplete = true
        }
        outbox.reports.append((now, report))
    }
}
