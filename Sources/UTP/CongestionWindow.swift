import Primitives

/// How many packets may be in flight on a path.
///
/// Two signals, in this order. *Delay*: the peer reports one-way delays; the smallest of the last two minutes is the
/// path's own, the rest is queue. As BEP 29 (LEDBAT) asks, the window grows while the queue is below what is aimed at
/// and shrinks above it, and a queue of the whole target leaves us next to nothing, so we yield to whoever fills it.
/// What is aimed at depends on our rate: the *fair rate* falls from `rateHighest` without a queue to `rateLowest` at
/// the target, by the same factor for each millisecond. Everybody on the path sees the same queue, so everybody is
/// pulled to the same rate, which one fixed target for all does not do (who came first keeps his share); and as the
/// pull goes by the ratio of rates, it is as strong at 1 Gbit/s as at 1 Mbit/s.
///
/// *Loss*: once a round (one round trip, told apart by transmission numbers) losses are compared with what arrived.
/// Loss alone does not say whether the window caused it, and halving for a link that loses one packet in ten would
/// starve it. So:
///
///     open ──loss beyond the background──▶ draining ──one round──▶ probation ──one round──▶ open
///            window = what arrived, less 15 %,                      still losing about as much?
///            but no less than 70 %                                  Then it was the link: window restored, and that
///                                                                   loss is the background. Else: the cut was right,
///                                                                   and growth is slow near the ceiling it showed.
///
/// A queue shorter than the target never gets to say so: it overflows first. So the delay at which packets were lost is
/// remembered as its depth, and the target is a bit less than that: from then on delay steers here too, and hardly
/// anything is lost. What it takes is that all on the path see the same base and the same depth: hence the listening,
/// and a depth that is the longest seen. A tenth of the target in error is a doubling between two rates.
///
/// Startup doubles the window every round until a queue begins to stand, something is lost or the rate is the fair one.
/// After it, growth goes by what arrives as well as by delay, and doubles again only on a path that never showed a
/// ceiling. Near a ceiling without a known depth it grows by the root of itself, so that of two windows the smaller one
/// gains. Few packets say little of a share: rounds of fewer than `shortRound` are judged together. Invariants: at most
/// one cut in a round trip, at most by 30 % (by half in startup); never under `minimumWindowPackets`, never over
/// `pathPackets`; no growth while the window is not what holds the sender back.
struct CongestionWindow: Sendable {
    private enum Phase { case open, draining, probation, listening }

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
    /// Rounds on end in which hardly more arrived than before.
    private var flatRounds = 0
    /// Of the last few rounds, fading.
    private var recentDelivered = 0.0

    private var calmRounds = 0
    /// A cut proved right, or a queue stood: more is then looked for in small steps only.
    private(set) var isCongested = false
    /// Packets the window gains with each packet delivered in this round, and where it stops.
    private var growth = 0.0
    private var growthEnd = 0.0

    private var delivered = 0
    private var lost = 0
    /// Of rounds too short to be judged alone.
    private var earlier = (delivered: 0, lost: 0)
    /// Packets are out whose arrival no ack can tell yet: what was delivered is more than is known.
    var isBlind = false
    /// When the queue is to be let run empty next, and rounds left of that.
    private var nextListen: Instant?
    private var listening = 0
    private var beforeListening = 0.0
    private var lastQueueing = 0.0
    /// The window after the last round and the one before.
    private var lastPackets = (last: 0.0, older: 0.0)
    private var now = Instant.zero
    /// Rounds in which the queue still shows what has been answered.
    private var stepsToSkip = 0
    /// Rounds since startup or listening.
    private var steadyRounds = 0
    private var wasLimiting = false
    /// The round is over when a transmission of this number or a later one is acknowledged.
    private var roundEnd = 0
    /// The first number sent after the last cut.
    private var answered = 0
    private var delay = DelayFilter()
    /// Microseconds; 0 before the first measure.
    private var roundTrip: UInt64 = 0

    /// Share of the last hundred packets or so.
    private var recentLoss = 0.0
    private static let lossWeight = 1.0 / 128

