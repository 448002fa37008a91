import Discovery
import Primitives
import StateStore
import Testing

@testable import Node

/// Nodes that answered in an earlier run.
@Suite struct KnownNodeTests {
    private let now: UInt64 = 1_800_000_000

    private func known(_ count: Int, age: UInt64 = 60) throws -> [KnownNode] {
        try (0..<count).map { index in
            var entropy = Entropy(seed: Bytes32(UInt64(index), 3, 3, 3))
            var fields = NodeRecordFields(sequence: 1)
            fields.set(endpoint: Endpoint(ipv4: (20, UInt8(index), 0, 1), port: 9_009))
            let record = try fields.signed(by: IdentityKey(from: &entropy))
            return KnownNode(record: record, lastAnswer: now - age)
        }
    }

    /// Where the first datagrams of a node go that has no boot nodes.
    private func targets(_ stored: [KnownNode]) throws -> Set<Endpoint> {
        var state = StoredState()
        state.knownNodes = stored
        let moment = Moment(instant: .zero, unixSeconds: now)
        var node = try CarouselNode(
            configuration: try Bench.configuration(.holder), stored: state, entropy: Entropy(seed: Bytes32(0, 0, 0, 9)),
            at: moment)
        node.handle(.tick, at: moment)
        var found: Set<Endpoint> = []
        for case .send(_, let target) in node.drain() { found.insert(target) }
        return found
    }

    @Test func theyAreKeptWithTheirAge() throws {
        let nodes = try known(5)
        #expect(KnownNode.decode(KnownNode.encode(nodes)) == nodes)
        #expect(KnownNode.decode(KnownNode.encode([])) == [])
        var forged = KnownNode.encode(nodes)
        forged[40] ^= 1
        #expect(KnownNode.decode(forged) == nil)
        #expect(KnownNode.decode([0x80]) == nil)
    }

    @Test func aNodeComesBackByThemAlone() throws {
        let nodes = try known(5)
        #expect(try targets(nodes) == Set(nodes.compactMap(\.record.endpoint)))
        #expect(try targets([]) == [])
    }

    @Test func thoseTooOldAreNotTried() throws {
        let old = try known(3, age: 5 * 86_400 + 1)
        #expect(try targets(old) == [])
        let keeper = KnownNodeKeeper(old, at: .zero)
        #expect(keeper.merged([], unixSeconds: now) == [])
        // A clock set back does not make them old.
        #expect(keeper.merged([], unixSeconds: now - 10 * 86_400) == old)
    }

    @Test func thoseWhoAnswerNowComeFirstAndTheOthersStay() throws {
        let nodes = try known(200)
        let keeper = KnownNodeKeeper(Array(nodes.prefix(150)), at: .zero)
        let met = nodes.suffix(60).map { KnownNode(record: $0.record, lastAnswer: now) }
        let merged = keeper.merged(met, unixSeconds: now)
        #expect(merged.count == 128)
        #expect(Array(merged.prefix(60)) == met)
        #expect(merged.dropFirst(60).map(\.record.id) == nodes.prefix(68).map(\.record.id))
    }
}
