import Discovery
import Primitives
import Testing

@testable import Overlay

/// On the Portal wire, too, nobody outside sends us to addresses inside, or learns of them.
@Suite struct ScopeTests {
    private let outside = Endpoint(ipv4: (93, 184, 1, 1), port: 9_009)
    private let inside = Endpoint(ipv4: (192, 168, 1, 1), port: 9_009)
    private let here = Endpoint.loopback(port: 9_009)

    private func record(_ number: UInt64, at endpoint: Endpoint) throws -> NodeRecord {
        let key = try #require(IdentityKey(bytes: Bytes32(0, 0, 1, number).bytes))
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: endpoint)
        fields.set(portal: NodeRecord.PortalEntry(lowestVersion: 2, highestVersion: 2, chainID: 1))
        return try fields.signed(by: key)
    }

    /// One record of each place, the outermost first.
    private func records() throws -> [NodeRecord] {
        try [outside, inside, here].enumerated().map { try record(UInt64($0) + 1, at: $1) }
    }

    @Test func addressesInsideAreNeitherTakenFromOutsideNorToldThere() throws {
        let world = try OverlayWorld(1, seed: 260)
        var overlay = try #require(world.nodes[0])
        let records = try records()
        for (count, place) in [(1, outside), (2, inside), (3, here)] {
            let peer = NodeAddress(id: Bytes32(9, 9, 9, 9), endpoint: place)
            let taken = try overlay.wire.read(records.map(\.encoded), from: peer, distances: nil)
            #expect(taken == Array(records[..<count]), "from \(place)")
            #expect(overlay.wire.told(records, to: peer) == records[..<count].map(\.encoded), "to \(place)")
        }
        let own = NodeAddress(id: records[0].id, endpoint: outside)
        #expect(overlay.wire.told(records, to: own).isEmpty, "nobody is told of himself")
    }

    /// However often it is named from outside, nothing goes to an address inside.
    @Test func whatIsNamedFromOutsideBringsNothingInside() throws {
        let world = try OverlayWorld(1, seed: 261)
        var overlay = try #require(world.nodes[0])
        let teller = NodeAddress(id: Bytes32(9, 9, 9, 9), endpoint: outside)
        for (number, place) in [outside, inside, here].enumerated() {
            let named = try record(UInt64(number) + 1, at: place)
            for _ in 0..<10 { _ = try overlay.wire.read([named.encoded], from: teller, distances: nil) }
            let now = Instant(microseconds: 1_000)
            _ = overlay.wire.discovery.talk(
                to: named, isHearsay: true, protocol: NetworkID.state.bytes, request: [1], at: now)
            var packets = 0
            var refusals = 0
            for directive in overlay.wire.discovery.drain() {
                switch directive {
                case .send(_, let target) where target == place: packets += 1
                case .talkAnswered(_, .failure(.unprovenAddress), _): refusals += 1
                default: break
                }
            }
            #expect(packets == (place == outside ? 1 : 0), "\(place)")
            #expect(refusals == 1 - packets, "\(place)")
        }
    }
}
