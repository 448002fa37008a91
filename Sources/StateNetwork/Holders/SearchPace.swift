import Primitives

/// How fast searches may begin: so many a second, and a burst of them after a pause.
struct SearchPace: Sendable {
    private var allowance = HolderLimits.searchBurst
    private var refilledAt = Instant.zero

    /// Takes leave for one search; false where there is none now.
    mutating func take(at now: Instant) -> Bool {
        let gained = (now - refilledAt).seconds * HolderLimits.searchRate
        allowance = min(allowance + gained, HolderLimits.searchBurst)
        refilledAt = now
        guard allowance >= 1 else { return false }
        allowance -= 1
        return true
    }
}
