import Chain
import Discovery
import Overlay
import Primitives
import StateContent
import StateStore

// HolderDirectory: who has which section, and how whoever has it is found, in a ring of any size.
//
// Terms. A *provider* of a section says that it has it complete, at an anchor of use; it is *live* as long as asking it
// brings something now and then. A *keeper* covers the section by its radius, whether it has filled it or not. *Needed*
// are the sections that this node walks, fills, keeps or catches up: all of them for a walker or a bridge, the arc and
// the one beside it for a holder. A needed section is *short* while it has fewer live providers than are wanted (for a
// bridge: keepers, since it brings the first copies to those who have nothing yet). *Kept* are peers that the overlay
// pings for the directory's sake, whether its routing table has a place for them or not.
//
//     routing table (Kademlia)           the directory
//     16 a bucket: half of the ring      for each needed section up to 8 that cover it, of few network prefixes;
//     shares one bucket                  by arc, so that "who covers this" is a handful of lookups
//
//     short ─▶ search: stored holders ─▶ lookup ─▶ meet those found, nearest first ─▶ ask neighbours for names ─▶ pause
//                          └─────────── as soon as there are enough, the search ends ───────────┘
//
// A search goes to the section's first key. Who lives near it most likely keeps it, so the lookup's nearest are met
// first: pinged, and they say what they have. But arcs differ in size, and who keeps a larger one may live anywhere.
// Its neighbours on that arc know it, since they are its kept peers or it is theirs, and name it: a request for content
// of the section is answered by those who do not have it with the records of those who cover it.
//
// Phases of a needed section: supplied; short and due; searched for; short and pausing. A search that changed nothing
// is repeated after a pause that doubles, and more widely each time: from the three nearest nodes to as many as a
// lookup may ask, none of those whose word turned out to be worth nothing. That the last provider is lost ends the
// pause.
//
// Invariants.
// - What peers say decides whom to ask and nothing else; who announces and does not help is passed by, whatever its
//   reason.
// - Searches are bounded at once and a second, kept peers by section, by network prefix and in all (`HolderLimits`).
//   Whoever announces everything, or brings many records, gets his share of the directory and of the searches, no more.
// - One search finds whoever has the sections round its target too: no other is made there while nothing changed.
// - Every search ends, and each of its steps has a deadline.
//
// Why not a full table instead: three holders for each of 4,096 sections are no Kademlia bucket, and a routing table
// whose members depend on what one node wants does not route. Why not a lookup for each request: a walk would wait for
// every one of them; here they run ahead of its lanes.

/// The directory of holders as one machine: peers' words and the ends of searches in, searches and PINGs out.
public struct HolderDirectory: Sendable {
    /// Names one search.
    public struct SearchID: Hashable, Comparable, Sendable {
        let value: UInt64
        public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    }

    /// What is to be done.
    public enum Directive: Sendable {
        /// Look for the nodes nearest to the first key of `section`; ends in `lookedUp`.
        case lookup(SearchID, section: Int, width: Int, avoiding: Set<Bytes32>)
        /// Meet nodes: each ends in `met`, `told` or `lost`.
        case meet([NodeRecord])
        /// Ask a node that does not have `section` for records of those who cover it; ends in `named`.
        case ask(SearchID, peer: Bytes32, section: Int)
        case keep(Bytes32)
        case release(Bytes32)
    }

