/// What was delivered and lost within one round trip, told apart by transmission numbers.
struct Round: Sendable {
    var delivered = 0
    var lost = 0
    /// Whether the window held the sender back.
    var wasLimiting = false
    /// The round is over when a transmission of this number or a later one is acknowledged.
    var end = 0

    /// Packets whose fate is known.
    var total: Int { delivered + lost }

    /// Begins to count anew.
    mutating func clear() { (delivered, lost, wasLimiting) = (0, 0, false) }
}

/// What arrived in the last rounds.
struct DeliveryRecord: Sendable {
    /// The most that arrived in a round since startup began.
    private var best = 0
    /// Rounds on end in which hardly more arrived than before.
    private(set) var flatRounds = 0
    /// Of the last few rounds, fading.
    private(set) var recent = 0.0

    /// A round has ended. `isBlind`: more arrived than is known.
    mutating func note(_ delivered: Int, window: Double, isBlind: Bool) {
        flatRounds = Double(delivered) >= 1.25 * Double(best) ? 0 : flatRounds + 1
        // No more than the window allows: after a collapse old packets are acknowledged all at once.
        best = max(best, min(delivered, Int(window)))
        recent = max(Double(delivered), isBlind ? recent : recent * 0.9)
    }

    /// Startup begins anew.
    mutating func forgetBest() { best = 0 }
}

/// How the window grows within a round: evenly with what arrives, since a step at once would be a burst.
struct Growth: Sendable {
    /// Packets the window gains with each packet delivered.
    private var rate = 0.0
    /// Where it stops.
    private var end = 0.0

    /// Grows from `window` to `next` in the course of one round.
    mutating func aim(at next: Double, from window: Double) {
        end = next
        rate = max(0, (next - window) / window)
    }

    mutating func stop() { rate = 0 }

    /// The window after so many packets more were delivered.
    func grown(_ window: Double, delivered: Int) -> Double { min(window + rate * Double(delivered), max(end, window)) }
}
