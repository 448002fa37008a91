import Chain
import Primitives
import StateStore
import Testing

@testable import Node
@testable import StateNetwork

/// What a bridge writes, and what it makes of a store that a crash has left.
@Suite("A bridge and its crashes") struct BridgeCrashTests {
    /// A bridge whose store says that block 1 was applied, with or without that block's header.
    private func bridge(_ headers: [CertifiedHeader]) throws -> Bench {
        var bench = try Bench(.bridge)
        var stored = StoredState()
        stored.held.records = (0..<16).map { Bench.record($0) }
        stored.held.crowns = [(Bench.anchor, Bench.crown)]
        stored.held.replayedHead = try Bench.block(1).header.point
        stored.headers = headers
        bench.node = try CarouselNode(
            configuration: try Bench.configuration(.bridge), stored: stored,
            entropy: Entropy(seed: Bytes32(0, 0, 0, 9)), at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
        return bench
    }

    private func keys(_ batch: WriteBatch, _ table: Table) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        batch.forEach { operation in
            if case .put(table, let key, _) = operation { keys.append(Array(key)) }
        }
        return keys
    }

    @Test func aBlockItsMarkAndItsHeaderAreOneTransaction() throws {
        var bench = try Bench(.bridge)
        let block = try Bench.block(1)
        let begun = bench.handle(.block(block))
        let job = begun.compactMap { if case .run(let id, .replay) = $0 { id } else { nil } }.first
        var taken = ReplayTaken(crown: Bench.crown)
        taken.batch = StateWrites.local("replayed", [1])
        let directives = bench.handle(.jobFinished(try #require(job), .replay(.success(taken))))
        let batches = directives.compactMap { if case .commit(_, let batch) = $0 { batch } else { nil } }
        #expect(batches.count == 1)
        let batch = try #require(batches.first)
        #expect(keys(batch, .local) == [Array("replayed".utf8)])
        #expect(keys(batch, .headers).count == 1 && keys(batch, .certificates) == [block.header.hash.bytes])
        // Nothing is said before it is there.
        #expect(bench.node.chain.head == Bench.genesis && bench.node.replayedHead == Bench.genesis)
        let commit = directives.compactMap { if case .commit(let id, _) = $0 { id } else { nil } }.first
        _ = bench.handle(.committed(try #require(commit)))
        #expect(bench.node.chain.head == block.header.point && bench.node.replayedHead == block.header.point)
    }

    /// A block that does not join what the network attests: nothing of it is written.
    @Test func aBlockThatDoesNotJoinIsNotWritten() throws {
        var bench = try Bench(.bridge)
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: .max, stateRoot: Bench.crown.root, number: 1, timestamp: 1_000))
        let begun = bench.handle(.block(ReplayedBlock(header: header, changes: [])))
        let job = begun.compactMap { if case .run(let id, .replay) = $0 { id } else { nil } }.first
        let directives = bench.handle(
            .jobFinished(try #require(job), .replay(.success(ReplayTaken(crown: Bench.crown)))))
        #expect(!directives.contains { if case .commit = $0 { true } else { false } })
        #expect(directives.contains { if case .report(.failed) = $0 { true } else { false } })
        #expect(!bench.book.isLocked(0))
    }

    /// Earlier versions wrote the header in a transaction of its own, which a crash could keep from the disk.
    @Test func aBlockWithoutItsHeaderIsGivenAgainAndNotAppliedAgain() throws {
        var bench = try bridge([])
        #expect(bench.node.nextReplayed == 1)
        let block = try Bench.block(1)
        let directives = bench.handle(.block(block))
        #expect(!directives.contains { if case .run(_, .replay) = $0 { true } else { false } })
        #expect(bench.node.chain.head == block.header.point && bench.node.nextReplayed == 2)
        let told = directives.contains { directive in
            if case .report(.replayed(block.header.point)) = directive { true } else { false }
        }
        #expect(told, "the feed goes on")
        let kept = directives.contains { directive in
            guard case .commit(_, let batch) = directive else { return false }
            return keys(batch, .certificates).contains(block.header.hash.bytes)
        }
        #expect(kept)
    }

    @Test func anotherBlockInItsPlaceIsNamed() throws {
        var bench = try bridge([])
        let header = try BlockHeader(
            BlockHeader.Fields(
                parentHash: Bench.genesis.hash, stateRoot: Bench.crown.root, number: 1, timestamp: 1_001))
        let told = bench.handle(.block(ReplayedBlock(header: header, changes: []))).contains { directive in
            guard case .report(.failed(let text)) = directive else { return false }
            return text.contains("is what was applied at its height")
        }
        #expect(told && bench.node.chain.head == Bench.genesis)
    }

    @Test func aWholeStoreNeedsNothingAgain() throws {
        let block = try Bench.block(1)
        let claim = Claim(kind: .head, point: block.header.point, unixSeconds: 1_800_000_000)
        let context = ClaimContext(try Bench.configuration(.bridge).network)
        let certificate = Certificate([try Bench.attestingKey(0).sign(claim, in: context)])
        let bench = try bridge([CertifiedHeader(header: block.header, certificate: certificate)])
        #expect(bench.node.nextReplayed == 2 && bench.node.chain.head == block.header.point)
    }
}
