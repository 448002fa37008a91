import Primitives
import StateStore

/// Sections that are begun again, told in one line a minute with their number: there may be thousands at once.
struct DroppedSections: Sendable {
    private var count = 0
    private var first: Section?
    private var total = 0
    private var toldAt: Instant?

    /// One more.
    mutating func note(_ section: Section) {
        if count == 0 { first = section }
        count += 1
        total += 1
    }

    /// What is to be told now; nil where there is nothing, or where something was told less than a minute ago.
    mutating func line(at now: Instant) -> String? {
        guard count > 0, let first, toldAt.map({ now - $0 >= StateNetworkLimits.droppedLines }) ?? true else {
            return nil
        }
        defer { (count, toldAt) = (0, now) }
        if count == 1 { return "section \(first) is begun again: nobody leads on from its anchor" }
        return "\(count) sections, \(first) and others, are begun again (\(total) since the start): nobody leads on "
            + "from their anchors"
    }
}
