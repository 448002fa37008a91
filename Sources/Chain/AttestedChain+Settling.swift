import Primitives

// What votes make of the headers: the rule *attested head*.
extension AttestedChain {
    /// Finds the final block and the head anew from the votes. Looks only at what votes have changed, so that a block
    /// costs the same whether ten or thousands are not final.
    mutating func settle(_ advance: inout ChainAdvance, grown: Set<Bytes32>) throws(ChainError) {
        let (oldFinal, oldHead) = (final, head)
        let newFinal = try deepestFinal()
        var passed: [HeaderTree.Node] = []
        if newFinal != final.hash {
            let step = tree.advance(to: newFinal)
            passed = step.passed
            advance.drop = step.dropped
            final = tree.root
            votes.settle(upTo: final, in: &tree)
            let points = passed.map(\.entry.point)
            advance.leftAt = zip(points, 0..<line.attestedCount).first { $0.hash != line[$1] }?.0.number
            line.advance(over: points)
            kept.append(contentsOf: passed.map(\.entry))
            advance.anchors += kept.record(passed.map(\.entry))
        }
        let changes = tree.takeChanges()
        let moved = follow(changes)
        if let left = moved.left.min() { advance.leftAt = min(advance.leftAt ?? left, left) }
        head = line.head.flatMap { tree.nodes[$0]?.entry.point } ?? final
        let voters = line.head.flatMap { tree.nodes[$0]?.voters } ?? tree.rootVoters
        if let newest = votes.newestTime(of: voters, rule.voting) { attestedAt = max(attestedAt ?? 0, newest) }
        let joined = moved.joined.compactMap { tree.nodes[$0]?.entry }
        advance.attested += passed.filter { !$0.isAttested }.map(\.entry) + joined
        advance.keep += passed.filter { !$0.isStored || grown.contains($0.entry.header.hash) }.map(\.entry)
        note(changes, grown: grown, in: &advance)
        if final != oldFinal { advance.final = final }
        if head != oldHead { advance.head = head }
    }

    /// What is to be kept of what votes have changed above the final block, and what not any more.
    private mutating func note(_ changes: HeaderTree.Changes, grown: Set<Bytes32>, in advance: inout ChainAdvance) {
        var keep: [CertifiedHeader] = []
        for hash in Set(changes.gained).union(grown) {
            guard let node = tree.nodes[hash], node.isWanted, !node.isStored || grown.contains(hash) else {
                continue
            }
            keep.append(node.entry)
            tree.mark(hash, stored: true)
        }
        advance.keep += keep.sorted { $0.point < $1.point }
        var dropped: [CertifiedHeader] = []
        for hash in changes.lost {
            guard let node = tree.nodes[hash], node.isStored, !node.isWanted else { continue }
            dropped.append(node.entry)
            tree.mark(hash, stored: false)
        }
        // What was evicted may have come again.
        dropped += evicted.filter { tree.nodes[$0.header.hash]?.isStored != true }
        evicted = []
        advance.drop = (advance.drop + dropped.map(\.point)).sorted()
        saveProof(from: dropped, in: &advance)
    }

    /// What made the final block final may have come with a header that is dropped now. The claims go to the final
    /// block's own header, so that a start, and whoever is served, still finds it final.
    private mutating func saveProof(from dropped: [CertifiedHeader], in advance: inout ChainAdvance) {
        let claims = dropped.flatMap { $0.certificate?.claims ?? [] }.filter {
            $0.claim.kind == .final && $0.claim.point == final
        }
        guard let added = Certificate(claims), let last = kept.last, last.point == final else { return }
        let merged = last.certificate.map { $0.merged(with: added) ?? $0 } ?? added
        guard merged != last.certificate else { return }
        let proven = CertifiedHeader(header: last.header, certificate: merged)
        kept.replaceLast(with: proven)
        advance.keep.removeAll { $0.header.hash == proven.header.hash }
        advance.keep = (advance.keep + [proven]).sorted { $0.point < $1.point }
    }

    /// Leads the line along the votes as they are now. Returns the hashes that became attested, rising by number, and
    /// the heights of those that are attested no longer.
    private mutating func follow(_ changes: HeaderTree.Changes) -> (joined: [Bytes32], left: [UInt64]) {
        let off = line.cut(at: isLineInDoubt ? 0 : firstDoubt(changes))
        isLineInDoubt = false
        while let next = best(above: line.last ?? tree.root.hash) { line.append(next) }
        var joined: [Bytes32] = []
        while line.attestedCount < line.count {
            let next = line[line.attestedCount]
            guard let node = tree.nodes[next], rule.voting.suffices(node.voters) else { break }
            if !node.isAttested { joined.append(next) }
            tree.mark(next, attested: true)
            line.attest()
        }
        var left: [UInt64] = []
        for hash in off {
            guard let node = tree.nodes[hash], node.isAttested else { continue }
            let number = node.entry.header.number
            if let place = line.place(of: number), place < line.attestedCount, line[place] == hash { continue }
            tree.mark(hash, attested: false)
            left.append(number)
        }
        return (joined, left)
    }

    /// The lowest place of the line at which another header may be the better one now.
    private func firstDoubt(_ changes: HeaderTree.Changes) -> Int {
        var doubt = line.count
        func place(of hash: Bytes32) -> Int? {
            guard let number = tree.nodes[hash]?.entry.header.number, let place = line.place(of: number) else {
                return nil
            }
            return line[place] == hash ? place : nil
        }
        for hash in changes.lost { if let place = place(of: hash) { doubt = min(doubt, place) } }
        for fork in tree.forks {
            let next = fork == tree.root.hash ? 0 : place(of: fork).map { $0 + 1 }
            if let next, next < doubt, best(above: fork) != line[next] { doubt = next }
        }
        return doubt
    }

    private mutating func deepestFinal() throws(ChainError) -> Bytes32 {
        var current = tree.root.hash
        while true {
            let final = tree.children(of: current).vouchedFor.filter { hash in
                rule.voting.suffices(tree.nodes[hash]?.finalVoters ?? VoterSet())
            }
            guard let next = final.first else { return current }
            if final.count > 1, let a = tree.nodes[final[0]]?.entry.point, let b = tree.nodes[final[1]]?.entry.point {
                throw stop(a, b)
            }
            current = next
        }
    }

    /// Records the conflict and gives the error to throw.
    private mutating func stop(_ a: StatePoint, _ b: StatePoint) -> ChainError {
        let error = ChainError.conflictingFinals(min(a, b), max(a, b))
        conflict = error
        return error
    }

    /// Of several attested branches the one with more voters, then the newer attestation, then the lower hash. Where
    /// none is attested, the one with more voters, then the lower hash; nil where nobody vouches for any.
    private func best(above hash: Bytes32) -> Bytes32? {
        let children = tree.children(of: hash).vouchedFor
        guard children.count > 1 else { return children.first }
        let known = children.map { (hash: $0, voters: tree.nodes[$0]?.voters ?? VoterSet()) }
        let attested = known.filter { rule.voting.suffices($0.voters) }
            .map { (hash: $0.hash, count: $0.voters.count, time: votes.newestTime(of: $0.voters, rule.voting) ?? 0) }
        let best = attested.min { ($1.count, $1.time, $0.hash) < ($0.count, $0.time, $1.hash) }
        if let best { return best.hash }
        return known.min { ($1.voters.count, $0.hash) < ($0.voters.count, $1.hash) }?.hash
    }
}
