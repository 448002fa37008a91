import Primitives

/// What a line does to the packets that go over it, each way.
public struct LineShape: Hashable, Sendable {
    /// How long a packet is on its way.
    public var delay = Interval.zero
    /// Of a thousand packets so many are lost.
    public var lostOfThousand: UInt64 = 0
    /// nil: no limit.
    public var bytesPerSecond: UInt64?

    /// A line that does nothing to them.
    public init() {}

    /// Whether it is one that does nothing to them.
    public var isPlain: Bool { self == LineShape() }
}

/// One way of a line, as a value: when a packet that is sent now arrives.
struct LineQueue: Sendable {
    private let shape: LineShape
    private var generator: SeededGenerator
    /// When the last packet has left: the next leaves after it.
    private var freeAt = Instant.zero

    /// What waits longer than this for its turn is lost: a router's queue, which senders are to notice.
    static let longestWait = Interval.seconds(1)

    init(_ shape: LineShape, seed: UInt64) {
        self.shape = shape
        generator = SeededGenerator(seed: seed)
    }

    /// When a packet of so many bytes arrives; nil where it is lost.
    mutating func arrival(of bytes: Int, at now: Instant) -> Instant? {
        let isLost = UInt64.random(in: 0..<1_000, using: &generator) < shape.lostOfThousand
        guard let rate = shape.bytesPerSecond else { return isLost ? nil : now + shape.delay }
        let sent = max(freeAt, now) + Interval(microseconds: UInt64(bytes) * 1_000_000 / max(rate, 1))
        guard sent - now <= LineQueue.longestWait else { return nil }
        // A packet that is lost on its way has taken its time on the line.
        freeAt = sent
        return isLost ? nil : sent + shape.delay
    }
}
