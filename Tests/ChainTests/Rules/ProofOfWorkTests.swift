import Chain
import ChainForge
import ChainLab
import Primitives
import Testing

/// One header of proof of work, judged by itself and its parent.
@Suite struct ProofOfWorkTests {
    // MARK: The target

    /// Hash, difficulty, and whether the hash is under the target: at it, and one below and above.
    static let targets: [(hash: Bytes32, difficulty: UInt128, isUnder: Bool)] = [
        (Bytes32.max, UInt128(1), true), (.max, 2, false), (.max, 0, false), (.zero, 0, false), (.zero, 1, true),
        // 2^256 / 2 and / 2^64.
        (Bytes32(1 << 63, 0, 0, 0), 2, false), (Bytes32((1 << 63) - 1, .max, .max, .max), 2, true),
        (Bytes32(0, 1 << 63, 0, 0), 1 << 65, false), (Bytes32(0, (1 << 63) - 1, .max, .max), 1 << 65, true),
        // ⌊2^256 / 3⌋ is 0x5555…55.
        (Bytes32(0x5555_5555_5555_5555, 0x5555_5555_5555_5555, 0x5555_5555_5555_5555, 0x5555_5555_5555_5555), 3, false),
        (Bytes32(0x5555_5555_5555_5555, 0x5555_5555_5555_5555, 0x5555_5555_5555_5555, 0x5555_5555_5555_5554), 3, true),
        // ⌊2^256 / (2^64 + 1)⌋ is 2^192 − 2^128 + 2^64 − 1.
        (Bytes32(0, .max, 0, .max), (1 << 64) + 1, false), (Bytes32(0, .max, 0, .max - 1), (1 << 64) + 1, true),
        (Bytes32(0, .max, 1, 0), (1 << 64) + 1, false),
        // The largest difficulty: 2^256 / 2^96.
        (Bytes32(0, 1 << 32, 0, 0), 1 << 96, false), (Bytes32(0, (1 << 32) - 1, .max, .max), 1 << 96, true),
    ]

    @Test(arguments: targets)
    func aHashMustBeBelowTheTarget(hash: Bytes32, difficulty: UInt128, isUnder: Bool) {
        #expect(ProofOfWork.isUnderTarget(hash, difficulty: difficulty) == isUnder)
    }

    // MARK: The difficulty

    /// Seconds after the parent, and the difficulty that follows from 2,048,000.
    @Test(arguments: [
        (UInt64(1), UInt128(2_049_000)), (9, 2_049_000), (10, 2_048_000), (19, 2_048_000), (20, 2_047_000),
        (30, 2_046_000), (1_000, 1_949_000), (1_010, 1_949_000), (1_000_000, 1_949_000),
    ])
    func difficultyFollowsFromTheParent(seconds: UInt64, difficulty: UInt128) throws {
        let lab = try WorkLab(difficulty: 2_048_000)
        #expect(lab.rule.difficulty(on: WorkStanding(checkpoint: lab.genesis), at: 1_000 + seconds) == difficulty)
    }

    @Test func difficultyStaysWithinItsBounds() throws {
        let lab = try WorkLab(difficulty: 3)
        let parent = WorkStanding(checkpoint: lab.genesis)
        #expect(lab.rule.difficulty(on: parent, at: 1_001) == 4)
        #expect(lab.rule.difficulty(on: parent, at: 1_020) == 2)
        #expect(lab.rule.difficulty(on: parent, at: 9_000) == 2)
        var fields = lab.genesis.fields
        fields.difficulty = .max
        let hardest = WorkStanding(checkpoint: try BlockHeader(fields))
        #expect(hardest.difficulty == ChainLimits.difficulty)
        #expect(lab.rule.difficulty(on: hardest, at: 1_001) == ChainLimits.difficulty)
    }

    // MARK: Must reject

