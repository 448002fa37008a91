import Primitives

/// What makes a header believed: the one place in which kinds of chain differ.
///
/// A rule says of a header what has to come with it, what follows from it for its children (`HeaderStanding`), when it
/// is final, and where a committee hands over to the next. All else is the same for every rule and lies in
/// `AttestedChain`: where the headers are kept, what is the head, what is given out to be stored, and that the boundary
/// blocks of epochs become anchors as soon as they are final.
///
/// Sources and exact wording: `Specs/chain-rules.md`.
public enum ChainRule: Sendable {
    /// *Attested head*: voters' claims, on whatever headers they stand, decide.
    case votes(any VotingRule)
    /// *Proof of work*: the line with most work in it is the chain.
    case work(ProofOfWork)
    /// *Committee*: every header brings the signatures of more than two thirds of the stake.
    case committee(CommitteeRule)

    /// What comes with a header.
    public enum Evidence: Hashable, Sendable {
        /// A certificate may come with it, and proves something where there is one.
        case claims
        /// The header stands for itself; a certificate is out of place.
        case nothing
        /// Without a certificate the header is worth nothing.
        case certificate
    }

    /// When a block is final.
    public enum Finality: Hashable, Sendable {
        /// Once enough voters have called it, or a descendant, final. Never undone.
        case byVotes
        /// So many blocks below the head. A heavier line may replace what is up to `undone` blocks below the head.
        case byDepth(UInt64, undone: UInt64)
        /// As soon as it is taken. Never undone.
        case atOnce
    }

    /// The rule that a network's configuration names.
    public init(_ configuration: NetworkConfiguration) {
        switch configuration.rule.terms {
        case .attested: self = .votes(AttestedHeadRule(configuration))
        case .proofOfWork(let terms): self = .work(ProofOfWork(terms, maxAgeSeconds: configuration.rule.maxAgeSeconds))
        case .committee(let terms): self = .committee(CommitteeRule(terms, configuration))
        }
    }

    /// What has to come with every header.
    public var evidence: Evidence {
        switch self {
        case .votes: .claims
        case .work: .nothing
        case .committee: .certificate
        }
    }

    /// When a block is final, and what may be undone.
    public var finality: Finality {
        switch self {
        case .votes: .byVotes
        case .work(let rule): .byDepth(ChainLimits.workFinalityDepth, undone: rule.terms.undoDepth)
        case .committee: .atOnce
        }
    }

    /// Age from which the head counts as stale, seconds.
    public var maxAgeSeconds: UInt64 {
        switch self {
        case .votes(let rule): rule.maxAgeSeconds
        case .work(let rule): rule.maxAgeSeconds
        case .committee(let rule): rule.maxAgeSeconds
        }
    }

    /// The standing of the checkpoint; nil where that follows from its header and the header is not known.
    func standing(ofCheckpoint header: BlockHeader?) -> HeaderStanding? {
        switch self {
        case .votes: .open
        case .work: header.map { .work(WorkStanding(checkpoint: $0)) }
        case .committee(let rule): .committee(rule.first)
        }
    }

    /// Judges a header by what came with it and by its parent's standing, and gives its own.
    ///
    /// `unixSeconds`: the time now; what is dated too far after it is refused for the moment (`ChainError.ahead`).
    func standing(
        of entry: CertifiedHeader, on parent: HeaderStanding, at unixSeconds: UInt64
    ) throws(ChainError) -> HeaderStanding {
        switch (self, parent) {
        case (.votes, _): return .open
        case (.work(let rule), .work(let parent)):
            guard entry.certificate == nil else { throw .work(.certificate(number: entry.header.number)) }
            return .work(try rule.standing(of: entry.header, on: parent, at: unixSeconds))
        case (.committee(let rule), .committee(let parent)):
            return .committee(try rule.standing(of: entry, on: parent))
        default: throw .unknownParent(number: entry.header.number, parentHash: entry.header.parentHash)
        }
    }

    /// The last block of a batch that is asked for from `first` on, given where it would end else: at the end of a term
    /// the committee may change, so no batch goes beyond it.
    public func batchEnd(from first: UInt64, _ last: UInt64) -> UInt64 {
        guard case .committee(let rule) = self, let end = rule.lastOfTerm(of: first) else { return last }
        return min(last, end)
    }
}

/// What a rule has to know of a header in order to judge its children. It follows from the header and its parent's
/// standing alone.
public enum HeaderStanding: Hashable, Sendable {
    /// Votes count wherever they stand: nothing is handed on.
    case open
    case work(WorkStanding)
    case committee(CommitteeStanding)

    /// The form in which a store keeps it: a byte for the rule, then its fields, integers big endian. Empty where
    /// there is nothing to keep.
    public var encoded: [UInt8] {
        switch self {
        case .open: []
        case .work(let standing): [1] + standing.encoded
        case .committee(let standing): [2] + standing.encoded
        }
    }

    /// Reads what `encoded` gives; nil for anything else.
    public init?(decoding bytes: [UInt8]) {
        let body = Array(bytes.dropFirst())
        switch bytes.first {
        case nil: self = .open
        case 1?:
            guard let standing = WorkStanding(decoding: body) else { return nil }
            self = .work(standing)
        case 2?:
            guard let standing = CommitteeStanding(decoding: body) else { return nil }
            self = .committee(standing)
        default: return nil
        }
    }

    /// The work of the line up to the header, the checkpoint's own left out; 0 under other rules.
    public var work: UInt128 { if case .work(let standing) = self { standing.total } else { 0 } }
}
