import Chain
import Foundation
import Primitives
import TestSupport

/// A recorded chain read whole, for the tests of this target.
struct RecordedChain {
    let genesis: BlockHeader
    /// Exact bytes of each block.
    let raw: [[UInt8]]
    let blocks: [Block]
    let folder: URL

    static let names = ["bal-chain", "ethtest-chain"]
    static let areThere = names.allSatisfy { SharedFolder.url("chains/\($0)/chain.rlp") != nil }

    init(_ name: String) throws {
        guard let folder = SharedFolder.url("chains/\(name)") else { throw CocoaError(.fileNoSuchFile) }
        self.folder = folder
        genesis = try BlockHeader(rlp: RecordedChain.bytes(folder, "genesis_header.rlp"))
        var reader = RLPReader(try RecordedChain.bytes(folder, "chain.rlp"))
        var raw: [[UInt8]] = []
        while !reader.isAtEnd { raw.append(try reader.nextRaw()) }
        self.raw = raw
        blocks = try raw.map { try Block(rlp: $0) }
    }

    static func bytes(_ folder: URL, _ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// The access lists of `bals.rlp`.
    func accessLists() throws -> [[UInt8]] {
        var reader = try RLPReader.list(RecordedChain.bytes(folder, "bals.rlp"))
        var lists: [[UInt8]] = []
        while !reader.isAtEnd { lists.append(try reader.nextRaw()) }
        return lists
    }
}

/// Chains and keys made up for the tests of the attested head.
struct MadeChain {
    static let chainID: UInt64 = 4_242
    let genesis: BlockHeader
    let keys: [AttestingKey]
    let configuration: NetworkConfiguration

    init(keys count: Int = 3, threshold: Int = 2, epochLength: UInt64 = 8, maxAgeSeconds: UInt64 = 60) throws {
        genesis = try MadeChain.header(parent: nil, salt: 0)
        keys = (0..<count).compactMap { AttestingKey(seed: Keccak.hash([UInt8($0)])) }
        configuration = try NetworkConfiguration(
            name: "made", chainID: MadeChain.chainID, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(
                keys: keys.map(\.publicKey), threshold: threshold, maxAgeSeconds: maxAgeSeconds))
    }

    /// A child of `parent`, made different from others by `salt`.
    static func header(parent: BlockHeader?, salt: UInt64) throws -> BlockHeader {
        try BlockHeader(
            BlockHeader.Fields(
                parentHash: parent?.hash ?? .zero, stateRoot: Bytes32(salt, 1, 2, 3),
                number: parent.map { $0.number + 1 } ?? 0, timestamp: parent.map { $0.timestamp + 12 } ?? 1_000))
    }

    /// `count` headers, one on another, on top of `parent`.
    static func run(on parent: BlockHeader, _ count: Int, salt: UInt64 = 0) throws -> [BlockHeader] {
        var headers: [BlockHeader] = []
        for _ in 0..<count { headers.append(try header(parent: headers.last ?? parent, salt: salt)) }
        return headers
    }

    var context: ClaimContext { ClaimContext(configuration) }

    func claim(_ kind: Claim.Kind, _ header: BlockHeader, key: Int, time: UInt64 = 100) -> SignedClaim {
        keys[key].sign(Claim(kind: kind, point: header.point, unixSeconds: time), in: context)
    }

    /// `header` with head claims, and final claims of `final`, by these keys.
    func certified(
        _ header: BlockHeader, by signers: [Int], final: BlockHeader? = nil, time: UInt64 = 100
    ) -> CertifiedHeader {
        let heads = signers.map { claim(.head, header, key: $0, time: time) }
        let finals = final.map { final in signers.map { claim(.final, final, key: $0, time: time) } } ?? []
        return CertifiedHeader(header: header, certificate: Certificate(heads + finals))
    }

    func bare(_ headers: [BlockHeader]) -> [CertifiedHeader] { headers.map { CertifiedHeader(header: $0) } }
}
