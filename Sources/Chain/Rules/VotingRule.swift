import Primitives

/// A set of a rule's voters, one bit each.
public struct VoterSet: Hashable, Sendable {
    private var bits: UInt64 = 0

    public init() {}

    public var count: Int { bits.nonzeroBitCount }
    public var isEmpty: Bool { bits == 0 }
    /// `voter` is 0…63.
    public func contains(_ voter: Int) -> Bool { bits & (1 << UInt64(voter)) != 0 }
    public mutating func insert(_ voter: Int) { bits |= 1 << UInt64(voter) }
    public mutating func remove(_ voter: Int) { bits &= ~(1 << UInt64(voter)) }
    public mutating func formUnion(_ other: VoterSet) { bits |= other.bits }
    public func isSubset(of other: VoterSet) -> Bool { bits & ~other.bits == 0 }
}

/// A claim whose signature was checked, by the number of the key that made it.
public struct Vote: Hashable, Sendable {
    /// Place of the key in the rule's list of keys.
    public let voter: Int
    public let claim: Claim

    public init(voter: Int, claim: Claim) {
        self.voter = voter
        self.claim = claim
    }
}

/// Whose claims make a header believed, and how many of them it takes. What a vote does to the tree of headers is the
/// same for every set of voters: see `AttestedChain`.
public protocol VotingRule: Sendable {
    /// Number of voters, at most `ChainLimits.voters`.
    var voterCount: Int { get }
    /// Age from which an attestation counts as stale, seconds.
    var maxAgeSeconds: UInt64 { get }
    /// The vote in one claim; throws where its signer has none or the signature is wrong.
    func vote(in claim: SignedClaim) throws(ChainError) -> Vote
    /// Which voter a claim says it is from, unverified; nil for a stranger. Lets claims that add nothing be passed
    /// over.
    func claimedVoter(of claim: SignedClaim) -> Int?
    /// Whether these voters together make a block attested, or final.
    func suffices(_ voters: VoterSet) -> Bool
}

/// *Attested head*: t of n Ed25519 keys that the network's configuration names.
public struct AttestedHeadRule: VotingRule {
    private let context: ClaimContext
    private let voters: [Bytes32: Int]
    private let threshold: Int
    public let maxAgeSeconds: UInt64

    /// The keys of a configuration; none where its rule is another one, so that nobody is believed.
    public init(_ configuration: NetworkConfiguration) {
        context = ClaimContext(configuration)
        voters = Dictionary(uniqueKeysWithValues: configuration.rule.keys.enumerated().map { ($1, $0) })
        threshold = configuration.rule.threshold
        maxAgeSeconds = configuration.rule.maxAgeSeconds
    }

    /// Number of keys the configuration names.
    public var voterCount: Int { voters.count }

    /// The place of the signer among the keys; nothing is verified.
    public func claimedVoter(of claim: SignedClaim) -> Int? { voters[claim.signer] }

    /// Checks signer and signature (about 60 µs).
    public func vote(in claim: SignedClaim) throws(ChainError) -> Vote {
        guard let voter = voters[claim.signer] else { throw .certificate(.unknownSigner(claim.signer)) }
        guard claim.isValid(in: context) else { throw .certificate(.badSignature(signer: claim.signer)) }
        return Vote(voter: voter, claim: claim.claim)
    }

    /// At least the threshold.
    public func suffices(_ voters: VoterSet) -> Bool { voters.count >= threshold }
}

/// Where nobody has a vote.
private struct NoVoters: VotingRule {
    let voterCount = 0
    let maxAgeSeconds: UInt64 = 0
    func vote(in claim: SignedClaim) throws(ChainError) -> Vote {
        throw .certificate(.unknownSigner(claim.signer))
    }
    func claimedVoter(of claim: SignedClaim) -> Int? { nil }
    func suffices(_ voters: VoterSet) -> Bool { false }
}

extension ChainRule {
    /// The voters of the rule; nobody where it has none.
    var voting: any VotingRule { if case .votes(let rule) = self { rule } else { NoVoters() } }

    /// Whether a header would be believed by itself and what came with it. `standing`: the head's.
    func isVouchedFor(_ entry: CertifiedHeader, by standing: HeaderStanding?) -> Bool {
        switch (self, standing) {
        case (.votes(let rule), _):
            var voters = VoterSet()
            for signed in entry.certificate?.claims ?? [] where signed.claim.point == entry.point {
                guard case .success(let vote) = Result(catching: { try rule.vote(in: signed) }) else { return false }
                voters.insert(vote.voter)
            }
            return rule.suffices(voters)
        case (.work(let rule), _): return rule.hasOwnWork(entry.header)
        case (.committee(let rule), .committee(let standing)?):
            let outcome = Result { () throws(ChainError) in try rule.check(entry, by: standing.committee) }
            return if case .success = outcome { true } else { false }
        default: return false
        }
    }

    /// Whether it has cost something, or somebody's word, to make that block. `standing`: the head's.
    func isSpokenFor(_ entry: CertifiedHeader, by standing: HeaderStanding?) -> Bool {
        // Honest certificates have valid claims only: one look is enough.
        let own = entry.certificate?.claims.first { $0.claim.point == entry.point }
        switch (self, standing) {
        case (.votes(let rule), _):
            guard let own, case .success = Result(catching: { try rule.vote(in: own) }) else { return false }
            return true
        case (.work(let rule), _): return rule.hasOwnWork(entry.header)
        case (.committee(let rule), .committee(let standing)?):
            guard let own, let certificate = Certificate([own]) else { return false }
            return rule.claimsThatHold(in: certificate, of: entry.point, by: standing.committee) != nil
        default: return false
        }
    }
}
