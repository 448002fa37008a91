import Chain
import ChainForge
import ChainLab
import Primitives
import Testing

/// A chain whose headers committees sign.
@Suite struct CommitteeTests {
    private func key(_ number: UInt8) throws -> AttestingKey {
        try #require(AttestingKey(seed: Keccak.hash([number])))
    }

    /// A network whose one committee has these stakes.
    private func network(_ stakes: [UInt64], termLength: UInt64 = 100) throws -> (
        lab: CommitteeLab, configuration: NetworkConfiguration, keys: [AttestingKey]
    ) {
        let lab = try CommitteeLab()
        let keys = try stakes.indices.map { try key(UInt8($0)) }
        let members = zip(keys, stakes).map { Committee.Member(key: $0.publicKey, stake: $1) }
        let configuration = try NetworkConfiguration(
            name: "committees", chainID: lab.configuration.chainID, genesisHash: lab.genesis.hash,
            checkpoint: lab.genesis.point, epochLength: 8, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(
                committee: CommitteeTerms(first: Committee(members), termLength: termLength), maxAgeSeconds: 60))
        return (lab, configuration, keys)
    }

    // MARK: What is final

    @Test func aSignedHeaderIsFinalAtOnceAndTermsHandOver() throws {
        let lab = try CommitteeLab()
        var branch = lab.branch
        var chain = try lab.chain()
        let advance = try chain.accept(branch.grow(20))
        #expect(advance.head == branch[20].point && advance.final == branch[20].point)
        #expect(advance.anchors == [8, 16].map { Anchor(epoch: UInt64($0 / 8), hash: branch[$0].header.hash) })
        #expect(advance.keep == branch.entries && chain.floor == branch[20].point && chain.unfinalCount == 0)
        let committees = try (0...3).map { try lab.committees.committee(of: $0) }
        #expect(Set(committees).count == 4)
        guard case .committee(let standing)? = chain.headStanding else {
            Issue.record("no committee")
            return
        }
        #expect(standing.committee == committees[3] && standing.since == 19)
    }

    @Test func aChainMayBeginAboveTheCheckpoint() throws {
        let lab = try CommitteeLab()
        var branch = lab.branch
        var chain = AttestedChain(configuration: lab.configuration)
        #expect(try chain.accept(branch.grow(3)).final == branch[3].point)
        #expect(chain.lacksCheckpoint)
        let advance = try chain.accept([CertifiedHeader(header: lab.genesis)])
        #expect(advance.anchors.map(\.epoch) == [0] && chain.lowest == 0)
    }

    // MARK: Stake

    /// Stakes, who signs, and whether that is more than two thirds.
    @Test(arguments: [
        ([UInt64(1), 1, 1], [0, 1], false), ([1, 1, 1], [0, 1, 2], true), ([2, 1, 1], [0, 1], true),
        ([200, 100], [0], false), ([201, 100], [0], true), ([1], [0], true), ([1, 1, 1, 1], [0, 1], false),
        ([1, 1, 1, 1], [1, 2, 3], true), ([1 << 61, 1 << 60, 1 << 60], [0, 1], true),
    ])
    func moreThanTwoThirdsMustSign(stakes: [UInt64], signers: [Int], isEnough: Bool) throws {
        let (lab, configuration, keys) = try network(stakes)
        let header = try MadeChain.header(parent: lab.genesis, salt: 1)
        var chain = AttestedChain(configuration: configuration)
        let entry = lab.certified(header, by: signers.map { keys[$0] })
        guard !isEnough else {
            #expect(try chain.accept([entry]).final == header.point)
            return
        }
        let error = CommitteeError.tooLittleStake(
            number: 1, part: signers.reduce(0) { $0 + stakes[$1] }, of: stakes.reduce(0, +))
        #expect(throws: ChainError.committee(error)) { _ = try chain.accept([entry]) }
        #expect(chain.head == lab.genesis.point)
    }

    // MARK: Must reject

