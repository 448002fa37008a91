import Primitives

/// What becomes of a chain whose headers are judged as they come: see `ChainRule`. Apart from the chain itself, whose
/// parts it changes, because votes have another way.
public enum Judging {
    /// Takes the part of a run above the floor, and the checkpoint's header where it came for the first time.
    static func take(
        _ fresh: [CertifiedHeader], checkpoint: CertifiedHeader?, at unixSeconds: UInt64, _ chain: inout AttestedChain
    ) throws(ChainError) -> ChainAdvance {
        let base = checkpoint.flatMap { chain.rule.standing(ofCheckpoint: $0.header) } ?? chain.floorStanding
        let standings = try standings(of: fresh, above: base, at: unixSeconds, chain)
        try chain.makeRoom(for: fresh)
        var advance = ChainAdvance()
        if let checkpoint {
            // One that is brought after headers above it belongs to the line below the floor.
            if chain.floor == chain.configuration.checkpoint { chain.floorStanding = base }
            advance.take(checkpoint: checkpoint, chain.kept.begin(with: checkpoint))
        }
        for (entry, standing) in zip(fresh, standings) where !chain.tree.contains(entry.header.hash) {
            chain.tree.insert(entry, standing: standing)
        }
        guard let tip = fresh.last, let standing = standings.last, outweighs(standing, chain) else { return advance }
        lead(to: tip, &chain, &advance)
        return advance
    }

    private static func standings(
        of fresh: [CertifiedHeader], above base: HeaderStanding?, at unixSeconds: UInt64, _ chain: AttestedChain
    ) throws(ChainError) -> [HeaderStanding] {
        guard let first = fresh.first?.header else { return [] }
        let parent = first.parentHash == chain.floor.hash ? base : chain.tree.nodes[first.parentHash]?.standing
        // The checkpoint's header comes first where it is needed.
        guard var standing = parent else { throw .unknownParent(number: first.number, parentHash: first.parentHash) }
        var standings: [HeaderStanding] = []
        standings.reserveCapacity(fresh.count)
        for entry in fresh {
            // What is in the tree was judged when it came.
            if let known = chain.tree.nodes[entry.header.hash]?.standing {
                standing = known
            } else {
                standing = try chain.rule.standing(of: entry, on: standing, at: unixSeconds)
            }
            standings.append(standing)
        }
        return standings
    }

    /// Whether a line with that end takes the place of the one that is followed. Of two with the same work the one that
    /// came first stays.
    private static func outweighs(_ standing: HeaderStanding, _ chain: AttestedChain) -> Bool {
        switch chain.rule.finality {
        case .byDepth: standing.work > chain.work
        case .atOnce, .byVotes: true
        }
    }

    /// Makes the line that ends in a header of the tree the attested one: head, final block, anchors and floor follow.
    private static func lead(to tip: CertifiedHeader, _ chain: inout AttestedChain, _ advance: inout ChainAdvance) {
        var joining: [CertifiedHeader] = []
        var below = tip
        while chain.line.hash(at: below.header.number) != below.header.hash {
            joining.append(below)
            guard let parent = chain.tree.nodes[below.header.parentHash]?.entry else { break }
            below = parent
        }
        joining.reverse()
        // Nothing is new where the tip was on the line before.
        guard let fork = joining.first.map({ $0.header.number - 1 }) else { return }
        let off = chain.line.cut(at: Int(fork - chain.floor.number))
        for hash in off { chain.tree.mark(hash, stored: false, attested: false) }
        for entry in joining {
            chain.tree.mark(entry.header.hash, stored: true, attested: true)
            chain.line.append(entry.header.hash)
            chain.line.attest()
        }
        if !off.isEmpty {
            advance.leftAt = fork + 1
            advance.drop = off.compactMap { chain.tree.nodes[$0]?.entry.point }
        }
        chain.head = tip.point
        chain.attestedAt = tip.header.fields.timestamp
        advance.head = chain.head
        advance.attested += joining
        advance.keep += joining
        advance.judged = joining.count
        settle(above: fork, &chain, &advance)
    }

    /// Finds the final block and the floor anew. `fork`: the highest block that was on the line before.
    private static func settle(above fork: UInt64, _ chain: inout AttestedChain, _ advance: inout ChainAdvance) {
        let (finalDepth, undone): (UInt64, UInt64) =
            if case .byDepth(let depth, let undone) = chain.rule.finality { (depth, undone) } else { (0, 0) }
        let (old, head) = (chain.final, chain.head.number)
        if old.number > fork { advance.lostAnchors = chain.kept.forget(above: fork) }
        // A heavier line with fewer blocks takes nothing back that it has in common with the one before.
        let lowest = min(old.number, fork)
        let number = max(head < finalDepth ? 0 : head - finalDepth, lowest)
        let passed = number > lowest ? ((lowest + 1)...number).compactMap { chain.certifiedHeader(at: $0) } : []
        advance.anchors += chain.kept.record(passed)
        chain.final = chain.certifiedHeader(at: number)?.point ?? chain.floor
        if chain.final != old { advance.final = chain.final }
        let newFloor = head < undone ? 0 : head - undone
        guard newFloor > chain.floor.number, let hash = chain.line.hash(at: newFloor) else { return }
        chain.floorStanding = chain.tree.nodes[hash]?.standing
        let step = chain.tree.advance(to: hash)
        chain.line.advance(over: step.passed.map(\.entry.point))
        chain.kept.append(contentsOf: step.passed.map(\.entry))
    }

    // MARK: Below the floor

    /// The standing of a header at or below the floor, under proof of work, as far down as headers are in memory; nil
    /// else.
    public static func standing(at number: UInt64, in chain: AttestedChain) -> HeaderStanding? {
        let floor = chain.floor.number
        guard case .work(let standing)? = chain.floorStanding, number <= floor else { return nil }
        if number == floor { return chain.floorStanding }
        guard let header = chain.kept.entry(at: number)?.header else { return nil }
        let above = ((number + 1)...floor).compactMap { chain.kept.entry(at: $0)?.header.difficulty.low128 }
        guard UInt64(above.count) == floor - number else { return nil }
        let known = WorkStanding(checkpoint: header)
        let total = standing.total - min(standing.total, above.reduce(0) { $0 + $1 })
        return .work(WorkStanding(total: total, difficulty: known.difficulty, timestamp: known.timestamp))
    }

    /// A line with more work leaves the chain at `fork`, below its floor: nothing goes on.
    public static func stop(_ chain: inout AttestedChain, fork: StatePoint, rival: StatePoint) {
        chain.conflict = .tooDeep(fork: fork, rival: rival)
    }

    /// The first header of a run off the line that the committee which speaks now has made final as well. Only of that
    /// one it is known whose word it takes: for the blocks of its term up to the one above the floor.
    static func rival(in run: [CertifiedHeader], _ rule: CommitteeRule, _ chain: AttestedChain) -> StatePoint? {
        guard case .committee(let standing)? = chain.floorStanding else { return nil }
        let off = run.first { entry in
            let header = entry.header
            guard header.number >= standing.since, header.number <= chain.floor.number + 1 else { return false }
            if header.number > chain.floor.number { return header.parentHash != chain.floor.hash }
            return chain.certifiedHeader(at: header.number).map { $0.header.hash != header.hash } ?? false
        }
        guard let off else { return nil }
        let outcome = Result { () throws(ChainError) in try rule.check(off, by: standing.committee) }
        return if case .success = outcome { off.point } else { nil }
    }
}
