import Primitives
import Testing

@testable import Discovery

/// Machines among themselves, in virtual time.
@Suite struct ClusterTests {
    private func network(
        _ count: Int, seed: UInt64, loss: Int = 0, latency: Interval = .milliseconds(20),
        _ configuration: Discovery.Configuration = DiscoveryWorld.configuration
    ) throws -> DiscoveryWorld {
        var world = DiscoveryWorld(seed: seed)
        world.lossPercent = loss
        world.latency = latency
        for index in 0..<count { try world.add(seed * 1_000 + UInt64(index), configuration: configuration) }
        let boot = world.nodes[0].localRecord
        for index in world.nodes.indices.dropFirst() { world.nodes[index].addBootNodes([boot], at: world.now) }
        return world
    }

    @Test func tenNodesBootstrapToFullTables() throws {
        var world = try network(10, seed: 1)
        world.run(.seconds(30))
        #expect(world.nodes.map(\.tableCount) == [Int](repeating: 9, count: 10))
    }

    @Test func tenNodesBootstrapUnderLossAndLatency() throws {
        var world = try network(10, seed: 2, loss: 5, latency: .milliseconds(50))
        world.run(.seconds(90))
        #expect(world.nodes.map(\.tableCount).allSatisfy { $0 >= 8 })
    }

    @Test func theSameSeedGivesTheSameDatagrams() throws {
        func run() throws -> [[UInt8]] {
            var world = try network(6, seed: 3, loss: 10)
            world.run(.seconds(20))
            return world.log.map(\.bytes)
        }
        #expect(try run() == run())
    }

    @Test func lookupFindsTheNearestOfSixtyNodes() throws {
        var world = try network(60, seed: 4)
        world.run(.seconds(60))
        let target = Bytes32(0x1234_5678_9abc_def0, 5, 6, 7)
        let id = world.nodes[7].lookup(target, at: world.now)
        world.run(.seconds(10))
        var found: [NodeRecord]?
        for case .lookupFinished(id, let records) in world.told[7] { found = records }
        let ids = world.nodes.indices.filter { $0 != 7 }.map { world.nodes[$0].key.nodeID }
        let nearest = ids.sorted { $0 ^ target < $1 ^ target }.prefix(16)
        let result = try #require(found).map(\.id)
        #expect(result == result.sorted { $0 ^ target < $1 ^ target })
        #expect(Set(result).intersection(nearest).count >= 15)
        #expect(result.first == nearest.first)
    }

    /// An answer of several packets is not over when half of them have come twice.
    @Test func aWireThatDoublesDatagramsChangesNothing() throws {
        var world = try network(40, seed: 4)
        world.copies = 2
        world.run(.seconds(60))
        let target = Bytes32(0x1234_5678_9abc_def0, 5, 6, 7)
        let id = world.nodes[7].lookup(target, at: world.now)
        world.run(.seconds(10))
        let found = world.told[7].compactMap { directive -> [NodeRecord]? in
            if case .lookupFinished(id, let records) = directive { records } else { nil }
        }
        let ids = world.nodes.indices.filter { $0 != 7 }.map { world.nodes[$0].key.nodeID }
        let nearest = ids.sorted { $0 ^ target < $1 ^ target }.prefix(16)
        #expect(Set(try #require(found.first).map(\.id)).intersection(nearest).count >= 15)
        #expect(world.nodes.allSatisfy { $0.statistics.recordsRefused == 0 }, "no packet was read twice")
    }

    @Test func lookupWithoutNodesEndsAtOnce() throws {
        var world = DiscoveryWorld(seed: 5)
        try world.add(1)
        let id = world.nodes[0].lookup(.zero, at: world.now)
        world.collect(0)
        guard case .lookupFinished(id, let records) = world.told[0].last else {
            Issue.record("the lookup did not end")
            return
        }
        #expect(records.isEmpty)
    }

