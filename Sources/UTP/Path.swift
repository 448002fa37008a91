import Primitives

/// The way to one peer, which all streams to it share: one congestion window, one round trip, one base delay. So many
/// streams at once are to others on the way what one is; each of them gets its turn (`waiting`); and a new one begins
/// with what the others have learnt. Why not a window a stream: fifty that start at once overrun any queue together
/// before one of them could notice, and the one that came first would keep the largest share.
struct Path: Sendable {
    let peer: NodeAddress
    var window = CongestionWindow()
    var roundTrip = RoundTrip()
    /// Packets of all streams in flight.
    var flying = 0
    /// Transmissions allowed until the next ack.
    var credit = UTPLimits.initialWindowPackets
    /// Places of streams with something to send, in the order of their turns.
    var waiting = Queue<Int>()
    /// Streams that stand.
    var streams = 0
    /// Whether the machine has it in its list of paths whose place may be given to another peer.
    var isIdle = false
    /// Whether the machine has it in its list of paths to serve.
    var isListed = false
    /// Transmissions that pacing allows now, and when they were counted.
    private var paced = Double(UTPLimits.burstPackets)
    private var pacedAt = Instant.zero
    /// Bytes of packets with payload that left since they were last counted.
    private var sentBytes = 0
    private var nextNumber = 0
    private var lastSent = Instant.zero
    private var lastDelivery = Instant.zero

    init(peer: NodeAddress) { self.peer = peer }

    /// Whether one more packet may leave.
    var hasRoom: Bool { credit > 0 && paced >= 1 && Double(flying + 1) <= window.packets }

    // Pacing: a window that leaves in one burst needs a queue of half its size on the way, and few have that where
    // round trips are long. So a long path is fed evenly, in bursts of a millisecond; a short one by its acks alone.
    // The timer is the path's, not the packet's.

    /// Packets a microsecond; nil where acks are enough.
    private var pace: Double? {
        guard roundTrip.smoothed >= UTPLimits.pacedRoundTrip.microseconds else { return nil }
        return window.paceGain * window.packets / Double(roundTrip.smoothed)
    }

    /// Counts what pacing allows at `now`.
    mutating func refill(at now: Instant) {
        let elapsed = Double((now - pacedAt).microseconds)
        pacedAt = now
        guard let pace else {
            paced = .infinity
            return
        }
        let most = max(Double(UTPLimits.burstPackets), pace * 2 * Double(UTPLimits.paceInterval.microseconds))
        paced = min(paced + elapsed * pace, most)
    }

    /// When pacing lets the next burst go; nil while nothing waits, or waits for something else.
    var deadline: Instant? {
        guard paced < 1, !waiting.isEmpty, credit > 0, Double(flying + 1) <= window.packets, let pace else {
            return nil
        }
        let wait = max(Double(UTPLimits.paceInterval.microseconds), 1 / pace)
        return pacedAt + Interval(microseconds: UInt64(wait.rounded(.up)))
    }

    /// A stream begins to send. After a pause what was known of the path may no longer hold.
    mutating func begin(at now: Instant) {
        if flying == 0 {
            credit = max(credit, UTPLimits.initialWindowPackets)
            if lastSent + UTPLimits.pathPause < now { window.restart() }
        }
    }

    /// One packet leaves; its number on this path.
    mutating func sent(at now: Instant) -> Int {
        flying += 1
        paced -= 1
        lastSent = now
        defer { nextNumber += 1 }
        return nextNumber
    }

    /// Whether the last packets of a stream are worth saying twice: where many are lost; and where the window's own
    /// size may be why, only into room that nothing else has a use for.
    var saysTwice: Bool {
        window.isLossy && (!window.isCongested || Double(flying * 2) <= window.packets)
    }

    /// A copy of a packet leaves, which nothing counts but the pacing.
    mutating func sentCopy() { paced -= 1 }

    /// A packet with payload left, with so many bytes.
    mutating func spent(_ bytes: Int) { sentBytes += bytes }

    /// Takes the bytes that left since this was last asked.
    mutating func takeSentBytes() -> Int {
        defer { sentBytes = 0 }
        return sentBytes
    }

    /// It waits for a limit that is not the path's: what acks earned stays, within what a new stream may begin with.
    mutating func isHeldBack() {
        window.isLimiting = false
        if paced >= 1 { credit = min(credit, UTPLimits.initialWindowPackets) }
    }

    /// Packets were acknowledged: others may leave for them.
    mutating func earn(_ count: Int, at now: Instant) {
        lastDelivery = now
        credit = max(credit + window.exchange(flying: flying) * count, UTPLimits.minimumWindowPackets - flying)
    }

    mutating func delivered(_ count: Int, newest: Int) {
        window.packetsDelivered(count, newest: newest, next: nextNumber, roundTrip: roundTrip.smoothed)
    }

    /// A stream's packets stayed without an answer through three timeouts. Where nothing of another stream came either,
    /// it is the path.
    mutating func wentSilent(since start: Instant) {
        guard lastDelivery <= start else { return }
        window.collapse(next: nextNumber)
        credit = UTPLimits.minimumWindowPackets
    }

    /// Everybody had a turn: what acks earned is spent at once or lost; saved up, it would be a burst one day.
    mutating func endTurns() {
        // Pacing fills a window that doubles only at its end; that is no lack of something to send.
        let isFull = Double(flying + 1) > window.packets || (paced < 1 && Double(flying * 2) >= window.packets)
        window.isLimiting = !waiting.isEmpty && isFull
        // What pacing holds back is not saved up but spread.
        if paced >= 1 { credit = min(credit, 1) }
    }
}
