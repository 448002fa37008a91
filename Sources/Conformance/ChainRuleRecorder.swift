import Chain
import ChainForge
import ChainNetwork
import Primitives

/// Records `chain-rules.json`.
struct ChainRuleRecorder {
    private var lists = RecordedLists()
    private let terms: WorkTerms
    private let genesis: BlockHeader
    private let committees = MadeCommittees(seed: 0x4342, size: 3, termLength: 4)
    private let chainID: UInt64 = 7_002
    private let now: UInt64 = 2_000

    init() throws {
        terms = try WorkTerms(
            minimumDifficulty: 2, blockSeconds: 10, aheadSeconds: 60, undoDepth: 8, minimumWork: 0)
        var fields = BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 1_000)
        fields.difficulty = UInt256(16)
        genesis = try BlockHeader(fields)
    }

    func document() throws -> JSONValue {
        var recorder = self
        recorder.recordTargets()
        recorder.recordDifficulties()
        try recorder.recordHandOvers()
        try recorder.recordWork()
        try recorder.recordCommittees()
        return recorder.lists.document([:])
    }

    private static func text(_ number: UInt128) -> JSONValue { .string(UInt256(low128: number).description) }

    // MARK: Proof of work

    private mutating func recordTargets() {
        let cases: [(name: String, hash: Bytes32, difficulty: UInt128, valid: Bool)] = [
            ("difficulty-1-largest-hash", .max, 1, true), ("difficulty-0", .zero, 0, false),
            ("difficulty-2-below", Bytes32((1 << 63) - 1, .max, .max, .max), 2, true),
            ("difficulty-2-at", Bytes32(1 << 63, 0, 0, 0), 2, false),
            ("difficulty-2-64-plus-1-below", Bytes32(0, .max, 0, .max - 1), (1 << 64) + 1, true),
            ("difficulty-2-64-plus-1-at", Bytes32(0, .max, 0, .max), (1 << 64) + 1, false),
            ("difficulty-2-96-below", Bytes32(0, (1 << 32) - 1, .max, .max), 1 << 96, true),
            ("difficulty-2-96-at", Bytes32(0, 1 << 32, 0, 0), 1 << 96, false),
        ]
        for (name, hash, difficulty, valid) in cases {
            lists.add(
                "targets", name, nil, valid: valid,
                ["hash": WireFields.hash(hash), "difficulty": Self.text(difficulty)])
        }
    }

    private mutating func recordDifficulties() {
        let rule = ProofOfWork(terms, maxAgeSeconds: 60)
        for parent in [2, 16, 4_096, 2_048_000, 1 << 40] as [UInt128] {
            for seconds in [1, 9, 10, 19, 20, 45, 1_009, 1_010, 90_000] as [UInt64] {
                var fields = genesis.fields
                fields.difficulty = UInt256(low128: parent)
                guard let header = try? BlockHeader(fields) else { continue }
                let found = rule.difficulty(on: WorkStanding(checkpoint: header), at: 1_000 + seconds)
                lists.add(
                    "difficulties", "\(parent)-after-\(seconds)", nil,
                    [
                        "minimumDifficulty": WireFields.integer(terms.minimumDifficulty),
                        "blockSeconds": WireFields.integer(terms.blockSeconds), "parentDifficulty": Self.text(parent),
                        "parentTimestamp": .integer(1_000), "timestamp": WireFields.integer(1_000 + seconds),
                        "difficulty": Self.text(found),
                    ])
            }
        }
    }

    /// `count` headers so many seconds apart on top of `parent`.
    private func grow(
        _ sealer: inout HeaderSealer, on parent: BlockHeader, _ count: Int, seconds: UInt64 = 15, salt: UInt64 = 0
    ) throws -> [CertifiedHeader] {
        var entries: [CertifiedHeader] = []
        var last = parent
        for _ in 0..<count {
            let fields = BlockHeader.Fields(
                parentHash: last.hash, stateRoot: Bytes32(salt, 0, 0, 1), number: last.number + 1,
                timestamp: last.timestamp + seconds)
            entries.append(try sealer.seal(fields))
            last = entries[entries.count - 1].header
        }
        return entries
    }

    private mutating func recordWork() throws {
        let rule = ProofOfWork(terms, maxAgeSeconds: 60)
        var sealer = HeaderSealer(work: rule, above: genesis)
        let checkpoint = CertifiedHeader(header: genesis)
        let line = try grow(&sealer, on: genesis, 12)
        let atEnd = sealer
        addWork("mined", [[checkpoint] + line[..<5], Array(line[5...])], isValid: true)
        var fork = HeaderSealer(work: rule, above: genesis)
        let below = try grow(&fork, on: genesis, 6)
        let quick = try grow(&fork, on: below[5].header, 6, seconds: 1, salt: 1)
        addWork("heavier-line-of-the-same-length", [[checkpoint] + line, quick], isValid: true)
        var early = HeaderSealer(work: rule, above: genesis)
        let three = try grow(&early, on: genesis, 3)
        let deep = try grow(&early, on: three[2].header, 12, seconds: 1, salt: 2)
        addWork("line-from-below-the-floor", [[checkpoint] + line, deep], isValid: false)
        addWork("without-the-checkpoint", [line], isValid: false)
        func last(_ name: String, _ change: (inout BlockHeader.Fields) -> Void) throws {
            var fields = line[11].header.fields
            change(&fields)
            let header = try BlockHeader(fields)
            addWork(name, [[checkpoint] + line[..<11] + [CertifiedHeader(header: header)]], isValid: false)
        }
        try last("difficulty-one-less") { $0.difficulty = UInt256(15) }
        try last("difficulty-one-more") { $0.difficulty = UInt256(17) }
        try last("not-after-its-parent") { $0.timestamp -= 15 }
        try last("another-parent") { $0.parentHash = line[9].header.hash }
        // The first nonces that do not put the hash under the target.
        var fields = line[11].header.fields
        repeat { fields.nonce += 1 } while ProofOfWork.isUnderTarget(try BlockHeader(fields).hash, difficulty: 16)
        try last("above-the-target") { $0.nonce = fields.nonce }
        var ahead = atEnd
        let future = try grow(&ahead, on: line[11].header, 1, seconds: now + 61 - line[11].header.timestamp)
        addWork("too-far-ahead", [[checkpoint] + line + future], isValid: false)
        if let key = AttestingKey(seed: genesis.hash) {
            let claim = Claim(kind: .final, point: line[11].point, unixSeconds: 1)
            let context = ClaimContext(chainID: chainID, genesisHash: genesis.hash)
            let certificate = Certificate([key.sign(claim, in: context)])
            let signed = CertifiedHeader(header: line[11].header, certificate: certificate)
            addWork("with-a-certificate", [[checkpoint] + line[..<11] + [signed]], isValid: false)
        }
    }

    private mutating func addWork(_ name: String, _ answers: [[CertifiedHeader]], isValid: Bool) {
        let fields: [String: JSONValue] = [
            "minimumDifficulty": WireFields.integer(terms.minimumDifficulty),
            "blockSeconds": WireFields.integer(terms.blockSeconds),
            "aheadSeconds": WireFields.integer(terms.aheadSeconds), "undoDepth": WireFields.integer(terms.undoDepth),
            "minimumWork": Self.text(terms.minimumWork),
        ]
        let rule = try? NetworkConfiguration.Rule(work: terms, maxAgeSeconds: 60)
        add("work-\(name)", answers, .object(fields), rule, isValid: isValid)
    }

    // MARK: Committee

    private mutating func recordHandOvers() throws {
        let committee = try committees.committee(of: 0)
        let bytes = committee.extraData
        lists.add(
            "handOvers", "three", bytes, ["decoded": .array(committee.members.map { ChainRuleVectors.member($0) })])
        let (start, first) = (Array(bytes[..<2]), Array(bytes[2..<42]))
        let (key, second, rest) = (Array(first[..<32]), Array(bytes[42..<82]), Array(bytes[42...]))
        let zeros = [UInt8](repeating: 0, count: 7)
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("handOvers", "bad-\(name)", bytes, valid: false) }
        refused("empty", [])
        refused("no-members", [1, 0])
        refused("cut", Array(bytes.dropLast()))
        refused("a-byte-more", bytes + [0])
        refused("version-2", [2] + bytes.dropFirst())
        refused("a-member-twice", [1, 2] + first + first)
        let swapped: [UInt8] = start + second + first
        refused("members-swapped", swapped + bytes[82...])
        let bare: [UInt8] = start + key + zeros + [0]
        refused("no-stake", bare + rest)
        let rich: [UInt8] = start + key + [0x40] + zeros
        refused("too-much-stake", rich + rest)
        let many = (0..<65 as Range<UInt8>).flatMap { index -> [UInt8] in Keccak.hash([index]).bytes + zeros + [1] }
        refused("65-members", [1, 65] + many)
    }

    private mutating func recordCommittees() throws {
        let context = ClaimContext(chainID: chainID, genesisHash: genesis.hash)
        var sealer = HeaderSealer(committees: committees, in: context)
        let line = try grow(&sealer, on: genesis, 6)
        func add(_ name: String, _ answers: [[CertifiedHeader]], isValid: Bool = false) throws {
            let committee = try committees.committee(of: 0)
            let fields: [String: JSONValue] = [
                "members": .array(committee.members.map { ChainRuleVectors.member($0) }),
                "termLength": WireFields.integer(committees.termLength),
            ]
            let rule = try NetworkConfiguration.Rule(
                committee: CommitteeTerms(first: committee, termLength: committees.termLength), maxAgeSeconds: 60)
            self.add("committee-\(name)", answers, .object(fields), rule, isValid: isValid)
        }
        func with(_ claims: [SignedClaim], at number: Int) -> [CertifiedHeader] {
            line[..<(number - 1)] + [CertifiedHeader(header: line[number - 1].header, certificate: Certificate(claims))]
        }
        try add("two-terms", [[CertifiedHeader(header: genesis)] + line[..<4], Array(line[4...])], isValid: true)
        try add("without-the-checkpoint", [line], isValid: true)
        try add("without-certificate", [with([], at: 2)])
        let claims = line[4].certificate?.claims ?? []
        try add("one-of-three", [with(Array(claims.prefix(1)), at: 5)])
        for place in claims.indices {
            var forged = claims
            var signature = claims[place].signature
            signature[3] ^= 1
            forged[place] = SignedClaim(
                claim: claims[place].claim, signer: claims[place].signer, signature: signature)
            try add("signature-\(place)", [with(forged, at: 5)])
        }
        let claim = Claim(kind: .final, point: line[4].point, unixSeconds: 1)
        try add("the-term-before", [with(committees.keys(of: 0).map { $0.key.sign(claim, in: context) }, at: 5)])
        let head = Claim(kind: .head, point: line[4].point, unixSeconds: 1)
        try add("head-claims", [with(committees.keys(of: 1).map { $0.key.sign(head, in: context) }, at: 5)])
        var fields = line[3].header.fields
        fields.extraData = []
        let bare = try BlockHeader(fields)
        let bareClaim = Claim(kind: .final, point: bare.point, unixSeconds: 1)
        let signed = Certificate(committees.keys(of: 0).map { $0.key.sign(bareClaim, in: context) })
        try add("no-hand-over", [line[..<3] + [CertifiedHeader(header: bare, certificate: signed)]])
        var rival = HeaderSealer(committees: committees, in: context)
        let other = try grow(&rival, on: line[4].header, 1, salt: 1)
        try add("two-finals-not-on-one-line", [line, other])
    }

    /// An answer a batch; what comes of them is recorded, or that they are refused.
    private mutating func add(
        _ name: String, _ answers: [[CertifiedHeader]], _ fields: JSONValue, _ rule: NetworkConfiguration.Rule?,
        isValid: Bool
    ) {
        var recorded: [String: JSONValue] = [
            "chainId": WireFields.integer(chainID), "checkpoint": WireFields.object(genesis.point),
            "epochLength": .integer(2), "now": WireFields.integer(now), "rule": fields,
            "answers": .array(answers.map { WireFields.hex(HeadersValue.headers($0).encoded()) }),
        ]
        if isValid, let rule, let chain = try? chain(answers, rule) {
            recorded["decoded"] = .object([
                "head": WireFields.object(chain.head), "final": WireFields.object(chain.final),
                "floor": WireFields.object(chain.floor), "work": Self.text(chain.work),
                "anchors": .array(chain.anchors.map { WireFields.object($0) }),
            ])
        }
        lists.add("chains", name, nil, valid: isValid, recorded)
    }

    private func chain(
        _ answers: [[CertifiedHeader]], _ rule: NetworkConfiguration.Rule
    ) throws -> AttestedChain {
        var chain = AttestedChain(
            configuration: try NetworkConfiguration(
                name: "vectors", chainID: chainID, genesisHash: genesis.hash, checkpoint: genesis.point, epochLength: 2,
                sectionDepth: 1, rule: rule))
        for answer in answers { _ = try chain.accept(answer, at: now) }
        return chain
    }
}
