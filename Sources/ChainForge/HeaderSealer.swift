import Chain
import Primitives

/// What makes a made-up header one of its chain: the work in it, or the signatures with it. Deterministic: the same
/// fields on the same chain give the same header. Copied, it goes on along two branches.
public struct HeaderSealer: Sendable {
    private enum Kind: Sendable {
        /// Nothing is asked of a header.
        case plain
        case work(ProofOfWork, WorkStanding)
        case committee(MadeCommittees, ClaimContext)
    }

    private var kind: Kind

    /// Headers of which nothing is asked.
    public init() { kind = .plain }

    /// Mined headers above `checkpoint`, whose own difficulty is where they begin.
    public init(work rule: ProofOfWork, above checkpoint: BlockHeader) {
        kind = .work(rule, WorkStanding(checkpoint: checkpoint))
    }

    /// Headers that committees sign, about the chain of `context`.
    public init(committees: MadeCommittees, in context: ClaimContext) { kind = .committee(committees, context) }

    /// Work of the line so far, the checkpoint's left out; 0 where none is asked.
    public var work: UInt128 { if case .work(_, let standing) = kind { standing.total } else { 0 } }

    /// The header of these fields, with what its rule asks: the difficulty and a nonce, or the hand-over and a
    /// certificate. The fields must be those of a child of the header sealed before.
    public mutating func seal(_ fields: BlockHeader.Fields) throws -> CertifiedHeader {
        var fields = fields
        switch kind {
        case .plain: return CertifiedHeader(header: try BlockHeader(fields))
        case .work(let rule, let parent):
            fields.difficulty = UInt256(low128: rule.difficulty(on: parent, at: fields.timestamp))
            let header = try Miner.mine(fields)
            kind = .work(rule, try rule.standing(of: header, on: parent, at: .max))
            return CertifiedHeader(header: header)
        case .committee(let committees, let context):
            let term = committees.term(of: fields.number)
            let isLast = fields.number == committees.lastBlock(of: term)
            fields.extraData = isLast ? try committees.committee(of: term + 1).extraData : []
            let header = try BlockHeader(fields)
            let claim = Claim(kind: .final, point: header.point, unixSeconds: header.fields.timestamp)
            let claims = committees.keys(of: term).map { $0.key.sign(claim, in: context) }
            return CertifiedHeader(header: header, certificate: Certificate(claims))
        }
    }
}

/// Tries nonces from 0 on.
public enum Miner {
    /// The header of these fields with the first nonce that puts its hash under the target of its difficulty. Takes as
    /// many hashes as the difficulty says, on average. Errors: a `ChainError` where no header can be made of the
    /// fields, `ForgeError.inconsistent` for a difficulty that is none or too large.
    public static func mine(_ fields: BlockHeader.Fields) throws -> BlockHeader {
        guard let difficulty = fields.difficulty.low128, difficulty > 0, difficulty <= UInt128(UInt32.max) else {
            throw ForgeError.inconsistent("a difficulty of \(fields.difficulty) cannot be mined here")
        }
        var fields = fields
        fields.nonce = 0
        var bytes = try BlockHeader(fields).rlp
        fields.nonce = .max
        // The nonce always has eight bytes: they are where the two encodings differ.
        let other = try BlockHeader(fields).rlp
        guard let place = zip(bytes, other).enumerated().first(where: { $1.0 != $1.1 })?.offset else {
            throw ForgeError.inconsistent("a header without a nonce")
        }
        var nonce: UInt64 = 0
        while !ProofOfWork.isUnderTarget(Keccak.hash(bytes), difficulty: difficulty) {
            nonce += 1
            for index in 0..<8 { bytes[place + index] = UInt8(truncatingIfNeeded: nonce >> UInt64(56 - 8 * index)) }
        }
        return try BlockHeader(rlp: bytes)
    }
}

/// Committees made from a seed: every member holds its key for three terms, and stakes differ.
public struct MadeCommittees: Sendable {
    public let seed: UInt64
    /// Members of each, 1 to 64.
    public let size: Int
    /// Blocks of a term.
    public let termLength: UInt64

    public init(seed: UInt64, size: Int, termLength: UInt64) {
        self.seed = seed
        self.size = size
        self.termLength = termLength
    }

    /// The term of a block above genesis, counted from 0.
    public func term(of number: UInt64) -> UInt64 { number == 0 ? 0 : (number - 1) / termLength }

    /// The block that hands over at the end of a term.
    public func lastBlock(of term: UInt64) -> UInt64 { (term + 1) * termLength }

    /// The key pairs of a term's members with their stakes.
    public func keys(of term: UInt64) -> [(key: AttestingKey, stake: UInt64)] {
        (0..<UInt64(size)).compactMap { index in
            let secret = Keccak.hash(Bytes32(seed, index, (term + index) / 3, 1).bytes)
            return AttestingKey(seed: secret).map { ($0, 1 + secret.word3 % 100) }
        }
    }

    /// A term's committee.
    public func committee(of term: UInt64) throws -> Committee {
        try Committee(keys(of: term).map { Committee.Member(key: $0.key.publicKey, stake: $0.stake) })
    }
}
