import Chain
import ChainNetwork
import Primitives
import Testing

/// Blocks of many peers, in order and each once, whatever some of them do.
@Suite struct BlockSyncTests {
    private static let quick = Interval.milliseconds(20)
    private let lab: BlockLab

    init() throws { lab = try BlockLab(sidecars: 600) }

    private var all: ClosedRange<UInt64> { 1...UInt64(lab.headers.count) }
    private var numbers: [UInt64] { Array(all) }

    /// A peer that gives what it is asked for.
    private func honest(_ time: Interval = BlockSyncTests.quick) -> BlockCluster.Responder {
        { [lab] key in lab.answer(key).map { ($0, time) } }
    }

    /// The same with one block as `change` makes it.
    private func changing(
        _ number: UInt64, _ change: @escaping (BlockBytes) -> BlockBytes
    ) -> BlockCluster.Responder {
        { [lab] key in
            guard let answer = lab.answer(key),
                case .success(.blocks(let blocks)) = Result(catching: { try BlocksValue(decoding: answer) })
            else { return nil }
            let changed = blocks.map { block in
                (try? BlockHeader(rlp: block.header))?.number == number ? change(block) : block
            }
            return (BlocksValue.blocks(changed).encoded, BlockSyncTests.quick)
        }
    }

    private static func withoutBody(_ block: BlockBytes) -> BlockBytes {
        BlockBytes(header: block.header, body: [0xc0], accessList: block.accessList)
    }

    @Test func blocksOfSeveralPeersAreAppliedInOrder() throws {
        var cluster = try BlockCluster(lab)
        for peer in 1...4 { cluster.add(UInt64(peer), all, honest()) }
        cluster.run()
        #expect(cluster.applied == numbers)
        #expect(cluster.batches.allSatisfy { $0.count <= ChainNetworkLimits.blocksApplied })
        #expect(cluster.told.isEmpty)
        #expect(cluster.asked.count == 4, "\(cluster.asked)")
        #expect(cluster.mostOpen > 4 && cluster.mostOpen <= 16)
        let standing = try #require(cluster.client.standing(cluster.chain))
        #expect(standing.next == 601 && standing.target == 600 && standing.asked + standing.ready == 0)
    }

    /// A PING comes only seconds later. Who keeps no blocks offers headers alone.
    @Test func whoOffersABlockIsAskedForIt() throws {
        var cluster = try BlockCluster(lab)
        cluster.add(1, 1...300, honest())
        cluster.add(2, nil, honest())
        cluster.run()
        let had = cluster.applied.count
        #expect(had < 600, "it is asked for no run that begins above what it said")
        cluster.client.handle(.offered(BlockCluster.id(2), highest: 600), cluster.chain, at: cluster.now)
        cluster.client.handle(.offered(BlockCluster.id(1), highest: 200), cluster.chain, at: cluster.now)
        cluster.run()
        #expect(cluster.applied.count == had && cluster.asked[BlockCluster.id(2)] == nil)
        let offered = cluster.now
        cluster.client.handle(.offered(BlockCluster.id(1), highest: 600), cluster.chain, at: offered)
        cluster.run()
        #expect(cluster.applied == numbers)
        #expect(cluster.now - offered < .seconds(5))
    }

    /// One is slow, one says that it is far ahead and has nothing, one sends a wrong body, and one goes away.
    @Test func fourPeersOfWhomNoneIsLikeTheOther() throws {
        let seed: UInt64 = 4
        print("seed \(seed)")
        var cluster = try BlockCluster(lab, seed: seed)
        cluster.add(1, all, honest(.seconds(4)))
        cluster.add(2, 1...1_000_000) { _ in
            (BlocksValue.notServed(lowest: 1, highest: 0).encoded, BlockSyncTests.quick)
        }
        cluster.add(3, all, changing(40, Self.withoutBody))
        cluster.add(4, all, honest())
        cluster.run { $0.applied.count >= 100 }
        cluster.lose(4)
        cluster.run()
        #expect(cluster.applied == numbers, "\(cluster.applied.count)")
        #expect(cluster.penalised[BlockCluster.id(1)] == nil && cluster.penalised[BlockCluster.id(2)] == nil)
        #expect(cluster.penalised[BlockCluster.id(4)] == nil)
        // Its height moved no target, and cost a request now and then.
        #expect(cluster.client.standing(cluster.chain)?.target == 600)
        #expect(cluster.asked[BlockCluster.id(2)] ?? 0 <= 5, "\(cluster.asked)")
    }