    public let role: Role
    /// The arc this node keeps or walks.
    public internal(set) var arc: Arc {
        didSet {
            needed = (role == .holder ? arc.parent : arc).sections
            schedule.cover(needed)
            uniform = uniform.filter { needed.contains($0) }
            urgent.removeAll { !needed.contains($0) }
            unprovidedSince = unprovidedSince.filter { needed.contains($0.key) }
        }
    }
    /// The needed sections.
    private(set) var needed: Range<Int>
    var book: HolderBook
    var searches: [SearchID: HolderSearch] = [:]
    var schedule: SearchSchedule
    /// Nodes that are tried in every search, and holders of earlier runs that were not met yet.
    let named: [StoredHolder]
    private(set) var stored: [StoredHolder]
    /// Nodes that were met and are to be kept, and have not told what they have yet.
    private(set) var pending: [Bytes32: Pending] = [:]
    /// How nodes behaved that are no peers any more.
    private(set) var former: [Bytes32: StatePeer] = [:]
    /// Needed sections all of whose providers share one network prefix.
    var uniform: Set<Int> = []
    private(set) var urgent: [Int] = []
    /// Needed sections that no live provider is known of, and since when.
    var unprovidedSince: [Int: Instant] = [:]
    private var nextReview = Instant.zero
    private var nextSearch: UInt64 = 1
    /// The next section whose providers' network prefixes are looked at.
    private var nextDiversity = 0
    var directives: [Directive] = []
    /// Searches begun since the start, and FIND_NODES that they took.
    public private(set) var searchCount = 0, queryCount = 0

    struct Pending: Sendable {
        let subnet: Subnet?
        /// When it is let go; set at the first look at it.
        var until: Instant?
    }

    /// `named`: nodes that the network's configuration names; `stored`: what an earlier run kept.
    public init(role: Role, arc: Arc, named: [StoredHolder] = [], stored: [StoredHolder] = []) {
        self.role = role
        self.arc = arc
        needed = (role == .holder ? arc.parent : Arc(around: 0, bits: 0, depth: arc.depth)).sections
        book = HolderBook(role: role, depth: arc.depth)
        schedule = SearchSchedule(needed)
        self.named = named
        self.stored = stored
    }

    // MARK: What is known

    /// Every peer that has said what it holds, by id.
    public var peers: [Bytes32: StatePeer] { book.peers }

    /// One of them.
    public subscript(id: Bytes32) -> StatePeer? { book[id] }

    /// Peers whose radius covers the section, the larger arcs first.
    public func covering(_ section: Int) -> [StatePeer] { book.covering(section) }

    /// Live providers of a section.
    public func providers(of section: Int) -> Int { Int(book.providers[section]) }

    /// Kept holders that cover a section.
    public func keepers(of section: Int) -> Int { Int(book.keepers[section]) }

    /// Searches under way.
    public var activeSearches: Int { searches.count }

    /// Kept peers.
    public var keptCount: Int { book.keptCount }

    /// How many are wanted of what `supply` counts.
    func target(_ section: Int) -> Int {
        guard needed.contains(section) else { return 0 }
        return arc.sections.contains(section) ? HolderLimits.wanted : HolderLimits.wantedBeside
    }

    func supply(_ section: Int) -> Int { role == .bridge ? keepers(of: section) : providers(of: section) }

    func isShort(_ section: Int) -> Bool { supply(section) < target(section) || uniform.contains(section) }

    /// Takes what has come about.
    public mutating func drain() -> [Directive] {
        guard !directives.isEmpty else { return [] }
        defer { directives = [] }
        return directives
    }

    // MARK: What peers say

    /// A node answered its first PING, and the routing table has no place for it.
    public mutating func met(_ info: PeerInfo) {
        let peerArc = Arc(of: info.id, radius: info.radius, depth: arc.depth)
        let subnet = Subnet(limiting: info.address.endpoint)
        guard book[info.id] == nil, pending[info.id] == nil else { return }
        let isNamed = named.contains { $0.record.id == info.id }
        guard isNamed || isOfUse(peerArc, subnet: subnet, told: nil), makesRoom(in: subnet) else {
            return settled(info.id)
        }
        // It counts as kept until it has told what it has, which it does at once or not at all.
        pending[info.id] = Pending(subnet: subnet)
        directives.append(.keep(info.id))
    }

    /// A peer said what it holds.
    public mutating func told(_ payload: StatePingPayload, by info: PeerInfo, at toldAt: Instant) {
        let id = info.id
        stored.removeAll { $0.record.id == id }
        pending[id] = nil
        let before = book[id] ?? former.removeValue(forKey: id)
        book.update(StatePeer(info, payload, depth: arc.depth, toldAt: toldAt, before: before))
        if let peer = book[id], !peer.isKept {
            let isNamed = named.contains { $0.record.id == id }
            let isOfUse = isNamed || isOfUse(peer.arc, subnet: peer.subnet, told: peer)
            // One that was met is kept already: by its radius alone, until now.
            if isOfUse, makesRoom(in: peer.subnet) {
                if !info.isKept { directives.append(.keep(id)) }
                book.setKept(id, true)
            } else if info.isKept {
                directives.append(.release(id))
            }
        }
        endPauses()
        settled(id)
    }