    /// Whether losses are so frequent that the last packets of a stream are worth saying twice.
    var isLossy: Bool { recentLoss > UTPLimits.lossyShare }

    private static let minimum = Double(UTPLimits.minimumWindowPackets)
    /// Packets; under this a share of lost ones says little.
    private static let shortRound = 40
    /// Loss above this is never taken for the link's own.
    private static let backgroundMaximum = 0.35
    private static let maximum = Double(UTPLimits.pathPackets)

    /// Packets in a round trip that pacing allows for each in the window: room to grow by one round's growth.
    /// None just after startup and after listening: what left in a lump comes back in one.
    var paceGain: Double { isStartup ? 2 : steadyRounds < UTPLimits.calmRounds ? 1 : 1.25 }

    /// Transmissions that go out for one taken in, at most: room made by many losses found at once is filled over round
    /// trips and not in one burst, and after a cut only as fast as packets leave the path.
    func exchange(flying: Int) -> Int { phase == .open ? 3 : Double(flying) * 2 < packets ? 2 : 1 }

    /// The timestamp difference a packet from the peer bears, in microseconds modulo 2^32.
    mutating func delaySample(_ difference: UInt32, at now: Instant) {
        self.now = max(self.now, now)
        delay.add(difference, at: now)
    }

    /// A packet lost that had this number. One sent before the last cut says nothing new: what made it be lost has been
    /// answered, however late it is found out.
    mutating func packetLost(number: Int) {
        recentLoss += (1 - recentLoss) * CongestionWindow.lossWeight
        if number >= answered { lost += 1 }
    }

    /// A loss that turned out to be a late arrival. A cut that was made for such losses is taken back.
    mutating func packetFound() {
        lost = max(0, lost - 1)
        guard phase == .draining || phase == .probation else { return }
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
        bestDelivered = 0
        ceiling = nil
    }

    /// Packets newly acknowledged; `newest` is the highest transmission acknowledged, `next` the next one's number.
    /// `roundTrip`: smoothed, in microseconds.
    mutating func packetsDelivered(_ count: Int, newest: Int, next: Int, roundTrip: UInt64) {
        self.roundTrip = roundTrip
        delivered += count
        recentLoss = max(0, recentLoss - recentLoss * CongestionWindow.lossWeight * Double(count))
        if isLimiting {
            wasLimiting = true
            if isStartup, phase == .open {
                packets = min(packets + Double(count), CongestionWindow.maximum)
                if packets >= startupLimit { isStartup = false }
            } else if phase == .open || phase == .listening {
                packets = min(packets + growth * Double(count), max(growthEnd, packets))
            }
        }
        if isStartup, phase == .open { endStartupByDelay() }
        if newest >= roundEnd {
            endRound(next: next)
            roundEnd = next
        }
    }

    /// A queue that begins to stand ends startup (RFC 9406). What was sent when its packets were is half of what is
    /// sent now: the rest is more than the path bears.
    private mutating func endStartupByDelay() {
        let least = UTPLimits.startupQueueLeast.microseconds
        let bound = min(max(roundTrip / 8, least), UTPLimits.startupQueue.microseconds)
        guard delay.queueing >= bound || doublingsLeft <= 0 else { return }
        isStartup = false
        isCongested = true
        stepsToSkip = 2
        growth = 0
        let borne = max(packets / 2, Double(delivered), Double(CongestionWindow.shortRound))
        packets = min(packets, borne)
    }

    /// Nothing came back through three timeouts: whatever was known about the path no longer holds.
    mutating func collapse(next: Int) {
        // The silence of a few packets says little of what the path bears.
        if packets > Double(CongestionWindow.shortRound) { startupLimit = packets / 2 }
        packets = CongestionWindow.minimum
        growth = 0
        isCongested = false
        isStartup = true
        phase = .open
        bestDelivered = 0
        (delivered, lost, wasLimiting) = (0, 0, false)
        earlier = (0, 0)
        roundEnd = next
    }

