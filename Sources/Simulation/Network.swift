import Primitives

/// A host's own line: what it sends leaves one after the other, and both ways take longer.
public struct Line: Sendable {
    /// What it adds to the network's latency, each way.
    public var latency: Interval
    /// How much it can send; nil: no limit.
    public var bytesPerSecond: UInt64?
    /// What would wait longer than this before it leaves is lost.
    public var longestWait: Interval
    /// Datagrams of streams that have these sizes leave one a second, and those between are lost: a stream whose
    /// packets carry a byte each then trickles.
    public var trickling: ClosedRange<Int>?
    /// Datagrams of streams that have these sizes never leave.
    public var losing: ClosedRange<Int>?
    private var freeAt = Instant.zero
    private var nextTrickle = Instant.zero

    public init(
        latency: Interval = .zero, bytesPerSecond: UInt64? = nil, longestWait: Interval = .milliseconds(400),
        trickling: ClosedRange<Int>? = nil, losing: ClosedRange<Int>? = nil
    ) {
        self.latency = latency
        self.bytesPerSecond = bytesPerSecond
        self.longestWait = longestWait
        self.trickling = trickling
        self.losing = losing
    }

    /// How much later than by the network's conditions a datagram arrives; nil where it is lost.
    mutating func delay(of bytes: Int, isStream: Bool, at now: Instant) -> Interval? {
        if isStream, losing?.contains(bytes) == true { return nil }
        if isStream, trickling?.contains(bytes) == true {
            guard now >= nextTrickle else { return nil }
            nextTrickle = now + .seconds(1)
        }
        guard let bytesPerSecond, bytesPerSecond > 0 else { return latency }
        let start = max(freeAt, now)
        guard start - now <= longestWait else { return nil }
        freeAt = start + Interval(microseconds: UInt64(bytes) * 1_000_000 / bytesPerSecond)
        return latency + (freeAt - now)
    }
}

/// For a while nothing gets from some hosts to the others, nor back.
public struct Partition: Sendable {
    public let hosts: Set<HostID>
    public let from, until: Instant

    public init(_ hosts: Set<HostID>, from: Instant, until: Instant) {
        self.hosts = hosts
        self.from = from
        self.until = until
    }

    func parts(_ a: HostID, _ b: HostID, at now: Instant) -> Bool {
        now >= from && now < until && hosts.contains(a) != hosts.contains(b)
    }
}

/// The simulated wire: every datagram may be lost, and arrives after a delay. All chance comes from one seed.
public struct SimulatedNetwork: Sendable {
    /// How the wire behaves.
    public struct Conditions: Sendable {
        /// The share of all datagrams that is lost, 0…1.
        public var loss: Double
        /// How long a datagram takes, one way.
        public var latency: Interval
        /// Up to this much more, drawn for each datagram: datagrams overtake each other.
        public var jitter: Interval

        public init(loss: Double = 0, latency: Interval = .milliseconds(1), jitter: Interval = .zero) {
            self.loss = loss
            self.latency = latency
            self.jitter = jitter
        }
    }

    public var conditions: Conditions
    private var generator: SeededGenerator

    public init(conditions: Conditions, seed: UInt64) {
        self.conditions = conditions
        generator = SeededGenerator(seed: seed)
    }

    /// When a datagram sent now arrives; nil if it is lost.
    mutating func arrival(sentAt now: Instant) -> Instant? {
        if conditions.loss > 0, Double.random(in: 0..<1, using: &generator) < conditions.loss { return nil }
        let extra = conditions.jitter.microseconds
        let jitter = extra > 0 ? UInt64.random(in: 0..<extra, using: &generator) : 0
        return now + conditions.latency + Interval(microseconds: jitter)
    }
}
