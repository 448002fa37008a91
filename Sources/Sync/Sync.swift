// Sync: the merry-go-round.
//
// Terms. An *anchor* is the state at an epoch's boundary block. A *section* is an aligned slice of the account
// keyspace, the unit of responsibility. The *arc* is the run of sections this node wants: all of them for a full
// state, the stretch round its own id for a node that serves. A *lane* walks a stretch of the arc upward; its `L` is
// the next missing cursor of the section it is on. `P` is all that is held, each section at one working anchor; `D` is
// the diff under way for sections that are held at an older anchor than the newest.
//
//      0x00…                          the ring                          0xff…
//      |######|######|###L..|......|######|##L...|......|......|##L...|......|
//       lane 0 ─────────▶           lane 1 ─▶                   lane 2 ▶
//       (# at the newest anchor, or brought there by its diff D; . not yet fetched)
//
// Phases. *waiting*: no final anchor is known yet. *walking*: ranges are fetched at the newest anchor while every
// complete section that is behind it is brought forward by its diff. *following*: the whole arc is complete at one
// anchor; block diffs carry it to the head, and sections with a gap are caught up by diffs to a block.
//
// Invariants. A moving target cancels nothing: work under way ends at the anchor it began with. A section partly
// fetched is finished at its own anchor while somebody serves that, then crosses by its diff; when nobody serves it
// any more, what is held of it is *carried* to the newest by a diff, which the next range proves, and the walk of it
// goes on from there. So a section (or one account) that takes longer than its anchor lives loses nothing. Dropped is
// only what nobody's history leads on from. Every assignment comes back by `finish`, whatever happened to it. What
// peers claim only says who can be asked; who of those is asked is the choice of the peer book (`PeerChooser`) and of
// nobody else. What counts as held is told by the store after verification (`update`). Under a download limit the
// section that is first to lose its anchor goes first; lanes that share a limit evenly would all be overtaken by the
// epochs.
//
// Why a planner and not a task per lane: every decision is a function of what is held, what peers say and what is
// in flight, so it is made in one place, is tested without a network, and replays from its seed.
//
// Source of the algorithm: the project's seed 004, steps 1 to 5; multi-epoch rules: protocol.md §7.

import Chain
import Primitives
import StateStore

/// Chooses whom to ask, by what is known of how peers behave: the peer book of the wire below.
public protocol PeerChooser {
    /// The one of `candidates` to ask for about `bytes` of content; `load` is what it was asked already and has not
    /// answered yet. nil where none of them is to be asked.
    mutating func choose(among candidates: [(id: Bytes32, load: Int)], bytes: Int, at now: Instant) -> Bytes32?
}

/// What a peer says it serves, as far as this node believes it enough to ask.
public struct SyncPeer: Sendable, Equatable {
    public let id: Bytes32
    /// Served anchors with the runs of complete sections at each.
    public let served: [Served]
    /// The newest block up to which it proves its sections; nil where that block is not on our attested chain.
    public let head: StatePoint?

    /// Sections complete at one anchor.
    public struct Served: Sendable, Equatable {
        public let anchor: Anchor
        public let sections: [Range<Int>]

        public init(anchor: Anchor, sections: [Range<Int>]) {
            self.anchor = anchor
            self.sections = sections
        }
    }

    public init(id: Bytes32, served: [Served], head: StatePoint?) {
        self.id = id
        self.served = served
        self.head = head
    }

    /// Whether the section is complete there at any anchor.
    func claims(_ section: Int) -> Bool { served.contains { $0.sections.contains { $0.contains(section) } } }

    func holds(_ section: Int, at anchor: Anchor) -> Bool {
        served.contains { $0.anchor == anchor && $0.sections.contains { $0.contains(section) } }
    }
}

/// What the store holds of one section, as told by its keeper.
public struct SectionStatus: Sendable, Equatable {
    /// How much of it is held, and at which anchor.
    public enum Coverage: Sendable, Equatable {
        case none
        /// Everything below `next` is held at `anchor`.
        case partial(anchor: Anchor, next: Cursor)
        case complete(anchor: Anchor)

        /// Where it stands; nil where nothing is held.
        var anchor: Anchor? {
            switch self {
            case .none: nil
            case .partial(let anchor, _), .complete(let anchor): anchor
            }
        }
    }

    public let coverage: Coverage
    /// A job that changes the section is under way; the planner leaves it alone.
    public let isLocked: Bool
    /// Complete, but blocks since its anchor are missing.
    public let hasGap: Bool
    /// The newest block whose changes it has: a catch-up must lead beyond it.
    public let top: UInt64
    /// Partly fetched: a diff to this anchor is at hand, and the next range is to be of it.
    public let carriedTo: Anchor?

    /// Where a partly fetched section stands; nil for one that is not begun or is complete.
    var begun: (anchor: Anchor, next: Cursor)? {
        guard case .partial(let anchor, let next) = coverage else { return nil }
        return (anchor, next)
    }

    public init(
        coverage: Coverage, isLocked: Bool, hasGap: Bool, top: UInt64 = 0, carriedTo: Anchor? = nil
    ) {
        self.carriedTo = carriedTo
        self.coverage = coverage
        self.isLocked = isLocked
        self.hasGap = hasGap
        self.top = top
    }
}

/// One thing to ask a peer for.
public enum SyncTask: Sendable, Hashable {
    case crown(Anchor)
    /// `maxBytes` bounds the answer.
    case range(section: Int, anchor: Anchor, origin: Cursor, limit: Cursor, maxBytes: UInt32)
    case diffs(sections: [Int], from: Anchor, to: DiffTarget)
    /// The diff of a partly fetched section whose own anchor nobody serves any more.
    case carry(section: Int, from: Anchor, to: Anchor)
    /// Codes that accounts of one section name.
    case codes([Bytes32], section: Int)

    /// Where a diff leads: to an anchor (the sections are folded) or to a block after the newest one.
    public enum DiffTarget: Sendable, Hashable {
        case anchor(Anchor)
        case block(StatePoint)
    }

    /// The section it is about, or the first of them; nil for a crown, which is about all.
    var subject: Int? {
        if case .codes(_, let section) = self { section } else { sections.first }
    }

    /// The sections it changes.
    public var sections: [Int] {
        switch self {
        case .range(let section, _, _, _, _): [section]
        case .diffs(let sections, _, _): sections
        case .carry(let section, _, _): [section]
        case .crown, .codes: []
        }
    }
}

/// A task given to a peer.
public struct Assignment: Sendable, Equatable {
    public let id: UInt64
    public let peer: Bytes32
    public let task: SyncTask
}

/// How an assignment ended.
public enum AssignmentOutcome: Sendable, Equatable {
    /// Verified and committed.
    case done(bytes: Int)
    /// The peer asked for patience.
    case busy(Interval)
    /// The peer does not serve it (another anchor, history too short, not its section).
    case refused
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
    public var hasHelped: Bool? {
        switch self {
        case .done: true
        case .busy, .failed, .invalid: false
        case .refused, .tooOld, .tooLarge, .aborted: nil
        }
    }
}

/// What is to be done now.
public struct SyncPlan: Sendable, Equatable {
    public var assignments: [Assignment] = []
    /// Sections at an anchor that nobody leads on from: to be dropped and begun again.
    public var drops: [Int] = []
}
