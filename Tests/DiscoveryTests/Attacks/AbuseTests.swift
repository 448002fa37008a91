import Primitives
import Testing

@testable import Discovery

/// Packets nobody should send: no trap, no growth, no amplification.
@Suite struct AbuseTests {
    let now = Instant(microseconds: 1_000)

    private func node(_ configuration: Discovery.Configuration = DiscoveryWorld.configuration) throws -> Discovery {
        var world = DiscoveryWorld(seed: 1)
        try world.add(1, at: .loopback(port: 9_000), configuration: configuration)
        return world.nodes[0]
    }

    /// A handshake that fails is answered with nothing, however long.
    @Test func failedHandshakesGetNothing() throws {
        var node = try node()
        let place = Endpoint.loopback(port: 1)
        for extra in stride(from: 0, to: 800, by: 7) {
            var peer = try HandPeer(50, at: place, against: node)
            let challenge = try node.first(peer.stranger(), from: place, at: now)
            let packet = try peer.handshake(
                challenge, [1],
                tamper: {
                    $0[50] ^= 1
                    $0 += [UInt8](repeating: 7, count: extra)
                })
            #expect(node.exchange(packet, from: place, at: now) == [])
        }
        #expect(node.sessionCount == 0)
    }

    @Test func floodFromInventedNodesAndAddressesStaysBounded() throws {
        var configuration = DiscoveryWorld.configuration
        configuration.challengeLimit = 64
        configuration.rateLimitedAddresses = 32
        var node = try node(configuration)
        var generator = SeededGenerator(seed: 9)
        let id = node.key.nodeID
        var mask = MaskCipher(to: id)
        for _ in 0..<20_000 {
            let source = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
            let bits = generator.next()
            let packet = PacketWriter.plain(
                iv: Random16(high: generator.next(), low: bits), flag: .ordinary,
                nonce: Nonce(counter: 1, tail: generator.next()), authSize: 32,
                tail: [UInt8](repeating: 3, count: 30), mask: &mask
            ) { source.store(to: $0) }.packet
            let place = Endpoint(
                ipv4: (11, UInt8(bits & 255), UInt8(bits >> 8 & 255), UInt8(bits >> 16 & 255)), port: 30)
            node.receive(packet, from: place, at: now)
            _ = node.drain()
        }
        #expect(node.requests.sessions.challenges.count <= 64)
        #expect(node.requests.sessions.limiter.count <= 64)
        #expect(node.sessionCount == 0 && node.hasNothingUnderWay && node.requests.tails.isEmpty)
        #expect(node.tableCount == 0 && node.requests.deadlineCount == 0)
    }

    @Test func strangersOfOneAddressAreHeldToARate() throws {
        var node = try node()
        let place = Endpoint(ipv4: (8, 8, 8, 8), port: 30)
        var answered = 0
        for seed in 0..<500 {
            var peer = try HandPeer(1_000 + UInt64(seed), at: place, against: node)
            answered += node.exchange(peer.stranger(), from: place, at: now).count
        }
        #expect(answered == node.configuration.strangerBurst)
        var late = try HandPeer(9, at: place, against: node)
        #expect(node.exchange(late.stranger(), from: place, at: now + .seconds(1)).count == 1)
    }

    @Test func garbageOfEverySizeIsDropped() throws {
        var node = try node()
        var entropy = DiscoveryWorld.entropy(5)
        for size in 0...1_400 {
            node.receive(entropy.bytes(size), from: .loopback(port: 1), at: now)
        }
        #expect(node.drain().isEmpty)
    }

    /// Valid packets of each kind, broken in every way: header fields under the mask, message bytes, lengths.
    @Test(arguments: 0..<4)
    func mutatedPacketsNeverTrap(_ seed: Int) throws {
        let place = Endpoint.loopback(port: 4_000)
        var generator = SeededGenerator(seed: UInt64(seed))
        var node = try node()
        var peer = try HandPeer(50, at: place, against: node)
        let challenge = try node.first(peer.stranger(), from: place, at: now)
        let messages: [Message] = [
            .ping(RequestID(own: 1), sequence: 1), .findNode(RequestID(own: 2), distances: [1, 2, 256]),
            .talkRequest(RequestID(own: 3), protocol: testProtocol, request: [1, 2, 3]),
            .nodes(RequestID(own: 4), total: 3, records: [node.localRecord.encoded]),
            .pong(RequestID(own: 5), sequence: .max, address: [1, 2, 3, 4], port: 1),
            .talkResponse(RequestID(own: 6), response: []),
        ]
        let opening = try peer.handshake(challenge, messages[0].encoded)
        var packets = [peer.stranger(), challenge, opening]
        node.receive(opening, from: place, at: now)
        for message in messages { packets.append(try peer.seal(message.encoded)) }
        for round in 0..<3_000 {
            var packet = packets[Int(generator.next() % UInt64(packets.count))]
            for _ in 0...generator.next() % 3 {
                packet[Int(generator.next() % UInt64(packet.count))] ^= UInt8(truncatingIfNeeded: generator.next())
            }
            if generator.next() % 4 == 0 { packet.removeLast(Int(generator.next() % UInt64(packet.count))) }
            if generator.next() % 8 == 0 { packet += [UInt8](repeating: 1, count: Int(generator.next() % 900)) }
            node.receive(packet, from: place, at: now + .milliseconds(round))
            _ = node.drain()
        }
        #expect(node.sessionCount <= 1)
    }

