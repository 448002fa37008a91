import Discovery
import Primitives
import Testing
import UTP

@testable import Overlay

/// Everything that was taken is given back.
func expectIdle(_ world: OverlayWorld, _ location: SourceLocation = #_sourceLocation) {
    for node in world.nodes.compactMap({ $0 }) {
        #expect(node.load.requests == 0, sourceLocation: location)
        #expect(node.load.served == 0, sourceLocation: location)
        #expect(node.load.offers == 0, sourceLocation: location)
        #expect(node.load.inboundOffers == 0, sourceLocation: location)
        #expect(node.load.inboundOfferBytes == 0, sourceLocation: location)
        #expect(node.load.streams == 0, sourceLocation: location)
    }
}

func pattern(_ count: Int, _ seed: UInt8 = 1) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(seed)) }
}

@Suite struct ContentTests {
    @Test(arguments: [0, 1, 1_165])
    func smallContentComesInline(_ size: Int) throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 40))
        world.serves = { _, key in key == [7] ? .content(pattern(size)) : nil }
        let answer = try #require(world.find(0, from: 1, key: [7]))
        #expect(answer.content == pattern(size))
        #expect(answer.report.bytes == size)
        #expect(!answer.report.byStream)
        #expect(world.nodes[0]?.traffic(with: world.id(1), network: .state).received == UInt64(size))
        #expect(world.nodes[1]?.traffic(with: world.id(0), network: .state).contentSent == UInt64(size))
        #expect(world.nodes[0]?.traffic(with: world.id(1), network: .chain).received == 0)
        expectIdle(world)
    }

    @Test(arguments: [1_166, 1 << 20])
    func largeContentComesByStream(_ size: Int) throws {
        var settings = OverlayWorld.Settings()
        settings.loss = 5
        let world = try #require(try OverlayWorld.meshed(2, seed: 41, settings))
        world.serves = { _, _ in .content(pattern(size)) }
        let answer = try #require(world.find(0, from: 1, key: [7]))
        #expect(answer.content == pattern(size))
        #expect(answer.report.byStream)
        #expect(answer.report.bytes == size)
        world.run(.seconds(5))
        #expect(world.nodes[0]?.traffic(with: world.id(1), network: .state).received == UInt64(size))
        #expect(world.nodes[1]?.traffic(with: world.id(0), network: .state).contentSent == UInt64(size))
        #expect((world.nodes[0]?.standing(of: world.id(1))?.throughput ?? 0 > 0) == (size > 8_192))
        expectIdle(world)
        print("\(size) bytes in \(answer.report.duration.microseconds) µs")
    }

    @Test func slowContentIsPromisedFirst() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 42))
        world.servingTime = .milliseconds(1_500)
        world.serves = { _, key in .content(pattern(Int(key[0]) * 100)) }
        for size in [UInt8(0), 3, 200] {
            let answer = try #require(world.find(0, from: 1, key: [size]))
            #expect(answer.content == pattern(Int(size) * 100))
            #expect(answer.report.byStream)
            #expect(answer.report.firstAnswer < .milliseconds(400))
        }
        world.run(.seconds(5))
        expectIdle(world)
    }

    @Test func recordsAreReturnedAndMet() throws {
        let world = try #require(try OverlayWorld.meshed(3, seed: 43))
        let record = try #require(world.record(2))
        world.serves = { _, _ in .records([record]) }
        #expect(world.find(0, from: 1, key: [1])?.result == .success(.records([record])))
        // Nobody is told of themselves.
        #expect(world.find(2, from: 1, key: [1])?.result == .success(.records([])))
        expectIdle(world)
    }

    @Test func contentThatNeverComesTimesOut() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 44))
        world.serves = { _, _ in nil }
        let answer = try #require(world.find(0, from: 1, key: [1], timeout: .seconds(3)))
        #expect(answer.result == .failure(.timeout))
        #expect(answer.report.duration == .seconds(3))
        #expect(world.nodes[0]?.load.requests == 0)
        world.run(.seconds(130))
        expectIdle(world)
    }

    @Test func aLateAnswerIsIgnored() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 45))
        world.servingTime = .seconds(121)
        world.serves = { _, _ in .content([1]) }
        #expect(world.find(0, from: 1, key: [1], timeout: .seconds(2))?.result == .failure(.timeout))
        world.run(.seconds(130))
        expectIdle(world)
    }

    @Test func aDeadPeerFailsTheRequest() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 46))
        world.stop(1)
        let answer = try #require(world.find(0, from: 1, key: [1]))
        #expect(answer.result == .failure(.unanswered(.timeout)))
        #expect(world.nodes[0]?.standing(of: world.id(1))?.failureRate ?? 0 > 0)
        expectIdle(world)
    }

    @Test func aPeerThatDiesDuringTheStreamFailsTheRequest() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 47))
        world.serves = { _, _ in .content(pattern(4 << 20)) }
        world.at(world.now + .milliseconds(25)) { $0.stop(1) }
        let answer = try #require(world.find(0, from: 1, key: [1], timeout: .seconds(60)))
        #expect(answer.error == .stream(.idle))
        world.run(.seconds(60))
        expectIdle(world)
    }

    @Test func anAnswerOverTheLimitIsRefused() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 48))
        world.serves = { _, key in .content(pattern(key[0] == 0 ? 1_000 : 100_000)) }
        let before = try #require(world.nodes[0]?.standing(of: world.id(1))?.score)
        #expect(world.find(0, from: 1, key: [0], limit: 999)?.result == .failure(.contentTooLarge(1_000)))
        #expect(
            world.find(0, from: 1, key: [1], limit: 90_000)?.result
                == .failure(.stream(.payloadTooLarge(limit: 90_005))))
        #expect(world.find(0, from: 1, key: [1], limit: 99_999)?.result == .failure(.framing(.tooLarge)))
        #expect((world.nodes[0]?.standing(of: world.id(1))?.score ?? 0) < before - 50)
        world.run(.seconds(20))
        expectIdle(world)
    }

    @Test func requestsThatCannotBeAreRefusedAtOnce() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 49))
        let long = [UInt8](repeating: 0, count: OverlayLimits.askedKeyBytes + 1)
        #expect(world.find(0, from: 1, key: long)?.result == .failure(.keyTooLong(long.count)))
        let unknown = NetworkID(value: 0x500a)
        #expect(world.find(0, from: 1, key: [1], network: unknown)?.result == .failure(.unknownNetwork))
        let key = try #require(
            world.with(0) { node, now in
                node.findContent(
                    network: .state, peer: Bytes32(1, 2, 3, 4), key: [1], limit: 10, timeout: .seconds(1), at: now)
            })
        #expect(world.answer(0, key)?.result == .failure(.unknownPeer))
    }

    @Test func theLongestKeyFits() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 50))
        let long = pattern(OverlayLimits.askedKeyBytes)
        world.serves = { _, key in .content([UInt8(key.count & 255)]) }
        #expect(world.find(0, from: 1, key: long)?.result == .success(.content([UInt8(long.count & 255)])))
        // Also to one that has lost its session: a PING opens the way.
        try world.start(1)
        #expect(world.find(0, from: 1, key: long)?.result == .success(.content([UInt8(long.count & 255)])))
    }

    @Test func moreRequestsThanSlotsAreRefusedAndOthersGoOn() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 51))
        world.serves = { _, _ in .content(pattern(3_000)) }
        let target = world.id(1)
        let requests = try #require(
            world.with(0) { node, now in
                (0..<OverlayLimits.contentRequestsPerPeer + 1).map { index in
                    node.findContent(
                        network: .state, peer: target, key: [UInt8(index)], limit: 5_000, timeout: .seconds(20), at: now
                    )
                }
            })
        world.run(.seconds(30))
        var good = 0, busy = 0
        for request in requests.dropLast() {
            switch world.answer(0, request)?.result {
            case .success(.content(let bytes)) where bytes.count == 3_000: good += 1
            case .success(.content([2, 1, 0])): busy += 1
            default: break
            }
        }
        #expect(good + busy == OverlayLimits.contentRequestsPerPeer)
        #expect(good >= OverlayLimits.servedContentsPerPeer)
        #expect(busy > 0)
        #expect(world.answer(0, try #require(requests.last))?.result == .failure(.tooManyRequests))
        expectIdle(world)
    }

    @Test func aCancelledRequestIsSilent() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 52))
        world.serves = { _, _ in .content(pattern(1 << 20)) }
        let target = world.id(1)
        let request = try #require(
            world.with(0) { node, now in
                node.findContent(
                    network: .state, peer: target, key: [1], limit: 1 << 21, timeout: .seconds(20), at: now)
            })
        world.run(.milliseconds(15))
        world.with(0) { $0.cancel(request, at: $1) }
        world.run(.seconds(20))
        #expect(world.answer(0, request) == nil)
        expectIdle(world)
    }

    @Test func aBanExpires() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 53))
        world.serves = { _, _ in .content([0]) }
        let peer = world.id(1)
        world.with(0) { $0.judge(peer, .lie, at: $1) }
        #expect(world.nodes[0]?.peers(network: .state).isEmpty == true)
        #expect(world.find(0, from: 1, key: [1])?.result == .failure(.peerBanned))
        #expect(world.find(1, from: 0, key: [1])?.result == .failure(.unsupported))
        world.run(OverlayLimits.banInterval + .seconds(400))
        #expect(world.nodes[0]?.standing(of: peer)?.isBanned(at: world.now) == false)
        #expect(world.isMeshed())
        #expect(world.find(0, from: 1, key: [1])?.result == .success(.content([0])))
    }
}