    @Test func bootNodeThatIsLateIsTriedAgain() throws {
        var world = DiscoveryWorld(seed: 6)
        try world.add(1)
        let absent = try DiscoveryWorld.record(DiscoveryWorld.key(2), DiscoveryWorld.endpoint(2))
        world.nodes[0].addBootNodes([absent], at: world.now)
        world.run(.seconds(7))
        #expect(world.nodes[0].tableCount == 0)
        try world.add(2)
        world.run(.seconds(5))
        #expect(world.nodes[0].tableCount == 1)
        #expect(world.nodes[1].tableCount == 1)
    }

    @Test func deadNodeLeavesEveryTable() throws {
        var configuration = DiscoveryWorld.configuration
        configuration.revalidationInterval = .seconds(1)
        var world = try network(5, seed: 7, configuration)
        world.run(.seconds(20))
        #expect(world.nodes.allSatisfy { $0.tableCount == 4 })
        let dead = world.nodes[4].key.nodeID
        // Nothing reaches it any more.
        world.places[4] = Endpoint(ipv4: (1, 1, 1, 1), port: 1)
        world.run(.seconds(60))
        for index in 0..<4 {
            #expect(world.nodes[index].tableCount == 3)
            #expect(world.told[index].contains { if case .nodeLost(dead) = $0 { true } else { false } })
        }
    }

    @Test func newerRecordSpreads() throws {
        var configuration = DiscoveryWorld.configuration
        configuration.revalidationInterval = .seconds(1)
        var world = try network(4, seed: 8, configuration)
        world.run(.seconds(10))
        try world.nodes[3].updateLocalRecord { $0.set("c", .string([0x63])) }
        world.run(.seconds(30))
        let id = world.nodes[3].key.nodeID
        for index in 0..<3 {
            #expect(world.nodes[index].record(of: id)?.sequence == 2)
            #expect(world.nodes[index].record(of: id)?.value("c") == .string([0x63]))
        }
    }

    /// A stranger who pings is not in the table before it has answered a PING of ours at its record's endpoint.
    @Test func onlyWhoAnswersAPingEnters() throws {
        var world = DiscoveryWorld(seed: 9)
        try world.add(1)
        let place = Endpoint(ipv4: (7, 7, 7, 7), port: 7)
        var peer = try HandPeer(50, at: place, against: world.nodes[0])
        let challenge = try world.nodes[0].first(peer.stranger(), from: place, at: world.now)
        let ping = Message.ping(RequestID(own: 9), sequence: 1).encoded
        let answers = world.nodes[0].exchange(try peer.handshake(challenge, ping), from: place, at: world.now)
        let messages = answers.compactMap { peer.open($0) }
        #expect(world.nodes[0].tableCount == 0)
        #expect(messages.count == 2)
        guard case .ping(let id, _) = messages.last else {
            Issue.record("the stranger was not pinged back")
            return
        }
        let pong = Message.pong(id, sequence: 1, address: [10, 0, 1, 1], port: 9_000).encoded
        // From anybody else it is no answer.
        _ = world.nodes[0].exchange(try peer.seal(pong), from: DiscoveryWorld.endpoint(77), at: world.now)
        #expect(world.nodes[0].tableCount == 0)
        _ = world.nodes[0].exchange(try peer.seal(pong), from: place, at: world.now)
        #expect(world.nodes[0].tableCount == 1)
    }

    @Test func recordOfAnotherPlaceIsNotPingedThere() throws {
        var world = DiscoveryWorld(seed: 10)
        try world.add(1)
        let victim = Endpoint(ipv4: (7, 7, 7, 7), port: 7)
        let place = Endpoint(ipv4: (6, 6, 6, 6), port: 6)
        var peer = try HandPeer(50, at: victim, against: world.nodes[0])
        let challenge = try world.nodes[0].first(peer.stranger(), from: place, at: world.now)
        let ping = Message.ping(RequestID(own: 9), sequence: 1).encoded
        world.nodes[0].receive(try peer.handshake(challenge, ping), from: place, at: world.now)
        world.collect(0)
        world.run(.seconds(5))
        #expect(world.log.allSatisfy { $0.to == place })
        #expect(world.nodes[0].tableCount == 0)
    }
}