    /// A node is no peer any more, or did not answer when it was to be met.
    public mutating func lost(_ id: Bytes32) {
        pending[id] = nil
        // The next search tries others first.
        if let place = stored.firstIndex(where: { $0.record.id == id }) { stored.append(stored.remove(at: place)) }
        if let peer = book.remove(id), peer.hasFailed {
            if former.count >= HolderLimits.formerPeers,
                let oldest = former.min(by: { a, b in
                    (a.value.toldAt, a.key) < (b.value.toldAt, b.key)
                })
            {
                former[oldest.key] = nil
            }
            former[id] = peer.asStranger
        }
        endPauses()
        settled(id)
    }

    /// The overlay cannot keep a node.
    public mutating func notKept(_ id: Bytes32) {
        pending[id] = nil
        book.setKept(id, false)
        endPauses()
        settled(id)
    }

    /// The anchors that are of use: the newest final one and the one before it.
    mutating func anchorsAdvanced(to anchors: [Anchor]) {
        book.setUsable(anchors)
        endPauses()
    }

    /// Sections that were left without anybody are searched for at once. Where others are left the pause goes on: peers
    /// that come and go in a crowd are no reason to search.
    private mutating func endPauses() {
        for section in book.takeEmptied() where needed.contains(section) && supply(section) == 0 {
            schedule.endPause(section)
        }
    }

    // MARK: What they do

    /// Something that was asked of a peer ended.
    mutating func ended(_ task: WalkTask, of id: Bytes32, _ outcome: AskOutcome, at now: Instant) {
        book.ended(task, of: id, outcome, at: now)
        if let helped = outcome.hasHelped { note(id, helped: helped, sections: task.sections, at: now) }
    }

    /// A request to a peer brought what was asked for, about these sections, or did not.
    mutating func note(_ id: Bytes32, helped: Bool, sections: [Int] = [], at now: Instant) {
        _ = book.change(id) { $0.note(helped: helped, at: now) }
        if helped { for section in sections where needed.contains(section) { schedule.reset(section) } }
        endPauses()
    }

    /// See `StatePeer`: a peer serves these anchors and no others.
    public mutating func keep(anchors: [Anchor], of id: Bytes32) {
        _ = book.change(id) { $0.keep(anchors: anchors) }
        endPauses()
    }

    /// See `StatePeer`: a peer does not have what it announced. How often that has happened lately.
    public mutating func disbelieve(_ section: Int, at anchor: Anchor, by id: Bytes32, now: Instant) -> Int {
        defer { endPauses() }
        return book.change(id) { $0.disbelieve(section, at: anchor, now) } ?? 0
    }

    // MARK: Time

    /// When `advance` is next due.
    public var nextDeadline: Instant {
        min(nextReview, searches.values.compactMap(\.deadline).min() ?? nextReview)
    }

    /// Whether the next `advance` looks at what is short, and so needs to know what is urgent.
    public func isReviewDue(at now: Instant) -> Bool { nextReview <= now }

    /// Takes the steps of searches that are due; at a review looks at what is short and begins searches. `urgent`:
    /// sections that something waits for or will soon, the first ones first.
    public mutating func advance(to now: Instant, urgent: [Int]) {
        guard nextDeadline <= now else { return }
        for id in searches.keys.sorted() {
            guard let deadline = searches[id]?.deadline, deadline <= now else { continue }
            searches[id]?.meeting = []
            searches[id]?.questions = 0
            searches[id]?.deadline = nil
            proceed(id, at: now)
        }
        guard nextReview <= now else { return }
        self.urgent = urgent.filter { needed.contains($0) }
        book.believeAgain(at: now)
        releaseSilent(at: now)
        lookForDiversity()
        noteUnprovided(at: now)
        let isAnythingShort = beginSearches(at: now)
        nextReview = now + (isAnythingShort ? HolderLimits.reviewInterval : HolderLimits.idleInterval)
    }

