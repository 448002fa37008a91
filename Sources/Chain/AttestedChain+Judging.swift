import Primitives

// Headers that are judged as they come, by what is with them and by their parent: proof of work and committee. Every
// header in the tree holds then, and the one with most weight behind it is the head.
extension AttestedChain {
    /// The work of the line up to the head, counted from the checkpoint; 0 under other rules.
    public var work: UInt128 { headStanding?.work ?? 0 }

    /// Takes the part of a run above the floor, and the checkpoint's header where it came for the first time.
    mutating func judge(
        _ fresh: [CertifiedHeader], checkpoint: CertifiedHeader?, at unixSeconds: UInt64
    ) throws(ChainError) -> ChainAdvance {
        let base = checkpoint.flatMap { rule.standing(ofCheckpoint: $0.header) } ?? floorStanding
        let standings = try standings(of: fresh, above: base, at: unixSeconds)
        try makeRoom(for: fresh)
        var advance = ChainAdvance()
        if let checkpoint {
            // One that is brought after headers above it belongs to the line below the floor.
            if floor == configuration.checkpoint { floorStanding = base }
            begin(with: checkpoint, &advance)
        }
        for (entry, standing) in zip(fresh, standings) where !tree.contains(entry.header.hash) {
            tree.insert(entry, standing: standing)
        }
        guard let tip = fresh.last, let standing = standings.last, outweighs(standing) else { return advance }
        lead(to: tip, &advance)
        return advance
    }

    private func standings(
        of fresh: [CertifiedHeader], above base: HeaderStanding?, at unixSeconds: UInt64
    ) throws(ChainError) -> [HeaderStanding] {
        guard let first = fresh.first?.header else { return [] }
        let parent = first.parentHash == floor.hash ? base : tree.nodes[first.parentHash]?.standing
        // The checkpoint's header comes first where it is needed.
        guard var standing = parent else { throw .unknownParent(number: first.number, parentHash: first.parentHash) }
        var standings: [HeaderStanding] = []
        standings.reserveCapacity(fresh.count)
        for entry in fresh {
            // What is in the tree was judged when it came.
            if let known = tree.nodes[entry.header.hash]?.standing {
                standing = known
            } else {
                standing = try rule.standing(of: entry, on: standing, at: unixSeconds)
            }
            standings.append(standing)
        }
        return standings
    }

    /// Whether a line with that end takes the place of the one that is followed. Of two with the same work the one that
    /// came first stays.
    private func outweighs(_ standing: HeaderStanding) -> Bool {
        switch rule.finality {
        case .byDepth: standing.work > work
        case .atOnce, .byVotes: true
        }
    }

    /// Makes the line that ends in a header of the tree the attested one: head, final block, anchors and floor follow.
    private mutating func lead(to tip: CertifiedHeader, _ advance: inout ChainAdvance) {
        var joining: [CertifiedHeader] = []
        var below = tip
        while line.hash(at: below.header.number) != below.header.hash {
            joining.append(below)
            guard let parent = tree.nodes[below.header.parentHash]?.entry else { break }
            below = parent
        }
        joining.reverse()
        // Nothing is new where the tip was on the line before.
        guard let fork = joining.first.map({ $0.header.number - 1 }) else { return }
        let off = line.cut(at: Int(fork - floor.number))
        for hash in off { tree.mark(hash, stored: false, attested: false) }
        for entry in joining {
            tree.mark(entry.header.hash, stored: true, attested: true)
            line.append(entry.header.hash)
            line.attest()
        }
        if !off.isEmpty {
            advance.leftAt = fork + 1
            advance.drop = off.compactMap { tree.nodes[$0]?.entry.point }
        }
        head = tip.point
        attestedAt = tip.header.fields.timestamp
        advance.head = head
        advance.attested += joining
        advance.keep += joining
        advance.judged = joining.count
        settle(above: fork, &advance)
    }

    /// Finds the final block and the floor anew. `fork`: the highest block that was on the line before.
    private mutating func settle(above fork: UInt64, _ advance: inout ChainAdvance) {
        let (finalDepth, undone): (UInt64, UInt64) =
            if case .byDepth(let depth, let undone) = rule.finality { (depth, undone) } else { (0, 0) }
        let old = final
        if old.number > fork { advance.lostAnchors = kept.forget(above: fork) }
        // A heavier line with fewer blocks takes nothing back that it has in common with the one before.
        let lowest = min(old.number, fork)
        let number = max(head.number < finalDepth ? 0 : head.number - finalDepth, lowest)
        let passed = number > lowest ? ((lowest + 1)...number).compactMap { certifiedHeader(at: $0) } : []
        advance.anchors += kept.record(passed)
        final = certifiedHeader(at: number)?.point ?? floor
        if final != old { advance.final = final }
        let newFloor = head.number < undone ? 0 : head.number - undone
        guard newFloor > floor.number, let hash = line.hash(at: newFloor) else { return }
        floorStanding = tree.nodes[hash]?.standing
        let step = tree.advance(to: hash)
        line.advance(over: step.passed.map(\.entry.point))
        kept.append(contentsOf: step.passed.map(\.entry))
    }

    /// The standing of a header at or below the floor, under proof of work, as far down as headers are in memory; nil
    /// else.
    public func standing(at number: UInt64) -> HeaderStanding? {
        guard case .work(let standing)? = floorStanding, number <= floor.number else { return nil }
        if number == floor.number { return floorStanding }
        guard let header = kept.entry(at: number)?.header else { return nil }
        let above = ((number + 1)...floor.number).compactMap { kept.entry(at: $0)?.header.difficulty.low128 }
        guard UInt64(above.count) == floor.number - number else { return nil }
        let known = WorkStanding(checkpoint: header)
        let total = standing.total - min(standing.total, above.reduce(0) { $0 + $1 })
        return .work(WorkStanding(total: total, difficulty: known.difficulty, timestamp: known.timestamp))
    }

    /// A line with more work leaves this one at `fork`, below the floor: nothing goes on.
    public mutating func stop(fork: StatePoint, rival: StatePoint) {
        conflict = .tooDeep(fork: fork, rival: rival)
    }

    // MARK: Restoring

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