@Suite struct TalkTests {
    private func pair(loss: Int = 0, seed: UInt64 = 1) throws -> DiscoveryWorld {
        var world = DiscoveryWorld(seed: seed)
        try world.add(1)
        try world.add(2)
        world.lossPercent = loss
        return world
    }

    private func serve(_ world: inout DiscoveryWorld, _ index: Int) {
        for request in world.requests(index) {
            world.nodes[index].respond(to: request.token, response: request.request + [0xee], at: world.now)
        }
        world.told[index] = []
        world.collect(index)
    }

    @Test func requestWithoutASessionGoesThroughTheHandshake() throws {
        var world = try pair()
        let id = world.nodes[0].talk(
            to: world.nodes[1].localRecord, protocol: testProtocol, request: [1], at: world.now)
        world.run(.milliseconds(70))
        #expect(world.requests(1).map(\.request) == [[1]])
        serve(&world, 1)
        world.run(.seconds(1))
        #expect(world.answer(0, id) == .success([1, 0xee]))
        #expect(world.flags(from: world.places[0], to: 1).prefix(2) == [0, 2])
        #expect(world.flags(from: world.places[1], to: 0).first == 1)
        #expect(world.nodes[0].hasSession(with: world.address(1)))
        #expect(world.nodes[1].hasSession(with: world.address(0)))
    }

    @Test func whatWaitsBehindTheHandshakeKeepsItsOrder() throws {
        var world = try pair()
        let record = world.nodes[1].localRecord
        for byte in 0..<20 {
            _ = world.nodes[0].talk(to: record, protocol: testProtocol, request: [UInt8(byte)], at: world.now)
        }
        for _ in 0..<8 {
            world.run(.milliseconds(30))
            for request in world.requests(1) { world.nodes[1].respond(to: request.token, response: [], at: world.now) }
        }
        #expect(world.requests(1).map(\.request) == (0..<20).map { [UInt8($0)] })
        #expect(world.flags(from: world.places[0], to: 1).filter { $0 == 2 }.count == 1)
    }

    @Test func slowAnswerToTheFirstRequestDoesNotHoldUpTheOthers() throws {
        var world = try pair()
        let record = world.nodes[1].localRecord
        let first = world.nodes[0].talk(
            to: record, protocol: testProtocol, request: [1], timeout: .seconds(5), at: world.now)
        let second = world.nodes[0].talk(
            to: record, protocol: testProtocol, request: [2], timeout: .seconds(5), at: world.now)
        world.run(.seconds(3))
        #expect(world.requests(1).map(\.request) == [[1], [2]])
        serve(&world, 1)
        world.run(.seconds(1))
        #expect(world.answer(0, first) == .success([1, 0xee]))
        #expect(world.answer(0, second) == .success([2, 0xee]))
    }

    @Test func silenceIsATimeout() throws {
        var world = try pair()
        let absent = try DiscoveryWorld.record(DiscoveryWorld.key(9), DiscoveryWorld.endpoint(99))
        let id = world.nodes[0].talk(to: absent, protocol: testProtocol, request: [1], at: world.now)
        world.run(.milliseconds(999))
        #expect(world.answer(0, id) == nil)
        world.run(.milliseconds(2))
        #expect(world.answer(0, id) == .failure(.timeout))
        #expect(world.nodes[0].hasNothingUnderWay && world.nodes[0].requests.tails.isEmpty)
    }

    @Test func whatCannotBeSentFailsAtOnce() throws {
        var world = try pair()
        let record = world.nodes[1].localRecord
        let limit = DiscoveryLimits.talkRequestSize(protocolSize: 4)
        let large = world.nodes[0].talk(
            to: record, protocol: testProtocol, request: [UInt8](repeating: 1, count: limit + 1), at: world.now)
        let own = world.nodes[0].localRecord
        let self0 = world.nodes[0].talk(to: own, protocol: testProtocol, request: [], at: world.now)
        let nowhere = try NodeRecordFields(sequence: 1).signed(by: DiscoveryWorld.key(8))
        let lost = world.nodes[0].talk(to: nowhere, protocol: testProtocol, request: [], at: world.now)
        world.collect(0)
        #expect(world.answer(0, large) == .failure(.messageTooLarge(limit: 1_193)))
        #expect(world.answer(0, self0) == .failure(.ownNode))
        #expect(world.answer(0, lost) == .failure(.noEndpoint))
        #expect(world.log.isEmpty)
    }

