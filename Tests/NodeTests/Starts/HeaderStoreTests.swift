import Chain
import Primitives
import StateStore
import Testing

@testable import Node
@testable import StateNetwork

/// A store with many headers.
private struct LongStore {
    static let blocks: UInt64 = 12_000
    static let epochLength: UInt64 = 64
    let configuration: NodeConfiguration
    private(set) var store = MemorySnapshot()
    let head: StatePoint

    /// Every header up to `blocks`, the last with claims that make the one two below it final.
    init(keeping kept: UInt64? = nil) throws {
        func header(on parent: BlockHeader?) throws -> BlockHeader {
            try BlockHeader(
                BlockHeader.Fields(
                    parentHash: parent?.hash ?? .zero, stateRoot: Bytes32(1, 2, 3, 4),
                    number: parent.map { $0.number + 1 } ?? 0, timestamp: 1_000))
        }
        let genesis = try header(on: nil)
        let key = try Bench.attestingKey(0)
        let network = try NetworkConfiguration(
            name: "long", chainID: 7, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: LongStore.epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: [key.publicKey], threshold: 1, maxAgeSeconds: 3_600))
        var configuration = try Bench.configuration(.holder)
        configuration.network = network
        configuration.keptHeaders = kept
        self.configuration = configuration
        var last = [genesis]
        store.apply(HeaderRecords.writing(CertifiedHeader(header: genesis)))
        for _ in 1..<LongStore.blocks {
            last = last.suffix(1) + [try header(on: last.last)]
            store.apply(HeaderRecords.writing(CertifiedHeader(header: last[last.count - 1])))
        }
        let final = try #require(last.first)
        let top = try header(on: last.last)
        let claims = [(Claim.Kind.head, top), (.final, final)].map { kind, header in
            key.sign(
                Claim(kind: kind, point: header.point, unixSeconds: 1_800_000_000), in: ClaimContext(network))
        }
        store.apply(HeaderRecords.writing(CertifiedHeader(header: top, certificate: Certificate(claims))))
        head = top.point
    }

    func node() throws -> CarouselNode {
        try CarouselNode(
            configuration: configuration, stored: try StoredState.load(from: store, network: configuration.network),
            entropy: Entropy(seed: Bytes32(0, 0, 0, 9)), at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
    }

    /// Lets a node do all that it wants to be done with the store.
    mutating func settle(_ node: inout CarouselNode) {
        let moment = Moment(instant: .zero, unixSeconds: 1_800_000_000)
        var left = node.drain()[...]
        while let next = left.popFirst() {
            switch next {
            case .run(let id, let job): node.handle(.jobFinished(id, job.run(on: store)), at: moment)
            case .commit(let id, let batch):
                store.apply(batch)
                node.handle(.committed(id), at: moment)
            case .send, .report: continue
            }
            left += node.drain()
        }
    }

    var numbers: [UInt64] {
        get throws {
            try HeaderRecords.headers(from: 0, through: .max, limit: .max, in: store).map(\.point.number)
        }
    }
}

@Suite("Stored headers") struct HeaderStoreTests {
    @Test func aStartReadsNoMoreThanItNeeds() throws {
        let long = try LongStore()
        let stored = try StoredState.load(from: long.store, network: long.configuration.network)
        let newest = stored.headers.filter { $0.header.number >= LongStore.blocks - UInt64(ChainLimits.heldHeaders) }
        #expect(newest.count == ChainLimits.heldHeaders + 1)
        let boundaries = stored.headers.dropLast(newest.count)
        #expect(boundaries.allSatisfy { $0.header.number.isMultiple(of: LongStore.epochLength) })
        #expect(boundaries.count == Int((LongStore.blocks - UInt64(ChainLimits.heldHeaders) - 1) / 64) + 1)
        #expect(stored.lowestHeader == 0)
        let node = try long.node()
        #expect(node.chain.head == long.head && node.chain.final.number == long.head.number - 2)
        #expect(node.chain.anchors.count == Int(LongStore.blocks / 64) + 1, "all of them, from genesis on")
        #expect(node.chain.storedFrom == 0)
    }

    /// Headers of blocks that are still to be applied stay, however few are to be kept.
    @Test func whoGoesBlockByBlockKeepsTheHeadersItNeeds() throws {
        let node = try LongStore(keeping: 9_000).node()
        let store = HeaderStore(kept: 9_000, epochLength: LongStore.epochLength)
        #expect(store.toPrune(node.chain, needed: nil)?.upTo == LongStore.blocks - 2 - 9_000)
        #expect(store.toPrune(node.chain, needed: 700)?.upTo == 700)
        #expect(store.toPrune(node.chain, needed: 1) == nil)
    }

    @Test func oldHeadersAreForgottenInStepsAndOnlyWhereThatIsAsked() throws {
        var whole = try LongStore()
        var keeper = try whole.node()
        whole.settle(&keeper)
        #expect(try whole.numbers.count == Int(LongStore.blocks) + 1)

        var long = try LongStore(keeping: 9_000)
        var node = try long.node()
        long.settle(&node)
        let lowest = LongStore.blocks - 2 - 9_000
        #expect(node.chain.storedFrom == lowest)
        let expected = stride(from: 0, to: lowest, by: 64) + Array(lowest...LongStore.blocks)
        #expect(try long.numbers == expected)
        #expect(try long.store.count(.headerNumbers) == expected.count)
        #expect(try long.store.count(.certificates) == 1)
        // The next start finds the same, and all anchors.
        let again = try long.node()
        #expect(again.chain.storedFrom == lowest && again.chain.head == long.head)
        #expect(again.chain.anchors == keeper.chain.anchors)
    }

    /// Killed between any two of the steps, it goes on.
    @Test func aKillBetweenTheStepsLosesNothing() throws {
        var long = try LongStore(keeping: 8_192)
        let network = long.configuration.network
        var end = 0
        for step in [100, 1_000, 5_000] {
            let pruning = try HeaderRecords.pruning(
                from: UInt64(end), upTo: 3_000, epochLength: network.epochLength, limit: step, in: long.store)
            // Boundaries below were kept, and count as steps again only above the mark.
            #expect(pruning.lowest > UInt64(end) && pruning.lowest <= 3_000)
            end = Int(pruning.lowest)
            var changed = long
            changed.apply(pruning.batch)
            #expect(try HeaderRecords.lowest(in: changed.store) == pruning.lowest)
            #expect(try changed.node().chain.head == long.head)
            long = changed
        }
        #expect(end == 3_000)
    }
}

extension LongStore {
    mutating func apply(_ batch: WriteBatch) { store.apply(batch) }
}
