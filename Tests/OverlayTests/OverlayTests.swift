import Discovery
import Primitives
import Testing
import UTP

@testable import Overlay

@Suite struct BootstrapTests {
    @Test func tenNodesFindEachOtherOnBothNetworks() throws {
        let world = try OverlayWorld(10, seed: 1)
        world.bootstrap()
        #expect(world.run(.seconds(60)) { $0.isMeshed() && $0.isMeshed(.chain) })
        #expect(world.largest <= 1_280)
    }

    @Test func tenNodesFindEachOtherDespiteLoss() throws {
        var settings = OverlayWorld.Settings()
        settings.loss = 50
        let world = try OverlayWorld(10, seed: 2, settings)
        world.bootstrap()
        #expect(world.run(.seconds(120)) { $0.isMeshed() && $0.isMeshed(.chain) })
    }

    @Test func anotherChainNeverEnters() throws {
        let world = try OverlayWorld(3, seed: 3)
        let stranger = try world.addNode(chainID: 5)
        world.bootstrap()
        world.run(.seconds(60))
        for index in 0..<3 {
            let peers = try #require(world.nodes[index]).peers(network: .state)
            #expect(peers.map(\.id).sorted() == (0..<3).filter { $0 != index }.map { world.id($0) }.sorted())
        }
        #expect(world.nodes[stranger]?.peers(network: .state).isEmpty == true)
        for index in world.heard.indices {
            for case .peerUpdated(_, let info) in world.heard[index] { #expect(info.record.portal?.chainID == 1) }
        }
        // It is not served either.
        let refused = world.find(stranger, from: 0, key: [1])
        #expect(refused?.result == .failure(.unknownPeer))
    }

    @Test func theSameSeedTellsTheSameStory() throws {
        func story(_ seed: UInt64) throws -> UInt64 {
            var settings = OverlayWorld.Settings()
            settings.loss = 20
            let world = try OverlayWorld(6, seed: seed, settings)
            world.logs = true
            world.serves = { _, key in .content([UInt8](repeating: key[0], count: 40_000)) }
            world.bootstrap()
            world.run(.seconds(10))
            _ = world.find(1, from: 2, key: [7])
            world.run(.seconds(10))
            return world.log
        }
        let (first, second, other) = (try story(4), try story(4), try story(5))
        print("log digests: \(first) \(second) \(other)")
        #expect(first == second)
        #expect(first != other)
    }

    @Test func aRestartedPeerIsMetAgain() throws {
        let world = try #require(try OverlayWorld.meshed(4, seed: 6))
        world.serves = { _, _ in .content([0, 42]) }
        try world.start(2)
        #expect(world.nodes[2]?.peers(network: .state).isEmpty == true)
        let first = try #require(world.record(0))
        world.with(2) { $0.addBootNodes([first], at: $1) }
        #expect(world.run(.seconds(30)) { $0.isMeshed() })
        #expect(world.find(1, from: 2, key: [1])?.result == .success(.content([0, 42])))
        // Its new record reaches the others.
        world.run(.seconds(20))
        #expect(world.nodes[1]?.peer(world.id(2), network: .state)?.record.sequence == 2)
    }

    @Test(arguments: 7..<23)
    func aDeadPeerIsLostOnceAndComesBack(_ seed: UInt64) throws {
        let world = try #require(try OverlayWorld.meshed(3, seed: seed))
        world.stop(2)
        #expect(
            world.run(.seconds(60)) { world in
                (0..<2).allSatisfy { world.nodes[$0]?.peers(network: .state).count == 1 }
            })
        let lost = world.heard[0].filter {
            if case .peerLost(.state, let id) = $0 { id == world.id(2) } else { false }
        }
        #expect(lost.count == 1)
        try world.start(2)
        // Nobody tells it of anyone: the others visit it again.
        #expect(world.run(.seconds(120)) { $0.isMeshed() })
    }
}