    @Test func largestRequestAndResponseFit() throws {
        var world = try pair()
        let limit = DiscoveryLimits.talkRequestSize(protocolSize: 4)
        let request = [UInt8](repeating: 7, count: limit)
        // Too large for the handshake packet, so a PING opens the session.
        let id = world.nodes[0].talk(
            to: world.nodes[1].localRecord, protocol: testProtocol, request: request, at: world.now)
        world.run(.milliseconds(150))
        let asked = try #require(world.requests(1).first)
        #expect(asked.request == request)
        let response = [UInt8](repeating: 8, count: DiscoveryLimits.talkResponseSize)
        #expect(
            world.nodes[1].respond(
                to: TalkToken(
                    address: asked.from, requestID: try #require(RequestID([1, 2, 3, 4, 5, 6, 7, 8]))),
                response: response + [1], at: world.now) == false)
        let token = try #require(world.requests(1).first?.token)
        #expect(world.nodes[1].respond(to: token, response: response, at: world.now) == true)
        world.run(.milliseconds(100))
        #expect(world.answer(0, id) == .success(response))
        #expect(world.log.map(\.bytes.count).max() == 1_280)
    }

    @Test func restartedPeerGetsTheRequestAgain() throws {
        var world = try pair()
        let record = world.nodes[1].localRecord
        _ = world.nodes[0].talk(to: record, protocol: testProtocol, request: [1], at: world.now)
        world.run(.milliseconds(100))
        serve(&world, 1)
        world.run(.seconds(3))
        try world.restart(1, seed: 99)
        world.told[1] = []
        let ids = (2...4).map {
            world.nodes[0].talk(to: record, protocol: testProtocol, request: [$0], timeout: .seconds(1), at: world.now)
        }
        world.run(.milliseconds(70))
        serve(&world, 1)
        world.run(.milliseconds(70))
        serve(&world, 1)
        world.run(.seconds(2))
        #expect(ids.map { world.answer(0, $0) } == (2...4).map { .success([$0, 0xee]) })
    }

