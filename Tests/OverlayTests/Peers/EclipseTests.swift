import Discovery
import Primitives
import Testing

@testable import Overlay

/// Those nearest to a position are hostile, and say so of each other only. A wide lookup goes past them.
@Suite("Eclipse of a position") struct EclipseTests {
    private static let target = Bytes32(0x5a00_0000_0000_0000, 0, 0, 0)
    private static let honest = 24

    /// Honest nodes that know each other.
    private func world(seed: UInt64) throws -> OverlayWorld {
        print("seed \(seed)")
        let world = try OverlayWorld(EclipseTests.honest, seed: seed)
        world.bootstrap()
        try #require(world.run(.seconds(120)) { $0.isMeshed() })
        return world
    }

    /// Makes every honest node acquainted with the liars, as far as its table has room for them.
    private func introduce(_ liars: [Liar], in world: OverlayWorld) {
        let records = liars.map(\.discovery.localRecord)
        for index in 0..<EclipseTests.honest { world.with(index) { $0.addBootNodes(records, at: $1) } }
        world.run(.seconds(20))
        let known = (0..<EclipseTests.honest).map { index in
            records.count { world.nodes[index]?.peer($0.id, network: .state) != nil }
        }
        print("liars known to honest nodes: \(known)")
    }

    /// The honest nodes nearest to the target, nearest first.
    private func nearest(_ count: Int, in world: OverlayWorld) -> [Bytes32] {
        let ids = (0..<EclipseTests.honest).map { world.id($0) }
        return Array(ids.sorted { ($0 ^ EclipseTests.target) < ($1 ^ EclipseTests.target) }.prefix(count))
    }

    /// A newcomer that knows one node looks for the target, and says what it found.
    private func lookup(
        in world: OverlayWorld, by asker: Int, knowing boot: Int, width: Int
    ) throws -> (result: LookupResult, took: Interval) {
        let record = try #require(world.record(boot))
        world.with(asker) { $0.addBootNodes([record], at: $1) }
        try #require(world.run(.seconds(20)) { $0.nodes[asker].map { $0.peerCount(network: .state).all > 0 } ?? false })
        let start = world.now
        let id = try #require(
            world.with(asker) { $0.lookup(network: .state, target: EclipseTests.target, width: width, at: $1) })
        try #require(world.run(.seconds(120)) { $0.found(asker, id) != nil })
        return (try #require(world.found(asker, id)), world.now - start)
    }

    /// How many of the honest nodes are found depends on which ones each answer had room for: hence several seeds, and
    /// a bar that all of them pass.
    @Test(arguments: [301, 302, 303, 305, 306] as [UInt64])
    func aCliqueOfTheNearestIsLeftBehind(_ seed: UInt64) throws {
        let world = try world(seed: seed)
        var liars: [Liar] = []
        for _ in 0..<16 { liars.append(try world.addLiar(key: world.key(near: EclipseTests.target, bits: 9)).liar) }
        let cliqueIDs = Set(liars.map(\.discovery.localRecord.id))
        let farthest = try #require(cliqueIDs.map { $0 ^ EclipseTests.target }.max())
        let first = try #require(nearest(1, in: world).first)
        try #require(farthest < first ^ EclipseTests.target, "all of them are nearer than any honest node")
        let records = liars.map(\.discovery.localRecord)
        for liar in liars { liar.name(records) }
        introduce(liars, in: world)
        for (width, boot) in [(48, 5), (3, 7)] {
            let asker = try world.addNode(chainID: 1)
            let (result, took) = try lookup(in: world, by: asker, knowing: boot, width: width)
            let found = result.nodes.map(\.record.id)
            let answered = Set(result.nodes.filter(\.hasAnswered).map(\.record.id))
            let near = nearest(8, in: world)
            print(
                "width \(width): \(result.queries) queries, \(result.failures) failed, \(took.seconds) s;",
                "of the 16 liars \(found.count { cliqueIDs.contains($0) }) found, of 24 honest nodes",
                "\(found.count { !cliqueIDs.contains($0) }); of the 8 nearest honest",
                "\(near.count { found.contains($0) }) found and \(near.count { answered.contains($0) }) asked")
            #expect(result.queries <= OverlayLimits.lookupQueries)
            guard width == 48 else { continue }
            #expect(near.count { found.contains($0) } >= 6, "they follow the liars")
            #expect(near.count { answered.contains($0) } >= 6, "and were asked themselves")
        }
        let asked = liars.count { $0.asked.contains { if case .findNodes = $0 { true } else { false } } }
        #expect(asked > 0, "the clique was met")
    }