    /// Who sends a wrong body pays, and the block comes from somebody else.
    @Test func aWrongBodyCostsItsSender() throws {
        var cluster = try BlockCluster(lab)
        cluster.add(1, all, changing(5, Self.withoutBody))
        cluster.run(limit: .seconds(5))
        #expect(cluster.applied == [1, 2, 3, 4])
        guard case .invalid(.malformed(.block, _))? = cluster.penalised[BlockCluster.id(1)]?.first else {
            return #expect(Bool(false), "\(cluster.penalised)")
        }
        cluster.add(2, all, honest())
        cluster.run()
        #expect(cluster.applied == numbers)
    }

    /// A block that is wrong from everybody is told once; the state stays, and a new peer is asked.
    @Test func wrongFromEverybodyIsToldOnce() throws {
        var cluster = try BlockCluster(lab)
        for peer in 1...3 { cluster.add(UInt64(peer), all, changing(300, Self.withoutBody)) }
        cluster.run(limit: .seconds(3_000))
        #expect(cluster.applied == Array(1...299))
        #expect(cluster.wrongFromAll.map(\.block) == [300] && cluster.wrongFromAll.first?.peers == 3)
        #expect(cluster.client.standing(cluster.chain)?.wrong == 300)
        cluster.add(4, all, honest())
        cluster.run(limit: .seconds(3_000))
        #expect(cluster.applied == numbers)
        #expect(cluster.told.contains { if case .cameAfterAll(block: 300) = $0 { true } else { false } })
        #expect(cluster.client.standing(cluster.chain)?.wrong == nil)
    }

    /// Access lists that no header commits to are shown false by the state root: one by one, to name the block.
    @Test func aBatchThatDoesNotHoldIsAppliedOneByOne() throws {
        let false300 = try BlockLab.sidecar(balance: 7).rlp
        var cluster = try BlockCluster(lab)
        cluster.add(1, all, changing(300) { BlockBytes(header: $0.header, body: $0.body, accessList: false300) })
        cluster.refusal = { blocks in
            blocks.contains { $0.header.number == 300 && $0.bytes.accessList == false300 } ? "another root" : nil
        }
        cluster.run(limit: .seconds(5))
        #expect(cluster.applied == Array(1...299))
        #expect(cluster.penalised[BlockCluster.id(1)] == [.wrongState(block: 300)])
        #expect(cluster.batches.last == [299], "one by one up to the one that is wrong")
        cluster.add(2, all, honest())
        cluster.run()
        #expect(cluster.applied == numbers)
        #expect(cluster.batches.last?.count ?? 0 > 1, "and together again after it")
    }

    /// Where the header commits to the list nobody could have sent another: it is not the sender who is wrong.
    @Test func aListThatItsHeaderNamesCostsNobody() throws {
        let made = try BlockLab(blocks: 4)
        var cluster = try BlockCluster(made)
        for peer in 1...2 {
            cluster.add(UInt64(peer), 1...4) { key in made.answer(key).map { ($0, BlockSyncTests.quick) } }
        }
        cluster.refusal = { blocks in blocks.contains { $0.header.number == 3 } ? "another root" : nil }
        cluster.run(limit: .seconds(60))
        #expect(cluster.applied == [1, 2] && cluster.penalised.isEmpty)
        #expect(cluster.wrongFromAll.map(\.peers) == [2])
    }

