import Chain
import ChainForge
import Primitives
import Testing

/// Chains that are made as time passes.
@Suite("Live chains") struct LiveChainTests {
    private static let shape = ForgeShape(accounts: 64, blocks: 200, transactions: 2)

    private static func work() throws -> MadeNetwork {
        let terms = try WorkTerms(
            minimumDifficulty: 2, blockSeconds: 2, aheadSeconds: 15, undoDepth: 16, minimumWork: 0)
        return MadeNetwork(.work(terms, difficulty: 16))
    }

    private static func blocks(_ plan: LiveChain.Plan, _ count: Int) throws -> [MadeBlock] {
        var live = try LiveChain(plan)
        return try (0..<count).compactMap { try live.next(at: 1_800_000_000 + 2 * UInt64($0)) }
    }

    private static func chain(_ plan: LiveChain.Plan) throws -> AttestedChain {
        let live = try LiveChain(plan)
        var chain = AttestedChain(
            configuration: try plan.network.configuration(above: live.genesis, chainID: ChainForge.chainID))
        _ = try chain.accept([CertifiedHeader(header: live.genesis)])
        return chain
    }

    @Test func blocksAreOfTheirTimeAndTheRuleTakesThem() throws {
        for network in [try Self.work(), MadeNetwork(.committees(MadeCommittees(seed: 2, size: 3, termLength: 4)))] {
            let plan = LiveChain.Plan(network, shape: Self.shape, seed: 2)
            let blocks = try Self.blocks(plan, 12)
            #expect(try Self.blocks(plan, 12).map(\.block.header) == blocks.map(\.block.header))
            #expect(blocks.map(\.block.header.timestamp) == (0..<12).map { 1_800_000_000 + 2 * $0 })
            var chain = try Self.chain(plan)
            for made in blocks {
                let entry = Self.entry(made)
                let time = entry.header.timestamp
                #expect(chain.wouldTake(entry, at: time))
                // Without what its rule asks for it would not be: the signatures; or a date that is not to come.
                let bare = CertifiedHeader(header: entry.header)
                #expect(chain.wouldTake(bare, at: time) == (network.kind == .proofOfWork))
                #expect(chain.wouldTake(entry, at: time - 16) == (network.kind == .committee))
                _ = try chain.accept([entry], at: made.block.header.timestamp)
            }
            #expect(chain.head.number == 12)
        }
    }

    /// A clock that stands, or goes back, makes no block that is not later than its parent.
    @Test func aBlockIsLaterThanItsParent() throws {
        var live = try LiveChain(LiveChain.Plan(try Self.work(), shape: Self.shape, seed: 2))
        var times: [UInt64] = []
        for time in [1_800_000_000, 1_800_000_000, 1_700_000_500] as [UInt64] {
            times.append(try #require(try live.next(at: time)).block.header.timestamp)
        }
        #expect(times == [1_800_000_000, 1_800_000_001, 1_800_000_002])
    }

    /// Every twelve blocks it leaves its line, by one to five blocks, and what it makes then outweighs what it left.
    @Test func itLeavesItsLine() throws {
        let plan = LiveChain.Plan(try Self.work(), shape: Self.shape, seed: 5, forkEvery: 12)
        let blocks = try Self.blocks(plan, 80)
        var chain = try Self.chain(plan)
        var depths: [UInt64] = []
        for (before, made) in zip([nil] + blocks.map { $0 as MadeBlock? }, blocks) {
            let header = made.block.header
            if let before, header.parentHash != before.block.header.hash {
                #expect(before.block.header.number.isMultiple(of: 12) && chain.holds(header.parentHash))
                depths.append(before.block.header.number + 1 - header.number)
            }
            _ = try chain.accept([CertifiedHeader(header: header)], at: header.timestamp)
            try made.block.verifyBody()
        }
        #expect(depths.count >= 4 && depths.allSatisfy { (1...5).contains($0) } && Set(depths).count > 1)
        #expect(chain.head == blocks.last?.block.header.point, "its newest block is the heaviest again")
    }

    private static func entry(_ made: MadeBlock) -> CertifiedHeader {
        CertifiedHeader(header: made.block.header, certificate: made.certificate)
    }

    /// One maker's headers are all that another needs to make the same blocks: state, transactions and lists.
    @Test(arguments: [nil, 12] as [UInt64?]) func anotherMakerMakesTheSameBlocksFromTheHeaders(forkEvery: UInt64?)
        throws
    {
        var plan = LiveChain.Plan(try Self.work(), shape: Self.shape, seed: 6, forkEvery: forkEvery)
        plan.makers = 2
        var (first, chain) = (try LiveChain(plan), try Self.chain(plan))
        plan.maker = 1
        var second = try LiveChain(plan)
        for index in 0..<70 as Range<UInt64> {
            // Now and then the other is the first.
            let time = 1_800_000_000 + 3 * index
            let made: MadeBlock
            if index % 5 == 3, chain.head == first.head.point {
                made = try #require(try second.next(at: time))
                #expect(made.block.header.extraData.last == 1)
            } else {
                made = try #require(try first.next(at: time))
            }
            _ = try chain.accept([Self.entry(made)], at: time)
            let line = try ((chain.head.number > 20 ? chain.head.number - 20 : 0)...chain.head.number).map {
                try #require(chain.header(at: $0))
            }
            for isSecond in [false, true] {
                while case .follow(let header) = (isSecond ? second : first).following(line) {
                    let again = isSecond ? try second.follow(header) : try first.follow(header)
                    #expect(again.block.header == header)
                }
            }
            if chain.head == first.head.point { #expect(second.head == first.head) }
        }
        #expect(chain.head.number > 40 && second.head.point == chain.head)
    }

    /// A maker that was away makes nothing of its own before it has made all again, and says where it cannot.
    @Test func aMakerThatIsBehindCatchesUpFirst() throws {
        let plan = LiveChain.Plan(try Self.work(), shape: Self.shape, seed: 6)
        let headers = try Self.blocks(plan, 40).map(\.block.header)
        var late = try LiveChain(plan)
        #expect(late.following([]) == .caughtUp)
        #expect(late.following(Array(headers[20...])) == .outOfSight)
        #expect(late.following(Array(headers[..<10])) == .follow(headers[0]))
        for header in headers { _ = try late.follow(header) }
        #expect(late.head == headers[39] && late.following(headers) == .caughtUp)
        var fields = headers[39].fields
        fields.mixHash = .max
        let strange = try Miner.mine(fields)
        #expect(throws: ForgeError.inconsistent("block \(strange.point) is not one of this plan's")) {
            _ = try late.follow(strange)
        }
        var fresh = try LiveChain(plan)
        #expect(throws: ForgeError.inconsistent("block \(headers[5].point) parts from it too far down")) {
            _ = try fresh.follow(headers[5])
        }
    }

    /// A committee's blocks are final as soon as they are there.
    @Test func aCommitteesChainHasNoForks() throws {
        let network = MadeNetwork(.committees(MadeCommittees(seed: 2, size: 3, termLength: 4)))
        let plan = LiveChain.Plan(network, shape: Self.shape, seed: 2, forkEvery: 12)
        #expect(plan.forkEvery == nil)
    }
}
