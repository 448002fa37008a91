import Chain
import Primitives
import StateContent
import StateStore

/// One thing to ask a peer for.
public enum WalkTask: Sendable, Hashable {
    case crown(Anchor)
    /// `maxBytes` bounds the answer.
    case range(section: Int, anchor: Anchor, origin: Cursor, limit: Cursor, maxBytes: UInt32)
    /// Several sections of which nothing is held, whole.
    case sections([Int], anchor: Anchor, maxBytes: UInt32)
    case diffs(sections: [Int], from: Anchor, to: DiffTarget)
    /// The diff of a partly fetched section whose own anchor nobody serves any more.
    case carry(section: Int, from: Anchor, to: Anchor)
    /// Something of a section that no diff leads on, to compare what is held with the state at another anchor.
    case compare(section: Int, from: Anchor, to: Anchor, by: Means)
    /// Codes that accounts of one section name.
    case codes([Bytes32], section: Int)
    /// What joins parts of a spread storage trie to the state's root; `home`: where the first of them lies.
    case storageCrown(StorageCrownKey, home: Int)
    /// Which storage of accounts in these sections is spread.
    case directory([Int], anchor: Anchor)
    /// What a block changed in a stretch of the ring.
    case blockDiffs(StatePoint, ClosedRange<Int>)

    /// Where a diff leads: to an anchor (the sections are folded) or to a block after the newest one.
    public enum DiffTarget: Sendable, Hashable {
        case anchor(Anchor)
        case block(StatePoint)
    }

    /// By what a section is compared.
    public enum Means: Sendable, Hashable {
        /// Its nodes at these places.
        case places([StatePlace])
        /// Its leaves from one position to another; `maxBytes` bounds the answer.
        case stretch(Cursor, Cursor, maxBytes: UInt32)

        var isStretch: Bool { if case .stretch = self { true } else { false } }
    }

    /// The section it is about, or the first of them; nil for a crown, which is about all.
    var subject: Int? {
        switch self {
        case .codes(_, let section), .storageCrown(_, let section): section
        case .blockDiffs(_, let stretch): stretch.lowerBound
        default: sections.first
        }
    }

    /// The sections it changes.
    public var sections: [Int] {
        switch self {
        case .range(let section, _, _, _, _): [section]
        case .sections(let sections, _, _), .diffs(let sections, _, _): sections
        case .carry(let section, _, _), .compare(let section, _, _, _): [section]
        case .crown, .codes, .storageCrown, .directory, .blockDiffs: []
        }
    }

    /// Whether its sections are locked from the question on, and not from the answer. Those that are caught up are not:
    /// what they miss may come as a block's diff before that. Nor are those of ranges and bundles, which may be asked
    /// of two.
    var locksWhileAsked: Bool {
        switch self {
        case .range, .sections, .diffs(_, _, .block): false
        case .crown, .diffs, .carry, .compare, .codes, .storageCrown, .directory, .blockDiffs: true
        }
    }

    /// The anchor that a diff is asked for from; nil for everything else.
    var diffStart: Anchor? {
        switch self {
        case .diffs(_, let anchor, _), .carry(_, let anchor, _): anchor
        case .crown, .range, .sections, .compare, .codes, .storageCrown, .directory, .blockDiffs: nil
        }
    }

    /// What of it has to hold when it is asked of a second peer; nil for what is asked of one only.
    var doubled: (anchor: Anchor, maxBytes: UInt32)? {
        switch self {
        case .range(_, let anchor, _, _, let maxBytes), .sections(_, let anchor, let maxBytes): (anchor, maxBytes)
        case .crown, .diffs, .carry, .compare, .codes, .storageCrown, .directory, .blockDiffs: nil
        }
    }

    /// What it says of a peer that it answers with names of others: it has never heard of such content, or, where every
    /// version knows it, it does not have it.
    var outcomeOfNames: AskOutcome {
        switch self {
        case .compare(_, _, _, .places), .sections: .notKnown
        default: .refused
        }
    }

    /// Whether somebody else's answer to the same came first, so that this one will bring nothing more.
    func isOvertaken(_ book: SectionBook) -> Bool {
        switch self {
        case .range(let section, _, let origin, _, _): book.next(of: section) != origin
        case .sections(let sections, _, _): sections.contains { book.isComplete($0) }
        case .crown, .diffs, .carry, .compare, .codes, .storageCrown, .directory, .blockDiffs: false
        }
    }

    /// Whether it is about spread storage, which a peer need not have that announces the section where it lies.
    func isOfPart(_ book: SectionBook) -> Bool {
        if case .storageCrown = self { return true }
        return sections.first.map { book.isPart($0) } ?? false
    }

    /// Sections that it is to lead to another anchor.
    var sectionsLedOn: [Int] {
        switch self {
        case .diffs(let sections, _, .anchor): sections
        case .carry(let section, _, _): [section]
        case .crown, .range, .sections, .compare, .codes, .storageCrown, .directory, .blockDiffs,
            .diffs(_, _, .block):
            []
        }
    }
}

/// How something that was asked of a peer ended.
public enum AskOutcome: Sendable, Equatable {
    /// Verified and committed.
    case done(bytes: Int)
    /// The peer asked for patience.
    case busy(Interval)
    /// The peer does not serve it (another anchor, history too short, not its section).
    case refused
    /// The peer does not have that part of a spread storage, which is no promise of its announcements.
    case lacksPart
    /// The peer has never heard of such content.
    case notKnown
    /// A diff was asked for from an anchor that the peer's history does not reach back to.
    case tooOld
    /// Not even one item fits the size asked for: the next request for that section asks for twice as much.
    case tooLarge
    /// No answer in time, or one that was lost on the way.
    case failed
    /// The answer was a lie or could not be read.
    case invalid
    /// Our own store could not take it; nobody's fault.
    case aborted

    /// Whether the peer helped; nil where that is not for it to say.
    var hasHelped: Bool? {
        switch self {
        case .done: true
        case .busy, .failed, .invalid: false
        case .refused, .lacksPart, .notKnown, .tooOld, .tooLarge, .aborted: nil
        }
    }

    /// Bytes that it brought.
    var bytes: Int { if case .done(let bytes) = self { bytes } else { 0 } }
}
