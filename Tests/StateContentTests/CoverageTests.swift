import Chain
import Discovery
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Coverage certificates: what is proven is proven to everybody, no byte can be changed by anybody else, and the signer
/// itself can lie about nothing but that it holds.
@Suite struct CoverageTests {
    private let state: TestState
    private let keys: [AttestingKey]
    private let network: NetworkConfiguration
    /// The anchor's block, and two above it.
    private let headers: [BlockHeader]
    private let node: IdentityKey

    init() throws {
        var generator = SeededGenerator(seed: 17)
        state = try TestState.random(&generator, accounts: 120)
        keys = (0..<3).compactMap { AttestingKey(seed: Keccak.hash([UInt8($0)])) }
        network = try CoverageTests.network(keys, threshold: 2)
        var headers: [BlockHeader] = []
        for number in UInt64(32)...34 {
            headers.append(
                try BlockHeader(
                    BlockHeader.Fields(
                        parentHash: headers.last?.hash ?? .max, stateRoot: state.root, number: number,
                        timestamp: 1_000 + number)))
        }
        self.headers = headers
        var entropy = Entropy(seed: .max)
        node = IdentityKey(from: &entropy)
    }

    private static func network(
        _ keys: [AttestingKey], threshold: Int, depth: Int = 1
    ) throws -> NetworkConfiguration {
        try NetworkConfiguration(
            name: "covered", chainID: 77, genesisHash: .zero, checkpoint: StatePoint(number: 0, hash: .zero),
            epochLength: 32, sectionDepth: depth,
            rule: NetworkConfiguration.Rule(
                keys: keys.map(\.publicKey), threshold: threshold, maxAgeSeconds: 60))
    }

    private func certified(
        _ header: BlockHeader, _ kind: Claim.Kind, of block: BlockHeader, by signers: [Int]
    ) -> CertifiedHeader {
        let claims = signers.map {
            keys[$0].sign(
                Claim(kind: kind, point: block.point, unixSeconds: header.timestamp), in: ClaimContext(network))
        }
        return CertifiedHeader(header: header, certificate: Certificate(claims))
    }

    /// The block, one without a word, and one with the word that the first is final.
    private var line: AttestedLine {
        AttestedLine([
            CertifiedHeader(header: headers[0]), CertifiedHeader(header: headers[1]),
            certified(headers[2], .final, of: headers[0], by: [0, 2]),
        ])
    }

    private func coverage(
        _ indices: [Int], line: AttestedLine? = nil,
        changing change: (inout [HeldCoverage.Held], inout [[UInt8]]) -> Void = { _, _ in }
    ) throws -> HeldCoverage {
        var proof = ProofNodes()
        var held: [HeldCoverage.Held] = []
        for index in indices {
            try state.crown.addProof(ofSection: index, to: &proof)
            held.append(HeldCoverage.Held(index: index, hash: try state.crown.sectionHash(index)))
        }
        var nodes = proof.nodes
        change(&held, &nodes)
        return HeldCoverage(
            of: network, at: headers[0].point, line: line ?? self.line, keeping: .all, sections: held, proof: nodes,
            unixSeconds: 5_000)
    }

    @Test func whatIsReadIsWhatWasWritten() throws {
        for indices in [Array(0..<16), [3], [0, 15]] {
            let written = try CoverageCertificate(try coverage(indices), by: node)
            let read = try CoverageCertificate(decoding: written.encoded)
            #expect(read == written && read.key.nodeID == node.nodeID)
            #expect(read.coverage.sections.map(\.index) == indices)
            let standing = try read.verify(for: network)
            #expect(standing.header == headers[0] && standing.isFinal && !standing.isFromCheckpoint)
        }
    }

    @Test func noByteCanBeChanged() throws {
        let bytes = try CoverageCertificate(try coverage([2, 3]), by: node).encoded
        for place in bytes.indices {
            for bit in [UInt8(1), 0x20, 0x80] {
                var changed = bytes
                changed[place] ^= bit
                #expect(throws: CoverageError.self, "byte \(place)") { try CoverageCertificate(decoding: changed) }
            }
        }
        for count in [0, 1, 20, bytes.count / 2, bytes.count - 1] {
            #expect(throws: CoverageError.self) { try CoverageCertificate(decoding: Array(bytes.prefix(count))) }
        }
        #expect(throws: CoverageError.self) { try CoverageCertificate(decoding: bytes + [0]) }
    }

