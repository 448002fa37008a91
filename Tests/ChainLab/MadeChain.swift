import Chain
import Primitives

/// A chain and keys made up for tests: headers of any state, and claims on them.
public struct MadeChain {
    public static let chainID: UInt64 = 4_242
    public let genesis: BlockHeader
    public let keys: [AttestingKey]
    public let configuration: NetworkConfiguration
    /// When all claims are made, unix seconds; nil: each at its header's own time.
    private let claimTime: UInt64?

    /// A network of `count` keys, whose checkpoint is genesis.
    public init(
        keys count: Int = 1, threshold: Int = 1, epochLength: UInt64 = 32, maxAgeSeconds: UInt64 = 60,
        claimTime: UInt64? = nil
    ) throws {
        genesis = try MadeChain.header(parent: nil, salt: 0)
        keys = (0..<count).compactMap { AttestingKey(seed: Keccak.hash([UInt8($0)])) }
        self.claimTime = claimTime
        configuration = try NetworkConfiguration(
            name: "made", chainID: MadeChain.chainID, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(
                keys: keys.map(\.publicKey), threshold: threshold, maxAgeSeconds: maxAgeSeconds))
    }

    /// A child of `parent`, made different from others by `salt`; nil: a genesis.
    public static func header(parent: BlockHeader?, salt: UInt64) throws -> BlockHeader {
        try BlockHeader(
            BlockHeader.Fields(
                parentHash: parent?.hash ?? .zero, stateRoot: Bytes32(salt, 1, 2, 3),
                number: parent.map { $0.number + 1 } ?? 0, timestamp: parent.map { $0.timestamp + 12 } ?? 1_000))
    }

    /// `count` headers, one on another, on top of `parent`.
    public static func run(on parent: BlockHeader, _ count: Int, salt: UInt64 = 0) throws -> [BlockHeader] {
        var headers: [BlockHeader] = []
        for _ in 0..<count { headers.append(try header(parent: headers.last ?? parent, salt: salt)) }
        return headers
    }

    /// What claims of this network are signed with.
    public var context: ClaimContext { ClaimContext(configuration) }

    /// One key's claim on a header.
    public func claim(_ kind: Claim.Kind, _ header: BlockHeader, key: Int, time: UInt64? = nil) -> SignedClaim {
        let seconds = time ?? claimTime ?? header.timestamp
        return keys[key].sign(Claim(kind: kind, point: header.point, unixSeconds: seconds), in: context)
    }

    /// `header` with head claims, and final claims of `final`, by these keys.
    public func certified(
        _ header: BlockHeader, by signers: [Int] = [0], final: BlockHeader? = nil, time: UInt64? = nil
    ) -> CertifiedHeader {
        let heads = signers.map { claim(.head, header, key: $0, time: time) }
        let finals = final.map { final in signers.map { claim(.final, final, key: $0, time: time) } } ?? []
        return CertifiedHeader(header: header, certificate: Certificate(heads + finals))
    }

    /// The headers without certificates.
    public func bare(_ headers: [BlockHeader]) -> [CertifiedHeader] { headers.map { CertifiedHeader(header: $0) } }
}