@Suite struct PingTests {
    @Test func payloadsAreDeliveredBothWaysAfterTypeZero() throws {
        let world = try OverlayWorld(3, seed: 20)
        for index in 0..<3 {
            world.with(index) { node, now in
                node.setLocal(
                    network: .state, radius: UInt256(UInt64(index)), extensionPayload: [UInt8(index), 1], at: now)
            }
        }
        world.bootstrap()
        #expect(world.run(.seconds(20)) { $0.isMeshed() })
        world.run(.seconds(1))
        for index in 0..<3 {
            for peer in 0..<3 where peer != index {
                let info = try #require(world.nodes[index]?.peer(world.id(peer), network: .state))
                #expect(info.radius == UInt256(UInt64(peer)))
                #expect(info.capabilities == [0, 1, 10_101, 65_535])
                #expect(info.clientInfo == Array("test/\(peer)".utf8))
                #expect(info.lastExtension?.type == 10_101)
                #expect(info.lastExtension?.payload == [UInt8(peer), 1])
                let trip = try #require(info.standing.roundTrip)
                // Two ways of 2…4 ms; a session that just came to stand may have held the PING back.
                #expect(trip >= .milliseconds(4) && trip <= .milliseconds(16))
            }
        }
        // The chain network has nothing to say yet, so nobody speaks its extension.
        #expect(world.nodes[0]?.peer(world.id(1), network: .chain)?.lastExtension == nil)
    }

    @Test func aChangedPayloadIsToldOnceInFiveSeconds() throws {
        var settings = OverlayWorld.Settings()
        settings.pingInterval = .seconds(1_000)
        let world = try #require(try OverlayWorld.meshed(2, seed: 21, settings))
        let peer = world.id(1)
        world.with(0) { _ = $0.keep(network: .state, peer: peer, at: $1) }
        world.run(.seconds(10))
        let before = world.now
        for step in 1...20 {
            world.with(0) { node, now in
                node.setLocal(network: .state, radius: .zero, extensionPayload: [UInt8(step)], at: now)
            }
            world.run(.milliseconds(500))
        }
        world.run(.seconds(6))
        let told = world.heard[1].compactMap { directive -> (UInt8, Instant)? in
            guard case .peerUpdated(.state, let info) = directive, let said = info.lastExtension else { return nil }
            return (said.payload[0], said.receivedAt)
        }
        #expect(told.first?.0 == 1)
        #expect(told.last?.0 == 20)
        #expect(told.count <= 4)
        for (a, b) in zip(told, told.dropFirst()) { #expect(b.1 - a.1 >= .milliseconds(4_990)) }
        #expect(told.first.map { $0.1 - before <= .seconds(1) } == true)
    }

    @Test func aPayloadThatDoesNotFitIsRefused() throws {
        let world = try OverlayWorld(1, seed: 22)
        let tooLong = [UInt8](repeating: 0, count: OverlayLimits.extensionPayloadBytes + 1)
        let unknown = NetworkID(value: 0x500a)
        let answers = world.with(0) { node, now in
            [
                node.setLocal(network: .state, radius: .zero, extensionPayload: tooLong, at: now),
                node.setLocal(network: unknown, radius: .zero, extensionPayload: nil, at: now),
                node.setLocal(network: .state, radius: .zero, extensionPayload: Array(tooLong.dropLast()), at: now),
            ]
        }
        #expect(answers == [false, false, true])
    }
}

@Suite struct LookupTests {
    @Test func findsTheNearestNodes() throws {
        let world = try #require(try OverlayWorld.meshed(10, seed: 30))
        let target = Bytes32(5 << 60, 1, 2, 3)
        let lookup = try #require(world.with(3) { $0.lookup(network: .state, target: target, at: $1) })
        world.run(.seconds(10))
        var found: [Bytes32]?
        for case .lookupFinished(lookup, let result) in world.heard[3] { found = result.nodes.map(\.record.id) }
        let expected = (0..<10).filter { $0 != 3 }.map { world.id($0) }.sorted { ($0 ^ target) < ($1 ^ target) }
        #expect(found == expected)
    }

    @Test func anUnknownNetworkFindsNobody() throws {
        let world = try OverlayWorld(1, seed: 31)
        let lookup = try #require(
            world.with(0) { $0.lookup(network: NetworkID(value: 1), target: .zero, at: $1) })
        guard case .lookupFinished(lookup, let result) = try #require(world.heard[0].last) else {
            Issue.record("no lookupFinished")
            return
        }
        #expect(result.nodes.isEmpty && result.queries == 0)
    }

    @Test func asksForDistancesAroundTheTarget() {
        let lookup = NetworkLookup(network: 0, target: .zero, isReported: true)
        #expect(lookup.distances(from: .max) == [256, 255, 254, 253, 252, 251, 250, 249])
        #expect(lookup.distances(from: Bytes32(0, 0, 0, 1 << 9)) == [10, 9, 11, 8, 12, 7, 13, 6])
        #expect(lookup.distances(from: .zero) == [1, 2, 3, 4, 5, 6, 7, 8])
    }
}
