import Chain
import ChainForge
import Primitives

/// A network of proof of work made up for tests, and branches of mined headers.
public struct WorkLab {
    public let genesis: BlockHeader
    public let configuration: NetworkConfiguration
    public let rule: ProofOfWork

    /// Seconds between blocks that leave the difficulty as it is.
    public static let pace: UInt64 = 15

    /// A network whose checkpoint is genesis, of this difficulty.
    public init(
        difficulty: UInt64 = 8, undoDepth: UInt64 = 20, minimumWork: UInt128 = 0, epochLength: UInt64 = 8
    ) throws {
        let terms = try WorkTerms(
            minimumDifficulty: 2, blockSeconds: 10, aheadSeconds: 60, undoDepth: undoDepth, minimumWork: minimumWork)
        var fields = BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 1_000)
        fields.difficulty = UInt256(difficulty)
        genesis = try BlockHeader(fields)
        rule = ProofOfWork(terms, maxAgeSeconds: 60)
        configuration = try NetworkConfiguration(
            name: "worked", chainID: 4_243, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(work: terms, maxAgeSeconds: 60))
    }

    /// A branch that begins at genesis.
    public var branch: HeaderBranch {
        HeaderBranch(last: genesis, sealer: HeaderSealer(work: rule, above: genesis), entries: [])
    }

    /// A chain that has genesis and nothing else.
    public func chain() throws -> AttestedChain {
        var chain = AttestedChain(configuration: configuration)
        _ = try chain.accept([CertifiedHeader(header: genesis)])
        return chain
    }
}

/// A network of committees made up for tests, and branches of headers that they signed.
public struct CommitteeLab {
    public let genesis: BlockHeader
    public let configuration: NetworkConfiguration
    public let committees: MadeCommittees

    public init(size: Int = 4, termLength: UInt64 = 6, epochLength: UInt64 = 8, seed: UInt64 = 1) throws {
        committees = MadeCommittees(seed: seed, size: size, termLength: termLength)
        genesis = try BlockHeader(
            BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 1_000))
        configuration = try NetworkConfiguration(
            name: "committees", chainID: 4_244, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(
                committee: CommitteeTerms(first: committees.committee(of: 0), termLength: termLength),
                maxAgeSeconds: 60))
    }

    public var context: ClaimContext { ClaimContext(configuration) }

    /// A branch that begins at genesis.
    public var branch: HeaderBranch {
        HeaderBranch(last: genesis, sealer: HeaderSealer(committees: committees, in: context), entries: [])
    }

    /// A chain that has genesis and nothing else.
    public func chain() throws -> AttestedChain {
        var chain = AttestedChain(configuration: configuration)
        _ = try chain.accept([CertifiedHeader(header: genesis)])
        return chain
    }

    /// The header with a certificate of these claims about it, signed by these keys.
    public func certified(
        _ header: BlockHeader, by keys: [AttestingKey], kind: Claim.Kind = .final
    ) -> CertifiedHeader {
        let claim = Claim(kind: kind, point: header.point, unixSeconds: header.fields.timestamp)
        return CertifiedHeader(header: header, certificate: Certificate(keys.map { $0.sign(claim, in: context) }))
    }
}

/// Headers that go on from one another. Copied, it is two branches.
public struct HeaderBranch {
    public private(set) var last: BlockHeader
    public private(set) var sealer: HeaderSealer
    /// All of them from genesis (left out) on.
    public private(set) var entries: [CertifiedHeader]

    init(last: BlockHeader, sealer: HeaderSealer, entries: [CertifiedHeader]) {
        self.last = last
        self.sealer = sealer
        self.entries = entries
    }

    /// `count` more headers, so many seconds apart, different from others by `salt`; gives those.
    @discardableResult
    public mutating func grow(
        _ count: Int, seconds: UInt64 = WorkLab.pace, salt: UInt64 = 0
    ) throws -> [CertifiedHeader] {
        for _ in 0..<count {
            let fields = BlockHeader.Fields(
                parentHash: last.hash, stateRoot: Bytes32(salt, 1, 2, 3), number: last.number + 1,
                timestamp: last.timestamp + seconds)
            entries.append(try sealer.seal(fields))
            last = entries[entries.count - 1].header
        }
        return entries.suffix(count)
    }

    /// The header of block `number`, 1 or higher.
    public subscript(number: Int) -> CertifiedHeader { entries[number - 1] }

    public var work: UInt128 { sealer.work }
}
