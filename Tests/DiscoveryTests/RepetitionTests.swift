import Primitives
import Testing

@testable import Discovery

/// Requests that are sent again because nobody answered.
@Suite struct RepetitionTests {
    private let start = Instant(microseconds: 1_000_000)

    /// Two nodes, 20 ms apart, of which the first has had a dozen answers of the second within 40 ms.
    private func pair(seed: UInt64 = 1) throws -> DiscoveryWorld {
        var world = DiscoveryWorld(seed: seed)
        try world.add(seed * 10 + 1)
        try world.add(seed * 10 + 2)
        for round in 0..<12 {
            let id = ask(&world, 0)
            // The first goes through a handshake.
            world.run(.milliseconds(round == 0 ? 60 : 20))
            answer(&world)
            world.run(.milliseconds(30))
            #expect(world.answer(0, id) == .success([1]))
            world.told = [[], []]
        }
        return world
    }

    private func ask(_ world: inout DiscoveryWorld, _ byte: UInt8) -> TalkID {
        world.nodes[0].talk(
            to: world.nodes[1].localRecord, protocol: testProtocol, request: [byte], at: world.now)
    }

    /// The second node answers all that it was asked.
    private func answer(_ world: inout DiscoveryWorld) {
        for (_, _, token) in world.requests(1) {
            world.nodes[1].respond(to: token, response: [1], at: world.now)
        }
        world.collect(1)
    }

    @Test func aLostRequestIsSentAgain() throws {
        var world = try pair()
        let id = ask(&world, 7)
        world.losesNext = 1
        world.run(.milliseconds(150))
        #expect(world.requests(1).map(\.request) == [[7]], "sent again after 100 ms, 20 ms on the way")
        answer(&world)
        world.run(.milliseconds(30))
        #expect(world.answer(0, id) == .success([1]))
        #expect(world.nodes[0].statistics.requestsRepeated == 1)
        #expect(world.nodes[1].statistics.repetitionsReceived == 0)
    }

    @Test func aLostAnswerIsGivenAgainAndNothingIsCarriedOutTwice() throws {
        var world = try pair()
        let id = ask(&world, 7)
        world.run(.milliseconds(30))
        world.losesNext = 1
        answer(&world)
        world.run(.milliseconds(150))
        #expect(world.answer(0, id) == .success([1]))
        #expect(world.requests(1).count == 1, "the repetition was not passed on")
        #expect(world.nodes[1].statistics.repetitionsReceived == 1)
    }

    /// What takes long is not begun anew by those who ask whether it was heard.
    @Test func aRepetitionOfWhatIsBeingWorkedOnIsNoSecondRequest() throws {
        var world = try pair()
        let id = ask(&world, 7)
        world.run(.milliseconds(400))
        #expect(world.nodes[0].statistics.requestsRepeated == 2, "after 100 ms, and 200 ms later")
        #expect(world.requests(1).count == 1 && world.nodes[1].statistics.repetitionsReceived == 2)
        answer(&world)
        world.run(.milliseconds(50))
        #expect(world.answer(0, id) == .success([1]))
    }

    @Test func nobodyThereIsAskedThreeTimesAndTheRequestFailsAfterItsTime() throws {
        var world = try pair()
        world.places[1] = Endpoint(ipv4: (1, 1, 1, 1), port: 1)
        let before = world.log.count
        let record = world.nodes[1].localRecord
        let id = world.nodes[0].talk(to: record, protocol: testProtocol, request: [7], at: world.now)
        world.run(.milliseconds(499))
        #expect(world.answer(0, id) == nil)
        #expect(world.log[before...].count { $0.from == world.places[0] } == 1 + DiscoveryLimits.repetitions)
        world.run(.milliseconds(2))
        #expect(world.answer(0, id) == .failure(.timeout))
        world.run(.seconds(2))
        #expect(world.nodes[0].hasNothingUnderWay && world.nodes[0].requests.deadlineCount == 0)
    }

    /// The packet that opens a session is lost with the request inside: both are sent again long before its time ends.
    @Test func aLostHandshakePacketCostsOnePatience() throws {
        var world = DiscoveryWorld(seed: 2)
        try world.add(21)
        try world.add(22)
        let id = ask(&world, 7)
        world.run(.milliseconds(25))
        // The opening is there, WHOAREYOU under way; what answers it is lost.
        world.losesNext = 1
        world.run(.milliseconds(375))
        #expect(world.requests(1).count == 1, "250 ms for the first answer of a peer, and a second handshake")
        answer(&world)
        world.run(.milliseconds(50))
        #expect(world.answer(0, id) == .success([1]))
    }

    /// A fifth of all packets is lost: of a hundred requests some five are not answered in time, where it were 36.
    @Test(arguments: [3, 4, 5] as [UInt64]) func fewRequestsFailUnderLoss(seed: UInt64) throws {
        var world = try pair(seed: seed)
        world.lossPercent = 20
        var ids: [TalkID] = []
        for round in 0..<200 {
            ids.append(ask(&world, UInt8(round)))
            for _ in 0..<10 {
                world.run(.milliseconds(20))
                for (_, _, token) in world.requests(1) {
                    world.nodes[1].respond(to: token, response: [1], at: world.now)
                }
                world.told[1] = []
                world.collect(1)
            }
        }
        world.run(.seconds(1))
        let answered = ids.count { world.answer(0, $0) == .success([1]) }
        #expect(answered >= 180, "of 200, seed \(seed): \(answered)")
    }

