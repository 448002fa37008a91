import Primitives

/// How many packets may be in flight.
///
/// Two signals, in this order. *Delay* (LEDBAT): the peer reports one-way delays; the smallest of the last two minutes
/// is the path's own, the rest is queue. Below the target the window grows, above it shrinks, in proportion. *Loss*:
/// once a round (one round trip, told apart by transmission numbers) losses are compared with what arrived. Loss alone
/// does not say whether the window caused it, and halving for a link that loses one packet in ten would starve it. So:
///
///     open ──loss beyond the background──▶ draining ──one round──▶ probation ──one round──▶ open
///            window = what arrived, less 15 %,                      still losing about as much?
///            but no less than half                                  Then it was the link: window restored, and that
///                                                                   loss is the background. Else: the cut was right,
///                                                                   and growth is slow near the ceiling it showed.
///
/// Startup doubles the window every round while that makes more arrive. After it, growth goes by what arrives as well
/// as by delay, and doubles again only on a path that never showed a ceiling. Invariants: at most one cut in a round
/// trip, at most by half; never under `minimumWindowPackets`, never over `windowPackets`; no growth while the window is
/// not what holds the sender back.
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
    private var lostAtCut = 0
    private var foundSinceCut = 0
    private var fractionAtCut = 0.0
    private var background = 0.0
    private var ceiling: Double?
    private var bestDelivered = 0
    /// Of the last few rounds, fading.
    private var recentDelivered = 0.0

    private var calmRounds = 0
    /// A cut proved right: more is then looked for in small steps only.
    private var isCongested = false
    /// Packets the window gains with each packet delivered in this round, and where it stops.
    private var growth = 0.0
    private var growthEnd = 0.0

    private var delivered = 0
    private var lost = 0
    private var wasLimiting = false
    /// The round is over when a transmission of this number or a later one is acknowledged.
    private var roundEnd = 0
    private var delay = DelayFilter()

    private static let minimum = Double(UTPLimits.minimumWindowPackets)
    /// Packets; under this a share of lost ones says little.
    private static let shortRound = 40
    /// Loss above this is never taken for the link's own.
    private static let backgroundMaximum = 0.35
    private static let maximum = Double(UTPLimits.windowPackets)

    /// Transmissions that go out for one taken in, at most: room made by many losses found at once is filled over round
    /// trips and not in one burst, and after a cut only as fast as packets leave the path.
    func exchange(flying: Int) -> Int { phase == .open ? 3 : Double(flying) * 2 < packets ? 2 : 1 }

    /// The timestamp difference a packet from the peer bears, in microseconds modulo 2^32.
    mutating func delaySample(_ difference: UInt32, at now: Instant) {
        delay.add(difference, at: now)
    }

    mutating func packetsLost(_ count: Int) { lost += count }

    /// A loss that turned out to be a late arrival. A cut that was made for such losses is taken back.
    mutating func packetFound() {
        lost = max(0, lost - 1)
        guard phase != .open else { return }
        foundSinceCut += 1
        if foundSinceCut * 2 >= lostAtCut {
            phase = .open
            undoCut()
        }
    }

    /// Grows back to where it was, as fast as startup; not at once, which would be a burst.
    private mutating func undoCut() {
        if !wasStartup { startupLimit = beforeCut }
        isStartup = packets < startupLimit
        ceiling = nil
    }

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
            } else if phase == .open {
                packets = min(packets + growth * Double(count), max(growthEnd, packets))
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
        growth = 0
        isCongested = false
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
            // Enough packets that three would be lost if nothing had changed.
            guard fractionAtCut * Double(total) >= 3 else { return }
            phase = .open
            if fraction > 0, fraction * 4 >= fractionAtCut {
                background = max(background, min(fraction, fractionAtCut, CongestionWindow.backgroundMaximum))
                isCongested = false
                undoCut()
            } else {
                background = min(background, fraction)
                isCongested = true
            }
        case .open:
            judge(fraction: fraction, total: total)
        }
        // No more than the window allows: after a collapse old packets are acknowledged all at once.
        bestDelivered = max(bestDelivered, min(delivered, Int(packets)))
        recentDelivered = max(Double(delivered), recentDelivered * 0.8)
        (delivered, lost, wasLimiting) = (0, 0, false)
    }

    private mutating func judge(fraction: Double, total: Int) {
        // While something else holds the sender back, what arrives says nothing of the path.
        let isGrowing = isStartup && (!wasLimiting || Double(delivered) >= 1.25 * Double(bestDelivered))
        // A couple of packets more than expected is chance where some loss is normal or the round is short.
        let chance = background > 0 || isGrowing || total < CongestionWindow.shortRound ? 2.0 : 0
        let expected = isGrowing ? max(1.5 * background, 0.15) : max(1.5 * background, 0.01)
        if Double(lost) > Double(total) * expected + chance {
            cut(fraction: fraction)
            return
        }
        // Only probation raises it: loss at a growing window may well be the window's own.
        if fraction < background { background += (fraction - background) / 32 }
        if background < 0.002 { background = 0 }
        if !isStartup, wasLimiting { steer() }
        // Rounds on end with room left and nothing in the way: look for more as at the start.
        let isCalm = !isStartup && !isCongested && delay.queueing * 4 < UTPLimits.targetDelay.microseconds
        calmRounds = isCalm ? calmRounds + 1 : 0
        if calmRounds >= UTPLimits.calmRounds {
            calmRounds = 0
            startupLimit = CongestionWindow.maximum
            isStartup = true
            bestDelivered = 0
        }
    }

    private mutating func cut(fraction: Double) {
        beforeCut = packets
        fractionAtCut = fraction
        lostAtCut = lost
        foundSinceCut = 0
        calmRounds = 0
        growth = 0
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
        // What arrives bounds what it makes sense to send, whatever delay and loss seem to say.
        let useful = max(1.25 * recentDelivered / (1 - background) + 4, packets / 2)
        let next = min(max(min(packets + offset * step, useful), CongestionWindow.minimum), CongestionWindow.maximum)
        // Down at once; up with the acks of the coming round, for a step at once would be a burst.
        growthEnd = next
        growth = max(0, (next - packets) / packets)
        packets = min(packets, next)
    }
}

/// Queueing delay from one-way delays whose zero point is unknown: the two clocks differ, only differences count.
private struct DelayFilter: Sendable {
    private var recent = InlineArray<8, UInt32>(repeating: 0)
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
        recent[count % 8] = sample
        count += 1
    }

    /// Microseconds, by the smallest of the last eight samples: single late packets say nothing about the queue.
    var queueing: UInt64 {
        guard count >= 8 else { return 0 }
        let base = DelayFilter.less(previous, current) ? previous : current
        var least = UInt32.max
        for index in 0..<8 { least = min(least, recent[index] &- base) }
        return least > UInt32(Int32.max) ? 0 : UInt64(least)
    }

    /// Order modulo 2^32.
    private static func less(_ a: UInt32, _ b: UInt32) -> Bool { Int32(bitPattern: a &- b) < 0 }
}
