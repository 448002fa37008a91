import Discovery
import Primitives

/// The search for the nodes nearest to a position, asking ever nearer ones for those they know.
///
/// It goes along disjoint paths: every node belongs to the path that named it first, and is asked on that path only,
/// one query a path at a time. A node that lies leads its own path astray and no other. A path is done when the nearest
/// of its nodes, a share of the lookup's width, have all been asked. Source: S/Kademlia (Baumgart and Mies, 2007).
struct NetworkLookup: Sendable {
    enum Progress { case unasked, asked, answered, failed }

    struct Candidate: Sendable {
        let contact: Contact
        let distance: Bytes32
        let path: Int
        var progress = Progress.unasked
    }

    let network: Int
    let target: Bytes32
    /// False for the searches the machine makes by itself.
    let isReported: Bool
    /// Nodes that are neither asked nor found: what they said before was of no use.
    private let avoided: Set<Bytes32>
    /// Nodes nearest to the target that one path asks.
    private let share: Int
    private let limitsSubnets: Bool
    /// Nearest first.
    private(set) var candidates: [Candidate] = []
    private(set) var queries = 0

    /// `width`: how many of the nearest nodes are asked, all paths together.
    init(
        network: Int, target: Bytes32, isReported: Bool, width: Int = OverlayLimits.bucketSize,
        avoided: Set<Bytes32> = [], limitsSubnets: Bool = true
    ) {
        self.network = network
        self.target = target
        self.isReported = isReported
        self.avoided = avoided
        self.limitsSubnets = limitsSubnets
        let paths = OverlayLimits.lookupParallelism
        share = max(1, (min(width, OverlayLimits.lookupQueries) + paths - 1) / paths)
    }

    /// Adds nodes to begin with, nearest first: in turn to each path.
    mutating func begin(with contacts: [Contact]) {
        for (index, contact) in contacts.enumerated() { add(contact, path: index % OverlayLimits.lookupParallelism) }
    }

    /// Adds nodes that `id` named. They go to its path, and to paths that have nobody to ask yet.
    mutating func add(_ contacts: [Contact], namedBy id: Bytes32) {
        guard let path = candidates.first(where: { $0.contact.record.id == id })?.path else { return }
        for contact in contacts {
            let idle = (0..<OverlayLimits.lookupParallelism).first { path in !candidates.contains { $0.path == path } }
            add(contact, path: idle ?? path)
        }
    }

    private mutating func add(_ contact: Contact, path: Int) {
        guard !avoided.contains(contact.record.id) else { return }
        let distance = contact.record.id ^ target
        let place = candidates.firstIndex { $0.distance >= distance } ?? candidates.endIndex
        guard place == candidates.endIndex || candidates[place].distance != distance, subnetAllows(contact) else {
            return
        }
        candidates.insert(Candidate(contact: contact, distance: distance, path: path), at: place)
        let ofPath = candidates.count { $0.path == path }
        guard ofPath > OverlayLimits.lookupCandidates / OverlayLimits.lookupParallelism else { return }
        // The farthest of the path that no answer is awaited from.
        let last = candidates.lastIndex { $0.path == path && $0.progress != .asked }
        if let last { candidates.remove(at: last) }
    }

    /// Whoever has one network prefix full of made-up nodes gets no more than a table would give him.
    private func subnetAllows(_ contact: Contact) -> Bool {
        guard limitsSubnets, let subnet = Subnet(limiting: contact.address.endpoint) else { return true }
        let neighbours = candidates.count { Subnet(limiting: $0.contact.address.endpoint) == subnet }
        return neighbours < OverlayLimits.subnetNodesPerTable
    }

    mutating func mark(_ id: Bytes32, _ progress: Progress) {
        guard let place = candidates.firstIndex(where: { $0.contact.record.id == id }) else { return }
        candidates[place].progress = progress
    }

    /// Whom to ask now: of a path that awaits no answer, the nearest not asked yet among its nearest that have not
    /// failed.
    mutating func next() -> Contact? {
        guard queries < OverlayLimits.lookupQueries else { return nil }
        for path in 0..<OverlayLimits.lookupParallelism {
            guard let place = nextPlace(of: path) else { continue }
            candidates[place].progress = .asked
            queries += 1
            return candidates[place].contact
        }
        return nil
    }

    private func nextPlace(of path: Int) -> Int? {
        guard !candidates.contains(where: { $0.path == path && $0.progress == .asked }) else { return nil }
        let nearest = candidates.indices.lazy
            .filter { candidates[$0].path == path && candidates[$0].progress != .failed }.prefix(share)
        return nearest.first { candidates[$0].progress == .unasked }
    }

    var isOver: Bool { !candidates.contains { $0.progress == .asked } }

    /// What is known at the end: nearest first, without those that failed.
    var result: LookupResult {
        let alive = candidates.filter { $0.progress != .failed }
        return LookupResult(
            nodes: alive.map { LookupResult.Node(record: $0.contact.record, hasAnswered: $0.progress == .answered) },
            queries: queries, failures: candidates.count - alive.count)
    }

    /// The distances from `id` at which the nodes nearest to the target are: that of the target itself first, since an
    /// answer holds only the first few nodes, then those beside.
    func distances(from id: Bytes32) -> [UInt16] {
        let own = RingDistance.logarithmic(id, target)
        var distances = own > 0 ? [own] : []
        var step = 1
        while distances.count < OverlayLimits.askedDistances, step <= 256 {
            distances += [own - step, own + step].filter { (1...256).contains($0) }
            step += 1
        }
        return distances.prefix(OverlayLimits.askedDistances).map { UInt16($0) }
    }
}

/// What a lookup found.
public struct LookupResult: Sendable {
    /// A node, alive as far as anybody knows.
    public struct Node: Sendable {
        public let record: NodeRecord
        /// Whether it answered this lookup; the others were named by one that did.
        public let hasAnswered: Bool
    }

    /// Nearest to the target first.
    public let nodes: [Node]
    /// FIND_NODES sent, and those that got no answer.
    public let queries, failures: Int

    public init(nodes: [Node], queries: Int, failures: Int = 0) {
        self.nodes = nodes
        self.queries = queries
        self.failures = failures
    }
}
