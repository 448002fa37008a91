import Discovery
import Primitives
import Testing

@testable import Overlay

@Suite struct ClosestRecordsTests {
    /// All slots in use, and no way to say so: the asker is sent to the nodes nearest to the key's hash.
    @Test func whoHasNoRoomNamesTheNearest() throws {
        var settings = OverlayWorld.Settings()
        settings.networks = [.init(id: .state)]
        let world = try OverlayWorld(12, seed: 240, settings)
        world.bootstrap()
        try #require(world.run(.seconds(60)) { $0.isMeshed() })
        world.serves = { _, _ in nil }
        let (holder, target) = (world.id(0), Bytes32(1, 2, 3, 4))
        for key in 0..<UInt8(OverlayLimits.servedContentsPerPeer) {
            world.with(1) {
                _ = $0.findContent(
                    network: .state, peer: holder, key: [key], limit: 1, timeout: .seconds(5), at: $1)
            }
        }
        world.run(.milliseconds(100))
        let answer = try #require(world.find(1, from: 0, key: [99], timeout: .seconds(2)))
        guard case .success(.records(let records)) = answer.result else {
            Issue.record("\(answer.result)")
            return
        }
        let near = SHA256.hash([99])
        let expected = (2..<12).map { world.id($0) }.sorted { ($0 ^ near) < ($1 ^ near) }
        #expect(!records.isEmpty && records.map(\.id) == Array(expected.prefix(records.count)))
        #expect(world.nodes[0]?.statistics.requestsRefused == 1)
        let others = try #require(world.nodes[0]).closestRecords(to: target, network: .state, besides: world.id(1))
        #expect(others.count == 10 && !others.contains { $0.id == world.id(1) })
        world.run(.seconds(30))
    }

    @Test func aPeersRadiusIsWhatItLastTold() throws {
        let world = try #require(try OverlayWorld.meshed(4, seed: 241))
        let position = world.id(1)
        for index in 1..<4 {
            let radius = index == 3 ? UInt256.zero : .max
            world.with(index) { $0.setLocal(network: .state, radius: radius, extensionPayload: nil, at: $1) }
        }
        world.run(.seconds(20))
        func covering() throws -> Set<Bytes32> {
            let peers = try #require(world.nodes[0]).peers(network: .state)
            return Set(peers.filter { ($0.id ^ position) <= $0.radius.big }.map(\.id))
        }
        #expect(try covering() == [world.id(1), world.id(2)], "without who covers only itself")
        let narrow = world.id(3)
        world.with(0) { node, _ in node.noteRadius(.max, network: .state, peer: narrow) }
        #expect(try covering().count == 3)
    }

    /// Another version of the wire, or another chain: known to discovery, in no table, and answered by nothing.
    @Test func anotherVersionNeverEntersATable() throws {
        let world = try OverlayWorld(2, seed: 242)
        let (index, liar) = try world.addLiar(versions: 3...4)
        let record = try #require(world.record(0))
        world.with(0) { $0.addBootNodes([liar.discovery.localRecord], at: $1) }
        liar.ask(record, (try? PortalMessage.findContent(key: [1]).encoded()) ?? [], at: world.now)
        world.run(.seconds(30))
        #expect(world.nodes[0]?.peer(world.id(index), network: .state) == nil)
        #expect(liar.answers == [.success([])])
        #expect(world.nodes[0]?.statistics.strangersRefused ?? 0 > 0)
        #expect(liar.asked.isEmpty, "it is not even pinged")
    }
}
