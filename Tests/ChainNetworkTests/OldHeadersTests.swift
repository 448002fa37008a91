import Chain
import ChainLab
import ChainNetwork
import Primitives
import StateStore
import Testing

/// A network of 100,000 blocks: a node of it has few headers in memory and all of them in its store.
private struct OldNetwork {
    static let blocks = 100_000
    let made: MadeChain
    let server: ChainSync
    let store: MemorySnapshot
    let last: BlockHeader

    /// Claims come with every 100th block: checking signatures is not what this is about.
    init() throws {
        made = try MadeChain(epochLength: 256)
        var (server, store) = (try ChainSync(configuration: made.configuration, seed: 1), MemorySnapshot())
        server.handle(.produced(CertifiedHeader(header: made.genesis)), at: .zero)
        var (last, final) = (made.genesis, made.genesis)
        for number in 1...OldNetwork.blocks {
            last = try MadeChain.header(parent: last, salt: 0)
            if number % 100 == 95 { final = last }
            let isSigned = number % 100 == 0
            let entry = isSigned ? made.certified(last, final: final) : CertifiedHeader(header: last)
            server.handle(.produced(entry), at: .zero)
            if isSigned { OldNetwork.keep(server.drain(), in: &store) }
        }
        self.server = server
        self.store = store
        self.last = last
    }

    static func keep(_ directives: [ChainSync.Directive], in store: inout MemorySnapshot) {
        for case .persist(let entries, let forgotten, _) in directives {
            #expect(forgotten.isEmpty)
            for entry in entries { store.apply(OldNetwork.writing(entry)) }
        }
    }

    static func writing(_ entry: CertifiedHeader) -> WriteBatch {
        HeaderRecords.writing(
            header: entry.header.rlp, at: entry.point, certificate: entry.certificate?.encoded)
    }

    /// What the node answers: from memory, or by reading its store.
    func answer(_ key: [UInt8]) -> [UInt8]? {
        guard let reading = server.reading(for: key) else { return server.serve(key) }
        return (try? reading.value(from: store)) ?? reading.refusal
    }

    /// The stored headers of these heights.
    func entries(_ heights: ClosedRange<UInt64>) throws -> [CertifiedHeader] {
        let rows = try HeaderRecords.headers(
            from: heights.lowerBound, through: heights.upperBound, limit: .max, in: store)
        return try rows.map { point, bytes in
            let certificate = try HeaderRecords.certificate(of: point.hash, in: store)
            return CertifiedHeader(
                header: try BlockHeader(rlp: bytes),
                certificate: try certificate.map { try Certificate(decoding: $0) })
        }
    }
}

@Suite struct OldHeadersTests {
    @Test func newcomersAndReturnersFindWhatTheyNeedHoweverOldTheNetworkIs() throws {
        let network = try OldNetwork()
        let (made, server) = (network.made, network.server)
        let last = UInt64(OldNetwork.blocks)
        let inMemory = server.lowest.map { last - $0 } ?? .max
        #expect(inMemory <= ChainNetworkLimits.keptHeaders + 2_048, "what is in memory is bounded")
        #expect(try ChainPingPayload(decoding: server.localPayload).lowest == 0)
        #expect(try network.store.count(.headers) == OldNetwork.blocks + 1)
        // A newcomer, who knows the checkpoint alone.
        var newcomer = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        for peer in 1...2 { newcomer.add(UInt64(peer), claim: server.localPayload) { network.answer($0) } }
        newcomer.settle()
        #expect(newcomer.client.head == network.last.point && newcomer.client.final == server.final)
        #expect(newcomer.penalised.isEmpty && newcomer.now == .zero)
        #expect(newcomer.asked.values.reduce(0, +) == OldNetwork.blocks / ChainNetworkLimits.batch + 1)
        #expect(newcomer.persisted.count == OldNetwork.blocks + 1)
        #expect(newcomer.client.anchors == server.anchors)
        // One that was away for 300 epochs, with what a start gives it of its store.
        let seen = last - 300 * 256
        let boundaries = try stride(from: 0, to: seen - 2_000, by: 256).flatMap { try network.entries($0...$0) }
        let stored = boundaries + (try network.entries((seen - 2_000)...seen))
        var returner = Cluster(
            try ChainSync(configuration: made.configuration, restoring: stored, storedFrom: 0, seed: 8))
        #expect(returner.client.head.number == seen && returner.client.storedFrom == 0)
        returner.add(1, claim: server.localPayload) { network.answer($0) }
        returner.settle()
        #expect(returner.client.head == network.last.point && returner.penalised.isEmpty)
        #expect(try ChainPingPayload(decoding: returner.client.localPayload).lowest == 0)
    }