    // MARK: What a repetition is

    private func token(_ id: UInt32) -> TalkToken {
        TalkToken(
            address: NodeAddress(id: Bytes32(1, 2, 3, 4), endpoint: DiscoveryWorld.endpoint(1)),
            requestID: RequestID(own: id))
    }

    private func isNew(_ sight: RecentRequests.Sight) -> Bool {
        if case .new = sight { true } else { false }
    }

    /// A peer may use one id for all that it asks.
    @Test func anotherRequestUnderTheSameIdIsNoRepetition() {
        var recent = RecentRequests()
        #expect(isNew(recent.see([1], of: testProtocol, token(1), at: start)))
        #expect(!isNew(recent.see([1], of: testProtocol, token(1), at: start)))
        #expect(isNew(recent.see([1, 2], of: testProtocol, token(1), at: start)))
        #expect(isNew(recent.see([1, 2], of: [9], token(1), at: start)))
        #expect(isNew(recent.see([1, 2], of: [9], token(2), at: start)))
        let later = start + DiscoveryLimits.recentTime
        #expect(isNew(recent.see([1, 2], of: [9], token(2), at: later)), "it asks the same again, long after")
    }

    /// An answer of a full packet for a request of some bytes is not given without end.
    @Test func anAnswerIsGivenAgainAsOftenAsAnHonestPeerAsks() {
        var recent = RecentRequests()
        _ = recent.see([1], of: testProtocol, token(1), at: start)
        recent.answered(token(1), with: [5])
        let given = (0..<10).count { _ in
            if case .answered([5]) = recent.see([1], of: testProtocol, token(1), at: start) { true } else { false }
        }
        #expect(given == DiscoveryLimits.repetitions)
    }

    @Test func noMoreRequestsAreRememberedThanTheLimitSays() {
        var recent = RecentRequests()
        let limit = UInt32(DiscoveryLimits.recentRequests)
        for id in 0...limit { _ = recent.see([1], of: testProtocol, token(id), at: start) }
        #expect(!isNew(recent.see([1], of: testProtocol, token(1), at: start)))
        #expect(isNew(recent.see([1], of: testProtocol, token(0), at: start)), "the oldest made room")
        // An answer to what is forgotten is no entry.
        recent.answered(token(limit + 7), with: [5])
        #expect(isNew(recent.see([1], of: testProtocol, token(limit + 7), at: start)))
    }

    // MARK: How long an answer takes

    @Test func patienceFollowsWhatAnswersTake() {
        var trip = AnswerTimes()
        #expect(trip.patience == DiscoveryLimits.unknownPatience)
        for _ in 0..<50 { trip.note(.milliseconds(40)) }
        #expect(trip.patience == DiscoveryLimits.leastPatience)
        for _ in 0..<50 { trip.note(.milliseconds(300)) }
        #expect(trip.patience >= .milliseconds(300) && trip.patience < .milliseconds(500))
    }

    /// A line that is full is not filled with repetitions: two failures, and there are none within a request's time.
    @Test func failuresLengthenThePatienceUntilAnAnswerIsTimed() {
        var trip = AnswerTimes()
        trip.failed()
        #expect(trip.patience == DiscoveryLimits.unknownPatience * 2)
        for _ in 0..<50 { trip.note(.milliseconds(240)) }
        let usual = trip.patience
        trip.failed()
        #expect(trip.patience == usual * 2)
        for _ in 0..<100 { trip.failed() }
        #expect(trip.patience == usual * 16)
        // An answer to the last sending is no sample, and one that was sent once is.
        trip.note(sent: start, repeated: start + .milliseconds(100), answered: start + .milliseconds(400))
        #expect(trip.patience == usual * 16)
        trip.note(sent: start, repeated: nil, answered: start + .milliseconds(240))
        #expect(trip.patience <= usual)
    }

    @Test func whoAnswersNothingIsSoonAskedOnceOnly() throws {
        var world = try pair()
        world.places[1] = Endpoint(ipv4: (1, 1, 1, 1), port: 1)
        let record = world.nodes[1].localRecord
        var repeated: [UInt64] = []
        for round in 0..<6 {
            let before = world.nodes[0].statistics.requestsRepeated
            _ = world.nodes[0].talk(
                to: record, protocol: testProtocol, request: [UInt8(round)], at: world.now)
            world.run(.milliseconds(600))
            repeated.append(world.nodes[0].statistics.requestsRepeated - before)
        }
        #expect(repeated.first == 2 && repeated.suffix(2) == [0, 0], "\(repeated)")
    }

    /// RFC 6298 and Karn's rule: an answer that can belong to the last sending says nothing.
    @Test func anAnswerAfterARepetitionIsASampleOnlyWhereItMustBelongToTheFirstSending() {
        var trip = AnswerTimes()
        trip.note(.milliseconds(200))
        let sent = start
        let repeated = sent + .milliseconds(600)
        trip.note(sent: sent, repeated: repeated, answered: repeated + .milliseconds(150))
        #expect(trip.mean == .milliseconds(200))
        trip.note(sent: sent, repeated: repeated, answered: repeated + .milliseconds(40))
        #expect(trip.mean == .milliseconds(255), "an eighth of 640 ms")
    }
}