    @Test func everythingInACertificateMustHold() throws {
        let (lab, configuration, keys) = try network([1, 1, 1, 1])
        let header = try MadeChain.header(parent: lab.genesis, salt: 1)
        let other = try MadeChain.header(parent: lab.genesis, salt: 2)
        var chain = AttestedChain(configuration: configuration)
        let good = lab.certified(header, by: keys)
        let claims = try #require(good.certificate?.claims)
        func refused(_ claims: [SignedClaim], _ error: ChainError) {
            let entry = CertifiedHeader(header: header, certificate: Certificate(claims))
            #expect(throws: error) { _ = try chain.accept([entry]) }
        }
        refused([], .committee(.noCertificate(number: 1)))
        // One bit of each signature; of the time that it signs; and one that is cut.
        for place in claims.indices {
            let claim = claims[place]
            for bit in [0, 7, 255, 256, 511] {
                var signature = claim.signature
                signature[bit / 8] ^= 1 << UInt8(bit % 8)
                var changed = claims
                changed[place] = SignedClaim(claim: claim.claim, signer: claim.signer, signature: signature)
                refused(changed, .certificate(.badSignature(signer: claim.signer)))
            }
            var changed = claims
            changed[place] = SignedClaim(
                claim: Claim(kind: .final, point: header.point, unixSeconds: 1), signer: claim.signer,
                signature: claim.signature)
            refused(changed, .certificate(.badSignature(signer: claim.signer)))
            changed[place] = SignedClaim(
                claim: claim.claim, signer: claim.signer, signature: Array(claim.signature.dropLast()))
            refused(changed, .certificate(.badSignature(signer: claim.signer)))
        }
        let stranger = try key(9)
        refused(
            claims + (lab.certified(header, by: [stranger]).certificate?.claims ?? []),
            .certificate(.unknownSigner(stranger.publicKey)))
        refused(
            lab.certified(header, by: keys, kind: .head).certificate?.claims ?? [],
            .certificate(.notOfThisHeader(header.point)))
        refused(
            lab.certified(other, by: keys).certificate?.claims ?? [], .certificate(.notOfThisHeader(other.point)))
        // Of another chain: the same words, signed about something else.
        let elsewhere = ClaimContext(chainID: 1, genesisHash: lab.genesis.hash)
        let claim = Claim(kind: .final, point: header.point, unixSeconds: header.timestamp)
        let foreign = keys.map { $0.sign(claim, in: elsewhere) }
        let first = try #require(Certificate(foreign)?.claims.first)
        refused(foreign, .certificate(.badSignature(signer: first.signer)))
        #expect(try chain.accept([good]).final == header.point)
    }

