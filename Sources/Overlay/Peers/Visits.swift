import Discovery
import Primitives

/// How a record came to our notice.
enum Notice: Sendable {
    /// Another node named it.
    case named
    /// Its owner is alive: it has spoken to us, from this endpoint, or is to be tried in any case.
    case met(Endpoint?)
    /// Its owner has sent a PING of this very network, and so wants to hear from us.
    case pinged(Endpoint)

    /// Where the owner was really met.
    var endpoint: Endpoint? {
        switch self {
        case .named: nil
        case .met(let endpoint): endpoint
        case .pinged(let endpoint): endpoint
        }
    }
}

/// Nodes on their way into a network's table. A *visit* is a node's first PING. Those that the network above *seeks*
/// are visited before all others, whether there is room for them or not; a node that did not answer is visited again,
/// each time later than the time before.
struct Visits: Sendable {
    private struct Revisit: Sendable {
        var contact: Contact
        var attempts: Int
        var at: Instant
        /// Boot nodes are never given up.
        var isBootNode: Bool
    }

    /// Nodes that wait for their visit: those that are sought, then first come first served.
    private var waiting: [Contact] = []
    /// Nodes whose visit is under way.
    private var underWay: Set<Bytes32> = []
    /// Those of both that the network above wants to meet.
    private(set) var sought: Set<Bytes32> = []
    /// Nodes that answered and found no place in the table, and when.
    private var met: [Bytes32: Instant] = [:]
    /// Nodes that did not answer and get another visit.
    private var revisits: [Bytes32: Revisit] = [:]

    /// Nodes that wait or are being visited.
    var count: Int { waiting.count + underWay.count }
    /// Nodes that are to be visited again.
    var revisitCount: Int { revisits.count }

    // MARK: Who is visited

    /// Whether a visit to a node that nobody seeks may be of use: there is a place for it, or it wants to hear from us
    /// and was not met lately; and it is not one that failed to answer a moment ago, nor on its way in.
    func areWorth(_ id: Bytes32, _ notice: Notice, for table: NetworkTable, at now: Instant) -> Bool {
        guard waiting.count < OverlayLimits.candidates, !isExpected(id) else { return false }
        if let last = met[id], now - last < OverlayLimits.metMemory { return false }
        switch notice {
        case .pinged: return true
        case .met: return table.hasRoom(for: id) && !table.isReplacement(id)
        case .named:
            if let revisit = revisits[id], now < revisit.at { return false }
            return table.hasRoom(for: id) && !table.isReplacement(id)
        }
    }

    private func isExpected(_ id: Bytes32) -> Bool {
        underWay.contains(id) || waiting.contains { $0.record.id == id }
    }

    /// Puts a node at the end of the line.
    mutating func add(_ contact: Contact) { waiting.append(contact) }

    /// A node that is being visited is sought from now on; false for one that is not.
    mutating func seeksAlready(_ id: Bytes32) -> Bool {
        guard underWay.contains(id) else { return false }
        sought.insert(id)
        return true
    }

    /// Whether one more may be sought.
    var maySeek: Bool { sought.count < OverlayLimits.candidates }

    /// Puts a node that is sought before all others.
    mutating func seek(_ contact: Contact) {
        let id = contact.record.id
        waiting.removeAll { $0.record.id == id }
        sought.insert(id)
        waiting.insert(contact, at: 0)
    }

    /// The next to visit, whose visit is under way from now on. Those who are sought do not wait for others.
    mutating func next() -> Contact? {
        guard let first = waiting.first else { return nil }
        let isSought = sought.contains(first.record.id)
        guard underWay.count < (isSought ? OverlayLimits.soughtPings : OverlayLimits.candidatePings) else { return nil }
        underWay.insert(first.record.id)
        return waiting.removeFirst()
    }

    // MARK: What comes of it

    /// The visit has ended; false where there was none.
    mutating func end(_ id: Bytes32) -> Bool { underWay.remove(id) != nil }

    /// Nobody seeks the node any more, and it does not wait; whether it was sought.
    mutating func forget(_ id: Bytes32) -> Bool {
        waiting.removeAll { $0.record.id == id }
        return endSearch(id)
    }

    /// Nobody seeks the node any more; whether it was sought.
    mutating func endSearch(_ id: Bytes32) -> Bool { sought.remove(id) != nil }

    /// The node has answered its visit.
    mutating func answered(_ id: Bytes32) {
        revisits[id] = nil
        sought.remove(id)
    }

    /// Notes that a node was met and has no place.
    mutating func noteMet(_ id: Bytes32, at now: Instant) {
        if met.count >= OverlayLimits.metNodes { met = met.filter { now - $0.value < OverlayLimits.metMemory } }
        if met.count < OverlayLimits.metNodes { met[id] = now }
    }

    /// Notes that a node did not answer. Every second visit doubles the wait; a node that never does is forgotten in
    /// the end. Returns when the next visit is due, nil if there is none.
    mutating func postpone(_ contact: Contact, isBootNode: Bool, at now: Instant) -> Instant? {
        let id = contact.record.id
        let old = revisits[id]
        let attempts = (old?.attempts ?? 0) + 1
        let keeps = isBootNode || (old?.isBootNode ?? false)
        guard attempts <= OverlayLimits.revisitAttempts || keeps else {
            revisits[id] = nil
            return nil
        }
        if old == nil && revisits.count >= OverlayLimits.revisits { forgetOneRevisit() }
        let due = now + OverlayLimits.revisitDelay * (1 << min((attempts - 1) / 2, Visits.doublings))
        revisits[id] = Revisit(contact: contact, attempts: attempts, at: due, isBootNode: keeps)
        return due
    }

    /// The wait grows to 512 times the first, 256 s.
    private static let doublings = 9

    private mutating func forgetOneRevisit() {
        let most = revisits.lazy.filter { !$0.value.isBootNode }
            .max { ($0.value.attempts, $0.key) < ($1.value.attempts, $1.key) }
        if let most { revisits[most.key] = nil }
    }

    /// The nodes whose next visit is due, by id.
    func due(at now: Instant) -> [Contact] {
        revisits.values.lazy.filter { $0.at <= now }.map(\.contact).sorted { $0.record.id < $1.record.id }
    }
}
