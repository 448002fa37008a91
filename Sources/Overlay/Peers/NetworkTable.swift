import Discovery
import Primitives

/// A node of one network that answered a PING there.
struct TablePeer: Sendable {
    var contact: Contact
    var radius: UInt256
    var capabilities: [UInt16]
    var clientInfo: [UInt8]
    var lastExtension: PeerExtension?
    /// When the last PING went out, and when the next is due.
    var lastPing: Instant
    var nextPing: Instant
    var pingInFlight = false
    /// A newer record was announced and asked for.
    var fetchingRecord = false
    /// The network above wants to hear from it, whether the routing table has a place for it or not.
    fileprivate(set) var isKept = false

    var id: Bytes32 { contact.record.id }
}

/// Who a node is and where it was reached.
struct Contact: Hashable, Sendable {
    var record: NodeRecord
    var address: NodeAddress

    init(_ record: NodeRecord, at endpoint: Endpoint) {
        self.record = record
        address = NodeAddress(id: record.id, endpoint: endpoint)
    }

    /// Whether the address is one that the record names, and not one that was only seen.
    var isNamed: Bool { record.endpointIPv4 == address.endpoint || record.endpointIPv6 == address.endpoint }
}

/// How far apart two places of the ring are.
public enum RingDistance {
    /// The bit length of a XOR b, 0…256: the number of a's bucket that b belongs in.
    public static func logarithmic(_ a: Bytes32, _ b: Bytes32) -> Int { 256 - (a ^ b).leadingZeroBitCount }
}

/// The peers of one network. The *routing table* is Kademlia's: by log distance from us, 256 buckets of 16, old ones
/// before new ones, and beside each bucket a list of those that would take a free place. The others are peers because
/// the network above *keeps* them; one that is in the routing table may be kept too. Everyone has answered a PING.
struct NetworkTable: Sendable {
    private struct Bucket: Sendable {
        /// In the routing table, oldest first.
        var routed: [Bytes32] = []
        /// Kept, and not in the routing table.
        var keptOnly: [Bytes32] = []
        var replacements: [TablePeer] = []
    }

    private let local: Bytes32
    private let limitsSubnets: Bool
    private var buckets = [Bucket](repeating: Bucket(), count: 257)
    /// All peers, in the routing table or kept.
    private var known: [Bytes32: TablePeer] = [:]
    /// Peers in the routing table.
    private(set) var routedCount = 0
    /// Peers that are kept, in the routing table or not.
    private(set) var keptCount = 0

    init(local: Bytes32, limitsSubnets: Bool) {
        self.local = local
        self.limitsSubnets = limitsSubnets
    }

    /// All peers.
    var count: Int { known.count }

    private func bucket(of id: Bytes32) -> Int { RingDistance.logarithmic(local, id) }

    /// A peer; nil for a node that is none.
    subscript(id: Bytes32) -> TablePeer? { known[id] }

    /// Where a peer is reached; nil for a node that is none.
    func contact(of id: Bytes32) -> Contact? {
        // Asked for every record that comes by: without a copy of the peer.
        known.index(forKey: id).map { known.values[$0].contact }
    }

    /// Looks at a peer without a copy of it; nil where there is none.
    func look<Result>(at id: Bytes32, _ body: (TablePeer) -> Result) -> Result? {
        known.index(forKey: id).map { body(known.values[$0]) }
    }

    /// Changes a peer in place; nil where there is none.
    @discardableResult
    mutating func update<Result>(_ id: Bytes32, _ change: (inout TablePeer) -> Result) -> Result? {
        guard let place = known.index(forKey: id) else { return nil }
        return change(&known.values[place])
    }

    /// Puts a node that has just answered into the routing table, or beside it. True if it is a peer now and was not.
    mutating func insert(_ peer: TablePeer) -> Bool {
        let number = bucket(of: peer.id)
        guard number > 0, known[peer.id] == nil else { return false }
        buckets[number].replacements.removeAll { $0.id == peer.id }
        guard buckets[number].routed.count < OverlayLimits.bucketSize, subnetAllows(peer, in: number) else {
            addReplacement(peer, in: number)
            return false
        }
        buckets[number].routed.append(peer.id)
        routedCount += 1
        known[peer.id] = peer
        return true
    }

    private mutating func addReplacement(_ peer: TablePeer, in number: Int) {
        buckets[number].replacements.append(peer)
        if buckets[number].replacements.count > OverlayLimits.bucketSize { buckets[number].replacements.removeFirst() }
    }

    /// Whether the node waits beside the routing table.
    func isReplacement(_ id: Bytes32) -> Bool {
        buckets[bucket(of: id)].replacements.contains { $0.id == id }
    }

    /// Whether the node's bucket has a free place.
    func hasRoom(for id: Bytes32) -> Bool { buckets[bucket(of: id)].routed.count < OverlayLimits.bucketSize }

    // MARK: Keeping