    /// After a pause: back to the first window, from where startup goes to what was.
    mutating func restart() {
        guard packets > Double(UTPLimits.initialWindowPackets) else { return }
        startupLimit = phase == .listening ? beforeListening : packets
        if phase == .listening { phase = .open }
        packets = Double(UTPLimits.initialWindowPackets)
        growth = 0
        isStartup = true
        bestDelivered = 0
    }

    /// How many doublings our rate is below the fair one at the present queue: positive where we may grow.
    private var doublingsLeft: Double {
        guard roundTrip > 0 else { return CongestionWindow.span }
        // What is shorter than an event loop's turn says nothing of a rate.
        let rate = packets * 1e6 / Double(max(roundTrip, 200))
        let queue = Double(delay.queueing) / target
        return CongestionWindow.doublings(UTPLimits.rateHighest / rate) - CongestionWindow.span * queue
    }

    /// Microseconds of queue at which only the lowest rate is left to us: less than the path's buffer holds.
    private var target: Double {
        let most = Double(UTPLimits.targetDelay.microseconds)
        guard let depth = delay.depth else { return most }
        return min(max(0.9 * Double(depth), Double(UTPLimits.targetMinimum.microseconds)), most)
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
            // Enough packets that six would be lost if nothing had changed.
            guard fractionAtCut * Double(total) >= 6 else { return }
            phase = .open
            if fraction > 0, fraction * 4 >= fractionAtCut {
                background = max(background, min(fraction, fractionAtCut, CongestionWindow.backgroundMaximum))
                isCongested = false
                undoCut()
            } else {
                background = min(background, fraction)
                isCongested = true
            }
        case .listening:
            listening -= 1
            if listening <= 0 { endListening() }
            (delivered, lost, wasLimiting) = (0, 0, false)
            return
        case .open:
            steadyRounds = isStartup ? 0 : steadyRounds + 1
            judge(next: next)
            if phase == .open, !isStartup {
                if stepsToSkip > 0 { stepsToSkip -= 1 } else { steer(mayGrow: wasLimiting) }
                listenIfDue()
            }
        }
        flatRounds = Double(delivered) >= 1.25 * Double(bestDelivered) ? 0 : flatRounds + 1
        // No more than the window allows: after a collapse old packets are acknowledged all at once.
        bestDelivered = max(bestDelivered, min(delivered, Int(packets)))
        recentDelivered = max(Double(delivered), isBlind ? recentDelivered : recentDelivered * 0.9)
        (delivered, lost, wasLimiting) = (0, 0, false)
    }

    // MARK: Loss

    /// Looks at what was lost in this round, and in those before it that were too short to say anything.
    private mutating func judge(next: Int) {
        let (delivered, lost) = (delivered + earlier.delivered, lost + earlier.lost)
        let total = delivered + lost
        let isRuinous = lost >= 5 && lost > delivered
        guard total >= CongestionWindow.shortRound || isRuinous else {
            earlier = (delivered, lost)
            return
        }
        earlier = (0, 0)
        defer { delay.forgetPeak() }
        let fraction = Double(lost) / Double(total)
        // While something else holds the sender back, what arrives says nothing of the path.
        let isGrowing = isStartup && (!wasLimiting || flatRounds <= 1)
        let usual = background > 0 ? Double(total) * 1.5 * background + 2 : 0
        if Double(lost) > usual {
            // What startup overruns may be a queue that is long enough for what follows.
            let isSteady = steadyRounds >= UTPLimits.calmRounds
            delay.noteLoss(below: isSteady ? UTPLimits.mediumQueue : UTPLimits.shortQueue, at: now)
            if delay.depth != nil { isCongested = true }
        }
        let expected = Double(total) * max(1.5 * background, isGrowing ? 0.15 : 0.01)
        // So much more is chance: twice the deviation of independent losses.
        if isRuinous || Double(lost) > expected + max(2, 2 * expected.squareRoot()) {
            cut(fraction: fraction)
            answered = next
            return
        }
        // Only probation raises it: loss at a growing window may well be the window's own.
        if fraction < background { background += (fraction - background) / 32 }
        if background < 0.002 { background = 0 }
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
        ceiling = max(Double(delivered), recentDelivered)
        // What startup overshoots is up to half; a window that was steered is a step too large.
        let least = packets * (wasStartup ? 0.5 : delay.depth == nil ? 0.7 : 0.85)
        let borne = isBlind ? recentDelivered : Double(delivered)
        packets = min(packets, max(least, 0.85 * borne, CongestionWindow.minimum))
        phase = .draining
    }

    // MARK: Delay

    /// One step towards the fair rate.
    private mutating func steer(mayGrow: Bool) {
        // Rounds on end with room left and nothing in the way: look for more, as at the start where no ceiling is
        // known.
        let isEmpty = Double(delay.queueing) < min(target / 8, Double(UTPLimits.queueNoise.microseconds))
        calmRounds = isEmpty && mayGrow && doublingsLeft > 2 ? calmRounds + 1 : 0
        if calmRounds >= UTPLimits.calmRounds, !isCongested {
            calmRounds = 0
            startupLimit = CongestionWindow.maximum
            isStartup = true
            bestDelivered = 0
            return
        }
        // The queue answers a round later and by the more the longer the round: the pull is weaker then, or it swings.
        let answer = CongestionWindow.span * Double(roundTrip) / target
        let pull = min(max(min(0.35, 0.5 / max(answer, 0.1)) * doublingsLeft, -0.5), 0.25)
        var step = pull * packets
        if pull > 0 {
            guard mayGrow else { return }
            step = max(growing(by: step, whileEmpty: isEmpty), 1)
        }
        // What arrives bounds what it makes sense to send, whatever delay and loss seem to say.
        let useful =
            !mayGrow || isBlind ? packets + max(step, 0)
            : max(1.25 * recentDelivered / (1 - background) + 4, packets / 2)
        let next = min(max(min(packets + step, useful), CongestionWindow.minimum), CongestionWindow.maximum)
        // Down at once; up with the acks of the coming round, for a step at once would be a burst.
        aim(at: next)
        packets = min(packets, next)
    }

    private mutating func aim(at next: Double) {
        growthEnd = next
        growth = max(0, (next - packets) / packets)
    }

    /// A step upwards with regard to the ceiling: quick below it, by small steps near it, ever faster where the queue
    /// stays empty, but never by more than a part of what the queue takes.
    private mutating func growing(by step: Double, whileEmpty isEmpty: Bool) -> Double {
        if let ceiling, packets > 1.1 * ceiling { self.ceiling = nil }
        if let ceiling, packets < 0.9 * ceiling {
            return isEmpty ? max(step, min(0.25 * packets, (ceiling - packets) / 2)) : step
        }
        if ceiling != nil, delay.depth == nil { return min(step, max(1, packets.squareRoot() / 2)) }
        let depth = delay.depth ?? UTPLimits.targetDelay.microseconds
        let most = packets * min(0.25, 0.5 * Double(depth) / Double(max(roundTrip, 1)))
        return max(step, min(step * Double(1 << min(calmRounds, 5)), most))
    }

    // MARK: Listening

    // Who comes late to a queue that stands takes it for the path, and pushes away who knows better. So from time to
    // time whoever has not seen his base delay lately sends next to nothing for two rounds, which shows it to himself
    // and to everybody else (as LEDBAT++ and BBR do).

    private mutating func listenIfDue() {
        let due = nextListen ?? now + UTPLimits.firstListen
        nextListen = due
        let queueing = Double(delay.queueing)
        // A queue that falls, and not because we sent less: somebody listens, and hears the more the more of us do.
        let isOurs = lastPackets.last < 0.97 * lastPackets.older
        let isFalling = queueing < 0.8 * lastQueueing && !isOurs && now + UTPLimits.listenJoin >= due
        lastQueueing = queueing
        lastPackets = (packets, lastPackets.last)
        guard now >= due || isFalling, delay.queueing > UTPLimits.queueNoise.microseconds else { return }
        nextListen = now + UTPLimits.listenInterval
        beforeListening = packets
        packets = max(packets / 8, CongestionWindow.minimum)
        growth = 0
        listening = 2
        phase = .listening
    }

    private mutating func endListening() {
        phase = .open
        steadyRounds = 0
        stepsToSkip = 2
        aim(at: beforeListening)
    }
}
