import Primitives
import StateStore

// ArcKeeper: how much of the ring a holder keeps.
//
// Terms. The *kept* arc is what is held and filled; the *announced* one is what the radius in PINGs says. They differ
// while a step up is under way: then the kept arc is twice the announced one. A *step* is one bit of the radius.
// *Floor*: the smallest arc, one section; *ceiling*: the largest that was asked for. *Outside* is what the store still
// has of sections that are kept no more.
//
//      widening     kept 2^(k+1), announced 2^k:  the new half is filled ──▶ announced 2^(k+1)
//      narrowing    kept and announced 2^(k-1)    ──▶ the other half is dropped, a piece at a time
//
// Decisions come one at a time, each carried out and written down before the next. What the store takes up is measured
// after the arc is complete for the first time and then after every 1/64 of the capacity written; every decision needs
// figures newer than the one before. So the first arc of a new holder is one section: what it takes up, times two, says
// whether there is room for two sections, and so on. Nothing is ever fetched to be thrown away because of a guess.
//
// Why not the arc that fits at once, by arithmetic: a step doubles what is held and so what can be said of the state;
// arcs differ, and twelve steps that each double cost no more bytes than the last arc alone.

/// Chooses the arc of a holder by its capacity. Figures and what is held in; decisions out.
struct ArcKeeper: Sendable {
    /// What is to be done next.
    enum Decision: Sendable, Equatable {
        /// Measure what the store takes up; ends in `measured`.
        case measure
        /// Give up the oldest history that no served anchor needs; ends in `gaveUp`.
        case dropHistory
        /// Write down and follow these exponents; ends in `moved`.
        case move(ArcMark)
        /// Tell that there is no room and nothing to be given up.
        case tellShort
    }

    /// What it decides by, lent with each call.
    struct Sight: Sendable {
        /// Every section of the kept arc is complete at one anchor, with its code.
        var isComplete: Bool
        /// Nothing is left outside.
        var isTidy: Bool
        /// The arc beside has had too few holders for a while.
        var isSiblingUnderHeld: Bool
    }

    let capacity: Int
    let floor: Int
    let ceiling: Int
    /// The arc that is kept and the one that is announced.
    private(set) var mark: ArcMark
    /// What the store took up when it was last looked at; nil where something was decided since.
    private(set) var use: StoreUse?
    /// A decision is being carried out.
    private var isBusy = false
    /// Bytes written since the last measurement.
    private var written = 0
    /// An exponent that turned out to be too large, and until when it is not tried again.
    private var refused: (exponent: Int, until: Instant)?
    /// Whether there is too little room for the smallest arc, which was told.
    private(set) var hasToldShort = false
    /// Not before this is a larger arc begun: others have to hear of the one before.
    private var widensFrom = Instant.zero

    /// `capacity` in bytes; exponents of radii. `mark`: as stored, or as the first start begins.
    init(capacity: Int, floor: Int, ceiling: Int, mark: ArcMark) {
        self.capacity = capacity
        self.floor = floor
        self.ceiling = max(floor, ceiling)
        self.mark = mark
    }

    /// Bytes above which something is given up.
    var threshold: Int { share(UpkeepLimits.keepsUpTo) }

    private func share(_ sixteenths: Int) -> Int { capacity / 16 * sixteenths }

    // MARK: What happened

    /// A transaction of so many bytes was handed out.
    mutating func wrote(_ bytes: Int) { written = min(written, capacity) + bytes }

    /// The store takes up so much.
    mutating func measured(_ use: StoreUse) {
        isBusy = false
        self.use = use
        written = 0
    }

    /// Old history is gone, or some of it.
    mutating func gaveUp() {
        isBusy = false
        use = nil
    }

    /// These exponents are written down.
    mutating func moved(to mark: ArcMark, at now: Instant) {
        isBusy = false
        if mark.announced > self.mark.announced { widensFrom = now + UpkeepLimits.stepPause }
        if mark.kept < self.mark.kept { refused = (self.mark.kept, now + UpkeepLimits.retryAfter) }
        self.mark = mark
        use = nil
    }

    /// What was decided could not be done; it is decided anew.
    mutating func failed() {
        isBusy = false
        use = nil
        written = 0
    }

    // MARK: Decisions

    /// What is to be done now; nil where nothing is, or where the last decision is still being carried out.
    mutating func decide(_ sight: Sight, at now: Instant) -> Decision? {
        guard !isBusy, let decision = next(sight, at: now) else { return nil }
        switch decision {
        case .tellShort: hasToldShort = true
        case .measure, .dropHistory, .move: isBusy = true
        }
        return decision
    }

    private func next(_ sight: Sight, at now: Instant) -> Decision? {
        // A step that has come to its end is told first: others wait for it.
        if mark.isWidening, sight.isComplete { return .move(ArcMark(kept: mark.kept, announced: mark.kept)) }
        // What is on its way out says nothing of what stays.
        guard sight.isTidy else { return nil }
        guard let use, written <= capacity / UpkeepLimits.partBetweenLooks else {
            let isOfUse = sight.isComplete && mark.kept < ceiling && use == nil
            return isOfUse || written > capacity / UpkeepLimits.partBetweenLooks ? .measure : nil
        }
        guard use.all <= threshold else {
            if use.hasOldHistory { return .dropHistory }
            if mark.kept > floor { return .move(ArcMark(kept: mark.kept - 1, announced: mark.kept - 1)) }
            return hasToldShort ? nil : .tellShort
        }
        guard !mark.isWidening, mark.kept < ceiling, sight.isComplete, widensFrom <= now else { return nil }
        if let refused, refused.exponent <= mark.kept + 1, refused.until > now { return nil }
        let doubled = use.all - use.history + use.state
        let bound = sight.isSiblingUnderHeld ? UpkeepLimits.widensForOthersUpTo : UpkeepLimits.widensUpTo
        guard doubled <= share(bound) else { return nil }
        return .move(ArcMark(kept: mark.kept + 1, announced: mark.kept))
    }
}
