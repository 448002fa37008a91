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
/// gains. Few packets say little of a share: rounds of fewer than `shortRound` are judged together.
///
/// Parts: `Round` counts, `LossRecord` and `DeliveryRecord` remember, `Growth` says how the window grows within a
/// round, `FairRate` what is aimed at, `Listener` when the queue is let run empty. This file decides.
///
/// Invariants: at most one cut in a round trip, at most by 30 % (by half in startup); never under
/// `minimumWindowPackets`, never over `pathPackets`; no growth while the window is not what holds the sender back.
struct CongestionWindow: Sendable {
    private enum Phase { case open, draining, probation, listening }

    /// What a cut was made for, until it is known whether it was right.
    private struct Cut {
        var windowBefore = 0.0
        var wasStartup = true
        var lost = 0
        /// Of those, such as arrived after all.
        var found = 0
        /// Share of the packets that were lost.
        var fraction = 0.0
    }

    /// Packets; compare with those in flight.
    private(set) var packets = Double(UTPLimits.initialWindowPackets)
    /// Whether the window held the sender back when it last sent.
    var isLimiting = false
    /// Packets are out whose arrival no ack can tell yet: what was delivered is more than is known.
    var isBlind = false
    /// A cut proved right, or a queue stood: more is then looked for in small steps only.
    private(set) var isCongested = false

    private var phase = Phase.open
    private var isStartup = true
    /// Startup ends here; set by a timeout to half of what was.
    private var startupLimit = Double(UTPLimits.pathPackets)
    private var cut = Cut()
    /// What the last cut showed to be the most that gets through.
    private var ceiling: Double?
    /// Rounds on end without a queue, in which more was looked for.
    private var calmRounds = 0
    /// Rounds since startup or listening.
    private var steadyRounds = 0
    /// Rounds in which the queue still shows what has been answered.
    private var stepsToSkip = 0
    private var round = Round()
    private var losses = LossRecord()
    private var deliveries = DeliveryRecord()
    private var growth = Growth()
    private var listener = Listener()
    private var delay = DelayFilter()
    /// Microseconds; 0 before the first measure.
    private var roundTrip: UInt64 = 0
    private var now = Instant.zero

    private static let minimum = Double(UTPLimits.minimumWindowPackets)
    private static let maximum = Double(UTPLimits.pathPackets)

    /// Whether losses are so frequent that the last packets of a stream are worth saying twice.
    var isLossy: Bool { losses.recent > UTPLimits.lossyShare }

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

    /// A packet lost that had this number.
    mutating func packetLost(number: Int) {
        if losses.lost(number: number) { round.lost += 1 }
    }

    /// A loss that turned out to be a late arrival. A cut that was made for such losses is taken back.
    mutating func packetFound() {
        round.lost = max(0, round.lost - 1)
        guard phase == .draining || phase == .probation else { return }
        cut.found += 1
        if cut.found * 2 >= cut.lost {
            phase = .open
            undoCut()
        }
    }

    /// Grows back to where it was, as fast as startup; not at once, which would be a burst.
    private mutating func undoCut() {
        if !cut.wasStartup { startupLimit = cut.windowBefore }
        isStartup = packets < startupLimit
        deliveries.forgetBest()
        ceiling = nil
    }