    /// Every field of a header is under its hash, and the hash must be under the target.
    @Test func aHeaderWithAnyOtherFieldIsRefused() throws {
        let lab = try WorkLab(difficulty: 4_096)
        var branch = lab.branch
        let good = try branch.grow(1)[0].header
        let parent = WorkStanding(checkpoint: lab.genesis)
        #expect(try lab.rule.standing(of: good, on: parent, at: 2_000).total == 4_096)
        let changes: [(inout BlockHeader.Fields) -> Void] = [
            { $0.unclesHash = .max }, { $0.miner = Address([UInt8](repeating: 1, count: 20)) ?? .zero },
            { $0.stateRoot = .max }, { $0.transactionsRoot = .max }, { $0.receiptsRoot = .max },
            { $0.logsBloom[7] ^= 1 }, { $0.number += 1 }, { $0.gasLimit += 1 }, { $0.gasUsed += 1 },
            { $0.extraData = [1] }, { $0.mixHash = .max }, { $0.nonce ^= 1 << 40 }, { $0.parentHash = .max },
            { $0.timestamp += 1 }, { $0.baseFeePerGas = UInt256(7) },
        ]
        for (index, change) in changes.enumerated() {
            var fields = good.fields
            change(&fields)
            let bad = try BlockHeader(fields)
            #expect(throws: ChainError.work(.aboveTarget(number: bad.number, hash: bad.hash)), "change \(index)") {
                _ = try lab.rule.standing(of: bad, on: parent, at: 2_000)
            }
        }
    }

    @Test func timeAndDifficultyMustFollowFromTheParent() throws {
        let lab = try WorkLab()
        let parent = WorkStanding(checkpoint: lab.genesis)
        var fields = BlockHeader.Fields(
            parentHash: lab.genesis.hash, stateRoot: .zero, number: 1, timestamp: 1_000)
        func judge(_ fields: BlockHeader.Fields, at now: UInt64 = 2_000) throws -> WorkStanding {
            try lab.rule.standing(of: Miner.mine(fields), on: parent, at: now)
        }
        fields.difficulty = UInt256(9)
        #expect(throws: ChainError.work(.timestamp(number: 1, parent: 1_000, found: 1_000))) { try judge(fields) }
        fields.timestamp = 1_001
        #expect(try judge(fields).total == 9)
        for wrong: UInt64 in [1, 8, 10, 1 << 20] {
            fields.difficulty = UInt256(wrong)
            #expect(
                throws: ChainError.work(.difficulty(number: 1, expected: 9, found: UInt256(wrong)))
            ) { try judge(fields) }
        }
        fields.difficulty = UInt256(big: Bytes32(1, 0, 0, 9))
        #expect(throws: ChainError.work(.difficulty(number: 1, expected: 9, found: fields.difficulty))) {
            _ = try lab.rule.standing(of: BlockHeader(fields), on: parent, at: 2_000)
        }
    }

    /// The clock here may go otherwise than the miner's: such a header is refused for now, and taken later.
    @Test func aHeaderFromTheFutureWaits() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        let entry = try branch.grow(1)[0]
        var chain = try lab.chain()
        // Dated 1,015, and 60 s ahead are let pass.
        #expect(throws: ChainError.ahead(number: 1, timestamp: 1_015, now: 954)) {
            _ = try chain.accept([entry], at: 954)
        }
        #expect(try chain.accept([entry], at: 955).head == entry.point)
    }

    @Test func workThatOverflowsIsRefused() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        let header = try branch.grow(1)[0].header
        let bytes =
            [1] + [UInt8](repeating: 0xff, count: 16) + [UInt8](repeating: 0, count: 15) + [8] + [
                0, 0, 0, 0, 0, 0, 3, 0xe8,
            ]
        guard case .work(let parent) = HeaderStanding(decoding: bytes) else {
            Issue.record("the standing does not decode")
            return
        }
        #expect(parent.total == .max && parent.difficulty == 8 && parent.timestamp == 1_000)
        #expect(throws: ChainError.work(.tooMuchWork(number: 1))) {
            _ = try lab.rule.standing(of: header, on: parent, at: 2_000)
        }
    }

    @Test func aCertificateIsOutOfPlace() throws {
        let lab = try WorkLab()
        let made = try MadeChain()
        var branch = lab.branch
        let header = try branch.grow(1)[0].header
        var chain = try lab.chain()
        #expect(throws: ChainError.work(.certificate(number: 1))) { _ = try chain.accept([made.certified(header)]) }
        #expect(chain.head == lab.genesis.point)
    }

    // MARK: What is kept

    @Test func aStandingIsReadBackAndNothingElseIs() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        var chain = try lab.chain()
        _ = try chain.accept(branch.grow(30))
        let floor = try #require(chain.storedFloor)
        #expect(floor.point == branch[10].point)
        #expect(StoredFloor(decoding: floor.encoded) == floor)
        for count in 0..<floor.encoded.count { #expect(StoredFloor(decoding: Array(floor.encoded[..<count])) == nil) }
        #expect(StoredFloor(decoding: floor.encoded + [0]) == nil)
        var bytes = floor.encoded
        bytes[40] = 3
        #expect(StoredFloor(decoding: bytes) == nil)
    }

    @Test func termsThatCannotBeAreRefused() {
        func terms(
            _ minimum: UInt64 = 1, _ seconds: UInt64 = 1, _ ahead: UInt64 = 0, _ depth: UInt64 = 6
        ) throws(ChainError) -> WorkTerms {
            try WorkTerms(
                minimumDifficulty: minimum, blockSeconds: seconds, aheadSeconds: ahead, undoDepth: depth,
                minimumWork: 0)
        }
        #expect(throws: Never.self) { try terms() }
        let cases: [(String, () throws -> WorkTerms)] = [
            ("rule.minimumDifficulty is 0; it must be 1 to 9007199254740992", { try terms(0) }),
            (
                "rule.minimumDifficulty is 9007199254740993; it must be 1 to 9007199254740992",
                { try terms((1 << 53) + 1) }
            ),
            ("rule.blockSeconds is 0; it must be 1 to 86400", { try terms(1, 0) }),
            ("rule.blockSeconds is 86401; it must be 1 to 86400", { try terms(1, 86_401) }),
            ("rule.aheadSeconds is 86401; it must be 0 to 86400", { try terms(1, 1, 86_401) }),
            ("rule.undoDepth is 5; it must be 6 to 4096", { try terms(1, 1, 0, 5) }),
            ("rule.undoDepth is 4097; it must be 6 to 4096", { try terms(1, 1, 0, 4_097) }),
        ]
        for (text, make) in cases {
            #expect(throws: ChainError.invalidConfiguration(text)) { _ = try make() }
        }
    }
}
