import Discovery
import Primitives

/// One sub-network of ours: its table, who is to be let in, and what we say of ourselves there.
struct NetworkState: Sendable {
    let configuration: OverlayConfiguration.Network
    var table: NetworkTable

    // What our PING and PONG carry.
    var radius = UInt256.zero
    var extensionPayload: [UInt8]?

    /// Nodes that wait for their first PING here: those that are sought, then first come first served.
    var waiting: [Contact] = []
    /// Nodes whose first PING is under way.
    var visiting: [Bytes32: Contact] = [:]
    /// Those of both that the network above wants to meet, whether there is room for them or not.
    var sought: Set<Bytes32> = []
    /// Nodes that answered a first PING and found no place, and when.
    private(set) var met: [Bytes32: Instant] = [:]
    /// Nodes that did not answer and get another visit.
    var revisits: [Bytes32: Revisit] = [:]

    struct Revisit: Sendable {
        var contact: Contact
        var attempts: Int
        var at: Instant
        /// Boot nodes are never given up.
        var isBootNode: Bool
    }

    /// When new nodes are looked for next.
    var nextRefresh = Instant.zero

    init(_ configuration: OverlayConfiguration.Network, local: Bytes32, limitsSubnets: Bool) {
        self.configuration = configuration
        let own = configuration.extensionType.map { [$0] } ?? []
        capabilities = [PingPayload.clientInfoType, PingPayload.radiusType] + own + [PingPayload.errorType]
        table = NetworkTable(local: local, limitsSubnets: limitsSubnets)
    }

    /// Ping payload types we understand on this network, ascending.
    let capabilities: [UInt16]

    /// Notes that a node was met and has no place.
    mutating func noteMet(_ id: Bytes32, at now: Instant) {
        if met.count >= OverlayLimits.metNodes { met = met.filter { now - $0.value < OverlayLimits.metMemory } }
        if met.count < OverlayLimits.metNodes { met[id] = now }
    }

    /// Whether a first PING to a node that nobody seeks may be of use: there is a place for it, or it wants to hear
    /// from us and was not met lately; and it is not one that failed to answer a moment ago.
    func isWorthAVisit(_ id: Bytes32, _ notice: Overlay.Notice, at now: Instant) -> Bool {
        if let last = met[id], now - last < OverlayLimits.metMemory { return false }
        switch notice {
        case .pinged: return true
        case .met: return table.hasRoom(for: id) && !table.isReplacement(id)
        case .named:
            if let revisit = revisits[id], now < revisit.at { return false }
            return table.hasRoom(for: id) && !table.isReplacement(id)
        }
    }

    /// Whether the node is on its way in.
    func isExpected(_ id: Bytes32) -> Bool {
        visiting[id] != nil || waiting.contains { $0.record.id == id }
    }

    /// Notes that a node did not answer. Every second visit doubles the wait; a node that never does is forgotten in
    /// the end.
    /// Returns when it is due, nil if it is not visited again.
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
        let due = now + OverlayLimits.revisitDelay * (1 << min((attempts - 1) / 2, NetworkState.doublings))
        revisits[id] = Revisit(contact: contact, attempts: attempts, at: due, isBootNode: keeps)
        return due
    }

    /// The wait grows to 512 times the first, 256 s.
    private static let doublings = 9

    private mutating func forgetOneRevisit() {
        let order = revisits.filter { !$0.value.isBootNode }
            .max { ($0.value.attempts, $0.key) < ($1.value.attempts, $1.key) }
        if let order { revisits[order.key] = nil }
    }

    /// Takes out the nodes whose visit is due, by id.
    func dueRevisits(at now: Instant) -> [Contact] {
        revisits.filter { $0.value.at <= now }.sorted { $0.key < $1.key }.map(\.value.contact)
    }
}