    /// Signs whatever it is given, as a liar would.
    private func verdict(_ coverage: HeldCoverage, of other: NetworkConfiguration? = nil) -> CoverageError? {
        do throws(CoverageError) {
            let bytes = try CoverageCertificate(coverage, by: node).encoded
            _ = try CoverageCertificate(decoding: bytes).verify(for: other ?? network)
            return nil
        } catch {
            return error
        }
    }

    @Test func theSignerCannotLieAboutWhatIsProven() throws {
        #expect(verdict(try coverage([1, 4])) == nil)
        let wrongHash = verdict(
            try coverage([1, 4]) { held, _ in held[1] = HeldCoverage.Held(index: 4, hash: .max) })
        #expect(
            wrongHash == .sectionHash(section: 4, expected: try state.crown.sectionHash(4), found: .max))
        let missing = verdict(try coverage([1, 4]) { _, nodes in nodes.removeLast() })
        guard case .proof? = missing else {
            Issue.record("a missing node: \(missing.map { "\($0)" } ?? "taken")")
            return
        }
        let strange = verdict(try coverage([1, 4]) { _, nodes in nodes.append([0xc2, 0x80, 0x80]) })
        #expect(strange == .proof(.unusedNode))
        #expect(verdict(try coverage([1, 4]) { held, _ in held.swapAt(0, 1) }) == .invalid(field: "sections"))
        #expect(verdict(try coverage([1]) { held, _ in held.append(held[0]) }) == .invalid(field: "sections"))
        #expect(verdict(try coverage([1]) { held, _ in held = [] }) == .invalid(field: "sections"))
    }

    @Test func theBlockMustBeBelieved() throws {
        func verdict(_ entries: [CertifiedHeader]) throws -> CoverageError? {
            self.verdict(try coverage([1], line: AttestedLine(entries)))
        }
        let bare = headers.map { CertifiedHeader(header: $0) }
        #expect(try verdict([certified(headers[0], .head, of: headers[0], by: [0, 1])]) == nil)
        #expect(try verdict([bare[0]]) == .line(.notAttested(headers[0].point)))
        #expect(
            try verdict([certified(headers[0], .head, of: headers[0], by: [1])])
                == .line(.notAttested(headers[0].point)))
        // The words of one key do not become those of two by standing twice.
        #expect(
            try verdict([
                certified(headers[0], .head, of: headers[0], by: [1]),
                certified(headers[1], .head, of: headers[1], by: [1]),
            ]) == .line(.notAttested(headers[0].point)))
        #expect(try verdict([]) == .line(.lacks(headers[0].point)))
        #expect(try verdict(Array(bare.dropFirst())) == .line(.beginsElsewhere(headers[1].point)))
        let gap = try verdict([bare[0], certified(headers[2], .final, of: headers[0], by: [0, 1])])
        #expect(gap == .line(.chain(.unknownParent(number: 34, parentHash: headers[1].hash))))
        let stranger = try #require(AttestingKey(seed: .zero))
        let claim = stranger.sign(
            Claim(kind: .head, point: headers[0].point, unixSeconds: 1), in: ClaimContext(network))
        #expect(
            try verdict([CertifiedHeader(header: headers[0], certificate: Certificate([claim]))])
                == .line(.chain(.certificate(.unknownSigner(stranger.publicKey)))))
    }

    @Test func anotherNetworkRefusesIt() throws {
        let coverage = try coverage([1])
        let others = [
            try NetworkConfiguration(
                name: "b", chainID: 78, genesisHash: .zero, checkpoint: network.checkpoint, epochLength: 32,
                sectionDepth: 1, rule: network.rule),
            try Self.network(keys, threshold: 2, depth: 2),
        ]
        #expect(verdict(coverage, of: others[0]) == .anotherNetwork(field: "chain id"))
        #expect(verdict(coverage, of: others[1]) == .anotherNetwork(field: "section depth"))
        // The same network with more keys wanted: two are too few.
        #expect(
            verdict(coverage, of: try Self.network(keys, threshold: 3)) == .line(.notAttested(headers[0].point)))
    }
}
