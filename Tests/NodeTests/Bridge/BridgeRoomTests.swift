import Chain
import MerklePatricia
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import StateNetwork

/// A bridge that is given blocks, each of which changes section 3 (into what it was), and the world it needs for that.
private struct Replaying {
    static let section = 3
    var bench: Bench
    var headers: [BlockHeader] = []
    var logs: [(level: NodeReport.Level, text: String)] = []
    /// Folds that the world has not run yet.
    var folds: [JobID] = []

    /// `layers`: how many of the section's fill all the room there is.
    init(threshold: Int, layers: Int) throws {
        bench = try Bench(.bridge, threshold: threshold)
        try apply(blocks: 1)
        bench.node.state.holdings.book.layerLimit = layers * bench.book.layerBytes
    }

    var head: UInt64? { bench.node.replayedHead?.number }

    /// Gives the next blocks and does what the node asks for, but for folds.
    mutating func apply(blocks: Int) throws {
        for _ in 0..<blocks {
            let header = try BlockHeader(
                BlockHeader.Fields(
                    parentHash: headers.last?.hash ?? Bench.genesis.hash, stateRoot: Bench.crown.root,
                    number: UInt64(headers.count + 1), timestamp: UInt64(1_000 + headers.count)))
            headers.append(header)
            try work(bench.handle(.block(ReplayedBlock(header: header, changes: []))))
        }
    }

    mutating func work(_ directives: [CarouselNode.Directive]) throws {
        var left = directives[...]
        while let next = left.popFirst() {
            switch next {
            case .run(let id, .replay(let job)):
                left += bench.handle(.jobFinished(id, .replay(.success(try Replaying.taken(job)))))
            case .run(let id, .fold): folds.append(id)
            case .commit(let id, _): left += bench.handle(.committed(id))
            case .report(.log(let level, let text)): logs.append((level, text))
            case .run, .send, .report: break
            }
        }
    }

    /// The folds asked for bring their section to block 8.
    mutating func fold() throws {
        let due = folds
        folds = []
        for id in due {
            guard case .state(let operation)? = bench.node.jobs[id],
                let section = bench.node.state.operations[operation]?.sections.first
            else { continue }
            let record = SectionRecord(
                section: Section(depth: 1, index: section), working: headers[7].point,
                coverage: .complete(Bench.subtree(section)))
            let folded = SectionFolded(record: record, batch: WriteBatch(), wantedCodes: [])
            try work(bench.handle(.jobFinished(id, .fold(.success(folded)))))
        }
    }

    /// The network's other key says what it takes for the head and for final.
    mutating func hear(head: Int, final: Int) throws {
        let key = try Bench.attestingKey(1)
        let context = ClaimContext(bench.node.configuration.network)
        let claims = [(Claim.Kind.head, head), (.final, final)].map { kind, number in
            key.sign(
                Claim(kind: kind, point: headers[number - 1].point, unixSeconds: bench.moment.unixSeconds), in: context)
        }
        let entry = CertifiedHeader(header: headers[head - 1], certificate: Certificate(claims))
        bench.node.chain.handle(.produced(entry), at: bench.now)
        try work(bench.handle(.tick))
    }

    static func taken(_ job: ReplayBlock) throws -> ReplayTaken {
        let place = Section(depth: 1, index: section)
        let hash = Bench.subtree(section).hash(at: 1)
        let held = job.sections[section]
        let parent = try #require(held.layers.last?.point ?? held.record?.working)
        var taken = ReplayTaken(crown: Bench.crown)
        let layer = BlockLayer(
            section: place, point: job.block.header.point, parent: parent,
            sectionHashBefore: hash, sectionHashAfter: hash,
            update: .unchanged(place, subtree: Bench.subtree(section)),
            pathProof: try Bench.crown.proofNodes(forSection: section))
        taken.changes = [ReplayTaken.Change(layer: layer, changes: [], codes: [])]
        return taken
    }
}

