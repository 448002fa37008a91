import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// A program of changes to a true coverage certificate, and what a reader makes of it: accepted only where all is so
/// that is proven by it.
///
/// Byte 0 says who changes it: anybody (even), or the signer (odd), who signs it anew. The rest are changes of three
/// bytes each: place (2), bits that turn (1). No changes: the truth, which must be accepted. The same bytes are also
/// read as a certificate as they stand.
enum CoverageProgram {
    private struct Scene: Sendable {
        let network: NetworkConfiguration
        let key: IdentityKey
        /// The block, and what each section hashes to after it.
        let point: StatePoint
        let hashes: [Bytes32]
        /// The file.
        let truth: [UInt8]

        private static let magic = Array("carousel coverage 1\n".utf8)
        private static let domain = Array("carousel coverage certificate v1".utf8)
        private static let signatureBytes = 64

        init() throws {
            var generator = SeededGenerator(seed: 91)
            let state = try SampleState(&generator, upTo: 24)
            let keys = (UInt8(0)..<2).compactMap { AttestingKey(seed: Keccak.hash([$0])) }
            network = try NetworkConfiguration(
                name: "fuzzed", chainID: 1, genesisHash: .zero, checkpoint: StatePoint(number: 0, hash: .zero),
                epochLength: 32, sectionDepth: state.depth,
                rule: NetworkConfiguration.Rule(keys: keys.map(\.publicKey), threshold: 2, maxAgeSeconds: 60))
            let header = try BlockHeader(
                BlockHeader.Fields(parentHash: .max, stateRoot: state.root, number: 32, timestamp: 1_032))
            point = header.point
            let claim = Claim(kind: .head, point: point, unixSeconds: 1_032)
            let context = ClaimContext(network)
            let certificate = Certificate(keys.map { $0.sign(claim, in: context) })
            let hashes = state.sections.map { $0.hash(at: state.depth) }
            self.hashes = hashes
            var proof = ProofNodes()
            let indices = [0, 3, 9, 15]
            for index in indices { try state.crown.addProof(ofSection: index, to: &proof) }
            let coverage = HeldCoverage(
                of: network, at: point,
                line: AttestedLine([CertifiedHeader(header: header, certificate: certificate)]), keeping: .all,
                sections: indices.map { HeldCoverage.Held(index: $0, hash: hashes[$0]) },
                proof: proof.nodes, unixSeconds: 5_000)
            var entropy = Entropy(seed: .max)
            key = IdentityKey(from: &entropy)
            truth = try CoverageCertificate(coverage, by: key).encoded
        }

        /// What is signed of the file.
        var body: [UInt8] { Array(truth.dropFirst(Scene.magic.count).dropLast(Scene.signatureBytes)) }

        /// A file with this body, signed.
        func signed(_ body: [UInt8]) -> [UInt8] {
            Scene.magic + body + key.sign(Keccak.hash(Scene.domain + body))
        }
    }

    private static let scene = Result { try Scene() }

    static func run(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard case .success(let scene) = scene else { throw .setup("a coverage certificate") }
        var accepted = false
        if let certificate = try? CoverageCertificate(decoding: bytes) {
            try require(certificate.encoded == bytes, .notCanonical("coverage certificate"))
            accepted = true
        }
        guard let first = bytes.first else { return accepted }
        let isSigner = first & 1 == 1
        let changes = Array(bytes.dropFirst())
        let file =
            isSigner
            ? scene.signed(RuleProgram.changed(scene.body, by: changes))
            : RuleProgram.changed(scene.truth, by: changes)
        guard let certificate = try? CoverageCertificate(decoding: file) else {
            try require(file != scene.truth, .truthRefused("coverage certificate"))
            return accepted
        }
        try require(certificate.encoded == file, .notCanonical("coverage certificate"))
        try require(isSigner || file == scene.truth, .untruthAccepted("a certificate that somebody else has changed"))
        guard (try? certificate.verify(for: scene.network)) != nil else {
            try require(file != scene.truth, .truthRefused("coverage certificate"))
            return accepted
        }
        try require(certificate.coverage.point == scene.point, .untruthAccepted("a certificate's block"))
        let isSo = certificate.coverage.sections.allSatisfy { scene.hashes[$0.index] == $0.hash }
        try require(isSo, .untruthAccepted("a certificate's section hash"))
        return true
    }

    /// The truth, as it is changed and as it stands.
    static func seeds() -> [[UInt8]] {
        guard case .success(let scene) = scene else { return [] }
        return [[0], [1], scene.truth]
    }
}