    /// No peers is not the end: what comes later is asked.
    @Test func itWaitsForPeers() throws {
        var cluster = try BlockCluster(lab)
        cluster.run(limit: .seconds(10))
        #expect(cluster.applied.isEmpty && cluster.client.standing(cluster.chain)?.next == 1)
        cluster.add(1, nil, honest())
        cluster.run(limit: .seconds(10))
        #expect(cluster.asked.isEmpty, "it says that it keeps no blocks")
        cluster.add(2, 300...600, honest())
        cluster.add(3, 1...299, honest())
        cluster.run()
        #expect(cluster.applied == numbers)
    }

    /// A peer that has fewer blocks than headers says so when it is asked, and is asked again when it may have more.
    @Test func aPeerThatIsOnItsWayItselfIsAskedAgain() throws {
        var cluster = try BlockCluster(lab)
        let first = lab.answer
        cluster.add(1, all) { key in first(key, 20...90).map { ($0, BlockSyncTests.quick) } }
        cluster.add(2, all) { key in first(key, 1...30).map { ($0, BlockSyncTests.quick) } }
        cluster.run(limit: .seconds(30))
        #expect(cluster.applied == Array(1...90))
        #expect(cluster.penalised.isEmpty && cluster.asked.values.reduce(0, +) < 160, "\(cluster.asked)")
        cluster.responders[BlockCluster.id(1)] = honest()
        cluster.run(limit: .seconds(60))
        #expect(cluster.applied == numbers)
    }

    /// Where nobody keeps the next block and somebody later ones, the lowest of them is known.
    @Test func itKnowsThatItIsBelowAllThatIsKept() throws {
        var cluster = try BlockCluster(lab)
        let first = lab.answer
        cluster.add(1, all) { key in first(key, 500...600).map { ($0, BlockSyncTests.quick) } }
        cluster.add(2, all) { key in first(key, 450...600).map { ($0, BlockSyncTests.quick) } }
        cluster.run(limit: .seconds(30))
        #expect(cluster.applied.isEmpty && cluster.client.standing(cluster.chain)?.pruned == 450)
        #expect(cluster.client.peer(BlockCluster.id(2))?.kept == 450...600)
        #expect(cluster.client.peer(BlockCluster.id(3)) == nil)
        cluster.add(3, 1...200) { key in first(key, 1...200).map { ($0, BlockSyncTests.quick) } }
        #expect(cluster.client.standing(cluster.chain)?.pruned == nil)
        #expect(cluster.client.peer(BlockCluster.id(3))?.usefulSince == nil)
        cluster.run(limit: .seconds(30))
        #expect(cluster.applied == Array(1...200) && cluster.client.standing(cluster.chain)?.pruned == 450)
        #expect(cluster.client.peer(BlockCluster.id(3))?.usefulSince != nil)
    }

    /// Silence ends with the request's time, and the peer rests.
    @Test func silenceHoldsNothingUp() throws {
        var cluster = try BlockCluster(lab)
        cluster.add(1, all) { _ in nil }
        cluster.run(limit: .seconds(5))
        cluster.add(2, all, honest(.milliseconds(50)))
        let begun = cluster.now
        cluster.run { $0.applied.count == 600 }
        #expect(cluster.applied == numbers)
        #expect(cluster.now - begun < .seconds(60), "\(cluster.now - begun)")
    }

    /// Answers that are none, or more than was asked for, are refused whole.
    @Test func whatIsNoAnswerCostsItsSender() throws {
        let blocks = BlocksValue.blocks(lab.blocks).encoded
        let cases: [([UInt8], ChainNetworkError?)] = [
            (blocks, .notWhatWasAsked), ([0], .notWhatWasAsked), ([], .unknownStatus(nil)),
            ([1, 2], .malformedValue(.wrongSize)), ([9, 9], nil), (BlocksValue.busy(seconds: 9).encoded, nil),
        ]
        for (content, expected) in cases {
            var cluster = try BlockCluster(lab)
            cluster.add(1, all) { _ in (content, BlockSyncTests.quick) }
            cluster.run(limit: .seconds(5))
            #expect(cluster.applied.isEmpty)
            #expect(cluster.penalised[BlockCluster.id(1)]?.first == expected, "\(content.prefix(3))")
        }
    }

