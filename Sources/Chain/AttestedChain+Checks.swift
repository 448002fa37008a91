import Primitives

/// The newest vote of each voter. Where it stands is the tree's to know.
struct VoteBook: Sendable {
    /// Each voter's newest head claim. A later one moves the vote, so a signer may change its mind about the head.
    private var heads: [Claim?]
    /// When each voter made its newest final claim, unix seconds.
    private var finalTimes: [UInt64]
    /// Each voter's deepest final claim above the final block, and the header that it came with.
    private var finals: [(point: StatePoint, carrier: Bytes32)?]

    init(voterCount: Int) {
        heads = [Claim?](repeating: nil, count: voterCount)
        finalTimes = [UInt64](repeating: 0, count: voterCount)
        finals = Array(repeating: nil, count: voterCount)
    }

    /// The blocks of the newest head claims, by voter.
    var headHashes: [Bytes32?] { heads.map { $0?.point.hash } }

    func newestTime(of voter: Int) -> UInt64 { max(heads[voter]?.unixSeconds ?? 0, finalTimes[voter]) }

    /// The headers that the deepest final claims came with, by voter.
    var carriers: [Bytes32?] { finals.map { $0?.carrier } }

    /// Whether the claim would change anything: a head claim newer than the voter's newest, or the first that calls a
    /// block final. Old words do not become news by being said again.
    func isNews(_ claim: Claim, of voter: Int, in tree: HeaderTree) -> Bool {
        switch claim.kind {
        case .head: heads[voter].map { ($0.unixSeconds, $0.point) < (claim.unixSeconds, claim.point) } ?? true
        case .final: !tree.isCalledFinal(claim.point.hash, by: voter)
        }
    }

    /// Takes a vote that came with a header down, here and where it stands.
    mutating func record(_ vote: Vote, with carrier: Bytes32, in tree: inout HeaderTree) {
        switch vote.claim.kind {
        case .head:
            guard isNews(vote.claim, of: vote.voter, in: tree) else { return }
            let old = heads[vote.voter]
            heads[vote.voter] = vote.claim
            tree.moveHead(of: vote.voter, from: old?.point.hash, to: vote.claim.point.hash)
        case .final:
            finalTimes[vote.voter] = max(finalTimes[vote.voter], vote.claim.unixSeconds)
            tree.addFinal(of: vote.voter, at: vote.claim.point.hash)
            let old = finals[vote.voter]
            if let old, old.point.number > vote.claim.point.number { return }
            finals[vote.voter] = (vote.claim.point, carrier)
            tree.moveCarrier(of: vote.voter, from: old?.carrier, to: carrier)
        }
    }

    /// Final claims up to the final block have nothing more to say.
    mutating func settle(upTo final: StatePoint, in tree: inout HeaderTree) {
        for (voter, claim) in finals.enumerated() {
            guard let claim, claim.point.number <= final.number else { continue }
            finals[voter] = nil
            tree.moveCarrier(of: voter, from: claim.carrier, to: nil)
        }
    }

    /// The latest time at which enough of `voters` had spoken.
    func newestTime(of voters: VoterSet, _ rule: any VotingRule) -> UInt64? {
        var spoken = VoterSet()
        let byTime = (0..<rule.voterCount).filter { voters.contains($0) }
            .map { (time: newestTime(of: $0), voter: $0) }.sorted { ($0.time, $1.voter) > ($1.time, $0.voter) }
        for (time, voter) in byTime {
            spoken.insert(voter)
            if rule.suffices(spoken) { return time }
        }
        return nil
    }
}

extension AttestedChain {
    /// Each header must be the child of the one before it.
    static func checkLinks(_ run: [CertifiedHeader]) throws(ChainError) {
        for (parent, child) in zip(run, run.dropFirst()) {
            guard child.header.parentHash == parent.header.hash else {
                throw .unknownParent(number: child.header.number, parentHash: child.header.parentHash)
            }
            guard parent.header.number < .max, child.header.number == parent.header.number + 1 else {
                throw .wrongNumber(expected: parent.header.number &+ 1, found: child.header.number)
            }
        }
    }

    /// Throws where a header would not be taken, whatever certificate came with it. Changes nothing.
    public func check(_ header: BlockHeader) throws(ChainError) {
        if let conflict { throw conflict }
        guard case .joins = try placement(of: [CertifiedHeader(header: header)]) else {
            throw .belowFinal(number: header.number)
        }
    }

    /// Where a linked run stands to what is held.
    enum Placement {
        /// It joins. `fresh` is its part above the floor; the checkpoint's header, if this is the first to bring
        /// it.
        case joins(fresh: [CertifiedHeader], checkpoint: CertifiedHeader?)
        /// It is, by its hashes, not on the floor's line.
        case leavesFinalLine
    }

    func placement(of run: [CertifiedHeader]) throws(ChainError) -> Placement {
        guard let first = run.first?.header, let last = run.last?.header else {
            return .joins(fresh: [], checkpoint: nil)
        }
        if first.number > floor.number {
            if first.number == floor.number &+ 1, first.parentHash != floor.hash { return .leavesFinalLine }
            let parent =
                first.parentHash == floor.hash
                ? floor.number : tree.nodes[first.parentHash]?.entry.header.number
            guard let parent else { throw .unknownParent(number: first.number, parentHash: first.parentHash) }
            guard first.number == parent &+ 1 else {
                throw .wrongNumber(expected: parent &+ 1, found: first.number)
            }
            return .joins(fresh: run, checkpoint: nil)
        }
        if lacksCheckpoint, first.point == configuration.checkpoint, run.count == 1 {
            return .joins(fresh: [], checkpoint: CertifiedHeader(header: first))
        }
        if last.number < floor.number {
            // On the line, or too old to tell: nothing to learn from it.
            let ours = certifiedHeader(at: last.number)
            return ours == nil || ours?.header.hash == last.hash
                ? .joins(fresh: [], checkpoint: nil) : .leavesFinalLine
        }
        let atFinal = run[Int(floor.number - first.number)]
        guard atFinal.header.hash == floor.hash else {
            if kept.isEmpty { throw .notTheCheckpoint(expected: floor.hash, found: atFinal.header.hash) }
            return .leavesFinalLine
        }
        let fresh = Array(run.drop { $0.header.number <= floor.number })
        return .joins(fresh: fresh, checkpoint: kept.isEmpty ? CertifiedHeader(header: atFinal.header) : nil)
    }

