import Primitives

/// When a section may be searched for: not again for a while after a search that changed nothing, and not more of them
/// at once and a second than `HolderLimits` allows.
struct SearchSchedule: Sendable {
    private struct Pause: Sendable {
        /// Searches in a row that found too few.
        var attempts: UInt8 = 0
        var until = Instant.zero
    }

    /// Sections that may be searched for.
    private(set) var sections: Range<Int>
    private var pauses: [Pause]
    private var allowance = HolderLimits.searchBurst
    private var refilledAt = Instant.zero

    init(_ sections: Range<Int>) {
        self.sections = sections
        pauses = [Pause](repeating: Pause(), count: sections.count)
    }

    /// Others may be searched for from now on; what is known of those that stay is kept.
    mutating func cover(_ newSections: Range<Int>) {
        pauses = newSections.map { sections.contains($0) ? pauses[$0 - sections.lowerBound] : Pause() }
        sections = newSections
    }

    /// What is left of a section's pause; zero where there is none.
    func rest(of section: Int, at now: Instant) -> Interval {
        let until = pauses[section - sections.lowerBound].until
        return until > now ? until - now : .zero
    }

    /// Searches for a section in a row that found too few.
    func attempts(_ section: Int) -> Int { Int(pauses[section - sections.lowerBound].attempts) }

    /// Takes leave for one search; false where there is none now.
    mutating func takeLeave(at now: Instant) -> Bool {
        let gained = (now - refilledAt).seconds * HolderLimits.searchRate
        allowance = min(allowance + gained, HolderLimits.searchBurst)
        refilledAt = now
        guard allowance >= 1 else { return false }
        allowance -= 1
        return true
    }

    /// Things have changed for a section: its pause is over. How often it was searched for in vain still counts.
    mutating func endPause(_ section: Int) { pauses[section - sections.lowerBound].until = .zero }

    /// A provider of the section has helped: it is as if it had never been searched for.
    mutating func reset(_ section: Int) { pauses[section - sections.lowerBound] = Pause() }

    /// A search found too few for a section, or (`hasAny`) some.
    mutating func pause(_ section: Int, hasAny: Bool, at now: Instant) {
        let slot = section - sections.lowerBound
        let first = hasAny ? HolderLimits.pauseWithFew : HolderLimits.pauseWithout
        let longest = hasAny ? HolderLimits.longestPauseWithFew : HolderLimits.longestPauseWithout
        let doublings = min(Int(pauses[slot].attempts), 16)
        pauses[slot].until = now + min(first * (1 << doublings), longest)
        pauses[slot].attempts = UInt8(doublings + 1)
    }
}
