import Discovery
import Primitives
import Testing

@testable import Overlay

/// Peers that the network above keeps, beside the routing table.
@Suite struct KeepingTests {
    /// Forty-eight nodes: more of them lie in the far half of the ring than its bucket holds. `stranger`: one of those
    /// that node 0's table has no place for.
    private func world(seed: UInt64) throws -> (world: OverlayWorld, stranger: Int) {
        let world = try OverlayWorld(48, seed: seed)
        world.bootstrap()
        world.run(.seconds(40))
        let node = try #require(world.nodes[0])
        let far = (1..<48).filter { RingDistance.logarithmic(world.id(0), world.id($0)) == 256 }
        try #require(far.count > OverlayLimits.bucketSize)
        let stranger = try #require(far.first { node.peer(world.id($0), network: .state) == nil })
        return (world, stranger)
    }

    private func updates(_ world: OverlayWorld, of id: Bytes32) -> [PeerInfo] {
        world.heard[0].compactMap {
            if case .peerUpdated(.state, let info) = $0, info.id == id { info } else { nil }
        }
    }

    private func losses(_ world: OverlayWorld, of id: Bytes32) -> Int {
        world.heard[0].count { if case .peerLost(.state, id) = $0 { true } else { false } }
    }

    @Test func whoIsKeptIsAPeerWithoutAPlaceInTheTable() throws {
        let (world, stranger) = try world(seed: 300)
        let (id, record) = (world.id(stranger), try #require(world.record(stranger)))
        world.with(stranger) { $0.setLocal(network: .state, radius: .max, extensionPayload: [7], at: $1) }
        let routed = try #require(world.nodes[0]).networks[0].table.routedCount
        world.heard[0] = []
        world.with(0) { $0.meet(network: .state, [record], at: $1) }
        world.run(.seconds(2))
        let met = world.heard[0].compactMap { directive -> PeerInfo? in
            if case .peerMet(.state, let info) = directive, info.id == id { info } else { nil }
        }
        #expect(met.last?.radius == .max, "its first PONG told its radius")
        #expect(try #require(world.nodes[0]).peer(id, network: .state) == nil)

        let isKept = try #require(world.with(0) { $0.keep(network: .state, peer: id, at: $1) } as Bool?)
        #expect(isKept)
        world.with(0) { $0.setLocal(network: .state, radius: .max, extensionPayload: [1], at: $1) }
        world.run(.seconds(7))
        #expect(updates(world, of: id).last?.lastExtension?.payload == [7], "and then what it has")
        let node = try #require(world.nodes[0])
        #expect(node.peer(id, network: .state)?.isKept == true)
        #expect(node.peerCount(network: .state).kept == 1)
        #expect(node.networks[0].table.routedCount == routed, "the routing table is Kademlia's")
        #expect(node.closest(to: id, network: .state, limit: 1).map(\.id) == [id], "lookups begin with it too")

        world.with(0) { $0.release(network: .state, peer: id, at: $1) }
        #expect(losses(world, of: id) == 1)
        #expect(try #require(world.nodes[0]).peer(id, network: .state) == nil)
    }

    @Test func aDeadKeptPeerIsLost() throws {
        let (world, stranger) = try world(seed: 301)
        let (id, record) = (world.id(stranger), try #require(world.record(stranger)))
        world.with(0) { $0.meet(network: .state, [record], at: $1) }
        world.run(.seconds(2))
        world.with(0) { _ = $0.keep(network: .state, peer: id, at: $1) }
        world.stop(stranger)
        world.run(.seconds(40))
        #expect(losses(world, of: id) == 1)
        #expect(try #require(world.nodes[0]).peerCount(network: .state).kept == 0)
    }

    /// Whoever cannot be met is lost at once or after the PING's timeout; nothing is left of it.
    @Test func whoDoesNotAnswerIsLost() throws {
        let world = try OverlayWorld(4, seed: 302)
        world.bootstrap()
        world.run(.seconds(10))
        let newcomer = try world.addNode(chainID: 1)
        let (id, record) = (world.id(newcomer), try #require(world.record(newcomer)))
        world.stop(newcomer)
        world.with(0) { $0.meet(network: .state, [record], at: $1) }
        world.run(.seconds(5))
        #expect(losses(world, of: id) == 1)
        let isKept = try #require(world.with(0) { $0.keep(network: .state, peer: id, at: $1) } as Bool?)
        #expect(!isKept, "it never answered")
        #expect(try #require(world.nodes[0]).networks[0].visits.sought.isEmpty)
    }

    /// A node that keeps us pings us; it costs us one look at it a minute, and it gets no place by it.
    @Test func whoKeepsUsIsMetOnceAMinute() throws {
        let (world, stranger) = try world(seed: 303)
        let own = try #require(world.record(0))
        let (id, ownID) = (world.id(stranger), world.id(0))
        world.with(stranger) { $0.meet(network: .state, [own], at: $1) }
        world.run(.seconds(2))
        world.with(stranger) { _ = $0.keep(network: .state, peer: ownID, at: $1) }
        world.heard[0] = []
        world.run(.seconds(180))
        let met = world.heard[0].count {
            if case .peerMet(.state, let info) = $0, info.id == id { true } else { false }
        }
        #expect((1...4).contains(met), "\(met) times in three minutes")
        #expect(updates(world, of: id).isEmpty)
    }

    /// A place in the routing table that becomes free goes to a kept peer: nobody new becomes a peer by it.
    @Test func aKeptPeerTakesAFreePlace() throws {
        var table = NetworkTable(local: .zero, limitsSubnets: false)
        let maker = NetworkTableTests()
        for index in 0..<40 {
            let peer = try maker.peer(0x80, UInt64(index))
            _ = table.insert(peer)
            let isLast = index >= OverlayLimits.bucketSize * 2
            if !isLast { continue }
            // The oldest that waited were pushed out by the newest.
            guard case .entered = table.keep(peer.id) else {
                Issue.record("\(index) was not kept")
                return
            }
        }
        #expect(table.keptCount == 8 && table.routedCount == 16 && table.count == 24)
        #expect(table.records(at: 256).count == 24)
        // Its place in the routing table is free: a kept one takes it, and nobody new becomes a peer.
        let first = table.records(at: 256)[0].id
        let (wasPeer, promoted) = table.remove(first)
        #expect(wasPeer && promoted == nil && table.routedCount == 16 && table.count == 23 && table.keptCount == 8)
    }
}

@Suite struct LookupPathTests {
    private func contacts(_ count: Int, seed: UInt64, subnet: UInt8? = nil) throws -> [Contact] {
        var entropy = Entropy(seed: Bytes32(seed, 2, 3, 4))
        return try (0..<count).map { index in
            let key = IdentityKey(from: &entropy)
            let endpoint = Endpoint(
                ipv4: (10, 0, subnet ?? UInt8(index & 255), UInt8(1 + index % 250)), port: UInt16(9_000 + index / 250))
            var fields = NodeRecordFields(sequence: 1)
            fields.set(endpoint: endpoint)
            return Contact(try fields.signed(by: key), at: endpoint)
        }
    }

    /// Three paths, one query each; what a node names stays on its path.
    @Test func aNodeLeadsNoPathButItsOwn() throws {
        var lookup = NetworkLookup(network: 0, target: .zero, isReported: true, width: 6)
        let begin = try contacts(3, seed: 1)
        lookup.begin(with: begin)
        let asked = (0..<4).map { _ in lookup.next()?.record.id }
        #expect(Set(asked.prefix(3)) == Set(begin.map(\.record.id)) && asked[3] == nil)
        // One liar names ninety of his own; the two others name each one honest node, which is asked all the same.
        let liars = try contacts(90, seed: 2)
        let honest = try contacts(2, seed: 3)
        lookup.mark(begin[0].record.id, .answered)
        lookup.add(liars, namedBy: begin[0].record.id)
        for (index, contact) in honest.enumerated() {
            lookup.mark(begin[index + 1].record.id, .answered)
            lookup.add([contact, liars[0]], namedBy: begin[index + 1].record.id)
        }
        let next = (0..<3).compactMap { _ in lookup.next()?.record.id }
        #expect(next.count == 3 && honest.allSatisfy { next.contains($0.record.id) })
        #expect(lookup.candidates.count <= OverlayLimits.lookupCandidates)
    }

    @Test func onePrefixHasAShare() throws {
        var lookup = NetworkLookup(network: 0, target: .zero, isReported: true)
        lookup.begin(with: try contacts(60, seed: 4, subnet: 9))
        #expect(lookup.candidates.count == OverlayLimits.subnetNodesPerTable)
        var free = NetworkLookup(network: 0, target: .zero, isReported: true, limitsSubnets: false)
        free.begin(with: try contacts(60, seed: 4, subnet: 9))
        #expect(free.candidates.count == 60)
    }

    @Test func avoidedNodesAreNeitherAskedNorFound() throws {
        let some = try contacts(6, seed: 5)
        let avoided = Set(some.prefix(3).map(\.record.id))
        var lookup = NetworkLookup(network: 0, target: .zero, isReported: true, avoided: avoided)
        lookup.begin(with: some)
        #expect(Set(lookup.result.nodes.map(\.record.id)) == Set(some.dropFirst(3).map(\.record.id)))
    }

    /// Silent nodes are passed by: the next nearest are asked, as long as there are queries left.
    @Test func silentNodesArePassedBy() throws {
        var lookup = NetworkLookup(network: 0, target: .zero, isReported: true, width: 3)
        let all = try contacts(40, seed: 6).sorted { $0.record.id < $1.record.id }
        lookup.begin(with: all)
        while let contact = lookup.next() {
            let isNear = all.prefix(16).contains(contact)
            lookup.mark(contact.record.id, isNear ? .failed : .answered)
        }
        let result = lookup.result
        #expect(result.failures == 16 && result.queries == 19 && result.nodes.count == 24)
        let answered = result.nodes.prefix(3).allSatisfy(\.hasAnswered)
        #expect(answered)
    }
}