    /// Whoever invents nodes nearer than any other costs queries that nobody answers, and no more.
    @Test func inventedNodesAreBounded() throws {
        let world = try world(seed: 302)
        let (_, liar) = try world.addLiar(key: world.key(near: EclipseTests.target, bits: 7))
        // Records of nodes that are not there, all nearer to the target: never the same twice.
        var invented = try (0..<48).map { number in
            var fields = NodeRecordFields(sequence: 1)
            fields.set(endpoint: OverlayWorld.endpoint(20_000 + number))
            fields.set(portal: NodeRecord.PortalEntry(lowestVersion: 2, highestVersion: 2, chainID: 1))
            return try fields.signed(by: world.key(near: EclipseTests.target, bits: 9))
        }
        let inventedIDs = Set(invented.map(\.id))
        let own = liar.discovery.localRecord.id
        var told = 0
        liar.reply = { message in
            guard case .findNodes(let distances) = message else { return nil }
            let fitting = invented.filter { distances.contains(UInt16(RingDistance.logarithmic($0.id, own))) }
            let answer = fitting.prefix(PortalMessage.fitting(fitting.map(\.encoded), bytes: 1_169, count: 32))
            let gone = Set(answer.map(\.id))
            invented.removeAll { gone.contains($0.id) }
            told += answer.count
            return .bytes(LiarTests.bytes(.nodes(total: 1, records: answer.map(\.encoded))))
        }
        introduce([liar], in: world)
        for round in 0..<3 {
            let asker = try world.addNode(chainID: 1)
            let before = told
            let (result, took) = try lookup(in: world, by: asker, knowing: 3 + round, width: 48)
            let found = result.nodes.map(\.record.id)
            let near = nearest(8, in: world)
            let load = try #require(world.nodes[asker]).load
            print(
                "round \(round): \(told - before) told, \(result.queries) queries, \(result.failures) failed,",
                "\(took.seconds) s, candidates \(result.nodes.count + result.failures); load \(load)")
            #expect(result.queries <= OverlayLimits.lookupQueries)
            #expect(result.nodes.count + result.failures <= OverlayLimits.lookupCandidates)
            #expect(load.candidates <= OverlayLimits.candidates && load.revisits <= OverlayLimits.revisits)
            #expect(!found.contains { inventedIDs.contains($0) }, "who did not answer was not found")
            #expect(found.first { $0 != own } == near.first)
            #expect(near.allSatisfy { found.contains($0) })
        }
        #expect(told > 0)
    }
}

extension Liar {
    /// Names these nodes to whoever asks for the distances they stand at, as many as fit, and no others.
    fileprivate func name(_ records: [NodeRecord]) {
        let own = discovery.localRecord.id
        reply = { message in
            guard case .findNodes(let distances) = message else { return nil }
            let fitting = records.filter {
                $0.id != own && distances.contains(UInt16(RingDistance.logarithmic($0.id, own)))
            }.map(\.encoded)
            let count = PortalMessage.fitting(fitting, bytes: 1_169, count: 32)
            return .bytes(LiarTests.bytes(.nodes(total: 1, records: Array(fitting.prefix(count)))))
        }
    }
}

extension OverlayWorld {
    /// The end of a lookup of node `index`.
    fileprivate func found(_ index: Int, _ lookup: Overlay.LookupID) -> LookupResult? {
        for case .lookupFinished(lookup, let result) in heard[index] { return result }
        return nil
    }
}
