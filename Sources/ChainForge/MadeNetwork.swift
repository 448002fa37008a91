import Chain
import Primitives

/// A network for a made chain whose headers are mined or signed as they are made: the rule that its nodes go by, and
/// what makes the headers hold under it.
public struct MadeNetwork: Sendable {
    /// What makes its headers hold.
    public enum Rule: Sendable {
        /// They are mined. `difficulty`: that of genesis, at which the first block begins.
        case work(WorkTerms, difficulty: UInt64)
        /// Committees sign them.
        case committees(MadeCommittees)
    }

    public let rule: Rule
    public var name = "made"
    public var epochLength: UInt64 = 32
    /// There are 16^sectionDepth sections.
    public var sectionDepth = 1
    public var wideDepth: Int?
    /// A head that is dated longer ago is told as stale, seconds. A made chain is dated long ago, unless it is made as
    /// time passes: so the largest there is.
    public var maxAgeSeconds = ChainLimits.maxAgeSeconds

    public init(_ rule: Rule) { self.rule = rule }

    /// Which of the chain rules that is.
    public var kind: NetworkConfiguration.Rule.Kind {
        switch rule {
        case .work: .proofOfWork
        case .committees: .committee
        }
    }

    /// Genesis's own difficulty; 0 where nothing is mined.
    public var difficulty: UInt64 { if case .work(_, let difficulty) = rule { difficulty } else { 0 } }

    /// The configuration of the network whose chain begins with this header. Throws a `ChainError` where the rule or
    /// the shape is none, or a `CommitteeError` where the seed makes no committee.
    public func configuration(above genesis: BlockHeader, chainID: UInt64) throws -> NetworkConfiguration {
        let rule: NetworkConfiguration.Rule =
            switch self.rule {
            case .work(let terms, _): try .init(work: terms, maxAgeSeconds: maxAgeSeconds)
            case .committees(let committees):
                try .init(
                    committee: CommitteeTerms(
                        first: committees.committee(of: 0), termLength: committees.termLength),
                    maxAgeSeconds: maxAgeSeconds)
            }
        return try NetworkConfiguration(
            name: name, chainID: chainID, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: epochLength, sectionDepth: sectionDepth, wideDepth: wideDepth, rule: rule)
    }

    /// What seals the headers above genesis.
    public func sealer(above genesis: BlockHeader, chainID: UInt64) -> HeaderSealer {
        switch rule {
        case .work(let terms, _):
            HeaderSealer(work: ProofOfWork(terms, maxAgeSeconds: maxAgeSeconds), above: genesis)
        case .committees(let committees):
            HeaderSealer(
                committees: committees, in: ClaimContext(chainID: chainID, genesisHash: genesis.hash))
        }
    }

    /// The maker of a chain of this network. Errors as `ChainForge.init`.
    public func forge(_ shape: ForgeShape, seed: UInt64) throws -> ChainForge {
        try ChainForge(shape: shape, seed: seed, difficulty: difficulty) { genesis in
            sealer(above: genesis, chainID: ChainForge.chainID)
        }
    }
}