    /// A block that is larger than answers are else is asked for alone, and then taken.
    @Test func aVeryLargeBlockIsAskedForAlone() throws {
        let codes = try (0..<80).map { index in
            AccountChange(
                address: try #require(Address([UInt8](repeating: UInt8(index), count: 20))), nonce: nil, balance: nil,
                code: [UInt8](repeating: 1, count: ChainLimits.codeBytes), storage: [])
        }
        let list = try BlockAccessList(sidecar: codes).rlp
        #expect(list.count > ChainNetworkLimits.blockAnswerBytes)
        var cluster = try BlockCluster(lab)
        cluster.add(1, all) { [lab] key in
            guard let answer = lab.answer(key),
                case .success(.blocks(let blocks)) = Result(catching: { try BlocksValue(decoding: answer) }),
                let first = try? BlockHeader(rlp: blocks[0].header).number
            else { return nil }
            var given = blocks
            if first == 50 {
                given = [BlockBytes(header: blocks[0].header, body: blocks[0].body, accessList: list)]
            } else if first < 50 {
                given = Array(blocks.prefix(50 - Int(first)))
            }
            return (BlocksValue.blocks(given).encoded, BlockSyncTests.quick)
        }
        cluster.run()
        #expect(cluster.applied == numbers, "\(cluster.applied.count)")
        #expect(cluster.penalised.isEmpty)
    }

    /// A batch ends with the first block of an epoch: its state is an anchor.
    @Test func batchesEndWithEpochs() throws {
        let lab = try BlockLab(sidecars: 100, epochLength: 32)
        var cluster = try BlockCluster(lab)
        cluster.add(1, 1...100) { key in lab.answer(key).map { ($0, BlockSyncTests.quick) } }
        cluster.run()
        #expect(cluster.applied == Array(1...100))
        let ends = Set(cluster.batches.compactMap(\.last))
        #expect(ends.isSuperset(of: [32, 64, 96]))
        #expect(cluster.batches.allSatisfy { batch in batch.dropLast().allSatisfy { $0 % 32 != 0 } })
    }

    /// Nothing above the final block is asked for.
    @Test func onlyWhatIsFinalIsApplied() throws {
        var cluster = try BlockCluster(lab, unfinal: 10)
        cluster.add(1, all, honest())
        cluster.run()
        #expect(cluster.applied == Array(1...590))
        _ = try cluster.chain.accept([lab.certified(lab.headers[599], final: lab.headers[599])])
        cluster.client.advance(to: cluster.now, cluster.chain)
        cluster.run()
        #expect(cluster.applied == numbers)
    }

    /// What memory has no more of the line comes from the store; it may come late.
    @Test func theLineIsReadFromTheStore() throws {
        var cluster = try BlockCluster(lab)
        cluster.chain.prune(below: 500)
        #expect(cluster.chain.lowest == 500)
        cluster.add(1, all, honest())
        cluster.run(limit: .seconds(3))
        #expect(cluster.applied.isEmpty, "the store has nothing yet")
        cluster.line = { [lab] heights in heights.map { lab.headers[Int($0) - 1].point } }
        cluster.run()
        #expect(cluster.applied == numbers)
    }

    /// Where it is not known yet what was applied, nothing is asked for.
    @Test func itBeginsWhereTheStateIs() throws {
        var cluster = try BlockCluster(lab)
        cluster.client = BlockSync(after: nil, seed: 1)
        cluster.add(1, all, honest())
        cluster.run(limit: .seconds(3))
        #expect(cluster.asked.isEmpty)
        cluster.client.handle(.applied(lab.headers[99].point), cluster.chain, at: cluster.now)
        cluster.run()
        #expect(cluster.applied == Array(101...600))
    }

    @Test func theSameSeedGivesTheSameRun() throws {
        func run(_ seed: UInt64) throws -> [Bytes32: Int] {
            var cluster = try BlockCluster(lab, seed: seed)
            for peer in 1...4 { cluster.add(UInt64(peer), all, honest(.milliseconds(10 * peer))) }
            cluster.run()
            return cluster.asked
        }
        #expect(try run(3) == run(3))
    }
}