    /// The same one layer down: any plaintext that a proven peer may send.
    @Test(arguments: 0..<4)
    func mutatedMessagesNeverTrap(_ seed: Int) throws {
        let place = Endpoint.loopback(port: 4_000)
        var generator = SeededGenerator(seed: UInt64(seed) + 100)
        var node = try node()
        var peer = try HandPeer(50, at: place, against: node)
        let challenge = try node.first(peer.stranger(), from: place, at: now)
        node.receive(try peer.handshake(challenge, [1, 0xc2, 1, 1]), from: place, at: now)
        let record = node.localRecord.encoded
        let seeds: [[UInt8]] = [
            Message.ping(RequestID(own: 1), sequence: 1).encoded,
            Message.pong(RequestID(own: 1), sequence: 1, address: [1, 2, 3, 4], port: 1).encoded,
            Message.findNode(RequestID(own: 1), distances: Array(0...256)).encoded,
            Message.nodes(RequestID(own: 1), total: 16, records: [record, record]).encoded,
            Message.talkRequest(RequestID(own: 1), protocol: testProtocol, request: record).encoded,
            Message.talkResponse(RequestID(own: 1), response: record).encoded,
            [4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [3, 0xc0], [7, 0xc1, 1], [],
        ]
        for round in 0..<3_000 {
            var message = seeds[Int(generator.next() % UInt64(seeds.count))]
            for _ in 0...generator.next() % 4 where !message.isEmpty {
                message[Int(generator.next() % UInt64(message.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            if generator.next() % 3 == 0, !message.isEmpty {
                message.removeLast(Int(generator.next() % UInt64(message.count)))
            }
            node.receive(try peer.seal(message), from: place, at: now + .milliseconds(round))
            _ = node.drain()
        }
        #expect(node.sessionCount == 1)
    }

    @Test func subnetsCannotFillTheTable() throws {
        let configuration = DiscoveryWorld.configuration
        var table = RoutingTable(localID: DiscoveryWorld.key(1).nodeID, configuration: configuration)
        var generator = SeededGenerator(seed: 2)
        let record = try DiscoveryWorld.record(DiscoveryWorld.key(2), DiscoveryWorld.endpoint(1))
        func fill(_ place: (Int) -> Endpoint?) -> [Int: Int] {
            var buckets: [Int: Int] = [:]
            for index in 0..<2_000 {
                let id = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
                guard let endpoint = place(index) else { continue }
                let address = NodeAddress(id: id, endpoint: endpoint)
                if table.insert(record, at: address, now: .zero) != .refused {
                    buckets[RoutingTable.distance(table.localID, id), default: 0] += 1
                }
            }
            return buckets
        }
        let four = fill { Endpoint(ipv4: (9, 9, 9, UInt8($0 & 255)), port: 30) }
        let six = fill { index in
            Endpoint(
                address: [0x20, 1, 1, 2, 3, 4, UInt8(index & 255), UInt8(index >> 8)]
                    + [UInt8](repeating: 1, count: 8), port: 30)
        }
        for buckets in [four, six] {
            #expect(buckets.values.reduce(0, +) == configuration.tableSubnetLimit)
            #expect(buckets.values.allSatisfy { $0 <= configuration.bucketSubnetLimit })
        }
        let loopback = fill { .loopback(port: UInt16($0 + 1)) }
        #expect(loopback.values.reduce(0, +) > configuration.tableSubnetLimit)
        #expect(table.count <= 256 * configuration.bucketSize)
    }

    @Test func addressesInsideAreNotNamedOutside() {
        let loopback = Endpoint.loopback(port: 1)
        let local = Endpoint(ipv4: (192, 168, 1, 1), port: 1)
        let global = Endpoint(ipv4: (8, 8, 8, 8), port: 1)
        let nowhere = [
            Endpoint(ipv4: (0, 0, 0, 0), port: 1), Endpoint(ipv4: (224, 0, 0, 1), port: 1),
            Endpoint(ipv4: (8, 8, 8, 8), port: 0),
        ]
        #expect(AddressScope.mayRelay(global, with: global))
        #expect(!AddressScope.mayRelay(local, with: global))
        #expect(!AddressScope.mayRelay(loopback, with: global))
        #expect(AddressScope.mayRelay(global, with: local) && AddressScope.mayRelay(local, with: local))
        #expect(!AddressScope.mayRelay(loopback, with: local))
        #expect(AddressScope.mayRelay(loopback, with: loopback))
        for place in nowhere { #expect(!AddressScope.mayRelay(place, with: loopback)) }
    }
}
