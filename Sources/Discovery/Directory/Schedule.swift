import Primitives

/// When the directory does something without being asked: checks a node of the table, refreshes the table, and tries
/// the boot nodes while the table is empty.
struct Schedule: Sendable {
    /// The first pause between refreshes: a young network changes by the second.
    private static let firstRefreshPause = Interval.seconds(2)

    var revalidation: Instant
    /// nil while the table is empty.
    private(set) var refresh: Instant?
    /// The next pause between refreshes, doubled from one to the next up to the configured one.
    private var refreshPause = Schedule.firstRefreshPause
    /// nil while the table is not empty, or there is nobody to begin with.
    var bootstrap: Instant?

    init(revalidation: Instant) { self.revalidation = revalidation }

    /// When the first of them is due.
    var next: Instant { min(revalidation, refresh ?? revalidation, bootstrap ?? revalidation) }

    /// The table has got a node more.
    mutating func noteGrowth(at now: Instant) {
        bootstrap = nil
        if refresh == nil { refresh = now }
    }

    /// The table has lost its last node.
    mutating func noteEmptiness(hasBootNodes: Bool, at now: Instant) {
        refresh = nil
        refreshPause = Schedule.firstRefreshPause
        bootstrap = hasBootNodes ? now : nil
    }

    /// A refresh begins; the next one follows after a pause, in the end of `longest`.
    mutating func beginRefresh(longest: Interval, at now: Instant) {
        refresh = now + refreshPause
        refreshPause = min(refreshPause * 2, longest)
    }
}