    /// A header that differs in any field has no signatures.
    @Test func aHeaderWithAnyOtherFieldIsRefused() throws {
        let lab = try CommitteeLab()
        var branch = lab.branch
        let good = try branch.grow(1)[0]
        let changes: [(inout BlockHeader.Fields) -> Void] = [
            { $0.unclesHash = .max }, { $0.miner = Address([UInt8](repeating: 1, count: 20)) ?? .zero },
            { $0.stateRoot = .max }, { $0.transactionsRoot = .max }, { $0.receiptsRoot = .max },
            { $0.logsBloom[7] ^= 1 }, { $0.difficulty = UInt256(1) }, { $0.gasLimit += 1 }, { $0.gasUsed += 1 },
            { $0.timestamp += 1 }, { $0.extraData = [1] }, { $0.mixHash = .max }, { $0.nonce ^= 1 },
            { $0.baseFeePerGas = UInt256(7) },
        ]
        for (index, change) in changes.enumerated() {
            var fields = good.header.fields
            change(&fields)
            let bad = try BlockHeader(fields)
            var chain = try lab.chain()
            #expect(throws: ChainError.certificate(.notOfThisHeader(good.point)), "change \(index)") {
                _ = try chain.accept([CertifiedHeader(header: bad, certificate: good.certificate)])
            }
        }
    }

    // MARK: Hand-over

    /// Signed as it should be, but the committee in the term's last block is none.
    @Test func aHandOverThatDoesNotReadIsRefused() throws {
        let (lab, configuration, keys) = try network([1, 1, 1], termLength: 2)
        let first = lab.certified(try MadeChain.header(parent: lab.genesis, salt: 1), by: keys)
        let next = try Committee([
            Committee.Member(key: keys[0].publicKey, stake: 5), Committee.Member(key: try key(7).publicKey, stake: 6),
        ])
        func last(_ extraData: [UInt8]) throws -> CertifiedHeader {
            var fields = try MadeChain.header(parent: first.header, salt: 1).fields
            fields.extraData = extraData
            return lab.certified(try BlockHeader(fields), by: keys)
        }
        func refused(_ extraData: [UInt8], _ error: CommitteeError) throws {
            var chain = AttestedChain(configuration: configuration)
            let run = [first, try last(extraData)]
            #expect(throws: ChainError.committee(error)) { _ = try chain.accept(run) }
            #expect(chain.head == lab.genesis.point)
        }
        let good = next.extraData
        let rising = next.members.map(\.key)
        try refused([], .handOverSize(bytes: 0))
        try refused([1], .handOverSize(bytes: 1))
        try refused([1, 0], .memberCount(0))
        try refused(Array(good.dropLast()), .handOverSize(bytes: 81))
        try refused(good + [0], .handOverSize(bytes: 83))
        try refused([2] + good.dropFirst(), .handOverVersion(2))
        let (start, first40, last40) = (Array(good[..<2]), Array(good[2..<42]), Array(good[42...]))
        let key0 = Array(first40[..<32])
        let zeros = [UInt8](repeating: 0, count: 7)
        try refused(start + last40 + first40, .memberOrder(rising[0]))
        try refused(start + first40 + first40, .memberOrder(rising[0]))
        let withoutStake: [UInt8] = start + key0 + zeros + [0]
        try refused(withoutStake + last40, .noStake(rising[0]))
        let withTooMuch: [UInt8] = start + key0 + [0x40] + zeros
        try refused(withTooMuch + last40, .tooMuchStake)
        let many = (0..<65 as Range<UInt8>).flatMap { index -> [UInt8] in Keccak.hash([index]).bytes + zeros + [1] }
        try refused([1, 65] + many, .memberCount(65))
        var chain = AttestedChain(configuration: configuration)
        #expect(try chain.accept([first, last(good)]).final?.number == 2)
        // The old committee speaks no more, also where its members are in the new one.
        let second = try #require(chain.headHeader)
        let third = try MadeChain.header(parent: second, salt: 1)
        let gone = min(keys[1].publicKey, keys[2].publicKey)
        #expect(throws: ChainError.certificate(.unknownSigner(gone))) {
            _ = try chain.accept([lab.certified(third, by: keys)])
        }
        #expect(throws: ChainError.committee(.tooLittleStake(number: 3, part: 5, of: 11))) {
            _ = try chain.accept([lab.certified(third, by: [keys[0]])])
        }
        #expect(try chain.accept([lab.certified(third, by: [keys[0], key(7)])]).final == third.point)
    }

    @Test func committeesOfOneAndOfSixtyFourAreRead() throws {
        for size in [1, 64] {
            let lab = try CommitteeLab(size: size, termLength: 2)
            var branch = lab.branch
            var chain = try lab.chain()
            #expect(try chain.accept(branch.grow(5)).final?.number == 5)
            let committee = try lab.committees.committee(of: 1)
            #expect(branch[2].header.extraData.count == 2 + 40 * size)
            #expect(try Committee(extraData: committee.extraData) == committee)
        }
    }

    // MARK: Two finals

    @Test func twoFinalsNotOnOneLineStopTheChain() throws {
        let lab = try CommitteeLab()
        var branch = lab.branch
        try branch.grow(3)
        var rival = branch
        try branch.grow(2, salt: 1)
        try rival.grow(1, salt: 2)
        var chain = try lab.chain()
        _ = try chain.accept(branch.entries)
        // Not signed by enough, or by nobody: only useless.
        let unsigned = CertifiedHeader(header: rival.last)
        #expect(throws: ChainError.belowFinal(number: 4)) { _ = try chain.accept([unsigned]) }
        #expect(throws: ChainError.belowFinal(number: 6)) {
            var fields = try MadeChain.header(parent: branch[5].header, salt: 9).fields
            fields.parentHash = rival.last.hash
            _ = try chain.accept([CertifiedHeader(header: BlockHeader(fields))])
        }
        #expect(chain.conflict == nil)
        let error = ChainError.conflictingFinals(rival[4].point, branch[5].point)
        #expect(throws: error) { _ = try chain.accept([rival[4]]) }
        #expect(chain.conflict == error)
        #expect(throws: error) { _ = try chain.accept(branch.grow(1)) }
    }

    // MARK: Restarts

    /// In the middle of a term, and with everything below pruned: whose votes the next block needs is known.
    @Test(arguments: 1...13) func aRestartKnowsTheTermsMembers(number: Int) throws {
        let lab = try CommitteeLab()
        var branch = lab.branch
        var chain = try lab.chain()
        _ = try chain.accept(branch.grow(number))
        let floor = try #require(chain.storedFloor)
        #expect(StoredFloor(decoding: floor.encoded) == floor)
        var again = try AttestedChain(
            configuration: lab.configuration, restoring: [branch[number]], floor: floor)
        #expect(again.head == chain.head && again.headStanding == chain.headStanding)
        #expect(try again.accept(branch.grow(8)).final?.number == UInt64(number + 8))
        // Without the record the store is as good as empty: headers come again.
        let bare = try AttestedChain(configuration: lab.configuration, restoring: [branch[number]])
        #expect(bare.head == (number == 1 ? branch[1].point : lab.genesis.point))
    }

    @Test func batchesEndWithTheTerm() throws {
        let lab = try CommitteeLab(termLength: 6)
        let rule = ChainRule(lab.configuration)
        #expect(rule.batchEnd(from: 1, 100) == 6 && rule.batchEnd(from: 6, 105) == 6)
        #expect(rule.batchEnd(from: 7, 106) == 12 && rule.batchEnd(from: 7, 9) == 9 && rule.batchEnd(from: 0, 99) == 0)
        #expect(ChainRule(try MadeChain().configuration).batchEnd(from: 1, 100) == 100)
    }
}
