import Chain
import Discovery
import Overlay
import Primitives
import StateContent

/// Chooses whom to ask, by what is known of how peers behave: the peer book of the wire below.
public protocol PeerChooser {
    /// The one of `candidates` to ask for about `bytes` of content; nil where none of them is to be asked.
    mutating func choose(among candidates: [AskCandidate], bytes: Int, at now: Instant) -> Bytes32?
}

/// What is to be done now.
struct WalkPlan: Sendable, Equatable {
    /// One thing to ask of one peer, with the bytes of the download limit that are set aside for it.
    struct Ask: Sendable, Equatable {
        let task: WalkTask
        let peer: Bytes32
        let budgeted: UInt32
    }

    var asks: [Ask] = []
    /// Sections at an anchor that nobody leads on from: to be dropped and begun again.
    var drops: [Int] = []
}

/// A plan while it is made: who can be asked, by what was asked of them before and in this plan.
struct WalkDraft {
    /// A peer that state may be taken from.
    struct Candidate {
        let id: Bytes32
        /// Whether it walks as this node does, and whether it has given anything so far.
        let isWalker, hasHelped: Bool
        let served: [AnchorSections]
        let head: StatePoint?
        let pausedUntil: Instant
        let isPaused: Bool
        /// nil on loopback.
        let subnet: Subnet?
        /// Parts that it has said it lacks.
        let lacks: Set<Int>
        /// Where parts lie.
        let parts: PartIDs
        /// How long it has owed something that should have come by now.
        let silentFor: Interval
        var load: Int

        /// Whether it may be asked for something now.
        var isFree: Bool { !isPaused && load < WalkLimits.requestsPerPeer }

        /// Whether it says that it has the section complete at the anchor.
        func holds(_ section: Int, at anchor: Anchor) -> Bool {
            guard !parts.isPart(section) else { return holds(part: section, at: anchor) }
            return served.contains { $0.anchor == anchor && $0.runs.contains { $0.contains(section) } }
        }

        /// Whether it says that it has the section complete in which the part lies, or that of the account, with which
        /// the part may have been until lately.
        private func holds(part: Int, at anchor: Anchor) -> Bool {
            guard !lacks.contains(part) else { return false }
            let homes = parts.homes(of: part)
            return served.contains { $0.anchor == anchor && $0.runs.contains { homes.contains(where: $0.contains) } }
        }

        /// Whether it says that it has the section complete at some anchor that is `usable`.
        func holds(_ section: Int, atAny usable: (Anchor) -> Bool) -> Bool {
            served.contains { usable($0.anchor) && $0.runs.contains { $0.contains(section) } }
        }
    }

    private(set) var plan = WalkPlan()
    private(set) var candidates: [Candidate]
    /// Sections that something is under way for.
    private(set) var taken: Set<Int>
    private var inFlight: Int
    /// Sections that are being compared: something of them was taken over, is under way, or could be asked for.
    private var compared: Set<Int>
    /// Whether a section is being compared by a range.
    private(set) var samplesChanges = false
    var comparisons: Int { compared.count }
    /// Candidates of whom the chooser took none: it may think otherwise after a while.
    private(set) var isBarred = false
    /// When time alone makes another plan worth while.
    private(set) var reviewAt: Instant?
    let now: Instant

    init(
        role: Role, _ peers: HolderDirectory, _ operations: OperationTable, _ book: SectionBook, _ refusals: Refusals,
        patience: Interval, at now: Instant
    ) {
        self.now = now
        inFlight = operations.askCount
        taken = []
        compared = book.mixed
        for case .compare(let section, _, _, let means)? in operations.asks.lazy.map(\.task) {
            compared.insert(section)
            if means.isStretch { samplesChanges = true }
        }
        // Where somebody else's answer came first, the section does not wait for the one that is late.
        for case let task? in operations.asks.lazy.map(\.task) where !task.isOvertaken(book) {
            taken.formUnion(task.sections)
        }
        var silent: [Bytes32: Interval] = [:]
        for ask in operations.asks where ask.stage.isAsked && now - ask.startedAt >= patience {
            guard let peer = ask.peer else { continue }
            silent[peer] = max(silent[peer] ?? .zero, now - ask.startedAt)
        }
        candidates = []
        for peer in peers.peers.values where role.takesState(from: peer.role) {
            candidates.append(
                Candidate(
                    id: peer.id, isWalker: peer.role == .walker, hasHelped: peer.hasHelped, served: peer.served,
                    head: peer.head,
                    pausedUntil: peer.pace.pausedUntil,
                    isPaused: peer.pace.pausedUntil > now, subnet: peer.subnet,
                    lacks: refusals.lacks(peer.id, at: now), parts: book.parts.ids,
                    silentFor: silent[peer.id] ?? .zero, load: operations.load(of: peer.id)))
        }
    }

    /// Whether another request may begin at all.
    var hasRoom: Bool { inFlight < WalkLimits.requestsInFlight }

    func hasFree(where qualifies: (Candidate) -> Bool) -> Bool { candidates.contains { $0.isFree && qualifies($0) } }

    /// Sections that walkers say they have complete at the anchor.
    func ofFellows(at anchor: Anchor) -> Set<Int> {
        var sections: Set<Int> = []
        for peer in candidates where peer.isWalker {
            for served in peer.served where served.anchor == anchor { sections.formUnion(served.runs.joined()) }
        }
        return sections
    }

    /// How many say that they have the section complete at the anchor.
    func providers(of section: Int, at anchor: Anchor) -> Int { candidates.count { $0.holds(section, at: anchor) } }

    func candidate(_ id: Bytes32) -> Candidate? { candidates.first { $0.id == id } }

    /// The peer to ask of those that qualify and have room for another request: the chooser's choice.
    mutating func choose(
        bytes: Int = WalkLimits.unknownAnswerBytes, by chooser: inout some PeerChooser,
        where qualifies: (Candidate) -> Bool
    ) -> Bytes32? {
        guard hasRoom else { return nil }
        let able = candidates.filter { $0.isFree && qualifies($0) }
        guard !able.isEmpty else { return nil }
        let asked = candidates.filter { $0.load > 0 }
        let offered = able.map { peer in
            AskCandidate(
                id: peer.id, load: peer.load,
                sharesPrefix: peer.subnet != nil && asked.contains { $0.subnet == peer.subnet && $0.id != peer.id },
                silentFor: peer.silentFor)
        }
        let chosen = chooser.choose(among: offered, bytes: bytes, at: now)
        if chosen == nil { isBarred = true }
        return chosen
    }

    /// Asks a peer for something.
    mutating func ask(_ task: WalkTask, of peer: Bytes32, budgeted: UInt32 = 0) {
        plan.asks.append(WalkPlan.Ask(task: task, peer: peer, budgeted: budgeted))
        taken.formUnion(task.sections)
        if case .compare(_, _, _, let means) = task, means.isStretch { samplesChanges = true }
        inFlight += 1
        if let place = candidates.firstIndex(where: { $0.id == peer }) { candidates[place].load += 1 }
    }

    mutating func compares(_ section: Int) { compared.insert(section) }

    mutating func lookAgain(at time: Instant) { reviewAt = reviewAt.map { min($0, time) } ?? time }

    mutating func drop(_ section: Int) { plan.drops.append(section) }
}
