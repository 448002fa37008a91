import Primitives

// What others ask who work with blocks: what may go round with one, and whether one fits.
extension AttestedChain {
    /// The header with the claims that are known of it already beside those it comes with.
    public func merged(_ entry: CertifiedHeader) -> CertifiedHeader {
        guard let known = held(entry.header.hash)?.certificate else { return entry }
        let certificate = entry.certificate.map { known.merged(with: $0) ?? known } ?? known
        return CertifiedHeader(header: entry.header, certificate: certificate)
    }

    /// The claims of an encoded certificate that may go round with an attested block; nil where there are none.
    public func claimsThatHold(in certificate: [UInt8], of point: StatePoint) -> Certificate? {
        guard case .success(let certificate) = Result(catching: { try Certificate(decoding: certificate) }) else {
            return nil
        }
        return claimsThatHold(in: certificate, of: point)
    }

    /// The claims that may go round with an attested block; nil where there are none. Under votes those are signed by
    /// keys of the network: head claims of that block, final ones of it or of attested blocks below.
    public func claimsThatHold(in certificate: Certificate, of point: StatePoint) -> Certificate? {
        switch (rule, headStanding) {
        case (.votes(let voting), _):
            Certificate(
                certificate.claims.filter { signed in
                    let claimed = signed.claim.point
                    let fits =
                        signed.claim.kind == .head
                        ? claimed == point : claimed.number <= point.number && isAttested(claimed)
                    guard fits, case .success = Result(catching: { try voting.vote(in: signed) }) else { return false }
                    return true
                })
        case (.committee(let rule), .committee(let standing)?):
            rule.claimsThatHold(in: certificate, of: point, by: standing.committee)
        default: nil
        }
    }

    /// Whether a header would be believed by itself and what came with it, its ancestors not being known yet. Changes
    /// nothing.
    public func isVouchedFor(_ entry: CertifiedHeader) -> Bool {
        if case .committee = rule, certifiedHeader(at: entry.header.number) == entry { return true }
        return rule.isVouchedFor(entry, by: headStanding)
    }

    /// Whether it has cost something, or somebody's word, to make that very block: then nobody has made it up, whether
    /// it will be attested or not.
    public func isSpokenFor(_ entry: CertifiedHeader) -> Bool { rule.isSpokenFor(entry, by: headStanding) }

    /// What the head hands on to its children; nil before the checkpoint's header is known, where that is needed.
    public var headStanding: HeaderStanding? { tree.nodes[head.hash]?.standing ?? floorStanding }

    /// Whether a header would be taken with the certificate that it comes with: it joins and, where headers are judged
    /// as they come, it is what the rule asks of a child of its parent. Changes nothing.
    public func wouldTake(_ entry: CertifiedHeader, at unixSeconds: UInt64) -> Bool {
        let placed = Result { () throws(ChainError) in try check(entry.header) }
        guard case .success = placed else { return false }
        guard rule.finality != .byVotes, entry.header.number > floor.number else { return true }
        let parentHash = entry.header.parentHash
        let parent = parentHash == floor.hash ? floorStanding : tree.nodes[parentHash]?.standing
        guard let parent else { return false }
        let outcome = Result { () throws(ChainError) in
            try rule.standing(of: entry, on: parent, at: unixSeconds)
        }
        return if case .success = outcome { true } else { false }
    }
}
