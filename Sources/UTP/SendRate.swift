import Primitives

/// What the packets of all streams may have a second: a token bucket, and the paths that wait for it, by turns. It
/// holds while a stream runs, not only when one begins. Acks and what opens and ends a stream pass by it.
struct SendRate: Sendable {
    private let bytesPerMicrosecond: Double
    private let burst: Double
    /// Bytes that may leave; below zero after a packet that had to.
    private var available: Double
    private var refilledAt = Instant.zero
    /// Paths that have something to send and room for it, in the order of their turns.
    private var line = Queue<Int>()
    private var inLine: Set<Int> = []

    /// nil without a limit. The burst is what the limit allows in `UTPLimits.rateBurst`, a turn at least.
    init?(bytesPerSecond: UInt64?) {
        guard let bytesPerSecond else { return nil }
        bytesPerMicrosecond = max(Double(bytesPerSecond), 1) / 1e6
        burst = max(
            bytesPerMicrosecond * Double(UTPLimits.rateBurst.microseconds),
            Double(UTPLimits.turnPackets * UTPLimits.packetBytes))
        available = burst
    }

    mutating func refill(at now: Instant) {
        available = min(burst, available + Double((now - refilledAt).microseconds) * bytesPerMicrosecond)
        refilledAt = now
    }

    /// Bytes that left.
    mutating func spend(_ bytes: Int) { available -= Double(bytes) }

    /// A path waits for its turn, unless it does already.
    mutating func wait(_ path: Int) { if inLine.insert(path).inserted { line.append(path) } }

    /// The path whose turn it is; nil where none waits or nothing may leave yet.
    mutating func next() -> Int? {
        guard available > 0, let path = line.first else { return nil }
        line.removeFirst()
        inLine.remove(path)
        return path
    }

    /// When the next turn may begin, a whole one; nil where nobody waits.
    var deadline: Instant? {
        guard !inLine.isEmpty else { return nil }
        let turn = min(burst, Double(UTPLimits.turnPackets * UTPLimits.packetBytes))
        guard available < turn else { return refilledAt }
        return refilledAt + Interval(microseconds: UInt64(((turn - available) / bytesPerMicrosecond).rounded(.up)))
    }

    /// Bytes a second.
    var bytesPerSecond: Double { bytesPerMicrosecond * 1e6 }
}