    @Test func oneWayNeedsASessionAndRemembersNothing() throws {
        var world = try pair()
        let there = world.address(1)
        #expect(world.nodes[0].talkOneWay(to: there, protocol: testProtocol, request: [1], at: world.now) == false)
        _ = world.nodes[0].talk(
            to: world.nodes[1].localRecord, protocol: testProtocol, request: [0], at: world.now)
        world.run(.milliseconds(70))
        serve(&world, 1)
        world.run(.seconds(3))
        let requests = (0..<300).map { [UInt8](repeating: UInt8($0 & 255), count: $0 * 3) }
        let pending = world.nodes[0].requests.pending.count
        for request in requests {
            #expect(
                world.nodes[0].talkOneWay(to: there, protocol: testProtocol, request: request, at: world.now) == true)
        }
        #expect(world.nodes[0].requests.pending.count == pending)
        world.run(.seconds(1))
        #expect(world.requests(1).map(\.request) == requests)
    }

    @Test func oneWayWaitsBehindAHandshakeOfItsOwn() throws {
        var world = try pair()
        // The record is known from the table, the session is lost.
        world.nodes[0].addBootNodes([world.nodes[1].localRecord], at: world.now)
        world.run(.seconds(2))
        world.nodes[0].requests.sessions.held.remove(world.address(1))
        for byte in 0..<3 {
            #expect(
                world.nodes[0].talkOneWay(
                    to: world.address(1), protocol: testProtocol, request: [UInt8(byte)], at: world.now) == true)
        }
        world.run(.seconds(1))
        #expect(world.requests(1).map(\.request) == [[0], [1], [2]])
    }

    @Test func oneWayToARestartedPeerOpensANewSession() throws {
        var world = try pair()
        world.nodes[0].addBootNodes([world.nodes[1].localRecord], at: world.now)
        world.run(.seconds(2))
        try world.restart(1, seed: 98)
        world.nodes[0].talkOneWay(to: world.address(1), protocol: testProtocol, request: [1], at: world.now)
        world.run(.seconds(1))
        #expect(world.requests(1).isEmpty)
        world.nodes[0].talkOneWay(to: world.address(1), protocol: testProtocol, request: [2], at: world.now)
        world.run(.seconds(1))
        #expect(world.requests(1).map(\.request) == [[2]])
    }

    /// Both begin a handshake in the same instant: both sessions come about, and all is answered.
    @Test func crossingHandshakes() throws {
        var world = try pair()
        let records = world.nodes.map(\.localRecord)
        var ids: [[TalkID]] = [[], []]
        for round in 0..<4 {
            for side in 0..<2 {
                ids[side].append(
                    world.nodes[side].talk(
                        to: records[1 - side], protocol: testProtocol, request: [UInt8(round)], at: world.now))
            }
        }
        var answers = [[Result<[UInt8], DiscoveryError>]](repeating: [], count: 2)
        for _ in 0..<12 {
            world.run(.milliseconds(10))
            for side in 0..<2 {
                for request in world.requests(side) {
                    world.nodes[side].respond(to: request.token, response: request.request + [0xee], at: world.now)
                }
                answers[side] += ids[side].compactMap { world.answer(side, $0) }
                world.told[side] = []
            }
        }
        let wanted = (0..<4).map { Result<[UInt8], DiscoveryError>.success([UInt8($0), 0xee]) }
        #expect(answers == [wanted, wanted])
    }

    @Test func everyRequestEndsOnceUnderLoss() throws {
        var world = try pair(loss: 20, seed: 5)
        let record = world.nodes[1].localRecord
        var ids: [TalkID] = []
        for round in 0..<200 {
            ids.append(
                world.nodes[0].talk(
                    to: record, protocol: testProtocol, request: [UInt8(round)], at: world.now))
            world.run(.milliseconds(37))
            serve(&world, 1)
        }
        world.run(.seconds(5))
        var ends: [TalkID: Int] = [:]
        var successes = 0
        for case .talkAnswered(let id, let result, _) in world.told[0] {
            ends[id, default: 0] += 1
            if case .success = result { successes += 1 }
        }
        #expect(ids.allSatisfy { ends[$0] == 1 })
        #expect(successes > 80)
        #expect(world.nodes[0].requests.pending.isEmpty && world.nodes[0].requests.conversations.isEmpty)
    }

    @Test func queueBehindAHandshakeIsBounded() throws {
        var world = try pair()
        let absent = try DiscoveryWorld.record(DiscoveryWorld.key(9), DiscoveryWorld.endpoint(99))
        let ids = (0..<100).map { _ in
            world.nodes[0].talk(to: absent, protocol: testProtocol, request: [1], at: world.now)
        }
        world.collect(0)
        let refused = ids.filter { world.answer(0, $0) == .failure(.tooManyRequests) }
        #expect(refused.count == 100 - world.nodes[0].configuration.queueLimit)
        world.run(.seconds(2))
        #expect(ids.allSatisfy { world.answer(0, $0) != nil })
    }

    @Test func copiesOfAMachineDoNotDisturbEachOther() throws {
        var world = try pair()
        world.nodes[0].addBootNodes([world.nodes[1].localRecord], at: world.now)
        world.run(.seconds(2))
        var copy = world
        for request in [[1], [2, 2]] as [[UInt8]] {
            world.nodes[0].talkOneWay(to: world.address(1), protocol: testProtocol, request: request, at: world.now)
            copy.nodes[0].talkOneWay(to: copy.address(1), protocol: testProtocol, request: request, at: copy.now)
        }
        world.run(.milliseconds(50))
        copy.run(.milliseconds(50))
        #expect(world.requests(1).map(\.request) == [[1], [2, 2]])
        #expect(copy.requests(1).map(\.request) == [[1], [2, 2]])
    }
}