    /// The votes in a run's certificates, each with the header that it came with, and the run with only what was
    /// verified of them.
    ///
    /// The run is one line, so a vote on a block makes the same voter's vote on an earlier one needless: the run is
    /// read from its end, and claims that add nothing are dropped unverified. In a long run that leaves a few
    /// signatures to check.
    func verifiedVotes(
        in run: [CertifiedHeader]
    ) throws(ChainError) -> (entries: [CertifiedHeader], votes: [(vote: Vote, carrier: Bytes32)]) {
        guard let first = run.first?.header else { return ([], []) }
        var entries: [CertifiedHeader] = []
        var votes: [(vote: Vote, carrier: Bytes32)] = []
        var headSeen = VoterSet()
        var finalSeen: [Int: UInt64] = [:]
        for entry in run.reversed() {
            var good: [SignedClaim] = []
            for signed in entry.certificate?.claims ?? [] {
                guard let voter = rule.voting.claimedVoter(of: signed) else {
                    throw .certificate(.unknownSigner(signed.signer))
                }
                let point = signed.claim.point
                guard fits(signed.claim, entry.header, run: run, above: first.parentHash) else {
                    throw .certificate(.notOfThisHeader(point))
                }
                switch signed.claim.kind {
                case .head where headSeen.contains(voter): continue
                case .final where point.number <= max(final.number, finalSeen[voter] ?? 0): continue
                default: break
                }
                if self.votes.isNews(signed.claim, of: voter, in: tree) {
                    votes.append((try rule.voting.vote(in: signed), entry.header.hash))
                    good.append(signed)
                }
                switch signed.claim.kind {
                case .head: headSeen.insert(voter)
                case .final: finalSeen[voter] = point.number
                }
            }
            entries.append(CertifiedHeader(header: entry.header, certificate: Certificate(good)))
        }
        return (entries.reversed(), votes)
    }

    /// Whether a claim that came with `header` may do so: a head claim of that block, or a final claim of it or of one
    /// of its ancestors. `parent` is the run's.
    private func fits(
        _ claim: Claim, _ header: BlockHeader, run: [CertifiedHeader], above parent: Bytes32
    ) -> Bool {
        let point = claim.point
        guard claim.kind == .final else { return point == header.point }
        guard point.number <= header.number, let first = run.first?.header.number else { return false }
        if point.number >= first { return run[Int(point.number - first)].header.hash == point.hash }
        if point.number > final.number { return ancestor(of: parent, at: point.number) == point.hash }
        guard let ours = certifiedHeader(at: point.number) else {
            return point.number != final.number || point == final
        }
        return ours.header.hash == point.hash
    }

    /// The hash of the block at a height above the final one on the way down from a held header, itself included.
    private func ancestor(of hash: Bytes32, at number: UInt64) -> Bytes32? {
        var current = hash
        while let header = tree.nodes[current]?.entry.header, header.number >= number {
            // On the line that is followed the rest of the way is known.
            if line.hash(at: header.number) == current { return line.hash(at: number) }
            if header.number == number { return current }
            current = header.parentHash
        }
        return nil
    }

    /// A run off the final line is useless, unless those whose word makes blocks final have called it final too: then
    /// their word contradicts itself, and nothing can go on.
    func forkError(_ run: [CertifiedHeader]) throws(ChainError) -> (error: ChainError, isConflict: Bool) {
        guard let first = run.first?.header else { return (.belowFinal(number: 0), false) }
        switch rule {
        case .votes: break
        case .work: return (.belowFinal(number: first.number), false)
        case .committee(let rule):
            guard let rival = Judging.rival(in: run, rule, self) else {
                return (.belowFinal(number: first.number), false)
            }
            return (.conflictingFinals(min(final, rival), max(final, rival)), true)
        }
        var line = Dictionary(uniqueKeysWithValues: run.map { ($0.header.number, $0.header.hash) })
        if first.number > 0 { line[first.number - 1] = first.parentHash }
        var voters = VoterSet()
        var rival: StatePoint?
        for signed in run.reversed().flatMap({ $0.certificate?.claims ?? [] }) where signed.claim.kind == .final {
            let point = signed.claim.point
            let ours = point.number == final.number ? final.hash : certifiedHeader(at: point.number)?.header.hash
            let isOff = point.number > final.number || (ours != nil && ours != point.hash)
            guard isOff, line[point.number] == point.hash, let voter = rule.voting.claimedVoter(of: signed),
                !voters.contains(voter)
            else { continue }
            voters.insert(try rule.voting.vote(in: signed).voter)
            rival = max(rival ?? point, point)
        }
        guard rule.voting.suffices(voters), let rival else { return (.belowFinal(number: first.number), false) }
        return (.conflictingFinals(min(final, rival), max(final, rival)), true)
    }
}
