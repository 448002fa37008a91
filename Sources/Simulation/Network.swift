import Primitives

/// The simulated wire: every datagram may be lost, and arrives after a delay. All chance comes from one seed.
public struct SimulatedNetwork: Sendable {
    /// How the wire behaves.
    public struct Conditions: Sendable {
        /// Of each datagram, 0…1.
        public var loss: Double
        /// One way.
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
    public private(set) var delivered = 0
    public private(set) var lost = 0

    public init(conditions: Conditions, seed: UInt64) {
        self.conditions = conditions
        generator = SeededGenerator(seed: seed)
    }

    /// When a datagram sent now arrives; nil if it is lost.
    mutating func arrival(sentAt now: Instant) -> Instant? {
        if conditions.loss > 0, Double.random(in: 0..<1, using: &generator) < conditions.loss {
            lost += 1
            return nil
        }
        delivered += 1
        let extra = conditions.jitter.microseconds
        let jitter = extra > 0 ? UInt64.random(in: 0..<extra, using: &generator) : 0
        return now + conditions.latency + Interval(microseconds: jitter)
    }
}