    /// Packets newly acknowledged; `newest` is the highest transmission acknowledged, `next` the next one's number.
    /// `roundTrip`: smoothed, in microseconds.
    mutating func packetsDelivered(_ count: Int, newest: Int, next: Int, roundTrip: UInt64) {
        self.roundTrip = roundTrip
        round.delivered += count
        losses.delivered(count)
        if isLimiting {
            round.wasLimiting = true
            if isStartup, phase == .open {
                packets = min(packets + Double(count), CongestionWindow.maximum)
                if packets >= startupLimit { isStartup = false }
            } else if phase == .open || phase == .listening {
                packets = growth.grown(packets, delivered: count)
            }
        }
        if isStartup, phase == .open { endStartupByDelay() }
        if newest >= round.end {
            endRound(next: next)
            round.end = next
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
        growth.stop()
        let borne = max(packets / 2, Double(round.delivered), Double(LossRecord.shortRound))
        packets = min(packets, borne)
    }

    /// Nothing came back through three timeouts: whatever was known about the path no longer holds.
    mutating func collapse(next: Int) {
        // The silence of a few packets says little of what the path bears.
        if packets > Double(LossRecord.shortRound) { startupLimit = packets / 2 }
        packets = CongestionWindow.minimum
        growth.stop()
        isCongested = false
        isStartup = true
        phase = .open
        deliveries.forgetBest()
        losses.forgetShortRounds()
        round = Round(end: next)
    }

    /// After a pause: back to the first window, from where startup goes to what was.
    mutating func restart() {
        guard packets > Double(UTPLimits.initialWindowPackets) else { return }
        startupLimit = phase == .listening ? listener.windowBefore : packets
        if phase == .listening { phase = .open }
        packets = Double(UTPLimits.initialWindowPackets)
        growth.stop()
        isStartup = true
        deliveries.forgetBest()
    }

    private mutating func endRound(next: Int) {
        guard round.total > 0 else { return }
        let fraction = Double(round.lost) / Double(round.total)
        switch phase {
        case .draining:
            // What was sent before the cut is still being counted.
            phase = .probation
        case .probation:
            // Enough packets that six would be lost if nothing had changed.
            guard cut.fraction * Double(round.total) >= 6 else { return }
            phase = .open
            if fraction > 0, fraction * 4 >= cut.fraction {
                losses.raiseBackground(to: min(fraction, cut.fraction))
                isCongested = false
                undoCut()
            } else {
                losses.lowerBackground(to: fraction)
                isCongested = true
            }
        case .listening:
            if listener.endRound() {
                phase = .open
                steadyRounds = 0
                stepsToSkip = 2
                growth.aim(at: listener.windowBefore, from: packets)
            }
            round.clear()
            return
        case .open:
            steadyRounds = isStartup ? 0 : steadyRounds + 1
            judge(next: next)
            if phase == .open, !isStartup {
                if stepsToSkip > 0 { stepsToSkip -= 1 } else { steer(mayGrow: round.wasLimiting) }
                listenIfDue()
            }
        }
        deliveries.note(round.delivered, window: packets, isBlind: isBlind)
        round.clear()
    }

    // MARK: Loss

    /// Looks at what was lost in this round, and in those before it that were too short to say anything.
    private mutating func judge(next: Int) {
        guard let (delivered, lost) = losses.gather(round) else { return }
        defer { delay.forgetPeak() }
        let total = Double(delivered + lost)
        let fraction = Double(lost) / total
        // While something else holds the sender back, what arrives says nothing of the path.
        let isGrowing = isStartup && (!round.wasLimiting || deliveries.flatRounds <= 1)
        if losses.isUnusual(lost, of: total) {
            // What startup overruns may be a queue that is long enough for what follows.
            let isSteady = steadyRounds >= UTPLimits.calmRounds
            delay.noteLoss(below: isSteady ? UTPLimits.mediumQueue : UTPLimits.shortQueue, at: now)
            if delay.depth != nil { isCongested = true }
        }
        guard !LossRecord.isRuinous(delivered, lost), losses.isChance(lost, of: total, isGrowing: isGrowing) else {
            makeCut(fraction: fraction)
            losses.answer(next: next)
            return
        }
        losses.fadeBackground(towards: fraction)
    }

    private mutating func makeCut(fraction: Double) {
        cut = Cut(windowBefore: packets, wasStartup: isStartup, lost: round.lost, fraction: fraction)
        calmRounds = 0
        growth.stop()
        isStartup = false
        ceiling = max(Double(round.delivered), deliveries.recent)
        // What startup overshoots is up to half; a window that was steered is a step too large.
        let least = packets * (cut.wasStartup ? 0.5 : delay.depth == nil ? 0.7 : 0.85)
        let borne = isBlind ? deliveries.recent : Double(round.delivered)
        packets = min(packets, max(least, 0.85 * borne, CongestionWindow.minimum))
        phase = .draining
    }

    // MARK: Delay

    /// Microseconds of queue at which only the lowest rate is left to us.
    private var target: Double { FairRate.target(depth: delay.depth) }

    /// How many doublings our rate is below the fair one at the present queue: positive where we may grow.
    private var doublingsLeft: Double {
        FairRate.doublingsLeft(window: packets, roundTrip: roundTrip, queue: Double(delay.queueing) / target)
    }

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
            deliveries.forgetBest()
            return
        }
        // The queue answers a round later and by the more the longer the round: the pull is weaker then, or it swings.
        let answer = FairRate.span * Double(roundTrip) / target
        let pull = min(max(min(0.35, 0.5 / max(answer, 0.1)) * doublingsLeft, -0.5), 0.25)
        var step = pull * packets
        if pull > 0 {
            guard mayGrow else { return }
            step = max(growing(by: step, whileEmpty: isEmpty), 1)
        }
        // What arrives bounds what it makes sense to send, whatever delay and loss seem to say.
        let useful =
            !mayGrow || isBlind
            ? packets + max(step, 0)
            : max(1.25 * deliveries.recent / (1 - losses.background) + 4, packets / 2)
        let next = min(max(min(packets + step, useful), CongestionWindow.minimum), CongestionWindow.maximum)
        // Down at once; up with the acks of the coming round, for a step at once would be a burst.
        growth.aim(at: next, from: packets)
        packets = min(packets, next)
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

    /// Lets the queue run empty where that is due.
    private mutating func listenIfDue() {
        guard listener.isDue(window: packets, queueing: delay.queueing, at: now) else { return }
        listener.begin(window: packets, at: now)
        packets = max(packets / 8, CongestionWindow.minimum)
        growth.stop()
        phase = .listening
    }
}
