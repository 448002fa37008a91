import Primitives

/// A node of the table: one that has answered a PING of ours at its record's endpoint.
struct TableEntry: Sendable {
    var record: NodeRecord
    let address: NodeAddress
    var lastAnswer: Instant
    /// PINGs in a row without an answer.
    var failures = 0
    let subnet: Subnet?

    init(record: NodeRecord, address: NodeAddress, at now: Instant) {
        self.record = record
        self.address = address
        lastAnswer = now
        // Many nodes on one machine are a test network, not an attack.
        subnet = address.endpoint.isLoopback ? nil : Subnet(address.endpoint)
    }
}

/// Kademlia's table: 256 buckets by logarithmic distance, each of k nodes in the order of their last answer, oldest
/// first, with a list of replacements beside it.
///
/// Invariants: our own id is never in it; an id is in it once; every entry has answered a PING; of one subnet there are
/// at most so many entries (replacements included) in a bucket and in the table.
struct RoutingTable: Sendable {
    struct Bucket: Sendable {
        var entries: [TableEntry] = []
        var replacements: [TableEntry] = []
    }

    enum Insertion: Equatable, Sendable {
        case added
        case replacement
        case refused
    }

    let localID: Bytes32
    private let configuration: Discovery.Configuration
    /// Bucket i holds the nodes at distance i + 1.
    private var buckets = [Bucket](repeating: Bucket(), count: 256)
    private var subnets: [Subnet: Int] = [:]
    /// Nodes in the buckets, replacements not counted.
    private(set) var count = 0

    init(localID: Bytes32, configuration: Discovery.Configuration) {
        self.localID = localID
        self.configuration = configuration
    }

    /// Bits that differ from the first differing one on: 0 for equal ids, 256 for ids that differ in the first bit.
    static func distance(_ a: Bytes32, _ b: Bytes32) -> Int { 256 - (a ^ b).leadingZeroBitCount }

    private func index(of id: Bytes32) -> Int? {
        let distance = RoutingTable.distance(localID, id)
        return distance > 0 ? distance - 1 : nil
    }

    /// The entry of `id`, unless it is a mere replacement.
    func entry(_ id: Bytes32) -> TableEntry? {
        index(of: id).flatMap { buckets[$0].entries.first { $0.address.id == id } }
    }

    // Asked for every packet and record: without a copy of the entry.

    /// The record held of `id`, as entry or replacement.
    func record(of id: Bytes32) -> NodeRecord? {
        guard let bucket = index(of: id) else { return nil }
        if let place = buckets[bucket].entries.firstIndex(where: { $0.address.id == id }) {
            return buckets[bucket].entries[place].record
        }
        guard let place = buckets[bucket].replacements.firstIndex(where: { $0.address.id == id }) else { return nil }
        return buckets[bucket].replacements[place].record
    }

    /// Where `id` answered, as entry or replacement.
    func address(of id: Bytes32) -> NodeAddress? {
        guard let bucket = index(of: id) else { return nil }
        if let place = buckets[bucket].entries.firstIndex(where: { $0.address.id == id }) {
            return buckets[bucket].entries[place].address
        }
        guard let place = buckets[bucket].replacements.firstIndex(where: { $0.address.id == id }) else { return nil }
        return buckets[bucket].replacements[place].address
    }

    /// Whether a node there would find a place, so that it is worth a PING.
    func hasRoom(for address: NodeAddress) -> Bool {
        guard let index = index(of: address.id) else { return false }
        guard
            buckets[index].entries.count < configuration.bucketSize
                || buckets[index].replacements.count < configuration.replacementsPerBucket
        else { return false }
        guard !address.endpoint.isLoopback else { return true }
        let subnet = Subnet(address.endpoint)
        guard subnets[subnet, default: 0] < configuration.tableSubnetLimit else { return false }
        let neighbours =
            buckets[index].entries.count { $0.subnet == subnet }
            + buckets[index].replacements.count { $0.subnet == subnet }
        return neighbours < configuration.bucketSubnetLimit
    }

    /// Puts in a node that has just answered a PING.
    mutating func insert(_ record: NodeRecord, at address: NodeAddress, now: Instant) -> Insertion {
        guard let index = index(of: address.id), self.address(of: address.id) == nil, hasRoom(for: address) else {
            return .refused
        }
        let entry = TableEntry(record: record, address: address, at: now)
        if let subnet = entry.subnet { subnets[subnet, default: 0] += 1 }
        if buckets[index].entries.count < configuration.bucketSize {
            buckets[index].entries.append(entry)
            count += 1
            return .added
        }
        buckets[index].replacements.append(entry)
        return .replacement
    }