@Suite struct OfferTests {
    func items(_ sizes: [Int]) -> [ContentItem] {
        sizes.enumerated().map { index, size in
            ContentItem(key: [UInt8(index & 255), UInt8(index >> 8)], value: pattern(size, UInt8(index & 255)))
        }
    }

    @Test func acceptedItemsArriveAndTheOthersDoNot() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 60))
        world.decides = { _, _ in [.accepted, .alreadyStored, .accepted] }
        let items = items([5_000, 10, 0])
        let peer = world.id(1)
        let offer = try #require(world.with(0) { $0.offer(network: .chain, peer: peer, items: items, at: $1) })
        world.run(.seconds(10))
        #expect(world.outcome(0, offer) == .success([.accepted, .alreadyStored, .accepted]))
        var received: [[ContentItem]] = []
        for case .offerReceived(.chain, let from, let items) in world.heard[1] {
            #expect(from.id == world.id(0))
            received.append(items)
        }
        #expect(received == [[items[0], items[2]]])
        #expect(world.nodes[0]?.traffic(with: peer, network: .chain).offersSent == 5_000)
        expectIdle(world)
    }

    @Test func nothingAcceptedNeedsNoStream() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 61))
        let codes: [AcceptCode] = [.declined, .outsideRadius, .rateLimited, .inProgress, .notVerifiable]
        // What was refused for the rate, or is on its way from another, is offered once more and refused again.
        world.decides = { _, keys in keys.count == codes.count ? codes : [.rateLimited, .inProgress] }
        let (peer, items) = (world.id(1), items([1, 2, 3, 4, 5]))
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(4))
        #expect(world.outcome(0, offer) == .success(codes))
        expectIdle(world)
    }

    @Test func manyItemsTakeSeveralOffers() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 62))
        let (peer, items) = (world.id(1), items([Int](repeating: 300, count: 200)))
        #expect(try Offers.parts(of: items).map(\.count) == [64, 64, 64, 8])
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(20))
        #expect(world.outcome(0, offer) == .success(items.map { _ in .accepted }))
        var received: [ContentItem] = []
        for case .offerReceived(_, _, let items) in world.heard[1] { received += items }
        #expect(received.sorted { $0.key[0] < $1.key[0] } == items.sorted { $0.key[0] < $1.key[0] })
        expectIdle(world)
    }

    @Test func offersAreFilledByBytes() throws {
        let long = (0..<9).map { ContentItem(key: pattern(240, UInt8($0)), value: [1]) }
        // 5 + n × 244 ≤ 1,024.
        #expect(try Offers.parts(of: long).map(\.count) == [4, 4, 1])
        let heavy = (0..<3).map { ContentItem(key: [UInt8($0)], value: [UInt8](repeating: 0, count: 4 << 20)) }
        #expect(try Offers.parts(of: heavy).map(\.count) == [1, 1, 1])
        #expect(try Offers.parts(of: []).isEmpty)
        #expect(throws: OverlayError.keyTooLong(1_016)) {
            try Offers.parts(of: [ContentItem(key: pattern(1_016), value: [])])
        }
        let size = OverlayLimits.offerStreamBytes
        #expect(throws: OverlayError.itemTooLarge(size)) {
            try Offers.parts(of: [ContentItem(key: [], value: [UInt8](repeating: 0, count: size))])
        }
    }

    @Test func anOfferWhoseAcceptWasLostIsOneOffer() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 67))
        let (peer, items, start) = (world.id(1), items([3_000]), world.now)
        world.blocks = { [unowned world] from, _ in
            from == OverlayWorld.endpoint(1) && world.now < start + .milliseconds(100)
        }
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(0, offer) == .success([.accepted]))
        var offered = 0, received = 0
        for directive in world.heard[1] {
            switch directive {
            case .offered: offered += 1
            case .offerReceived: received += 1
            default: break
            }
        }
        #expect(offered == 1)
        #expect(received == 1)
        expectIdle(world)
    }

    @Test func anUndecidedOfferIsDeclinedForNow() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 63))
        world.decides = { _, _ in nil }
        let (peer, items) = (world.id(1), items([1, 2]))
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(0, offer) == .success([.rateLimited, .rateLimited]))
        expectIdle(world)
    }

    @Test func anEmptyOfferIsOverAtOnce() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 64))
        let peer = world.id(1)
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: [], at: $1) })
        #expect(world.outcome(0, offer) == .success([]))
        expectIdle(world)
    }

    @Test func anOffererThatDiesBreaksTheOffer() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 65))
        let (peer, items) = (world.id(1), items([4 << 20]))
        world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) }
        world.at(world.now + .milliseconds(25)) { $0.stop(0) }
        world.run(.seconds(70))
        var broken: [OverlayError] = []
        for case .offerBroken(.state, _, let keys, let error) in world.heard[1] {
            #expect(keys == [items[0].key])
            broken.append(error)
        }
        #expect(broken == [.stream(.idle)])
        expectIdle(world)
    }

    @Test func aDeadReceiverFailsTheOffer() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 66))
        let (peer, items) = (world.id(1), items([1]))
        world.stop(1)
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(0, offer) == .failure(.unanswered(.timeout)))
        expectIdle(world)
    }

    /// The answer to a request is lost as often as it is given, and the peer asks anew: what was promised first, and
    /// nobody will read, does not keep the second from its turn, however large both may become.
    @Test func whatIsAskedForAgainDoesNotWaitForWhatWasLost() throws {
        var settings = OverlayWorld.Settings()
        settings.networks[0].answerBytes = { _ in 2 * OverlayLimits.answerWindow }
        let world = try #require(try OverlayWorld.meshed(2, seed: 67, settings))
        world.serves = { _, _ in .content([UInt8](repeating: 7, count: 5_000)) }
        let restored = world.now + .milliseconds(500)
        let (client, server) = (OverlayWorld.endpoint(0), OverlayWorld.endpoint(1))
        world.blocks = { [unowned world] from, to in from == server && to == client && world.now < restored }
        let answer = try #require(world.find(0, from: 1, key: [1, 2, 3]))
        #expect(answer.content?.count == 5_000)
        #expect(answer.report.duration < .seconds(2), "\(answer.report.duration)")
        #expect(world.nodes[1]?.statistics.requestsAdmitted == 2, "asked twice")
        world.run(.seconds(15))
        expectIdle(world)
    }
}
