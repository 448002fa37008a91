import Primitives

/// How many packets may be in flight on a path.
///
/// Two signals, in this order. *Delay*: the peer reports one-way delays; the smallest of the last two minutes is the
/// path's own, the rest is queue. As BEP 29 (LEDBAT) asks, the window grows while the queue is below what is aimed at and
/// shrinks above it, and a queue of the whole target leaves us next to nothing, so we yield to whoever fills it. What is
/// aimed at depends on our rate: the *fair rate* falls from `rateHighest` without a queue to `rateLowest` at the target,
/// by the same factor for each millisecond. Everybody on the path sees the same queue, so everybody is pulled to the
/// same rate, which one fixed target for all does not do (who came first keeps his share); and as the pull goes by the
/// ratio of rates, it is as strong at 1 Gbit/s as at 1 Mbit/s.
///
/// *Loss*: once a round (one round trip, told apart by transmission numbers) losses are compared with what arrived. Loss
/// alone does not say whether the window caused it, and halving for a link that loses one packet in ten would starve it.
/// So:
///
///     open ──loss beyond the background──▶ draining ──one round──▶ probation ──one round──▶ open
///            window = what arrived, less 15 %,                      still losing about as much?
///            but no less than 70 %                                  Then it was the link: window restored, and that
///                                                                   loss is the background. Else: the cut was right,
///                                                                   and growth is slow near the ceiling it showed.
///
/// Startup doubles the window every round while that makes more arrive and the rate is below the fair one. After it,
/// growth goes by what arrives as well as by delay, and doubles again only on a path that never showed a ceiling. Near a
/// ceiling it grows by the root of itself, so that of two windows the smaller one gains. Invariants: at most one cut in a round
/// trip, at most by 30 % (by half in startup); never under `minimumWindowPackets`, never over `pathPackets`; no growth while the window is
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
    private var startupLimit = Double(UTPLimits.pathPackets)
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
    /// The first number sent after the last cut.
    private var answered = 0
    private var delay = DelayFilter()
    /// Microseconds; 0 before the first measure.
    private var roundTrip: UInt64 = 0

    private static let minimum = Double(UTPLimits.minimumWindowPackets)
    /// Packets; under this a share of lost ones says little.
    private static let shortRound = 40
    /// Loss above this is never taken for the link's own.
    private static let backgroundMaximum = 0.35
    private static let maximum = Double(UTPLimits.pathPackets)

    /// Packets in a round trip that pacing allows for each in the window: room to grow by one round's growth.
    var paceGain: Double { isStartup ? 2 : 1.25 }

    /// Transmissions that go out for one taken in, at most: room made by many losses found at once is filled over round
    /// trips and not in one burst, and after a cut only as fast as packets leave the path.
    func exchange(flying: Int) -> Int { phase == .open ? 3 : Double(flying) * 2 < packets ? 2 : 1 }

    /// The timestamp difference a packet from the peer bears, in microseconds modulo 2^32.
    mutating func delaySample(_ difference: UInt32, at now: Instant) {
        delay.add(difference, at: now)
    }

    /// A packet lost that had this number. One sent before the last cut says nothing new: what made it be lost has been
    /// answered, however late it is found out.
    mutating func packetLost(number: Int) {
        if number >= answered { lost += 1 }
    }

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
    /// `roundTrip`: smoothed, in microseconds.
    mutating func packetsDelivered(_ count: Int, newest: Int, next: Int, roundTrip: UInt64) {
        self.roundTrip = roundTrip
        delivered += count
        if isLimiting {
            wasLimiting = true
            if isStartup, phase == .open {
                packets = min(packets + Double(count), CongestionWindow.maximum)
                if packets >= startupLimit { isStartup = false }
            } else if phase == .open {
                packets = min(packets + growth * Double(count), max(growthEnd, packets))
            }
        }
        if isStartup, phase == .open, doublingsLeft <= 0 { isStartup = false }
        if newest >= roundEnd {
            endRound(next: next)
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

    /// After a pause: back to the first window, from where startup goes to what was.
    mutating func restart() {
        guard packets > Double(UTPLimits.initialWindowPackets) else { return }
        startupLimit = packets
        packets = Double(UTPLimits.initialWindowPackets)
        growth = 0
        isStartup = true
        bestDelivered = 0
    }

    /// How many doublings our rate is below the fair one at the present queue: positive where we may grow.
    private var doublingsLeft: Double {
        guard roundTrip > 0 else { return CongestionWindow.span }
        let rate = packets * 1e6 / Double(roundTrip)
        let queue = Double(delay.queueing) / Double(UTPLimits.targetDelay.microseconds)
        return CongestionWindow.doublings(UTPLimits.rateHighest / rate) - CongestionWindow.span * queue
    }

    private static let span = doublings(UTPLimits.rateHighest / UTPLimits.rateLowest)

    /// The binary logarithm, between powers of two by a straight line: this floor has no mathematics library, and a
    /// controller needs no better.
    private static func doublings(_ ratio: Double) -> Double { Double(ratio.exponent) + ratio.significand - 1 }

    private mutating func endRound(next: Int) {
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
            judge(fraction: fraction, total: total, next: next)
        }
        // No more than the window allows: after a collapse old packets are acknowledged all at once.
        bestDelivered = max(bestDelivered, min(delivered, Int(packets)))
        recentDelivered = max(Double(delivered), recentDelivered * 0.8)
        (delivered, lost, wasLimiting) = (0, 0, false)
    }

    private mutating func judge(fraction: Double, total: Int, next: Int) {
        // While something else holds the sender back, what arrives says nothing of the path.
        let isGrowing = isStartup && (!wasLimiting || Double(delivered) >= 1.25 * Double(bestDelivered))
        // A couple of packets more than expected is chance where some loss is normal or the round is short.
        let isShort = total < CongestionWindow.shortRound
        let chance = isGrowing && isShort ? 4.0 : background > 0 || isGrowing || isShort ? 2 : 0
        let expected = isGrowing ? max(1.5 * background, 0.15) : max(1.5 * background, 0.01)
        if Double(lost) > Double(total) * expected + chance {
            cut(fraction: fraction)
            answered = next
            return
        }
        // Only probation raises it: loss at a growing window may well be the window's own.
        if fraction < background { background += (fraction - background) / 32 }
        if background < 0.002 { background = 0 }
        if !isStartup { steer(mayGrow: wasLimiting) }
        // Rounds on end with room left and nothing in the way: look for more as at the start.
        let isCalm = !isStartup && !isCongested && doublingsLeft > 2
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
        // What startup overshoots is up to half; a window that was steered is a step too large.
        let least = wasStartup ? packets / 2 : packets * 0.7
        packets = min(packets, max(least, 0.85 * Double(delivered), CongestionWindow.minimum))
        phase = .draining
    }

    /// One step towards the fair rate.
    private mutating func steer(mayGrow: Bool) {
        // The queue answers a round later and by the more the longer the round: the pull is weaker then, or it swings.
        let answer = CongestionWindow.span * Double(roundTrip) / Double(UTPLimits.targetDelay.microseconds)
        let pull = min(max(min(0.35, 0.5 / max(answer, 0.1)) * doublingsLeft, -0.5), 0.25)
        var step = pull * packets
        if pull > 0 {
            guard mayGrow else { return }
            step = max(step, 1)
            if let ceiling {
                if packets > 1.1 * ceiling {
                    self.ceiling = nil
                } else if packets > 0.9 * ceiling {
                    step = min(step, max(1, packets.squareRoot() / 2))
                }
            }
        }
        // What arrives bounds what it makes sense to send, whatever delay and loss seem to say.
        let useful = !mayGrow ? packets : max(1.25 * recentDelivered / (1 - background) + 4, packets / 2)
        let next = min(max(min(packets + step, useful), CongestionWindow.minimum), CongestionWindow.maximum)
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
