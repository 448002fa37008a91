import Primitives

/// When to let the queue run empty. Who comes late to a queue that stands takes it for the path, and pushes away who
/// knows better. So from time to time whoever has not seen his base delay lately sends next to nothing for two rounds,
/// which shows it to himself and to everybody else (as LEDBAT++ and BBR do).
struct Listener: Sendable {
    /// When that is due next; nil until startup has ended once.
    private var next: Instant?
    /// Rounds left of the present one.
    private var roundsLeft = 0
    /// The window when it began.
    private(set) var windowBefore = 0.0
    private var lastQueueing = 0.0
    /// The window after the last round and the one before.
    private var lastWindows = (last: 0.0, older: 0.0)

    /// Asked after each round: whether to listen now. `queueing`: microseconds.
    mutating func isDue(window: Double, queueing: UInt64, at now: Instant) -> Bool {
        let due = next ?? now + UTPLimits.firstListen
        next = due
        // A queue that falls, and not because we sent less: somebody listens, and hears the more the more of us do.
        let isOurs = lastWindows.last < 0.97 * lastWindows.older
        let isFalling = Double(queueing) < 0.8 * lastQueueing && !isOurs && now + UTPLimits.listenJoin >= due
        lastQueueing = Double(queueing)
        lastWindows = (window, lastWindows.last)
        return (now >= due || isFalling) && queueing > UTPLimits.queueNoise.microseconds
    }

    mutating func begin(window: Double, at now: Instant) {
        next = now + UTPLimits.listenInterval
        windowBefore = window
        roundsLeft = 2
    }

    /// A round of listening has ended; true when it was the last.
    mutating func endRound() -> Bool {
        roundsLeft -= 1
        return roundsLeft <= 0
    }
}
