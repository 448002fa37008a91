import Primitives
import Testing

@testable import Discovery

/// What geth's black-box suite asks of a node, and more of the same kind: one node, a peer driven by hand.
@Suite struct BlackBoxTests {
    let here = Endpoint.loopback(port: 4_000)
    let other = Endpoint(ipv4: (127, 0, 0, 2), port: 4_000)
    let now = Instant(microseconds: 1_000)

    private func node() throws -> Discovery {
        var world = DiscoveryWorld(seed: 1)
        try world.add(1, at: .loopback(port: 9_000))
        return world.nodes[0]
    }

    private func ping(_ id: [UInt8]) throws -> [UInt8] {
        Message.ping(try #require(RequestID(id)), sequence: 1).encoded
    }

    /// A peer with a session, whatever the node did besides.
    private func connected(_ node: inout Discovery, _ seed: UInt64 = 50) throws -> HandPeer {
        var peer = try HandPeer(seed, at: here, against: node)
        let challenge = try node.first(peer.stranger(), from: here, at: now)
        let packet = try peer.handshake(challenge, try ping([1]))
        let answers = node.exchange(packet, from: here, at: now)
        #expect(!answers.isEmpty)
        return peer
    }

    @Test func pingThroughAHandshake() throws {
        var node = try node()
        var peer = try HandPeer(50, at: here, against: node)
        let replies = node.exchange(peer.stranger(), from: here, at: now)
        #expect(replies.map(\.count) == [63])
        let challenge = try #require(replies.first)
        let packet = try peer.handshake(challenge, try ping([0, 0, 0, 1]))
        let answers = node.exchange(packet, from: here, at: now)
        let pong = try #require(answers.compactMap { peer.open($0) }.first)
        let id = try #require(RequestID([0, 0, 0, 1]))
        #expect(pong == .pong(id, sequence: 1, address: [127, 0, 0, 1], port: 4_000))
    }

    @Test func requestIDOfNineBytesIsNotAnswered() throws {
        var node = try node()
        var peer = try HandPeer(50, at: here, against: node)
        let challenge = try node.first(peer.stranger(), from: here, at: now)
        let long =
            [1]
            + RLPWriter.list { list in
                list.append([UInt8](repeating: 9, count: 9))
                list.append(UInt64(1))
            }
        let packet = try peer.handshake(challenge, long)
        let answers = node.exchange(packet, from: here, at: now).compactMap { peer.open($0) }
        for case .pong in answers { Issue.record("a request id of nine bytes was answered") }
    }

    @Test func sessionFromAnotherAddressIsChallenged() throws {
        var node = try node()
        var peer = try connected(&node)
        for place in [other, Endpoint.loopback(port: 4_001), other] {
            let packet = try peer.seal(try ping([2]))
            let replies = node.exchange(packet, from: place, at: now)
            let challenge = try #require(replies.first)
            #expect(replies.count == 1)
            #expect(DiscoveryWorld.header(challenge, to: peer.key.nodeID)?.flag == .whoAreYou)
        }
        // The session itself is unharmed.
        let packet = try peer.seal(try ping([3]))
        let answer = node.exchange(packet, from: here, at: now).compactMap { peer.open($0) }.first
        #expect(answer == .pong(try #require(RequestID([3])), sequence: 1, address: [127, 0, 0, 1], port: 4_000))
    }

    @Test func pendingChallengeIsRepeatedAsItIs() throws {
        var node = try node()
        var peer = try HandPeer(50, at: here, against: node)
        let first = node.exchange(peer.stranger(), from: here, at: now)
        let second = node.exchange(peer.stranger(), from: here, at: now + .milliseconds(900))
        #expect(first == second)
        // From another address it is another one, and after its time too.
        #expect(node.exchange(peer.stranger(), from: other, at: now) != first)
        #expect(node.exchange(peer.stranger(), from: here, at: now + .milliseconds(1_001)) != first)
    }

    @Test(arguments: [[7], [], [1, 2, 3, 4, 5, 6, 7, 8]] as [[UInt8]])
    func unknownTalkProtocolIsAnsweredWithNothing(_ id: [UInt8]) throws {
        var node = try node()
        var peer = try connected(&node)
        let request = try #require(RequestID(id))
        let message = Message.talkRequest(request, protocol: Array("nobody".utf8), request: [1, 2])
        let packet = try peer.seal(message.encoded)
        let answers = node.exchange(packet, from: here, at: now).compactMap { peer.open($0) }
        #expect(answers == [.talkResponse(request, response: [])])
    }

    @Test func findNodeZeroIsOurOwnRecord() throws {
        var node = try node()
        var peer = try connected(&node)
        let id = try #require(RequestID([5]))
        for distances in [[0], [0, 0]] {
            let packet = try peer.seal(Message.findNode(id, distances: distances).encoded)
            let answers = node.exchange(packet, from: here, at: now).compactMap { peer.open($0) }
            #expect(answers == [.nodes(id, total: 1, records: [node.localRecord.encoded])])
        }
        let packet = try peer.seal(Message.findNode(id, distances: [4_234_098, 257]).encoded)
        let answers = node.exchange(packet, from: here, at: now).compactMap { peer.open($0) }
        #expect(answers == [.nodes(id, total: 1, records: [])])
    }

    @Test func bystandersArePingedBackAndThenNamed() throws {
        var world = DiscoveryWorld(seed: 3)
        try world.add(1, at: .loopback(port: 9_000))
        var bystanders: [Int] = []
        for index in 0..<5 {
            bystanders.append(try world.add(100 + UInt64(index), at: .loopback(port: UInt16(5_000 + index))))
        }
        for index in bystanders {
            let boot = world.nodes[0].localRecord
            world.nodes[index].addBootNodes([boot], at: world.now)
        }
        world.run(.seconds(2))
        #expect(world.nodes[0].tableCount == 5)
        var node = world.nodes[0]
        var peer = try HandPeer(50, at: here, against: node)
        let challenge = try node.first(peer.stranger(), from: here, at: world.now)
        let id = try #require(RequestID([1]))
        let distances = bystanders.map { RoutingTable.distance(node.key.nodeID, world.nodes[$0].key.nodeID) }
        let packet = try peer.handshake(challenge, Message.findNode(id, distances: distances).encoded)
        var found: Set<[UInt8]> = []
        for answer in node.exchange(packet, from: here, at: world.now).compactMap({ peer.open($0) }) {
            guard case .nodes(id, _, let records) = answer else { continue }
            found.formUnion(records)
        }
        #expect(found == Set(bystanders.map { world.nodes[$0].localRecord.encoded }))
    }

    @Test func recordIsRequiredWhenWeKnowNone() throws {
        var node = try node()
        var peer = try HandPeer(50, at: here, against: node)
        let challenge = try node.first(peer.stranger(), from: here, at: now)
        let packet = try peer.handshake(challenge, try ping([1]), withRecord: false)
        #expect(node.exchange(packet, from: here, at: now) == [])
        #expect(!node.hasSession(with: NodeAddress(id: peer.key.nodeID, endpoint: here)))
    }

    @Test func handshakesThatProveNothingAreIgnored() throws {
        let tampers: [(inout [UInt8]) -> Void] = [
            { $0[40] ^= 1 },  // the signature
            { $0[32] = 63 }, { $0[33] = 32 }, { $0[98] = 5 },
            { $0[140] ^= 1 },  // the record
            { $0.removeLast() },
            { $0[120] ^= 1 },  // the ephemeral key
        ]
        for tamper in tampers {
            var node = try node()
            var peer = try HandPeer(50, at: here, against: node)
            let challenge = try node.first(peer.stranger(), from: here, at: now)
            let packet = try peer.handshake(challenge, try ping([1]), tamper: tamper)
            #expect(node.exchange(packet, from: here, at: now) == [])
            #expect(node.sessionCount == 0)
        }
    }

    @Test func handshakeWithoutAChallengeOrAfterItsTimeIsIgnored() throws {
        var node = try node()
        var peer = try HandPeer(50, at: here, against: node)
        let challenge = try node.first(peer.stranger(), from: here, at: now)
        let packet = try peer.handshake(challenge, try ping([1]))
        #expect(node.exchange(packet, from: other, at: now) == [])
        #expect(node.exchange(packet, from: here, at: now + .seconds(2)) == [])
        #expect(node.exchange(packet, from: here, at: now) == [])
    }

    @Test func replayedHandshakeIsIgnored() throws {
        var node = try node()
        var peer = try HandPeer(50, at: here, against: node)
        let challenge = try node.first(peer.stranger(), from: here, at: now)
        let packet = try peer.handshake(challenge, try ping([1]))
        #expect(!node.exchange(packet, from: here, at: now).isEmpty)
        #expect(node.exchange(packet, from: here, at: now).isEmpty)
        #expect(node.sessionCount == 1)
    }

    @Test func challengesThatNameNothingOfOursAreIgnored() throws {
        var node = try node()
        let peer = try connected(&node)
        var mask = MaskCipher(to: node.key.nodeID)
        let packet = PacketWriter.plain(
            iv: Random16(high: 1, low: 2), flag: .whoAreYou, nonce: Nonce(counter: 0, tail: 9), authSize: 24,
            tail: [], mask: &mask
        ) { $0.initializeMemory(as: UInt8.self, repeating: 0, count: 24) }.packet
        #expect(node.exchange(packet, from: here, at: now) == [])
        #expect(node.hasSession(with: NodeAddress(id: peer.key.nodeID, endpoint: here)))
    }

    @Test func floodOfRequestsInASessionIsHeldToABudget() throws {
        var node = try node()
        var peer = try connected(&node)
        var answers = 0
        for _ in 0..<1_000 {
            let packet = try peer.seal(try ping([2]))
            answers += node.exchange(packet, from: here, at: now).count
        }
        #expect(answers <= node.configuration.peerRequestBurst)
    }

    @Test func packetsOverTheRateAreNotEvenDecrypted() throws {
        var node = try node()
        var peer = try connected(&node)
        let address = NodeAddress(id: peer.key.nodeID, endpoint: here)
        let before = node.statistics
        // As many as the bucket holds, and a few that must wait.
        let packet = try peer.seal(try ping([2]))
        for _ in 0..<node.configuration.peerPacketBurst + 50 { node.receive(packet, from: here, at: now) }
        #expect(node.statistics.packetsOverRate - before.packetsOverRate >= 50)
        #expect(node.hasSession(with: address))
        _ = node.drain()
        let later = now + .seconds(1)
        let answers = node.exchange(try peer.seal(try ping([3])), from: here, at: later).compactMap { peer.open($0) }
        #expect(
            answers == [
                .pong(try #require(RequestID([3])), sequence: 1, address: [127, 0, 0, 1], port: 4_000)
            ])
    }

    /// A peer in the node's table is asked for nodes; what it answers beyond the question is not taken.
    @Test func nodesThatWereNotAskedForAreRefused() throws {
        var node = try node()
        var peer = try connected(&node)
        let address = NodeAddress(id: peer.key.nodeID, endpoint: here)
        let distances = [255, 256]
        try node.requests.send(.record, to: node.directory.route(to: address), distances: distances, at: now) {
            .findNode($0, distances: distances)
        }
        let asked = node.drain().compactMap { directive in
            guard case .send(let bytes, _) = directive else { return Message?.none }
            return peer.open(bytes)
        }
        guard case .findNode(let id, distances) = asked.last else {
            Issue.record("no FINDNODE")
            return
        }
        // Many nodes, every one at its true distance from the peer; a forged record; the same one twice.
        let records = try (0..<40).map {
            try DiscoveryWorld.record(DiscoveryWorld.key(500 + $0), DiscoveryWorld.endpoint(Int($0)))
        }
        let right = records.filter { distances.contains(RoutingTable.distance(address.id, $0.id)) }
        let wrong = records.filter { !distances.contains(RoutingTable.distance(address.id, $0.id)) }
        var forged = try #require(right.first).encoded
        forged[10] ^= 1
        let first = [forged] + wrong.prefix(2).map(\.encoded) + right.prefix(1).map(\.encoded)
        let second = right.prefix(1).map(\.encoded) + right.dropFirst().prefix(2).map(\.encoded)
        for (index, packet) in [first, second].enumerated() {
            let message = Message.nodes(id, total: 2, records: packet).encoded
            node.receive(try peer.seal(message), from: here, at: now)
            #expect(node.requests.pending.contains { !$0.value.distances.isEmpty } == (index == 0))
        }
        #expect(right.count > 3 && wrong.count > 2)
        #expect(right.prefix(3).allSatisfy { node.record(of: $0.id) == $0 })
        #expect(wrong.allSatisfy { node.record(of: $0.id) == nil })
        #expect(node.statistics.recordsRefused == 4)
        // A third packet of that answer comes too late to be taken.
        let late = Message.nodes(id, total: 2, records: right.suffix(1).map(\.encoded)).encoded
        node.receive(try peer.seal(late), from: here, at: now)
        #expect(node.record(of: try #require(right.last).id) == nil)
    }

    @Test func answersOfStrangersToOurRequestsAreIgnored() throws {
        var node = try node()
        var asked = try connected(&node)
        let address = NodeAddress(id: asked.key.nodeID, endpoint: here)
        let id = node.talk(to: address, protocol: testProtocol, request: [1], at: now)
        let requests = node.drain().compactMap { directive in
            guard case .send(let bytes, _) = directive else { return Message?.none }
            return asked.open(bytes)
        }
        guard case .talkRequest(let requestID, _, _) = requests.last else {
            Issue.record("no TALKREQ")
            return
        }
        let answer = Message.talkResponse(requestID, response: [9]).encoded
        var stranger = try HandPeer(60, at: other, against: node)
        let challenge = try node.first(stranger.stranger(), from: other, at: now)
        node.receive(try stranger.handshake(challenge, answer), from: other, at: now)
        #expect(node.requests.pending.values.contains { if case .talk(id) = $0.purpose { true } else { false } })
        // Another kind of answer under the same id is none either.
        let pong = Message.pong(requestID, sequence: 1, address: [1, 2, 3, 4], port: 1).encoded
        node.receive(try asked.seal(pong), from: here, at: now)
        #expect(node.requests.pending.values.contains { if case .talk(id) = $0.purpose { true } else { false } })
        _ = node.drain()
        node.receive(try asked.seal(answer), from: here, at: now)
        guard case .talkAnswered(id, .success([9]), _) = node.drain().last else {
            Issue.record("the answer was not taken")
            return
        }
    }
}