/// Epochs of 8 blocks; a bridge calls final what is 2 below its head.
@Suite("A bridge's room for layers") struct BridgeRoomTests {
    @Test func aBridgeWaitsWhileNoAnchorBecomesFinalAndSaysSoOnce() throws {
        var world = try Replaying(threshold: 2, layers: 12)
        try world.apply(blocks: 20)
        #expect(world.head == 12 && world.bench.node.replayBacklog == 9)
        for _ in 0..<5 { try world.work(world.bench.handle(.tick)) }
        let told = world.logs.filter { $0.text.contains("waits") }
        #expect(told.count == 1 && told.first?.level == .warning)
        #expect(told.first?.text.hasPrefix("block 13 waits: ") == true)
        #expect(!world.bench.book.isLocked(0), "nothing is locked that others need")

        try world.hear(head: 12, final: 8)
        #expect(world.folds.count == 16 && world.head == 12)
        try world.fold()
        // Blocks 9 to 12 are above the new base, and there is room for eight more.
        #expect(world.head == 20)
        #expect(world.logs.filter { $0.text.contains("block 13 waits no longer") }.count == 1)
        try world.apply(blocks: 1)
        #expect(world.head == 20 && world.logs.last?.text.hasPrefix("block 22 waits") == false)
    }

    @Test func aBridgeDoesNotWaitForWhatItHasToSayItself() throws {
        // Room for three layers, and the first boundary is block 8: nobody can call it final before block 10.
        var world = try Replaying(threshold: 2, layers: 3)
        try world.apply(blocks: 20)
        #expect(world.head == 10)
        // The only key of its network: the boundary is final with block 10, and the bridge goes on as soon as it is
        // folded, above its room again up to the next one.
        world = try Replaying(threshold: 1, layers: 3)
        try world.apply(blocks: 20)
        #expect(world.head == 10 && world.folds.count == 16)
        try world.fold()
        #expect(world.head == 18 && world.bench.node.replayBacklog == 3)
    }

    /// Thousands of blocks come and none of them becomes final: the bridge stops in time, says so once, and goes on.
    @Test func aBridgeWaitsBelowTheMostBlocksThatMayNotBeFinal() throws {
        var world = try Replaying(threshold: 2, layers: 1_000_000)
        let most = UInt64(ChainLimits.unfinalHeaders)
        try world.apply(blocks: ChainLimits.unfinalHeaders + 3)
        #expect(world.head == most && world.bench.node.replayBacklog == 4)
        for _ in 0..<5 { try world.work(world.bench.handle(.tick)) }
        let told = world.logs.filter { $0.text.contains("waits") }
        #expect(told.count == 1 && told.first?.level == .warning)
        #expect(told.first?.text.hasPrefix("block \(most + 1) waits: \(most) blocks are above block 0, ") == true)
        #expect(world.bench.node.chain.conflict == nil)
        // The other bridge is back, and far behind.
        try world.hear(head: 4, final: 2)
        #expect(world.head == most + 2 && world.bench.node.replayBacklog == 2)
        try world.hear(head: 6, final: 4)
        #expect(world.head == most + 4 && world.bench.node.replayBacklog == 0)
        #expect(world.logs.filter { $0.text.contains("waits no longer") }.count == 2)
    }

    @Test func sectionsAreFoldedThoughBlocksWait() throws {
        var world = try Replaying(threshold: 1, layers: 1_000)
        try world.apply(blocks: 8)
        // The world is slow: the next blocks all come before one of them is replayed.
        var jobs: [CarouselNode.Directive] = []
        for number in 10...15 {
            let header = try BlockHeader(
                BlockHeader.Fields(
                    parentHash: world.headers[number - 2].hash, stateRoot: Bench.crown.root, number: UInt64(number),
                    timestamp: 2_000))
            world.headers.append(header)
            jobs += world.bench.handle(.block(ReplayedBlock(header: header, changes: [])))
        }
        try world.work(jobs)
        #expect(world.folds.count == 16)
        #expect(world.head == 10, "the next block does not take the sections again before they are folded")
        try world.fold()
        #expect(world.head == 15)
    }
}