    @Test func everyWayOfAskingIsAnsweredFromTheStoreToo() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 12_000)
        var server = try ChainSync(configuration: made.configuration, seed: 1)
        server.handle(.produced(CertifiedHeader(header: made.genesis)), at: .zero)
        var store = MemorySnapshot()
        for (index, header) in headers.enumerated() {
            let isSigned = index % 100 == 99
            let entry =
                isSigned ? made.certified(header, final: headers[index - 5]) : CertifiedHeader(header: header)
            server.handle(.produced(entry), at: .zero)
            OldNetwork.keep(server.drain(), in: &store)
        }
        let all = [made.genesis] + headers
        func ask(
            _ start: HeadersKey.Start, _ count: Int, stride: UInt16 = 1, down: Bool = false
        ) throws -> HeadersValue {
            let key = try #require(
                HeadersKey(start: start, count: count, stride: stride, direction: down ? .downward : .upward))
            let bytes = ChainContentKey.headers(key).encoded
            let reading = server.reading(for: bytes)
            return try HeadersValue(decoding: try reading?.value(from: store) ?? server.serve(bytes))
        }
        func numbers(_ value: HeadersValue) -> [UInt64] {
            guard case .headers(let entries) = value else { return [] }
            #expect(entries.allSatisfy { $0.header == all[Int($0.header.number)] })
            return entries.map(\.header.number)
        }
        #expect(numbers(try ask(.number(0), 5)) == [0, 1, 2, 3, 4])
        #expect(numbers(try ask(.number(40), 4, down: true)) == [40, 39, 38, 37])
        #expect(numbers(try ask(.number(3), 9, down: true)) == [3, 2, 1, 0])
        #expect(numbers(try ask(.number(10), 5, stride: 0)) == [10, 11, 12, 14, 18])
        #expect(numbers(try ask(.hash(headers[99].hash), 3, stride: 500)) == [100, 600, 1_100])
        // Across the lowest that is in memory.
        let lowest = try #require(server.lowest)
        #expect(lowest > 1_000)
        #expect(numbers(try ask(.number(lowest - 2), 5)) == Array((lowest - 2)...(lowest + 2)))
        #expect(numbers(try ask(.number(lowest), 2)) == [lowest, lowest + 1])
        #expect(numbers(try ask(.number(lowest + 1), 3, down: true)).first == lowest + 1)
        // What there is not is said to be not there.
        #expect(try ask(.hash(.max), 1) == .notServed(lowest: 0, highest: 12_000))
        #expect(try ask(.number(12_001), 1) == .notServed(lowest: 0, highest: 12_000))
        // Once the store has forgotten some.
        server.handle(.pruned(below: 1_000), at: .zero)
        #expect(try ask(.number(999), 1) == .notServed(lowest: 1_000, highest: 12_000))
        #expect(numbers(try ask(.number(1_001), 9, down: true)) == [1_001, 1_000])
        #expect(try ChainPingPayload(decoding: server.localPayload).lowest == 1_000)
    }

    /// Everybody has forgotten what comes after the checkpoint: that is known, and nobody is asked in vain.
    @Test func aCheckpointBelowEverybodysHeadersIsNoticed() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 300))
        let server = try made.machine(entries)
        func claim(_ lowest: UInt64) -> [UInt8] {
            ChainPingPayload(
                genesisHash: made.genesis.hash, lowest: lowest, highest: 300, headHash: entries[299].header.hash,
                certified: 300
            ).encoded
        }
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        #expect(cluster.client.gap == nil, "nobody is known yet")
        cluster.add(1, claim: claim(150)) { server.serve($0) }
        cluster.add(2, claim: claim(100)) { server.serve($0) }
        cluster.settle(limit: .seconds(60))
        let gap = try #require(cluster.client.gap)
        #expect(gap.wanted == 1 && gap.lowest == 100 && cluster.asked.isEmpty)
        cluster.add(3, claim: claim(1)) { server.serve($0) }
        cluster.settle()
        #expect(cluster.client.gap == nil && cluster.client.head == entries[299].point)
    }
}
