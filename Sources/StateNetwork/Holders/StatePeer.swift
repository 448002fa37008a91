import Chain
import Discovery
import Overlay
import Primitives
import StateContent
import StateStore

/// What is known of one peer of the state network: what it last said of itself, and how it kept to it.
public struct StatePeer: Sendable {
    public let record: NodeRecord
    public let role: Role
    /// What its radius covers.
    public let arc: Arc
    /// The network prefix it is reached at; nil where those do not count.
    public let subnet: Subnet?
    /// The newest block that it knows all it holds up to.
    public let head: StatePoint?
    /// The anchors it serves, and its complete sections at each.
    public private(set) var served: [AnchorSections]
    public let toldAt: Instant
    /// Whether it is pinged because the directory wants to hear from it, in the routing table or not.
    var isKept = false
    /// What it counts for in the directory's sums: the sections it announces, and whether it is one that covers its
    /// arc.
    var counted = Counted()
    /// When it may be asked for state.
    var pace = AskingPace()
    /// Since when it is known that what it is asked for comes and holds; nil where nothing did yet.
    public internal(set) var helpedSince: Instant?

    /// How often it had not what it announced, and when last.
    private var falseAnnouncements = 0
    private var falseAt: Instant?
    /// What it announces and is not believed, until when, and whether it has been believed again since without saying
    /// anything anew.
    private var disbelieved: [AnchorSections] = []
    public private(set) var disbelievedUntil: Instant?
    private var isBelievedAgain = false
    /// How often that was so in a row: the term grows with it.
    private var disbeliefs = 0
    /// Requests in a row that brought nothing, and since when that is so.
    private var failures = 0
    private var unhelpfulSince: Instant?
    private var lastFailure: Instant?

    /// What a peer adds to the counts of the directory, so that the same can be taken away.
    struct Counted: Sendable, Equatable {
        /// Sections it is a live provider of.
        var provides: [Range<Int>] = []
        /// Sections it covers as a kept holder.
        var keeps: Range<Int> = 0..<0
    }

    init(
        _ info: PeerInfo, _ payload: StatePingPayload, depth: Int, toldAt: Instant, before: StatePeer? = nil
    ) {
        record = info.record
        role = payload.role
        arc = Arc(of: info.record.id, radius: payload.radius, depth: depth)
        subnet = Subnet(limiting: info.address.endpoint)
        head = payload.head
        served = payload.served
        self.toldAt = toldAt
        guard let before else { return }
        isKept = before.isKept
        counted = before.counted
        pace = before.pace
        helpedSince = before.helpedSince
        falseAnnouncements = before.falseAnnouncements
        falseAt = before.falseAt
        disbeliefs = before.disbeliefs
        failures = before.failures
        unhelpfulSince = before.unhelpfulSince
        lastFailure = before.lastFailure
    }

    /// Whether anything that it was asked for has come and held.
    var hasHelped: Bool { helpedSince != nil }

    /// The peer's node id.
    public var id: Bytes32 { record.id }

    /// Whether a position of the ring lies in a section that it covers.
    public func covers(_ position: Bytes32) -> Bool {
        arc.sections.contains(Section(of: position, depth: arc.depth).index)
    }

    /// Whether a peer says something of what it holds that was not taken in yet.
    static func isNews(_ info: PeerInfo, after known: StatePeer?) -> Bool {
        info.lastExtension.map { $0.receivedAt != known?.toldAt } ?? false
    }

    /// Whether it says that it has the section complete at the anchor.
    public func announces(_ section: Int, at anchor: Anchor) -> Bool {
        served.contains { $0.anchor == anchor && $0.runs.contains { $0.contains(section) } }
    }

    /// The anchors at which it says that it has the section complete, whether that is believed or not.
    func anchorsNamed(for section: Int) -> [Anchor] {
        (served + disbelieved).filter { $0.runs.contains { $0.contains(section) } }.map(\.anchor)
    }

    // MARK: Its word and its deeds

    /// It said that it serves these anchors and no others.
    mutating func keep(anchors: [Anchor]) {
        served.removeAll { !anchors.contains($0.anchor) }
        disbelieved.removeAll { !anchors.contains($0.anchor) }
    }

    /// It does not have a section that it said it serves at that anchor: nothing it said then is believed, until it
    /// says something else, or for a term that grows: what it has may have come back, and where the chain stands still
    /// it has nothing else to say. How often that has happened lately, this time included; 0 where it had not said so.
    mutating func disbelieve(_ section: Int, at anchor: Anchor, _ now: Instant) -> Int {
        guard announces(section, at: anchor) else { return 0 }
        (disbelieved, served) = (served, [])
        let term = HolderLimits.disbeliefTerm * (1 << min(disbeliefs, HolderLimits.disbeliefDoublings))
        disbelievedUntil = now + term
        disbeliefs += 1
        // That it is asked again is our doing: it has not said so a second time.
        if isBelievedAgain {
            isBelievedAgain = false
            return 1
        }
        let isLate = falseAt.map { now - $0 > HolderLimits.falseAnnouncementMemory } ?? true
        falseAnnouncements = isLate ? 1 : falseAnnouncements + 1
        falseAt = now
        return falseAnnouncements
    }

    /// What it announced is believed again after the term. Whether that is so now.
    mutating func believeAgain(at now: Instant) -> Bool {
        guard let until = disbelievedUntil, until <= now else { return false }
        (served, disbelieved, disbelievedUntil, isBelievedAgain) = (disbelieved, [], nil, true)
        return true
    }

    /// A request to it ended: with what was asked for, or without.
    mutating func note(helped: Bool, at now: Instant) {
        guard !helped else {
            disbeliefs = 0
            (failures, unhelpfulSince) = (0, nil)
            return
        }
        failures += 1
        unhelpfulSince = unhelpfulSince ?? now
        lastFailure = now
    }

    /// Whether its announcements count for nothing: several requests in a row brought nothing, over more than a moment,
    /// since what goes wrong at one moment is one failure.
    public var isDoubtful: Bool {
        guard let since = unhelpfulSince, let last = lastFailure else { return false }
        return failures >= HolderLimits.failuresBeforeDoubt && last - since >= HolderLimits.doubtTerm
    }

    /// Whether it announces the section as a live provider.
    public func isLiveProvider(of section: Int) -> Bool { counted.provides.contains { $0.contains(section) } }

    /// Whether its last failure is so long ago that it deserves another try.
    func isForgiven(at now: Instant) -> Bool { lastFailure.map { now - $0 >= HolderLimits.doubtMemory } ?? true }

    /// Whether there is anything to remember of it.
    var hasFailed: Bool { failures > 0 || falseAnnouncements > 0 }

    /// What is remembered of one that is no peer any more: how it behaved, and nothing else.
    var asStranger: StatePeer {
        var stranger = self
        stranger.isKept = false
        stranger.counted = Counted()
        stranger.pace = AskingPace()
        return stranger
    }
}
