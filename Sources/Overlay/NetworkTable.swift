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
}

/// How far apart two places of the ring are.
public enum RingDistance {
    /// The bit length of a XOR b, 0…256: the number of a's bucket that b belongs in.
    public static func logarithmic(_ a: Bytes32, _ b: Bytes32) -> Int { 256 - (a ^ b).leadingZeroBitCount }
}

/// The peers of one network by their log distance from us: 256 buckets of 16, old ones before new ones, and beside each
/// a list of those that would take a free place. Everyone in it has answered a PING.
struct NetworkTable: Sendable {
    private struct Bucket: Sendable {
        var peers: [TablePeer] = []
        var replacements: [TablePeer] = []
    }

    private let local: Bytes32
    private let limitsSubnets: Bool
    private var buckets = [Bucket](repeating: Bucket(), count: 257)
    /// Peers in the table, replacements not counted.
    private(set) var count = 0

    init(local: Bytes32, limitsSubnets: Bool) {
        self.local = local
        self.limitsSubnets = limitsSubnets
    }

    private func bucket(of id: Bytes32) -> Int { RingDistance.logarithmic(local, id) }

    /// A peer of the table. Writing changes one that is there and nothing else.
    subscript(id: Bytes32) -> TablePeer? {
        get { buckets[bucket(of: id)].peers.first { $0.id == id } }
        set {
            let number = bucket(of: id)
            guard let newValue, let place = buckets[number].peers.firstIndex(where: { $0.id == id }) else { return }
            buckets[number].peers[place] = newValue
        }
    }

    /// Puts a peer that has just answered into the table, or beside it. True if it is in the table now and was not.
    mutating func insert(_ peer: TablePeer) -> Bool {
        let number = bucket(of: peer.id)
        guard number > 0, self[peer.id] == nil else { return false }
        buckets[number].replacements.removeAll { $0.id == peer.id }
        guard buckets[number].peers.count < OverlayLimits.bucketSize, subnetAllows(peer, in: number) else {
            buckets[number].replacements.append(peer)
            if buckets[number].replacements.count > OverlayLimits.bucketSize {
                buckets[number].replacements.removeFirst()
            }
            return false
        }
        buckets[number].peers.append(peer)
        count += 1
        return true
    }

    /// Whether the peer waits beside the table.
    func isReplacement(_ id: Bytes32) -> Bool {
        buckets[bucket(of: id)].replacements.contains { $0.id == id }
    }

    /// Takes a peer out, replacement or not. `wasPeer` says if it was in the table; `promoted` is who took its place.
    mutating func remove(_ id: Bytes32) -> (wasPeer: Bool, promoted: TablePeer?) {
        let number = bucket(of: id)
        buckets[number].replacements.removeAll { $0.id == id }
        guard let place = buckets[number].peers.firstIndex(where: { $0.id == id }) else { return (false, nil) }
        buckets[number].peers.remove(at: place)
        count -= 1
        // The newest that may: it was alive most recently.
        guard let next = buckets[number].replacements.lastIndex(where: { subnetAllows($0, in: number) }) else {
            return (true, nil)
        }
        let promoted = buckets[number].replacements.remove(at: next)
        buckets[number].peers.append(promoted)
        count += 1
        return (true, promoted)
    }

    private func subnetAllows(_ peer: TablePeer, in number: Int) -> Bool {
        guard limitsSubnets, let subnet = NetworkTable.subnet(of: peer.contact.address.endpoint) else { return true }
        func neighbours(_ peers: [TablePeer]) -> Int {
            peers.filter { NetworkTable.subnet(of: $0.contact.address.endpoint) == subnet }.count
        }
        return neighbours(buckets[number].peers) < OverlayLimits.subnetNodesPerBucket
            && buckets.reduce(0) { $0 + neighbours($1.peers) } < OverlayLimits.subnetNodesPerTable
    }

    /// The /24 of IPv4 or /48 of IPv6; nil for loopback, which is exempt.
    static func subnet(of endpoint: Endpoint) -> ArraySlice<UInt8>? {
        endpoint.isLoopback ? nil : endpoint.address.prefix(endpoint.isIPv4 ? 3 : 6)
    }

    /// All peers, by id.
    var peers: [TablePeer] { buckets.flatMap(\.peers).sorted { $0.id < $1.id } }

    /// Peers at one log distance, 1…256, oldest first.
    func peers(at distance: Int) -> [TablePeer] {
        buckets.indices.contains(distance) ? buckets[distance].peers : []
    }

    /// Up to `limit` peers nearest to `target`, nearest first.
    func closest(to target: Bytes32, limit: Int) -> [TablePeer] {
        Array(buckets.flatMap(\.peers).sorted { ($0.id ^ target) < ($1.id ^ target) }.prefix(limit))
    }
}