    /// Lets go who was to be kept and does not tell what it has; tries those again that failed some time ago.
    private mutating func releaseSilent(at now: Instant) {
        for id in pending.keys.sorted() {
            guard let until = pending[id]?.until else {
                pending[id]?.until = now + HolderLimits.meetingTime
                continue
            }
            guard until <= now else { continue }
            pending[id] = nil
            directives.append(.release(id))
        }
        for peer in book.peers.values where peer.isDoubtful && peer.isForgiven(at: now) {
            _ = book.change(peer.id) { $0.note(helped: true, at: now) }
        }
    }

    /// Begins as many searches as may be, for what is waited for first. Whether anything is short.
    private mutating func beginSearches(at now: Instant) -> Bool {
        var underWay = searches.values.map { reach(of: $0) }
        var isAnythingShort = false
        // Without a peer there is nobody to ask.
        guard !book.peers.isEmpty || !stored.isEmpty || !named.isEmpty else { return true }
        // Whose announcements count is not known before an anchor is; a bridge looks for those who have nothing yet.
        guard book.hasAnchor || role == .bridge else { return true }
        // What nothing waits for yet is looked for as long as there is room to keep those who have it.
        let hasRoom = role == .bridge || book.keptCount < HolderLimits.kept(role, sections: needed.count) / 4 * 3
        for sections in hasRoom ? [urgent, Array(needed)] : [urgent] {
            for section in sections where isShort(section) {
                isAnythingShort = true
                guard searches.count < HolderLimits.searches else { return true }
                guard schedule.rest(of: section, at: now) == .zero,
                    !underWay.contains(where: { $0.contains(section) })
                else { continue }
                guard schedule.takeLeave(at: now) else { return true }
                underWay.append(reach(of: begin(section, at: now)))
            }
        }
        return isAnythingShort
    }

    private mutating func noteUnprovided(at now: Instant) {
        for section in needed {
            if providers(of: section) > 0 {
                if !unprovidedSince.isEmpty { unprovidedSince[section] = nil }
            } else if unprovidedSince[section] == nil {
                unprovidedSince[section] = now
            }
        }
    }

    /// Sections all of whose providers are of one network prefix are short, however many those are. Some are looked at
    /// each time, in turn.
    private mutating func lookForDiversity() {
        for _ in 0..<min(HolderLimits.diversityStep, needed.count) {
            let section = needed.lowerBound + nextDiversity % needed.count
            nextDiversity += 1
            guard supply(section) >= target(section), target(section) > 1 else { continue }
            let subnets = book.covering(section).filter { peer in
                role == .bridge
                    ? peer.counted.keeps.contains(section) : peer.counted.provides.contains { $0.contains(section) }
            }.map(\.subnet)
            let isUniform = Set(subnets).count == 1 && subnets[0] != nil
            if isUniform { uniform.insert(section) } else { uniform.remove(section) }
        }
    }

    // MARK: A search's steps

    private mutating func begin(_ section: Int, at now: Instant) -> HolderSearch {
        let id = SearchID(value: nextSearch)
        nextSearch += 1
        searchCount += 1
        var search = HolderSearch(section: section, attempt: schedule.attempts(section))
        let earlier = stored.lazy.filter { $0.arc.sections.contains(section) }.prefix(HolderLimits.storedTried)
        search.find(earlier.map(\.record) + named.map(\.record))
        searches[id] = search
        proceed(id, at: now)
        return search
    }

