import Primitives

/// Who speaks for a chain during one term, and with what weight.
public struct Committee: Hashable, Sendable {
    /// One voice.
    public struct Member: Hashable, Sendable {
        /// Ed25519 public key.
        public let key: Bytes32
        /// Its weight, at least 1.
        public let stake: UInt64

        public init(key: Bytes32, stake: UInt64) {
            self.key = key
            self.stake = stake
        }
    }

    /// In strictly rising order of their keys.
    public let members: [Member]
    /// All stakes together.
    public let stake: UInt64

    /// The members in any order. Throws unless there are 1 to 64 of different keys, each with a stake, and all stakes
    /// together at most `ChainLimits.stake`.
    public init(_ members: [Member]) throws(CommitteeError) {
        try self.init(rising: members.sorted { $0.key < $1.key })
    }

    private init(rising members: [Member]) throws(CommitteeError) {
        guard (1...ChainLimits.voters).contains(members.count) else { throw .memberCount(members.count) }
        var total: UInt64 = 0
        for (index, member) in members.enumerated() {
            if index > 0, members[index - 1].key >= member.key { throw .memberOrder(member.key) }
            guard member.stake > 0 else { throw .noStake(member.key) }
            guard member.stake <= ChainLimits.stake - total else { throw .tooMuchStake }
            total += member.stake
        }
        self.members = members
        stake = total
    }

    /// Whether so much of the stake is more than two thirds of it. Exactly two thirds are not.
    public func suffices(_ part: UInt64) -> Bool { UInt128(part) * 3 > UInt128(stake) * 2 }

    /// The stake of a key; nil for a stranger's.
    func stake(of key: Bytes32) -> UInt64? {
        let place = members.partitionPoint { $0.key < key }
        return place < members.count && members[place].key == key ? members[place].stake : nil
    }

    // MARK: Hand-over

    private static let version: UInt8 = 1
    private static let memberByteCount = 40

    /// What stands in the `extraData` of a term's last block: version 1 (1 byte) ‖ number of members (1) ‖ for each key
    /// (32) ‖ stake (8, big endian), in strictly rising order of the keys.
    public var extraData: [UInt8] {
        [Committee.version, UInt8(members.count)] + members.flatMap { $0.key.bytes + $0.stake.bigEndianBytes }
    }

    /// Reads what `extraData` gives, exactly.
    public init(extraData bytes: [UInt8]) throws(CommitteeError) {
        guard bytes.count >= 2, bytes.count == 2 + Int(bytes[1]) * Committee.memberByteCount else {
            throw .handOverSize(bytes: bytes.count)
        }
        guard bytes[0] == Committee.version else { throw .handOverVersion(bytes[0]) }
        var members: [Member] = []
        for start in stride(from: 2, to: bytes.count, by: Committee.memberByteCount) {
            let stake = UInt128(bigEndian: bytes[(start + 32)..<(start + 40)])
            members.append(
                Member(key: Bytes32(bytes[start..<(start + 32)]) ?? .zero, stake: UInt64(truncatingIfNeeded: stake)))
        }
        try self.init(rising: members)
    }
}

/// What a network of committees agrees on. See `Specs/network-configuration.md`.
public struct CommitteeTerms: Hashable, Sendable {
    /// The committee of the block above the checkpoint.
    public let first: Committee
    /// Blocks of a term: the first term is those from 1 on. The last block of each hands over.
    public let termLength: UInt64

    /// Throws `invalidConfiguration` for a length that cannot be.
    public init(first: Committee, termLength: UInt64) throws(ChainError) {
        guard (1...ChainLimits.epochLength).contains(termLength) else {
            throw .invalidConfiguration("rule.termLength is \(termLength); it must be 1 to \(ChainLimits.epochLength)")
        }
        self.first = first
        self.termLength = termLength
    }
}

/// What a header hands on to its children under a committee.
public struct CommitteeStanding: Hashable, Sendable {
    /// Whose votes the next block needs.
    public let committee: Committee
    /// The block from which on that committee speaks, or the lowest that is known of them.
    public let since: UInt64

    init(committee: Committee, since: UInt64) {
        self.committee = committee
        self.since = since
    }

    /// since 8 ‖ the members as a hand-over has them.
    var encoded: [UInt8] { since.bigEndianBytes + committee.extraData }

    init?(decoding bytes: [UInt8]) {
        guard bytes.count > 8,
            case .success(let committee) = Result(catching: { () throws(CommitteeError) in
                try Committee(extraData: Array(bytes[8...]))
            })
        else { return nil }
        self.init(committee: committee, since: UInt64(truncatingIfNeeded: UInt128(bigEndian: bytes[..<8])))
    }
}

/// *Committee*: a header is final with the certificate that comes with it.
public struct CommitteeRule: Sendable {
    private let context: ClaimContext
    private let terms: CommitteeTerms
    /// The checkpoint's standing.
    let first: CommitteeStanding
    let maxAgeSeconds: UInt64

    init(_ terms: CommitteeTerms, _ configuration: NetworkConfiguration) {
        context = ClaimContext(configuration)
        self.terms = terms
        first = CommitteeStanding(committee: terms.first, since: configuration.checkpoint.number + 1)
        maxAgeSeconds = configuration.rule.maxAgeSeconds
    }

    /// The last block of the term that a block is in; nil where it has no 64-bit number. Genesis is in none: its own
    /// number is given.
    func lastOfTerm(of number: UInt64) -> UInt64? {
        guard number > 0 else { return 0 }
        let (end, overflow) = ((number - 1) / terms.termLength + 1).multipliedReportingOverflow(by: terms.termLength)
        return overflow ? nil : end
    }

    /// The standing of a header whose parent has that one: its certificate is checked, and in a term's last block the
    /// next committee is read.
    func standing(of entry: CertifiedHeader, on parent: CommitteeStanding) throws(ChainError) -> CommitteeStanding {
        try check(entry, by: parent.committee)
        let number = entry.header.number
        guard lastOfTerm(of: number) == number else { return parent }
        do throws(CommitteeError) {
            return CommitteeStanding(committee: try Committee(extraData: entry.header.extraData), since: number + 1)
        } catch {
            throw .committee(error)
        }
    }

    /// Throws unless members with more than two thirds of the stake have signed that this very block is final. All that
    /// is in the certificate must hold: it is stored and passed on as it is.
    func check(_ entry: CertifiedHeader, by committee: Committee) throws(ChainError) {
        guard let certificate = entry.certificate else { throw .committee(.noCertificate(number: entry.header.number)) }
        var part: UInt64 = 0
        // Claims of one kind and block come in strictly rising order of their keys: no member counts twice.
        for signed in certificate.claims {
            guard signed.claim.kind == .final, signed.claim.point == entry.point else {
                throw .certificate(.notOfThisHeader(signed.claim.point))
            }
            guard let stake = committee.stake(of: signed.signer) else {
                throw .certificate(.unknownSigner(signed.signer))
            }
            part += stake
        }
        guard committee.suffices(part) else {
            throw .committee(.tooLittleStake(number: entry.header.number, part: part, of: committee.stake))
        }
        for signed in certificate.claims where !signed.isValid(in: context) {
            throw .certificate(.badSignature(signer: signed.signer))
        }
    }

    /// The claims of a certificate that a member of this committee has made that block final by.
    func claimsThatHold(in certificate: Certificate, of point: StatePoint, by committee: Committee) -> Certificate? {
        Certificate(
            certificate.claims.filter { signed in
                signed.claim.kind == .final && signed.claim.point == point
                    && committee.stake(of: signed.signer) != nil && signed.isValid(in: context)
            })
    }
}
