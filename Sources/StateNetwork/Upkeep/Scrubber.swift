import Chain
import MerklePatricia
import Primitives
import StateStore

// Scrubber: reads back what a holder holds, so that a disk that changes a byte is found out before a peer is served it.
//
//      round over the arc: section after section, from one on that is another at every start ─▶ pause to the day's end
//      section: a piece of 16,384 leaves ─▶ pause of 125 µs a leaf ─▶ next piece … ─▶ branches, hash, undo; next one
//
// What is read is what one snapshot has of the section's base, of the undo layer beside it, and of the code that its
// accounts name (`SectionScrub`). Code that is damaged is fetched by itself: the section stays what it is. A fold
// between two pieces changes the record, and the section is begun again. Sections that a peer may have refused come
// before the others, at the same pace.
//
// Why the silence of an asker is all there is to go by: a walker that refuses a range asks somebody else and says
// nothing, and it bans who sent it, so it never asks the same again. A message that said "your section is damaged"
// would be free for liars and make every holder read for them. Who goes on asking had no reason to stop; who stops
// after a range may have had one.

/// When to read which piece of what is held. Time and what was read in; pieces out.
struct Scrubber: Sendable {
    /// How storage is placed; nil in a network that spreads none.
    private let rule: Placement?
    private let kept: KeptStorage
    /// The section that is being read.
    private var current: SectionScrub?
    private var isBusy = false
    /// When the next piece is due.
    private var nextAt: Instant
    private var roundBegan: Instant
    /// The next section of the round, and how many are left of it.
    private var next: Int
    private var left: Int
    /// Parts of spread storage that are left of it, after the sections.
    private var parts: [Int]
    /// Sections that a peer may have refused, in order.
    private var suspects: [Int] = []
    private var suspectedAt: [Int: Instant] = [:]
    /// Peers whose last request was for a range, and of which section.
    private var served: [Bytes32: (section: Int, at: Instant)] = [:]
    /// Sections read to their end, in all and before this round.
    private(set) var sectionsRead = 0
    private var readBefore = 0

    /// `start`: any number; the round begins at the section that it names.
    init(
        _ book: SectionBook, from start: UInt64, placing rule: Placement? = nil, keeping kept: KeptStorage = .all,
        at now: Instant
    ) {
        self.rule = rule
        self.kept = kept
        next = book.arc.lowerBound + Int(start % UInt64(max(book.arc.count, 1)))
        left = book.arc.count
        parts = book.parts.wanted
        nextAt = now + UpkeepLimits.firstScrub
        roundBegan = nextAt
    }

    /// When the next piece is due; nil while one is being read.
    var deadline: Instant? { isBusy ? nil : nextAt }

    // MARK: What happened

    /// A peer was given a range of a section, or (nil) asked for something else.
    mutating func asked(_ section: Int?, by peer: Bytes32, at now: Instant) {
        guard let section else {
            served[peer] = nil
            return
        }
        if served.count >= UpkeepLimits.servedPeers, served[peer] == nil,
            let oldest = served.min(by: { ($0.value.at, $0.key) < ($1.value.at, $1.key) })?.key
        {
            served[oldest] = nil
        }
        served[peer] = (section, now)
    }

    /// A piece was read; `isDone`: the last one.
    mutating func read(_ scrub: SectionScrub, isDone: Bool, at now: Instant) {
        isBusy = false
        let work = scrub.work - (current?.work ?? 0)
        current = isDone ? nil : scrub
        if isDone { sectionsRead += 1 }
        nextAt = now + max(UpkeepLimits.shortestScrubPause, UpkeepLimits.scrubPause * max(work, 0))
    }

    /// The section that was being read is given up: it is damaged, has changed, or could not be read.
    mutating func gaveUp(at now: Instant) {
        isBusy = false
        current = nil
        nextAt = now + UpkeepLimits.shortestScrubPause
    }

    // MARK: What to read

    /// The piece to read now; nil where none is due. `crowns`: those of served anchors, by which undo layers are
    /// proven.
    mutating func piece(of book: SectionBook, _ crowns: Crowns? = nil, at now: Instant) -> SectionScrub? {
        guard !isBusy, nextAt <= now else { return nil }
        suspectSilent(at: now)
        if let current, book.id(of: current.record.section).flatMap({ book.read($0) { $0.record } }) != current.record {
            self.current = nil
        }
        guard let scrub = current ?? begin(book, crowns, at: now) else { return nil }
        current = scrub
        guard book.id(of: scrub.record.section).map({ !book.isLocked($0) }) ?? false else {
            nextAt = now + UpkeepLimits.shortestScrubPause
            return nil
        }
        isBusy = true
        return scrub
    }

    /// The next section that can be read; none while the round is over, which takes its time.
    private mutating func begin(_ book: SectionBook, _ crowns: Crowns?, at now: Instant) -> SectionScrub? {
        while let index = nextSection(of: book, at: now) {
            guard book.isComplete(index), let record = book.read(index, { $0.record }) else { continue }
            let crown = record.previous.flatMap { crowns?.crown(at: book.epochs.anchor(at: $0)) }
            // A crown that does not have the section proves nothing of it; nor does any of a part.
            let previousHash = book.isPart(index) ? nil : crown.flatMap { try? $0.sectionHash(index) }
            let scrub = SectionScrub(record, previousHash: previousHash, placing: rule, keeping: kept)
            if let scrub { return scrub }
        }
        return nil
    }

    private mutating func nextSection(of book: SectionBook, at now: Instant) -> Int? {
        let arc = book.arc
        while let suspect = suspects.first {
            suspects.removeFirst()
            if arc.contains(suspect) { return suspect }
        }
        if left == 0, let part = parts.popLast() { return part }
        if left == 0 {
            // A round in which nothing was complete was none.
            let length = sectionsRead == readBefore ? UpkeepLimits.firstScrub : UpkeepLimits.scrubRound
            let begins = roundBegan + length
            guard begins <= now else {
                // Sections that are served meanwhile are looked after all the same.
                nextAt = min(now + UpkeepLimits.servedSilence, begins)
                return nil
            }
            (roundBegan, readBefore, left, parts) = (now, sectionsRead, arc.count, book.parts.wanted)
        }
        if !arc.contains(next) { next = arc.lowerBound }
        left = min(left, arc.count) - 1
        defer { next += 1 }
        return next
    }

    /// Peers that got a range and were not heard of again.
    private mutating func suspectSilent(at now: Instant) {
        suspectedAt = suspectedAt.filter { now - $0.value < UpkeepLimits.suspectPause }
        for (peer, (section, at)) in served.sorted(by: { $0.key < $1.key })
        where now - at >= UpkeepLimits.servedSilence {
            served[peer] = nil
            guard suspectedAt[section] == nil, suspects.count < UpkeepLimits.suspects else { continue }
            suspectedAt[section] = now
            suspects.append(section)
        }
    }
}
