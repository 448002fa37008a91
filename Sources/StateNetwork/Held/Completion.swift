import Chain
import Primitives

/// When what is held is looked over for something that is complete now, and what was told of that.
struct Completion: Sendable {
    /// When that is next done; nil where nothing has come about since.
    private(set) var reviewAt: Instant?
    private var reviewedAt: Instant?
    /// The anchor at which completeness was last told.
    private(set) var told: Anchor?
    /// Sections of the arc, by which the next look is put off.
    private var sections: Int
    /// After a start, the anchor at which everything was complete before.
    private var resumed: Anchor?

    init(sections: Int, resumed: Anchor?) {
        self.sections = sections
        self.resumed = resumed
    }

    /// The newest anchor at which everything of the arc was complete, in this run or the one before.
    var anchor: Anchor? { told ?? resumed }

    /// These anchors are none any more.
    mutating func forget(_ lost: [Anchor]) {
        if told.map(lost.contains) ?? false { told = nil }
        if resumed.map(lost.contains) ?? false { resumed = nil }
    }

    /// The arc has so many sections from now on. The anchor at which all of it is complete is told anew.
    mutating func cover(sections: Int) {
        self.sections = sections
        told = nil
    }

    /// Something was committed or attested: all that is held is to be looked over, soon.
    mutating func somethingCameAbout(at now: Instant) {
        guard reviewAt == nil else { return }
        let gap = Interval(microseconds: StateNetworkLimits.reviewPerSection.microseconds * UInt64(sections))
        reviewAt = reviewedAt.map { max($0 + gap, now) } ?? now
    }

    /// Whether it is time; if so, that is done with.
    mutating func isDue(at now: Instant) -> Bool {
        guard let reviewAt, reviewAt <= now else { return false }
        self.reviewAt = nil
        reviewedAt = now
        return true
    }

    /// Whether this anchor has not been told yet; if so, it is now.
    mutating func tells(_ anchor: Anchor) -> Bool {
        guard told != anchor else { return false }
        told = anchor
        return true
    }
}
