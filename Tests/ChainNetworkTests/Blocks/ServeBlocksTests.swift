import Chain
import ChainNetwork
import Primitives
import StateStore
import Testing

/// What a node gives of the blocks it keeps.
@Suite struct ServeBlocksTests {
    private func ask(_ key: BlocksKey, _ server: ChainSync, _ store: MemorySnapshot) throws -> BlocksValue {
        let reading = try #require(server.reading(for: ChainContentKey.blocks(key).encoded))
        return try BlocksValue(decoding: try reading.value(from: store))
    }

    private func numbers(_ value: BlocksValue) throws -> [UInt64] {
        guard case .blocks(let blocks) = value else { return [] }
        return try blocks.map { try BlockHeader(rlp: $0.header).number }
    }

    @Test func runsAndSingleBlocks() throws {
        let lab = try BlockLab(blocks: 40)
        let (server, store) = (try lab.machine(), lab.store(5...38))
        func run(_ start: Int, _ count: Int, _ direction: HeadersKey.Direction = .upward) throws -> [UInt64] {
            let run = try #require(
                BlockRun(start: lab.headers[start - 1].hash, count: count, direction: direction))
            return try numbers(try ask(.run(run), server, store))
        }
        #expect(try run(7, 3) == [7, 8, 9])
        #expect(try run(37, 9) == [37, 38], "it stops where a block is not kept")
        #expect(try run(7, 9, .downward) == [7, 6, 5])
        #expect(try run(4, 9) == [])
        // Of those named the ones that are here, in the order asked for.
        let named = try #require(BlocksKey(of: [38, 4, 6, 5].map { lab.headers[$0 - 1].hash } + [.max]))
        #expect(try numbers(try ask(named, server, store)) == [38, 6, 5])
        let missing = try #require(BlocksKey(of: [.max]))
        #expect(try ask(missing, server, store) == .notServed(lowest: 5, highest: 38))
        #expect(try ask(missing, server, MemorySnapshot()) == .notServed(lowest: 1, highest: 0))
        let reading = try #require(server.reading(for: ChainContentKey.blocks(missing).encoded))
        #expect(try BlocksValue(decoding: reading.refusal) == .busy(seconds: 1))
        #expect(try BlocksValue(decoding: server.serve(ChainContentKey.blocks(missing).encoded)) == .busy(seconds: 1))
    }

    /// A block that is stored and that nothing vouches for is given to nobody.
    @Test func nothingIsServedThatIsNotAttested() throws {
        let lab = try BlockLab(blocks: 10)
        var server = try ChainSync(configuration: lab.configuration, seed: 1)
        server.handle(.produced(CertifiedHeader(header: lab.genesis)), at: .zero)
        let (head, final) = (lab.headers[5], lab.headers[3])
        for header in lab.headers.prefix(5) { server.handle(.produced(CertifiedHeader(header: header)), at: .zero) }
        server.handle(.produced(lab.certified(head, final: final)), at: .zero)
        for header in lab.headers.dropFirst(6) { server.handle(.produced(CertifiedHeader(header: header)), at: .zero) }
        #expect(server.head == head.point && server.final == final.point)
        let store = lab.store(1...10)
        let all = try #require(BlockRun(start: lab.headers[0].hash, count: 10))
        #expect(try numbers(try ask(.run(all), server, store)) == [1, 2, 3, 4, 5, 6])
        let named = try #require(BlocksKey(of: lab.headers.map(\.hash)))
        #expect(try numbers(try ask(named, server, store)) == [1, 2, 3, 4, 5, 6])
    }

    /// Of headers that memory has no more, those in the store are as good.
    @Test func oldBlocksAreFoundByTheStore() throws {
        let lab = try BlockLab(blocks: 30)
        let entries = try lab.entries()
        let server = try ChainSync(
            configuration: lab.configuration, restoring: Array(entries.suffix(8)), storedFrom: 0, seed: 1)
        #expect(server.lowest == 23)
        let store = lab.store(1...30)
        let up = try #require(BlockRun(start: lab.headers[1].hash, count: 40))
        #expect(try numbers(try ask(.run(up), server, store)) == Array(2...30))
        let down = try #require(BlockRun(start: lab.headers[24].hash, count: 6, direction: .downward))
        #expect(try numbers(try ask(.run(down), server, store)) == [25, 24, 23, 22, 21, 20])
    }

    /// An answer has at least one block, whatever its size; more only as far as 4 MiB go.
    @Test func answersAreCutToTheirLimit() throws {
        let lab = try BlockLab(sidecars: 4)
        var store = lab.store(1...4)
        let large = [UInt8](repeating: 1, count: ChainNetworkLimits.blockAnswerBytes / 2)
        for header in lab.headers.dropFirst() {
            store.apply(BlockRecords.writing(body: large, accessList: large, at: header.point))
        }
        let server = try lab.machine()
        func run(_ start: Int) throws -> [UInt64] {
            let run = try #require(BlockRun(start: lab.headers[start - 1].hash, count: 4))
            return try numbers(try ask(.run(run), server, store))
        }
        #expect(try run(1) == [1])
        #expect(try run(2) == [2])
        let huge = [UInt8](repeating: 1, count: ChainNetworkLimits.largestAnswerBytes)
        store.apply(BlockRecords.writing(body: huge, accessList: [], at: lab.headers[1].point))
        #expect(try run(2) == [], "what no peer could take is not sent")
    }
}
