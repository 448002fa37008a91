import Chain
import Primitives
import Testing

@testable import Node
@testable import StateNetwork

@Suite("A bridge's keys") struct BridgeKeyTests {
    private func begin(with seeds: [[UInt8]]) throws -> CarouselNode {
        var configuration = try Bench.configuration(.bridge)
        configuration.attestingSeeds = seeds
        return try CarouselNode(
            configuration: configuration, stored: StoredState(), entropy: Entropy(seed: .zero),
            at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
    }

    @Test func aSeedThatIsNoneIsNamedAndNothingBegins() throws {
        let good = [UInt8](repeating: 7, count: 32)
        #expect(try begin(with: [good]).state.replayer != nil)
        #expect(throws: NodeError.bridgeKey(.seed(index: 1))) { try begin(with: [good, [1, 2, 3]]) }
        #expect(throws: NodeError.bridgeKey(.seed(index: 0))) { try begin(with: [[]]) }
        let strange = [UInt8](repeating: 8, count: 32)
        let key = try #require(Bytes32(strange).flatMap { AttestingKey(seed: $0) }).publicKey
        #expect(throws: NodeError.bridgeKey(.notOfNetwork(index: 1, key: key))) { try begin(with: [good, strange]) }
        let own = try #require(Bytes32(good).flatMap { AttestingKey(seed: $0) }).publicKey
        #expect(throws: NodeError.bridgeKey(.givenTwice(index: 1, key: own))) { try begin(with: [good, good]) }
    }

    /// There nothing is to be signed: what comes with a block is its committee's.
    @Test func aCommitteesNetworkHasNoUseForKeys() throws {
        let member = Committee.Member(key: try Bench.attestingKey(0).publicKey, stake: 1)
        let bench = try Bench.configuration(.bridge).network
        let network = try NetworkConfiguration(
            name: "committee", chainID: bench.chainID, genesisHash: bench.genesisHash, checkpoint: bench.checkpoint,
            epochLength: 8, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(
                committee: CommitteeTerms(first: Committee([member]), termLength: 8), maxAgeSeconds: 60))
        let seed = [UInt8](repeating: 7, count: 32)
        #expect(throws: BridgeKeyError.notOfNetwork(index: 0, key: member.key)) {
            _ = try BlockReplayer(network, seeds: [seed], finalityDepth: 5, head: nil, unfinal: [])
        }
        let replayer = try BlockReplayer(network, seeds: [], finalityDepth: 5, head: nil, unfinal: [])
        let header = try Bench.block(5).header
        let claim = Claim(kind: .final, point: header.point, unixSeconds: 1)
        let certificate = Certificate([try Bench.attestingKey(0).sign(claim, in: ClaimContext(network))])
        let block = ReplayedBlock(header: header, changes: [], certificate: certificate)
        let word = replayer.attestation(of: block, at: 1)
        #expect(word.certified == CertifiedHeader(header: header, certificate: certificate) && word.final == nil)
    }

    /// However far the final block is to be behind the head, and however high the numbers are.
    @Test(arguments: [(0, [5]), (2, [3]), (5, [0]), (6, []), (.max, [])] as [(UInt64, [UInt64])])
    func theFinalBlockIsThatFarBehind(depth: UInt64, final: [UInt64]) throws {
        var configuration = try Bench.configuration(.bridge)
        configuration.attestingSeeds = [[UInt8](repeating: 7, count: 32)]
        let below = (0...4).map { StatePoint(number: $0, hash: .max) }
        let replayer = try BlockReplayer(
            configuration.network, seeds: configuration.attestingSeeds, finalityDepth: depth, head: below.last,
            unfinal: below)
        let word = replayer.attestation(of: try Bench.block(5), at: 1)
        #expect(word.final?.number == final.first)
        let certificate = try #require(word.certified.certificate)
        #expect(certificate.claims.filter { $0.claim.kind == .final }.map(\.claim.point.number) == final)
        #expect(certificate.claims.contains { $0.claim.kind == .head && $0.claim.point.number == 5 })
    }
}
