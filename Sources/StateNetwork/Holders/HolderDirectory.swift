import Chain
import Discovery
import Overlay
import Primitives
import StateStore

// HolderDirectory: who has which section, and how whoever has it is found, in a ring of any size.
//
// Terms. A *claimant* of a section says that it has it complete, at an anchor of use; it is *live* as long as asking it
// brings something now and then. A *keeper* covers the section by its radius, whether it has filled it or not. *Needed*
// are the sections that this node walks, fills, keeps or catches up: all of them for a walker or a bridge, the arc and
// the one beside it for a holder. A needed section is *short* while it has fewer live claimants than are wanted (for a
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
// lookup may ask, none of those whose word turned out to be worth nothing. That the last claimant is lost ends the
// pause.
//
// Invariants.
// - What peers say decides whom to ask and nothing else; who claims and does not help is passed by, whatever its
//   reason.
// - Searches are bounded at once and a second, kept peers by section, by network prefix and in all (`HolderLimits`).
//   Whoever claims everything, or brings many records, gets his share of the directory and of the searches, no more.
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
    public let arc: Arc
    /// The needed sections.
    let needed: Range<Int>
    var book: HolderBook
    var searches: [SearchID: HolderSearch] = [:]
    var schedule: SearchSchedule
    /// Nodes that are tried in every search, and holders of earlier runs that were not met yet.
    private let named: [StoredHolder]
    private(set) var stored: [StoredHolder]
    /// Needed sections all of whose claimants share one network prefix.
    var uniform: Set<Int> = []
    private var urgent: [Int] = []
    /// Needed sections that no live claimant is known of, and since when.
    var unclaimedSince: [Int: Instant] = [:]
    private var nextReview = Instant.zero
    private var nextSearch: UInt64 = 1
    /// The next section whose claimants' network prefixes are looked at.
    private var nextDiversity = 0
    private var directives: [Directive] = []
    /// Searches begun since the start, and FIND_NODES that they took.
    public private(set) var searchCount = 0, queryCount = 0

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

    /// Live claimants of a section.
    public func claimants(of section: Int) -> Int { Int(book.claimants[section]) }

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

    func supply(_ section: Int) -> Int { role == .bridge ? keepers(of: section) : claimants(of: section) }

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
        guard book[info.id] == nil, isOfUse(peerArc, subnet: subnet, told: nil), makesRoom(in: subnet) else {
            return settled(info.id)
        }
        directives.append(.keep(info.id))
    }

    /// A peer said what it holds.
    public mutating func told(_ payload: StatePingPayload, by info: PeerInfo, at toldAt: Instant) {
        let id = info.id
        stored.removeAll { $0.record.id == id }
        book.update(StatePeer(info, payload, depth: arc.depth, toldAt: toldAt, before: book[id]))
        if let peer = book[id], !peer.isKept {
            let isOfUse = isOfUse(peer.arc, subnet: peer.subnet, told: peer)
            // One that was met is kept already: by its radius alone, until now.
            if isOfUse, info.isKept || makesRoom(in: peer.subnet) {
                if !info.isKept { directives.append(.keep(id)) }
                book.setKept(id, true)
            } else if info.isKept {
                directives.append(.release(id))
            }
        }
        settled(id)
    }

    /// A node is no peer any more, or did not answer when it was to be met.
    public mutating func lost(_ id: Bytes32) {
        stored.removeAll { $0.record.id == id }
        if let peer = book.remove(id) {
            // Where others are left the pause goes on: peers that come and go in a crowd are no reason to search.
            for section in peer.arc.sections.clamped(to: needed) where supply(section) < min(1, target(section)) {
                schedule.reset(section)
            }
        }
        settled(id)
    }

    /// The newest final anchor.
    public mutating func anchorAdvanced(to anchor: Anchor) { book.anchorAdvanced(to: anchor) }

    // MARK: What they do

    /// A request to a peer ended: with what was asked for, or without.
    public mutating func note(_ id: Bytes32, helped: Bool, at now: Instant) {
        _ = book.change(id) { $0.note(helped: helped, at: now) }
    }

    /// See `StatePeer`: a peer serves these anchors and no others.
    public mutating func keep(anchors: [Anchor], of id: Bytes32) {
        _ = book.change(id) { $0.keep(anchors: anchors) }
    }

    /// See `StatePeer`: a peer does not have what it claimed. How often that has happened lately.
    public mutating func disclaim(_ section: Int, at anchor: Anchor, by id: Bytes32, now: Instant) -> Int {
        book.change(id) { $0.disclaim(section, at: anchor, now) } ?? 0
    }

    // MARK: Keeping

    /// Whether hearing from a node helps: a needed section that it covers, or (`told`) claims, has too few yet.
    private func isOfUse(_ peerArc: Arc, subnet: Subnet?, told peer: StatePeer?) -> Bool {
        if let peer {
            // A bridge has nothing for those who take no state from it, and offers to holders only.
            guard role.takesState(from: peer.role), role != .bridge || peer.role == .holder, !peer.isDoubtful else {
                return false
            }
        }
        if peerArc.isWhole, !arc.isWhole || peer?.role != .holder {
            let others = book.peers(of: peerArc).count { $0.isKept && $0.id != peer?.id && !$0.isDoubtful }
            return others < HolderLimits.keptWhole
        }
        return peerArc.sections.clamped(to: needed).contains { section in
            let mine = peer?.counted
            let keepers = keepers(of: section) - (mine?.keeps.contains(section) == true ? 1 : 0)
            let claims = mine?.claims.contains { $0.contains(section) } == true
            let isWelcome =
                keepers < HolderLimits.keptPerSection
                || (peer == nil ? isShort(section) : claims && claimants(of: section) <= HolderLimits.keptPerSection)
            return isWelcome && subnetAllows(subnet, in: section, besides: peer?.id)
        }
    }

    private func subnetAllows(_ subnet: Subnet?, in section: Int, besides id: Bytes32?) -> Bool {
        guard let subnet else { return true }
        let neighbours = book.covering(section).count { $0.isKept && $0.id != id && $0.subnet == subnet }
        return neighbours < HolderLimits.keptPerSectionAndSubnet
    }

    /// Whether one more can be kept; the least useful leaves for it.
    private mutating func makesRoom(in subnet: Subnet?) -> Bool {
        let limit = HolderLimits.kept(role, sections: needed.count)
        if let subnet, book.kept(in: subnet) >= limit / HolderLimits.subnetShare { return false }
        guard book.keptCount >= limit else { return true }
        let kept = book.peers.values.filter(\.isKept)
        guard let least = kept.min(by: { usefulness(of: $0) < usefulness(of: $1) }),
            usefulness(of: least).rank < DirectoryRank.fillsAShortage
        else { return false }
        book.setKept(least.id, false)
        directives.append(.release(least.id))
        return true
    }

    /// The order in which kept peers leave: doubtful ones, those of no section that anything waits for, the rest; of
    /// equals the one heard from longest ago.
    private func usefulness(of peer: StatePeer) -> (rank: DirectoryRank, toldAt: Instant, id: Bytes32) {
        let rank: DirectoryRank
        if peer.isDoubtful {
            rank = .doubtful
        } else if urgent.contains(where: { section in peer.counted.claims.contains { $0.contains(section) } }) {
            rank = .isWaitedFor
        } else {
            let isScarce = peer.arc.sections.clamped(to: needed).contains { supply($0) <= target($0) }
            rank = isScarce && role == .bridge ? .fillsAShortage : .spare
        }
        return (rank, peer.toldAt, peer.id)
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
        lookForDiversity()
        noteUnclaimed(at: now)
        let isAnythingShort = beginSearches(at: now)
        nextReview = now + (isAnythingShort ? HolderLimits.reviewInterval : HolderLimits.idleInterval)
    }

    /// Begins as many searches as may be, for what is waited for first. Whether anything is short.
    private mutating func beginSearches(at now: Instant) -> Bool {
        var underWay = searches.values.map { reach(of: $0) }
        var isAnythingShort = false
        // Without a peer there is nobody to ask.
        guard !book.peers.isEmpty || !stored.isEmpty || !named.isEmpty else { return true }
        // What nothing waits for yet is looked for as long as there is room to keep those who have it.
        let hasRoom = book.keptCount < HolderLimits.kept(role, sections: needed.count) / 4 * 3
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

    private mutating func noteUnclaimed(at now: Instant) {
        for section in needed {
            if claimants(of: section) > 0 {
                if !unclaimedSince.isEmpty { unclaimedSince[section] = nil }
            } else if unclaimedSince[section] == nil {
                unclaimedSince[section] = now
            }
        }
    }

    /// Sections all of whose claimants are of one network prefix are short, however many those are. Some are looked at
    /// each time, in turn.
    private mutating func lookForDiversity() {
        for _ in 0..<min(HolderLimits.diversityStep, needed.count) {
            let section = needed.lowerBound + nextDiversity % needed.count
            nextDiversity += 1
            guard supply(section) >= target(section), target(section) > 1 else { continue }
            let subnets = book.covering(section).filter { peer in
                role == .bridge
                    ? peer.counted.keeps.contains(section) : peer.counted.claims.contains { $0.contains(section) }
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
        let earlier = (named + stored).filter { $0.arc.sections.contains(section) }.prefix(HolderLimits.storedTried)
        search.find(earlier.map(\.record))
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
            directives.append(
                .lookup(id, section: search.section, width: search.width, avoiding: doubtful()))
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

    /// Whom to ask for names: the nearest that do not claim the section, and the farthest, in case the nearest are all
    /// of one mind.
    private func toAsk(_ search: HolderSearch) -> [Bytes32] {
        let able = search.neighbours.filter { id in
            book[id].map { peer in !peer.counted.claims.contains { $0.contains(search.section) } } ?? true
        }
        guard able.count > HolderLimits.asked else { return able }
        return able.prefix(HolderLimits.asked - 1) + able.suffix(1)
    }

    private func doubtful() -> Set<Bytes32> { Set(book.peers.values.filter(\.isDoubtful).map(\.id)) }

    /// A lookup ended.
    public mutating func lookedUp(_ id: SearchID, _ result: LookupResult, at now: Instant) {
        queryCount += result.queries
        guard var search = searches[id] else { return }
        search.questions = 0
        search.horizon = HolderSearch.horizon(
            of: result, around: Section(depth: arc.depth, index: search.section).firstKey)
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
                schedule.reset(section)
            }
        }
    }

    /// The sections of which a search under way may find holders: of the arc in which its lookup found every node, or
    /// of the smallest arc that is known to cover its own section.
    func reach(of search: HolderSearch) -> Range<Int> {
        let covering = book.covering(search.section).map(\.arc.bits).max().flatMap { $0 > 0 ? $0 : nil }
        let bits = [search.horizon, covering].compactMap { $0 }.min() ?? 4 * arc.depth
        return Arc(around: search.section, bits: bits, depth: arc.depth).sections
    }
}

/// See `HolderDirectory.usefulness`.
enum DirectoryRank: Int, Comparable {
    case doubtful, spare, fillsAShortage, isWaitedFor
    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
