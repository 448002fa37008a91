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

/// What makes a header believed. One small type for each kind of chain; the tree above knows no other way to ask.
public protocol ChainRule: Sendable {
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
public struct AttestedHeadRule: ChainRule {
    private let context: ClaimContext
    private let voters: [Bytes32: Int]
    private let threshold: Int
    public let maxAgeSeconds: UInt64

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