    /// Takes the next step of a search that waits for nothing.
    private mutating func proceed(_ id: SearchID, at now: Instant) {
        guard var search = searches[id], search.meeting.isEmpty, search.questions == 0 else { return }
        guard isShort(search.section) else { return end(id, at: now) }
        let wave = search.nextWave { book[$0] == nil }
        if !wave.isEmpty {
            search.stage = .meeting
            search.deadline = now + HolderLimits.meetingTime
            directives.append(.meet(wave))
        } else if !search.hasLookedUp {
            search.hasLookedUp = true
            search.stage = .lookup
            search.questions = 1
            // Its queries have deadlines of their own.
            search.deadline = nil
            let avoided = doubtful(at: now)
            search.avoidsSome = !avoided.isEmpty
            directives.append(.lookup(id, section: search.section, width: search.width, avoiding: avoided))
        } else if !search.hasAsked {
            search.hasAsked = true
            search.stage = .asking
            let asked = toAsk(search)
            search.questions = asked.count
            search.deadline = now + HolderLimits.meetingTime
            for peer in asked { directives.append(.ask(id, peer: peer, section: search.section)) }
            searches[id] = search
            if asked.isEmpty { end(id, at: now) }
            return
        } else {
            return end(id, at: now)
        }
        searches[id] = search
    }

    /// Whom to ask for names: the nearest that do not announce the section, and the farthest, in case the nearest are
    /// all of one mind.
    private func toAsk(_ search: HolderSearch) -> [Bytes32] {
        let able = search.neighbours.filter { id in
            book[id].map { peer in !peer.counted.provides.contains { $0.contains(search.section) } } ?? true
        }
        guard able.count > HolderLimits.asked else { return able }
        return able.prefix(HolderLimits.asked - 1) + able.suffix(1)
    }

    /// Nodes whose word is worth nothing now, peers or not. Those that failed long ago are left out no more: a lookup
    /// that avoids nobody can tell that it found everybody.
    private func doubtful(at now: Instant) -> Set<Bytes32> {
        let known = [book.peers, former].flatMap { $0.values.filter { $0.isDoubtful && !$0.isForgiven(at: now) } }
        return Set(known.map(\.id))
    }

    /// A lookup ended.
    public mutating func lookedUp(_ id: SearchID, _ result: LookupResult, at now: Instant) {
        queryCount += result.queries
        guard var search = searches[id] else { return }
        search.questions = 0
        let position = Section(depth: arc.depth, index: search.section).firstKey
        search.horizon = search.avoidsSome ? nil : HolderSearch.horizon(of: result, around: position)
        search.find(result.nodes.lazy.map(\.record))
        search.neighbours = result.nodes.filter(\.hasAnswered).map(\.record.id)
        searches[id] = search
        proceed(id, at: now)
    }

    /// A node that was asked for names has answered, or has not.
    public mutating func named(_ id: SearchID, _ records: [NodeRecord], at now: Instant) {
        guard var search = searches[id], search.stage == .asking, search.questions > 0 else { return }
        search.questions -= 1
        search.find(records)
        searches[id] = search
        proceed(id, at: now)
    }

    /// Nothing more will come of meeting this node.
    private mutating func settled(_ id: Bytes32) {
        for (number, search) in searches where search.meeting.contains(id) {
            searches[number]?.meeting.remove(id)
            // Once there are enough nobody else is waited for. The next step is taken at the next chance, in the order
            // of the searches.
            if search.meeting.count == 1 || !isShort(search.section) { searches[number]?.deadline = .zero }
        }
    }

    /// A search is over. Sections round which its lookup found every node pause with its own.
    private mutating func end(_ id: SearchID, at now: Instant) {
        guard let search = searches.removeValue(forKey: id) else { return }
        let bits = search.horizon ?? 4 * arc.depth
        for section in Arc(around: search.section, bits: bits, depth: arc.depth).sections.clamped(to: needed) {
            if isShort(section) {
                schedule.pause(section, hasAny: supply(section) > 0, at: now)
            } else {
                schedule.endPause(section)
            }
        }
    }

    /// The sections of which a search under way may find holders: of the arc in which its lookup found every node, or
    /// of the smallest arc of a live provider of its own section.
    func reach(of search: HolderSearch) -> Range<Int> {
        let providers = book.covering(search.section).filter { $0.isLiveProvider(of: search.section) }
        let announced = providers.map(\.arc.bits).max()
        let bits = [search.horizon, announced.flatMap { $0 > 0 ? $0 : nil }].compactMap { $0 }.min() ?? 4 * arc.depth
        return Arc(around: search.section, bits: bits, depth: arc.depth).sections
    }
}
