import Chain
import ChainForge
import Primitives

/// A program of changes to a true header of proof of work or of a committee, and what the rule makes of it: accepted
/// only where it is the header itself, or one that is as good by another reckoning.
///
/// Byte 0 chooses the rule and what is changed; the rest are changes, three bytes each: place (2), bits that turn (1).
/// No changes: the truth, which must be accepted. The same bytes are also read as a hand-over and as a stored floor.
enum RuleProgram {
    private struct Scene: Sendable {
        let work, committee: NetworkConfiguration
        let genesis: BlockHeader
        /// One mined header, and one that a committee signed; the second hands over.
        let mined, signed: CertifiedHeader

        static let difficulty: UInt64 = 4_096

        init() throws {
            let terms = try WorkTerms(
                minimumDifficulty: 1, blockSeconds: 10, aheadSeconds: 0, undoDepth: 6, minimumWork: 0)
            var fields = BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 1_000)
            fields.difficulty = UInt256(Scene.difficulty)
            genesis = try BlockHeader(fields)
            let committees = MadeCommittees(seed: 1, size: 4, termLength: 1)
            func configuration(
                _ rule: NetworkConfiguration.Rule, _ genesis: BlockHeader
            ) throws -> NetworkConfiguration {
                try NetworkConfiguration(
                    name: "fuzzed", chainID: 1, genesisHash: genesis.hash, checkpoint: genesis.point, epochLength: 2,
                    sectionDepth: 1, rule: rule)
            }
            work = try configuration(NetworkConfiguration.Rule(work: terms, maxAgeSeconds: 60), genesis)
            let first = try CommitteeTerms(first: committees.committee(of: 0), termLength: 1)
            committee = try configuration(NetworkConfiguration.Rule(committee: first, maxAgeSeconds: 60), genesis)
            let child = BlockHeader.Fields(
                parentHash: genesis.hash, stateRoot: .max, number: 1, timestamp: 1_015, gasLimit: 30_000_000)
            var miner = HeaderSealer(work: ProofOfWork(terms, maxAgeSeconds: 60), above: genesis)
            mined = try miner.seal(child)
            var sealer = HeaderSealer(committees: committees, in: ClaimContext(committee))
            signed = try sealer.seal(child)
        }
    }

    private static let scene = Result { try Scene() }

    static func run(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard case .success(let scene) = scene else { throw .setup("the chains of the rules") }
        var accepted = false
        if case .success(let committee) = Result(catching: { try Committee(extraData: bytes) }) {
            try require(committee.extraData == bytes, .notCanonical("hand-over"))
            accepted = true
        }
        if let floor = StoredFloor(decoding: bytes) {
            try require(floor.encoded == bytes, .notCanonical("stored floor"))
            accepted = true
        }
        guard let first = bytes.first else { return accepted }
        let changes = Array(bytes.dropFirst())
        switch first % 3 {
        case 0: return try work(changes, scene) || accepted
        case 1: return try committee(changes, changesHeader: true, scene) || accepted
        default: return try committee(changes, changesHeader: false, scene) || accepted
        }
    }

    /// Bytes, at least one, after changes of three bytes each.
    static func changed(_ bytes: [UInt8], by changes: [UInt8]) -> [UInt8] {
        var changed = bytes
        for start in stride(from: 0, to: changes.count - 2, by: 3) {
            let place = (Int(changes[start]) << 8 | Int(changes[start + 1])) % bytes.count
            changed[place] ^= changes[start + 2]
        }
        return changed
    }

    private static func accepts(_ entry: CertifiedHeader, _ network: NetworkConfiguration, _ scene: Scene) -> Bool {
        var chain = AttestedChain(configuration: network)
        let run = [CertifiedHeader(header: scene.genesis), entry]
        return (try? chain.accept(run, at: 2_000))?.head == entry.point
    }

    private static func work(_ changes: [UInt8], _ scene: Scene) throws(FuzzFailure) -> Bool {
        let truth = scene.mined.header
        guard let header = try? BlockHeader(rlp: changed(truth.rlp, by: changes)) else { return false }
        let isAccepted = accepts(CertifiedHeader(header: header), scene.work, scene)
        // The difficulty is between 1 and 4,096 + 2: (hash + 1) · difficulty ≤ 2^256, in numbers of 256 bits.
        let late = header.timestamp > 1_000 ? (header.timestamp - 1_000) / 10 : 0
        let expected: UInt64 = late == 0 ? 4_098 : 4_096 - 2 * min(late - 1, 99)
        let product = UInt256(big: header.hash).multiplied(by: expected, adding: expected - 1)
        let isSo =
            header.parentHash == scene.genesis.hash && header.number == 1 && header.timestamp > 1_000
            && header.timestamp <= 2_000 && header.difficulty == UInt256(expected) && product != nil
        if header == truth { try require(isAccepted && isSo, .truthRefused("mined header")) }
        try require(isAccepted == isSo, isSo ? .truthRefused("header") : .untruthAccepted("header without its work"))
        return isAccepted
    }

    private static func committee(
        _ changes: [UInt8], changesHeader: Bool, _ scene: Scene
    ) throws(FuzzFailure) -> Bool {
        let truth = scene.signed
        let claims = truth.certificate?.encoded ?? []
        let bytes = changesHeader ? changed(truth.header.rlp, by: changes) : truth.header.rlp
        let signed = changesHeader ? claims : changed(claims, by: changes)
        guard let header = try? BlockHeader(rlp: bytes), let certificate = try? Certificate(decoding: signed) else {
            return false
        }
        let entry = CertifiedHeader(header: header, certificate: certificate)
        let isAccepted = accepts(entry, scene.committee, scene)
        if entry == truth { try require(isAccepted, .truthRefused("signed header")) }
        try require(!isAccepted || entry == truth, .untruthAccepted("header without its committee's word"))
        return isAccepted
    }

    /// The truth under both rules, and something to begin from for the two forms that are read.
    static func seeds() -> [[UInt8]] {
        guard case .success(let scene) = scene else { return [] }
        var chain = AttestedChain(configuration: scene.committee)
        _ = try? chain.accept([scene.signed])
        return [[0], [1], [2], scene.signed.header.extraData, chain.storedFloor?.encoded ?? []]
    }
}
