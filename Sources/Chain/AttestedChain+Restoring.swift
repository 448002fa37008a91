import Primitives

// What a chain whose headers are judged as they come leaves in a store, and how it goes on from there.
extension AttestedChain {
    /// The work of the line up to the head, counted from the checkpoint; 0 under other rules.
    public var work: UInt128 { headStanding?.work ?? 0 }

    /// What a store keeps beside the headers, in the same transaction: the floor and its standing. nil where the rule
    /// has nothing to hand on.
    public var storedFloor: StoredFloor? {
        guard rule.finality != .byVotes, let floorStanding else { return nil }
        return StoredFloor(point: floor, standing: floorStanding)
    }

    /// A chain resumed from the headers above and below a floor that the node itself has stored. What is at the floor
    /// and below it is trusted, like the store; what is above is judged again, whatever time it is.
    init(
        configuration: NetworkConfiguration, resuming stored: [CertifiedHeader], above floor: StoredFloor
    ) throws(ChainError) {
        self.init(configuration: configuration)
        let byHash = Dictionary(stored.map { ($0.header.hash, $0) }) { first, _ in first }
        var below: [CertifiedHeader] = []
        var hash = floor.point.hash
        while let entry = byHash[hash] {
            below.append(entry)
            hash = entry.header.parentHash
        }
        guard floor.point == configuration.checkpoint || !below.isEmpty else { throw .lostFloor(floor.point) }
        below.reverse()
        let lowest = below.first?.header.number ?? floor.point.number
        kept.append(contentsOf: below)
        _ = kept.record(stored.filter { $0.header.number < lowest } + below)
        (final, head) = (floor.point, floor.point)
        tree = HeaderTree(root: floor.point)
        line = FollowedLine(above: floor.point.number)
        floorStanding = floor.standing
        attestedAt = below.last?.header.fields.timestamp
        // Only the line that was followed is stored. What does not join is left out, and asked of others.
        var parent = floor.point.hash
        for entry in stored.filter({ $0.header.number > floor.point.number }).sorted(by: { $0.point < $1.point }) {
            guard entry.header.parentHash == parent else { continue }
            _ = try accept([entry])
            parent = entry.header.hash
        }
        leftovers = stored.map(\.point).filter { $0.number > floor.point.number && !isAttested($0) }.sorted()
    }
}

/// The floor of a chain and its standing, as a store keeps them.
public struct StoredFloor: Hashable, Sendable {
    public let point: StatePoint
    public let standing: HeaderStanding

    public init(point: StatePoint, standing: HeaderStanding) {
        self.point = point
        self.standing = standing
    }

    /// number 8, big endian ‖ hash 32 ‖ the standing.
    public var encoded: [UInt8] { point.number.bigEndianBytes + point.hash.bytes + standing.encoded }

    /// Reads what `encoded` gives; nil for anything else.
    public init?(decoding bytes: [UInt8]) {
        guard bytes.count > 40, let hash = Bytes32(bytes[8..<40]),
            let standing = HeaderStanding(decoding: Array(bytes[40...]))
        else { return nil }
        let number = UInt64(truncatingIfNeeded: UInt128(bigEndian: bytes[..<8]))
        self.init(point: StatePoint(number: number, hash: hash), standing: standing)
    }
}
