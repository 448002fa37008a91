import Primitives

/// How many packets may be in flight.
///
/// Two signals, in this order. *Delay* (LEDBAT): the peer reports one-way delays; the smallest of the last two minutes is
/// the path's own, the rest is queue. Below the target the window grows, above it shrinks, in proportion. *Loss*: once a
/// round (one round trip, told apart by transmission numbers) losses are compared with what arrived. Loss alone does not
/// say whether the window caused it, and halving for a link that loses one packet in ten would starve it. So:
///
///     open ──loss beyond the background──▶ draining ──one round──▶ probation ──one round──▶ open
///            window = what arrived, less 15 %,                      still losing as much?
///            at least half                                          then it was the link: window restored, and that
///                                                                   loss is the background. Else: the cut was right,
///                                                                   and growth is slow near the ceiling it showed.
///
/// Startup doubles the window every round while that makes more arrive. Invariants: at most one cut in a round trip, at
/// most by half; never under `minimumWindowPackets`, never over `windowPackets`; no growth while the window is not what
/// holds the sender back.
struct CongestionWindow: Sendable {
    private enum Phase { case open, draining, probation }

    /// Packets; compare with those in flight.
    private(set) var packets = Double(UTPLimits.initialWindowPackets)
    /// Whether the window held the sender back when it last sent.
    var isLimiting = false

    private var phase = Phase.open
    private var isStartup = true
    /// Startup ends here; set by a timeout to half of what was.
    private var startupLimit = Double(UTPLimits.windowPackets)
    private var wasStartup = true
    private var beforeCut = 0.0
    private var fractionAtCut = 0.0
    private var background = 0.0
    private var ceiling: Double?
    private var bestDelivered = 0

    private var delivered = 0
    private var lost = 0
    private var wasLimiting = false
    /// The round is over when a transmission of this number or a later one is acknowledged.
    private var roundEnd = 0
    private var delay = DelayFilter()

    private static let minimum = Double(UTPLimits.minimumWindowPackets)
    /// Loss above this is never taken for the link's own.
    private static let backgroundMaximum = 0.4
    private static let maximum = Double(UTPLimits.windowPackets)

    /// The timestamp difference a packet from the peer bears, in microseconds modulo 2^32.
    mutating func delaySample(_ difference: UInt32, at now: Instant) {
        delay.add(difference, at: now)
    }

    mutating func packetsLost(_ count: Int) { lost += count }

    /// Losses that turned out to be late arrivals.
    mutating func packetsFound(_ count: Int) { lost = max(0, lost - count) }

    /// Packets newly acknowledged; `newest` is the highest transmission acknowledged, `next` the next one's number.
    mutating func packetsDelivered(_ count: Int, newest: Int, next: Int) {
        delivered += count
        if isLimiting {
            wasLimiting = true
            if isStartup, phase == .open {
                packets = min(packets + Double(count), CongestionWindow.maximum)
                if packets >= startupLimit || delay.queueing * 4 > UTPLimits.targetDelay.microseconds * 3 {
                    isStartup = false
                }
            }
        }
        if newest >= roundEnd {
            endRound()
            roundEnd = next
        }
    }

    /// Nothing came back through two timeouts: whatever was known about the path no longer holds.
    mutating func collapse(next: Int) {
        if packets > CongestionWindow.minimum * 2 { startupLimit = packets / 2 }
        packets = CongestionWindow.minimum
        isStartup = true
        phase = .open
        bestDelivered = 0
        (delivered, lost, wasLimiting) = (0, 0, false)
        roundEnd = next
    }

    private mutating func endRound() {
        let total = delivered + lost
        guard total > 0 else { return }
        let fraction = Double(lost) / Double(total)
        switch phase {
        case .draining:
            // What was sent before the cut is still being counted.
            phase = .probation
        case .probation:
            phase = .open
            if fraction > 0, fraction * 2 >= fractionAtCut {
                background = max(background, min(fraction, fractionAtCut, CongestionWindow.backgroundMaximum))
                packets = max(packets, beforeCut)
                isStartup = wasStartup
                ceiling = nil
            } else {
                background = min(background, fraction)
            }
        case .open:
            judge(fraction: fraction, total: total)
        }
        bestDelivered = max(bestDelivered, delivered)
        (delivered, lost, wasLimiting) = (0, 0, false)
    }

    private mutating func judge(fraction: Double, total: Int) {
        let isGrowing = isStartup && Double(delivered) >= 1.25 * Double(bestDelivered)
        // A couple of packets more than expected is chance where some loss is normal or the round is short.
        let chance = background > 0 || isGrowing ? 2.0 : 0
        let expected = isGrowing ? max(1.5 * background, 0.15) : max(1.5 * background, 0.01)
        if Double(lost) > Double(total) * expected + chance {
            cut(fraction: fraction)
            return
        }
        // Only probation raises it: loss at a growing window may well be the window's own.
        if fraction < background { background += (fraction - background) / 32 }
        if background < 0.002 { background = 0 }
        if !isStartup, wasLimiting { steer() }
    }

    private mutating func cut(fraction: Double) {
        beforeCut = packets
        fractionAtCut = fraction
        wasStartup = isStartup
        isStartup = false
        ceiling = Double(delivered)
        packets = min(packets, max(packets / 2, 0.85 * Double(delivered), CongestionWindow.minimum))
        phase = .draining
    }

    /// One step towards the target delay.
    private mutating func steer() {
        let target = Double(UTPLimits.targetDelay.microseconds)
        let offset = max(-1, 1 - Double(delay.queueing) / target)
        var step = max(1, packets / 4)
        if offset > 0, let ceiling {
            if packets > 1.1 * ceiling {
                self.ceiling = nil
            } else if packets > 0.9 * ceiling {
                step = max(1, packets / 64)
            }
        }
        packets = min(max(packets + offset * step, CongestionWindow.minimum), CongestionWindow.maximum)
    }
}

/// Queueing delay from one-way delays whose zero point is unknown: the two clocks differ, only differences count.
private struct DelayFilter: Sendable {
    private var recent = InlineArray<4, UInt32>(repeating: 0)
    private var count = 0
    private var current: UInt32 = 0
    private var previous: UInt32 = 0
    private var slotEnd = Instant.zero

    mutating func add(_ sample: UInt32, at now: Instant) {
        if count == 0 { (current, previous) = (sample, sample) }
        if now >= slotEnd {
            previous = current
            current = sample
            slotEnd = now + UTPLimits.baseDelaySlot
        } else if DelayFilter.less(sample, current) {
            current = sample
        }
        recent[count % 4] = sample
        count += 1
    }

    /// Microseconds, by the smallest of the last four samples: single late packets say nothing about the queue.
    var queueing: UInt64 {
        guard count >= 4 else { return 0 }
        let base = DelayFilter.less(previous, current) ? previous : current
        var least = UInt32.max
        for index in 0..<4 { least = min(least, recent[index] &- base) }
        return least > UInt32(Int32.max) ? 0 : UInt64(least)
    }

    /// Order modulo 2^32.
    private static func less(_ a: UInt32, _ b: UInt32) -> Bool { Int32(bitPattern: a &- b) < 0 }
}