    /// Notes an answer of `id`, which makes it the newest of its bucket.
    mutating func noteAnswer(_ id: Bytes32, at now: Instant) {
        guard let index = index(of: id), let place = buckets[index].entries.firstIndex(where: { $0.address.id == id })
        else { return }
        buckets[index].entries[place].failures = 0
        buckets[index].entries[place].lastAnswer = now
        guard place < buckets[index].entries.count - 1 else { return }
        buckets[index].entries.append(buckets[index].entries.remove(at: place))
    }

    /// Notes that `id` did not answer. Gives its failures in a row; nil where it is not in the table.
    mutating func noteFailure(_ id: Bytes32) -> Int? {
        guard let index = index(of: id), let place = buckets[index].entries.firstIndex(where: { $0.address.id == id })
        else { return nil }
        buckets[index].entries[place].failures += 1
        return buckets[index].entries[place].failures
    }

    /// Takes `id` out, entry or replacement. The newest replacement of its bucket moves up.
    mutating func remove(_ id: Bytes32) -> (removed: Bool, promoted: TableEntry?) {
        guard let index = index(of: id) else { return (false, nil) }
        if let place = buckets[index].replacements.firstIndex(where: { $0.address.id == id }) {
            release(buckets[index].replacements.remove(at: place))
            return (false, nil)
        }
        guard let place = buckets[index].entries.firstIndex(where: { $0.address.id == id }) else { return (false, nil) }
        release(buckets[index].entries.remove(at: place))
        count -= 1
        guard let promoted = buckets[index].replacements.popLast() else { return (true, nil) }
        buckets[index].entries.append(promoted)
        count += 1
        return (true, promoted)
    }

    private mutating func release(_ entry: TableEntry) {
        guard let subnet = entry.subnet, let held = subnets[subnet] else { return }
        subnets[subnet] = held > 1 ? held - 1 : nil
    }

    /// Replaces the record of a node by a newer one of the same endpoint.
    mutating func update(_ record: NodeRecord) {
        guard let index = index(of: record.id) else { return }
        if let place = buckets[index].entries.firstIndex(where: { $0.address.id == record.id }) {
            buckets[index].entries[place].record = record
        } else if let place = buckets[index].replacements.firstIndex(where: { $0.address.id == record.id }) {
            buckets[index].replacements[place].record = record
        }
    }

    /// Every entry, the one that answered last first.
    var entries: [TableEntry] {
        buckets.flatMap(\.entries).sorted {
            ($1.lastAnswer, $0.address.id) < ($0.lastAnswer, $1.address.id)
        }
    }

    /// Those beside the bucket at `distance`, 1…256.
    func replacements(at distance: Int) -> [TableEntry] {
        (1...256).contains(distance) ? buckets[distance - 1].replacements : []
    }

    /// Nodes beside all buckets.
    var replacementCount: Int { buckets.reduce(0) { $0 + $1.replacements.count } }

    /// The entries at `distance` from us, newest first; none for what is no distance.
    func entries(at distance: Int) -> [TableEntry] {
        (1...256).contains(distance) ? buckets[distance - 1].entries.reversed() : []
    }

    /// Records of up to `limit` entries, nearest to `target` first.
    func closest(to target: Bytes32, limit: Int) -> [NodeRecord] {
        guard limit > 0 else { return [] }
        var nearest: [(distance: Bytes32, record: NodeRecord)] = []
        for bucket in buckets.indices {
            for place in buckets[bucket].entries.indices {
                let distance = buckets[bucket].entries[place].address.id ^ target
                if nearest.count == limit, let last = nearest.last, last.distance < distance { continue }
                let rank = nearest.firstIndex { distance < $0.distance } ?? nearest.endIndex
                nearest.insert((distance, buckets[bucket].entries[place].record), at: rank)
                if nearest.count > limit { nearest.removeLast() }
            }
        }
        return nearest.map(\.record)
    }

    /// An entry chosen evenly.
    func randomEntry(using random: UInt64) -> TableEntry? {
        guard count > 0 else { return nil }
        var place = Int(random % UInt64(count))
        for bucket in buckets {
            if place < bucket.entries.count { return bucket.entries[place] }
            place -= bucket.entries.count
        }
        return nil
    }
}