    /// What came of a wish to keep a node.
    enum Keeping {
        /// It was a peer already.
        case stays
        /// It waited beside the table and is a peer now.
        case entered
        /// It has not answered a PING, or there is no room.
        case refused
    }

    /// Keeps a node that answered a PING.
    mutating func keep(_ id: Bytes32) -> Keeping {
        if let peer = known[id] {
            guard !peer.isKept else { return .stays }
            guard keptCount < OverlayLimits.keptPeers else { return .refused }
            known[id]?.isKept = true
            keptCount += 1
            return .stays
        }
        let number = bucket(of: id)
        guard keptCount < OverlayLimits.keptPeers,
            let place = buckets[number].replacements.firstIndex(where: { $0.id == id })
        else { return .refused }
        var peer = buckets[number].replacements.remove(at: place)
        peer.isKept = true
        buckets[number].keptOnly.append(id)
        keptCount += 1
        known[id] = peer
        return .entered
    }

    /// Keeps a peer no longer. True if it is none any more: it has no place in the routing table either.
    mutating func release(_ id: Bytes32) -> Bool {
        guard let peer = known[id], peer.isKept else { return false }
        known[id]?.isKept = false
        keptCount -= 1
        let number = bucket(of: id)
        guard let place = buckets[number].keptOnly.firstIndex(of: id) else { return false }
        buckets[number].keptOnly.remove(at: place)
        known[id] = nil
        var waiting = peer
        waiting.isKept = false
        addReplacement(waiting, in: number)
        return true
    }

    // MARK: Leaving

    /// Takes a node out. `wasPeer` says if it was a peer; `promoted` is who became one in its place.
    mutating func remove(_ id: Bytes32) -> (wasPeer: Bool, promoted: TablePeer?) {
        let number = bucket(of: id)
        buckets[number].replacements.removeAll { $0.id == id }
        guard let peer = known.removeValue(forKey: id) else { return (false, nil) }
        if peer.isKept { keptCount -= 1 }
        if let place = buckets[number].keptOnly.firstIndex(of: id) {
            buckets[number].keptOnly.remove(at: place)
            return (true, nil)
        }
        guard let place = buckets[number].routed.firstIndex(of: id) else { return (true, nil) }
        buckets[number].routed.remove(at: place)
        routedCount -= 1
        return (true, promote(in: number))
    }

    /// Fills a free place: with one that is kept anyway, else with the newest of those that wait, which was alive most
    /// recently. Gives the one that became a peer by it.
    private mutating func promote(in number: Int) -> TablePeer? {
        let kept = buckets[number].keptOnly.firstIndex { id in known[id].map { subnetAllows($0, in: number) } ?? false }
        if let kept {
            buckets[number].routed.append(buckets[number].keptOnly.remove(at: kept))
            routedCount += 1
            return nil
        }
        guard let next = buckets[number].replacements.lastIndex(where: { subnetAllows($0, in: number) }) else {
            return nil
        }
        let promoted = buckets[number].replacements.remove(at: next)
        buckets[number].routed.append(promoted.id)
        routedCount += 1
        known[promoted.id] = promoted
        return promoted
    }

    private func subnetAllows(_ peer: TablePeer, in number: Int) -> Bool {
        guard limitsSubnets, let subnet = Subnet(limiting: peer.contact.address.endpoint) else { return true }
        func neighbours(_ ids: [Bytes32]) -> Int {
            ids.count { known[$0].flatMap { Subnet(limiting: $0.contact.address.endpoint) } == subnet }
        }
        return neighbours(buckets[number].routed) < OverlayLimits.subnetNodesPerBucket
            && buckets.reduce(0) { $0 + neighbours($1.routed) } < OverlayLimits.subnetNodesPerTable
    }

    // MARK: Looking

    /// All peers, by id.
    var peers: [TablePeer] { known.values.sorted { $0.id < $1.id } }

    /// The ids of all peers, or of those that are kept, in their order.
    func ids(onlyKept: Bool) -> [Bytes32] {
        known.lazy.filter { !onlyKept || $0.value.isKept }.map(\.key).sorted()
    }

    /// Records of peers at one log distance, 1…256: of those of the routing table, oldest first, then of the others.
    func records(at distance: Int) -> [NodeRecord] {
        guard buckets.indices.contains(distance) else { return [] }
        return (buckets[distance].routed + buckets[distance].keptOnly).compactMap { contact(of: $0)?.record }
    }

    /// Up to `limit` peers nearest to `target`, nearest first.
    func closest(to target: Bytes32, limit: Int) -> [Bytes32] {
        var nearest: [(distance: Bytes32, id: Bytes32)] = []
        for id in known.keys {
            let distance = id ^ target
            if nearest.count == limit, let last = nearest.last, last.distance < distance { continue }
            let place = nearest.firstIndex { distance < $0.distance } ?? nearest.endIndex
            nearest.insert((distance, id), at: place)
            if nearest.count > limit { nearest.removeLast() }
        }
        return nearest.map(\.id)
    }
}
