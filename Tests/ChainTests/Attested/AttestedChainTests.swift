import Chain
import ChainLab
import Primitives
import Testing

@Suite struct AttestedChainTests {
    // MARK: Soundness

    @Test func forgedChildrenOfTheCheckpointProveNothing() throws {
        let made = try MadeChain.voted()
        var chain = AttestedChain(configuration: made.configuration)
        let advance = try chain.accept(made.bare([made.genesis] + MadeChain.run(on: made.genesis, 50)))
        #expect(advance.attested.map(\.header) == [made.genesis])
        #expect(advance.anchors == [Anchor(epoch: 0, hash: made.genesis.hash)])
        #expect(chain.head == made.genesis.point && chain.final == made.genesis.point)
        #expect(chain.header(at: 1) == nil)
        #expect(chain.unfinalCount == 50)
        #expect(chain.attestedAt == nil && chain.isStale(at: 0))
    }

    @Test func anotherBlockInTheCheckpointsPlaceIsRefused() throws {
        let made = try MadeChain.voted()
        var chain = AttestedChain(configuration: made.configuration)
        let other = try MadeChain.header(parent: nil, salt: 5)
        #expect(throws: ChainError.notTheCheckpoint(expected: made.genesis.hash, found: other.hash)) {
            _ = try chain.accept(made.bare([other]))
        }
    }

    @Test func fewerKeysThanTheThresholdAreNotEnough() throws {
        let made = try MadeChain.voted(by: 3, threshold: 2)
        let run = try MadeChain.run(on: made.genesis, 4)
        var chain = AttestedChain(configuration: made.configuration)
        let one = try chain.accept(made.bare(run.dropLast()) + [made.certified(run[3], by: [0], final: run[1])])
        #expect(one.isEmpty && chain.head == made.genesis.point)
        let same = try chain.accept([made.certified(run[3], by: [0], final: run[1], time: 200)])
        #expect(same.isEmpty)
        let two = try chain.accept([made.certified(run[3], by: [2], final: run[1])])
        #expect(two.head == run[3].point && two.final == run[1].point)
        #expect(two.attested.map(\.header) == run)
        #expect(chain.isFinal(run[0].point) && !chain.isFinal(run[2].point) && chain.isAttested(run[2].point))
    }

    /// A key's word on a block is its word on all ancestors: two keys on different blocks of one line meet.
    @Test func claimsCountForAncestors() throws {
        let made = try MadeChain.voted(by: 2, threshold: 2)
        let run = try MadeChain.run(on: made.genesis, 5)
        var chain = AttestedChain(configuration: made.configuration)
        _ = try chain.accept(made.bare(run))
        _ = try chain.accept([made.certified(run[4], by: [0], final: run[3])])
        let advance = try chain.accept([made.certified(run[2], by: [1], final: run[0])])
        #expect(advance.head == run[2].point)
        #expect(advance.final == run[0].point)
    }

    @Test func runsThatDoNotJoinAreRefusedWhole() throws {
        let made = try MadeChain.voted()
        let run = try MadeChain.run(on: made.genesis, 6)
        var chain = AttestedChain(configuration: made.configuration)
        #expect(throws: ChainError.unknownParent(number: 3, parentHash: run[1].hash)) {
            _ = try chain.accept(made.bare(Array(run[2...])))
        }
        #expect(throws: ChainError.unknownParent(number: 3, parentHash: run[1].hash)) {
            _ = try chain.accept(made.bare([run[0], run[2]]))
        }
        var skipping = run[1].fields
        skipping.number = 9
        #expect(throws: ChainError.wrongNumber(expected: 2, found: 9)) {
            _ = try chain.accept(made.bare([run[0], BlockHeader(skipping)]))
        }
        _ = try chain.accept(made.bare([run[0]]))
        #expect(throws: ChainError.wrongNumber(expected: 2, found: 9)) {
            _ = try chain.accept(made.bare([BlockHeader(skipping)]))
        }
        #expect(chain.unfinalCount == 1)
        let other = try MadeChain.header(parent: nil, salt: 3)
        #expect(throws: ChainError.belowFinal(number: 1)) {
            _ = try chain.accept(made.bare(MadeChain.run(on: other, 2)))
        }
    }

    @Test func unverifiedHeadersAreBounded() throws {
        let made = try MadeChain.voted()
        var chain = AttestedChain(configuration: made.configuration)
        let junk = try MadeChain.run(on: made.genesis, ChainLimits.heldHeaders, salt: 1)
        _ = try chain.accept(made.bare(junk))
        #expect(chain.unfinalCount == ChainLimits.heldHeaders)
        #expect(throws: ChainError.tooManyUnverified(limit: ChainLimits.heldHeaders)) {
            _ = try chain.accept(made.bare(MadeChain.run(on: try #require(junk.last), 1)))
        }
        // Another branch finds room: nothing vouches for the one that fills it.
        let honest = try MadeChain.run(on: made.genesis, 2, salt: 2)
        let advance = try chain.accept([made.bare([honest[0]])[0], made.certified(honest[1], by: [0, 1])])
        #expect(advance.head == honest[1].point)
        #expect(chain.unfinalCount == 2)
    }

    // MARK: Conflicting finals

    @Test func twoFinalsNotOnOneLineStopTheChain() throws {
        let made = try MadeChain.voted(threshold: 2)
        let (a, b) = (try MadeChain.run(on: made.genesis, 4, salt: 1), try MadeChain.run(on: made.genesis, 6, salt: 2))
        var chain = AttestedChain(configuration: made.configuration)
        _ = try chain.accept(made.bare(a.dropLast()) + [made.certified(a[3], by: [0, 1], final: a[2])])
        #expect(chain.final == a[2].point)
        // Not enough keys: only useless.
        #expect(throws: ChainError.belowFinal(number: 1)) {
            _ = try chain.accept(made.bare(b.dropLast()) + [made.certified(b[5], by: [2], final: b[4])])
        }
        #expect(chain.conflict == nil)
        let expected = ChainError.conflictingFinals(a[2].point, b[4].point)
        #expect(throws: expected) {
            _ = try chain.accept(made.bare(b.dropLast()) + [made.certified(b[5], by: [1, 2], final: b[4])])
        }
        #expect(chain.conflict == expected)
        #expect(throws: expected) {
            _ = try chain.accept(made.bare(MadeChain.run(on: a[3], 1)))
        }
        #expect(chain.final == a[2].point)
    }

    /// The rival's run need not reach down to the fork: its parent hash already shows that it is another line.
    @Test func aRivalRunFromJustAboveTheFinalBlockIsEnough() throws {
        let made = try MadeChain.voted(threshold: 2)
        let (a, b) = (try MadeChain.run(on: made.genesis, 3, salt: 1), try MadeChain.run(on: made.genesis, 6, salt: 2))
        var chain = AttestedChain(configuration: made.configuration)
        _ = try chain.accept(made.bare(a.dropLast()) + [made.certified(a[2], by: [0, 1], final: a[2])])
        #expect(throws: ChainError.conflictingFinals(a[2].point, b[3].point)) {
            _ = try chain.accept([made.certified(b[3], by: [0, 1], final: b[3])] + made.bare([b[4]]))
        }
    }

    @Test func finalsGatheredOnTwoBranchesConflict() throws {
        let made = try MadeChain.voted(by: 4, threshold: 2)
        let (a, b) = (try MadeChain.run(on: made.genesis, 3, salt: 1), try MadeChain.run(on: made.genesis, 3, salt: 2))
        var chain = AttestedChain(configuration: made.configuration)
        for (run, signer) in [(a, 0), (b, 2), (a, 1)] {
            _ = try chain.accept(made.bare(run.dropLast()) + [made.certified(run[2], by: [signer], final: run[1])])
        }
        #expect(chain.final == a[1].point)
        #expect(throws: ChainError.belowFinal(number: 1)) {
            _ = try chain.accept(made.bare(b.dropLast()) + [made.certified(b[2], by: [3], final: b[1])])
        }
        let (lower, upper) = (min(a[1].point, b[1].point), max(a[1].point, b[1].point))
        #expect(throws: ChainError.conflictingFinals(lower, upper)) {
            _ = try chain.accept(made.bare(b.dropLast()) + [made.certified(b[2], by: [2, 3], final: b[1])])
        }
    }

    // MARK: Head

    @Test func aReorganisationMovesTheHeadAboveTheFinalBlock() throws {
        let made = try MadeChain.voted(threshold: 2)
        let common = try MadeChain.run(on: made.genesis, 3)
        let a = try MadeChain.run(on: common[2], 4, salt: 1)
        let b = try MadeChain.run(on: common[2], 2, salt: 2)
        var chain = AttestedChain(configuration: made.configuration)
        _ = try chain.accept(
            made.bare(common + a.dropLast()) + [made.certified(a[3], by: [0, 1], final: common[0], time: 100)])
        #expect(chain.head == a[3].point)
        // One key alone has moved over: three are left, two of them are enough for neither side alone.
        _ = try chain.accept(made.bare([b[0]]) + [made.certified(b[1], by: [0], time: 112)])
        #expect(chain.head == common[2].point)
        let advance = try chain.accept([made.certified(b[1], by: [1], time: 112)])
        #expect(advance.head == b[1].point)
        #expect(advance.attested.map(\.header) == b)
        #expect(chain.header(at: 4) == b[0] && chain.header(of: a[0].point) == nil)
        #expect(chain.holds(a[0].hash) && chain.header(hash: a[0].hash) == nil)
        // An old certificate shown again moves nothing back.
        #expect(try chain.accept([made.certified(a[3], by: [0, 1], time: 100)]).isEmpty)
    }

    @Test func staleness() throws {
        let made = try MadeChain.voted(by: 3, threshold: 2, maxAgeSeconds: 60)
        let run = try MadeChain.run(on: made.genesis, 1)
        var chain = AttestedChain(configuration: made.configuration)
        _ = try chain.accept([
            CertifiedHeader(
                header: run[0],
                certificate: Certificate([
                    made.claim(.head, run[0], key: 0, time: 900), made.claim(.head, run[0], key: 1, time: 500),
                    made.claim(.head, run[0], key: 2, time: 100),
                ]))
        ])
        // Two keys had spoken by 500: one late signer does not make the head fresh.
        #expect(chain.attestedAt == 500)
        #expect(!chain.isStale(at: 560) && chain.isStale(at: 561) && !chain.isStale(at: 0))
        _ = try chain.accept([made.certified(run[0], by: [1], time: 800)])
        #expect(chain.attestedAt == 800)
    }

    // MARK: Anchors, pruning, restoring

    @Test func anchorsComeWithFinality() throws {
        let made = try MadeChain.voted(epochLength: 8)
        let run = try MadeChain.run(on: made.genesis, 30)
        var chain = AttestedChain(configuration: made.configuration)
        let first = try chain.accept(
            made.bare([made.genesis] + run[..<19]) + [made.certified(run[19], by: [0, 1], final: run[14])])
        #expect(first.anchors == [0, 8].map { Anchor(epoch: $0 / 8, hash: chain.header(at: $0)?.hash ?? .zero) })
        #expect(chain.anchor(epoch: 2) == nil && chain.newestAnchor?.epoch == 1)
        let second = try chain.accept(
            made.bare(Array(run[20..<29])) + [made.certified(run[29], by: [0, 1], final: run[24])])
        #expect(second.anchors.map(\.epoch) == [2, 3])
        #expect(second.final == run[24].point)
        #expect(chain.header(of: Anchor(epoch: 3, hash: run[23].hash)) == run[23])
        #expect(chain.header(of: Anchor(epoch: 3, hash: .zero)) == nil)
        chain.prune(below: 20)
        #expect(chain.lowest == 20 && chain.header(at: 19) == nil)
        #expect(chain.header(at: 16) == run[15] && chain.anchors.count == 4)
        chain.prune(below: 1_000)
        #expect(chain.lowest == 25)
        // Old headers again teach nothing, and a run across the final block is taken from there on.
        #expect(try chain.accept(made.bare(Array(run[..<5]))).isEmpty)
        let more = try MadeChain.run(on: run[29], 1)
        #expect(
            try chain.accept(made.bare(Array(run[10...])) + [made.certified(more[0], by: [0, 1])]).head == more[0].point
        )
    }

    /// Fed with what it said to keep, a chain comes to the same head and final block.
    @Test func aChainIsRestoredFromTheStore() throws {
        let made = try MadeChain.voted(epochLength: 8)
        let run = try MadeChain.run(on: made.genesis, 30)
        var chain = AttestedChain(configuration: made.configuration)
        var stored: [UInt64: CertifiedHeader] = [:]
        func accept(_ entries: [CertifiedHeader]) throws {
            for entry in try chain.accept(entries).keep { stored[entry.header.number] = entry }
        }
        try accept(made.bare([made.genesis] + run[..<9]) + [made.certified(run[9], by: [0, 2], final: run[3])])
        try accept(made.bare(Array(run[10..<19])) + [made.certified(run[19], by: [0, 1], final: run[16])])
        // The last head is proven by one claim on it and one on a block above that nothing else vouches for.
        try accept(made.bare(Array(run[20..<24])) + [made.certified(run[24], by: [1], final: run[20])])
        try accept(made.bare(Array(run[25..<27])) + [made.certified(run[27], by: [0], final: run[21])])
        #expect(chain.head == run[24].point && chain.final == run[20].point)
        #expect(chain.servedTip == run[27].number && chain.servedHeader(at: 28)?.header == run[27])
        #expect(chain.servedHeader(at: 29) == nil)
        let whole = try AttestedChain(configuration: made.configuration, restoring: Array(stored.values))
        #expect(whole.head == chain.head && whole.final == chain.final && whole.anchors == chain.anchors)
        #expect(whole.attestedAt == chain.attestedAt && whole.lowest == 0)
        // After pruning: boundary blocks, then an unbroken run.
        let pruned = stored.values.filter { $0.header.number >= 12 || $0.header.number == 8 }
        let later = try AttestedChain(configuration: made.configuration, restoring: pruned)
        #expect(later.head == chain.head && later.final == chain.final && later.lowest == 12)
        #expect(later.anchors.map(\.epoch) == [1, 2])
        let forged = try MadeChain.header(parent: nil, salt: 9)
        #expect(throws: ChainError.notTheCheckpoint(expected: made.genesis.hash, found: forged.hash)) {
            _ = try AttestedChain(configuration: made.configuration, restoring: made.bare([forged]))
        }
    }

    @Test func aChainMayBeginAtALaterCheckpoint() throws {
        let made = try MadeChain.voted()
        let run = try MadeChain.run(on: made.genesis, 20)
        let configuration = try NetworkConfiguration(
            name: "later", chainID: MadeChain.chainID, genesisHash: made.genesis.hash, checkpoint: run[9].point,
            epochLength: 4, sectionDepth: 1, rule: made.configuration.rule)
        var chain = AttestedChain(configuration: configuration)
        let advance = try chain.accept(
            made.bare(Array(run[9..<19])) + [made.certified(run[19], by: [1, 2], final: run[15])])
        #expect(advance.attested.map(\.header) == Array(run[9...]))
        #expect(advance.anchors.map(\.epoch) == [3, 4])
    }

    /// In a long certified run only the last claims are checked, and only checked ones are kept.
    @Test func claimsThatAddNothingAreDropped() throws {
        let made = try MadeChain.voted()
        let run = try MadeChain.run(on: made.genesis, 20)
        var chain = AttestedChain(configuration: made.configuration)
        let advance = try chain.accept(
            run.enumerated().map { index, header in
                made.certified(header, by: [0, 1], final: index >= 4 ? run[index - 4] : nil)
            })
        #expect(advance.head == run[19].point && advance.final == run[15].point)
        #expect(advance.attested.filter { $0.certificate != nil }.map(\.header) == [run[19]])
        #expect(advance.attested.last?.certificate?.claims.count == 4)
    }
}
