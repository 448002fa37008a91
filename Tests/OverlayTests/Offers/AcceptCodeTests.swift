import Discovery
import Primitives
import Testing
import UTP

@testable import Overlay

/// Each code of ACCEPT: who gives it, and what the offerer does about it.
@Suite struct AcceptCodeTests {
    /// Two nodes, of which the second gives `codes`, one after the other, to what the first offers (the last one again
    /// and again).
    private func offered(
        _ codes: [AcceptCode], seed: UInt64
    ) throws -> (world: OverlayWorld, outcome: Result<[AcceptCode], OverlayError>?, offers: Int, received: Int) {
        let world = try #require(try OverlayWorld.meshed(2, seed: seed))
        var left = codes
        world.decides = { _, keys in
            let code = left.count > 1 ? left.removeFirst() : left[0]
            return keys.map { _ in code }
        }
        let peer = world.id(1)
        let items = [ContentItem(key: [1], value: [7, 7])]
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(8))
        var (offers, received) = (0, 0)
        for directive in world.heard[1] {
            switch directive {
            case .offered: offers += 1
            case .offerReceived(.state, _, let got):
                #expect(got == items)
                received += 1
            default: break
            }
        }
        expectIdle(world)
        #expect(world.nodes[0]?.load.restingOffers == 0)
        #expect(world.nodes[0]?.statistics.codesReceived[codes[0]] ?? 0 > 0)
        #expect(world.nodes[1]?.statistics.codesGiven[codes[0]] ?? 0 > 0)
        return (world, world.outcome(0, offer), offers, received)
    }

    @Test func code0AcceptedTheItemIsSent() throws {
        let (world, outcome, offers, received) = try offered([.accepted], seed: 200)
        #expect(outcome == .success([.accepted]) && offers == 1 && received == 1)
        #expect(world.nodes[1]?.statistics.offersReceived == 1)
    }

    @Test func code1DeclinedTheItemIsLeft() throws {
        let (_, outcome, offers, received) = try offered([.declined], seed: 201)
        #expect(outcome == .success([.declined]) && offers == 1 && received == 0)
    }

    @Test func code2AlreadyStoredTheItemIsLeft() throws {
        let (_, outcome, offers, received) = try offered([.alreadyStored], seed: 202)
        #expect(outcome == .success([.alreadyStored]) && offers == 1 && received == 0)
    }

    /// Its radius has shrunk, and we did not know: the next PING, out of turn, brings the new one.
    @Test func code3OutsideRadiusTheRadiusIsAsked() throws {
        var settings = OverlayWorld.Settings()
        settings.pingInterval = .seconds(120)
        let world = try #require(try OverlayWorld.meshed(2, seed: 203, settings))
        world.decides = { _, keys in keys.map { _ in .outsideRadius } }
        world.run(.seconds(20))
        // Known to itself only: its own PINGs, which would tell, do not get through.
        world.blocks = { from, _ in from == OverlayWorld.endpoint(1) }
        world.with(1) { $0.setLocal(network: .state, radius: UInt256(7), extensionPayload: nil, at: $1) }
        world.run(.seconds(6))
        world.blocks = { _, _ in false }
        let peer = world.id(1)
        #expect(world.nodes[0]?.peer(peer, network: .state)?.radius != UInt256(7))
        let start = world.now
        let items = [ContentItem(key: [1], value: [7])]
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(20)) { $0.nodes[0]?.peer(peer, network: .state)?.radius == UInt256(7) }
        #expect(world.outcome(0, offer) == .success([.outsideRadius]))
        #expect(world.nodes[0]?.peer(peer, network: .state)?.radius == UInt256(7))
        #expect(world.now - start < .seconds(8), "not at the next PING in turn")
    }

    @Test func code4RateLimitedTheItemIsOfferedOnceMore() throws {
        let (world, outcome, offers, received) = try offered([.rateLimited, .accepted], seed: 204)
        #expect(outcome == .success([.accepted]) && offers == 2 && received == 1)
        #expect(world.nodes[0]?.statistics.offersRepeated == 1)
        let (_, again, count, none) = try offered([.rateLimited], seed: 204)
        #expect(again == .success([.rateLimited]) && count == 2 && none == 0, "once, not for ever")
    }

    @Test func code4OnlyTheItemsThatNeedItAreOfferedOnceMore() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 205))
        var asked: [[[UInt8]]] = []
        world.decides = { _, keys in
            asked.append(keys)
            return asked.count == 1 ? [.accepted, .rateLimited, .alreadyStored, .rateLimited] : [.accepted, .declined]
        }
        let peer = world.id(1)
        let items = (0..<4).map { ContentItem(key: [UInt8($0)], value: [UInt8($0)]) }
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) })
        world.run(.seconds(8))
        #expect(asked == [[[0], [1], [2], [3]], [[1], [3]]])
        #expect(world.outcome(0, offer) == .success([.accepted, .accepted, .alreadyStored, .declined]))
        expectIdle(world)
    }

    /// The other may fail: the item is offered once more when that must be known.
    @Test func code5InProgressTheItemIsOfferedOnceMoreWhenTheOtherMustHaveBroughtIt() throws {
        let (world, outcome, offers, received) = try offered([.inProgress, .alreadyStored], seed: 206)
        #expect(outcome == .success([.alreadyStored]) && offers == 2 && received == 0)
        #expect(world.nodes[0]?.statistics.offersRepeated == 1)
        let (_, second, again, brought) = try offered([.inProgress, .accepted], seed: 206)
        #expect(second == .success([.accepted]) && again == 2 && brought == 1, "the other has failed")
        let (_, last, count, none) = try offered([.inProgress], seed: 206)
        #expect(last == .success([.inProgress]) && count == 2 && none == 0, "once, not for ever")
    }

    @Test func code5WaitsLongerThanCode4() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 212))
        world.decides = { _, keys in keys.map { _ in .inProgress } }
        let peer = world.id(1)
        let items = [ContentItem(key: [1], value: [7])]
        world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) }
        world.run(.milliseconds(2_900))
        #expect(OverlayLimits.inProgressDelay == .seconds(3))
        #expect(world.nodes[0]?.load.restingOffers == 1 && world.nodes[0]?.statistics.offersRepeated == 0)
        world.run(.milliseconds(300))
        #expect(world.nodes[0]?.load.restingOffers == 0 && world.nodes[0]?.statistics.offersRepeated == 1)
    }

    @Test func code6NotVerifiableTheItemIsLeft() throws {
        let (_, outcome, offers, received) = try offered([.notVerifiable], seed: 207)
        #expect(outcome == .success([.notVerifiable]) && offers == 1 && received == 0)
    }

    @Test func aCodeOfALaterVersionIsARefusal() throws {
        let (world, outcome, offers, received) = try offered([AcceptCode(rawValue: 99)], seed: 208)
        #expect(outcome == .success([AcceptCode(rawValue: 99)]) && offers == 1 && received == 0)
        #expect(world.nodes[0]?.peer(world.id(1), network: .state) != nil)
    }

    /// What rests is bounded: beyond that a "rate limited" is final.
    @Test func offersThatRestAreBounded() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 209))
        world.decides = { _, keys in keys.map { _ in .rateLimited } }
        let peer = world.id(1)
        let count = OverlayLimits.restingOffersPerPeer + 3
        for index in 0..<count {
            let items = [ContentItem(key: [UInt8(index)], value: [1])]
            world.with(0) { $0.offer(network: .state, peer: peer, items: items, at: $1) }
        }
        world.run(.milliseconds(500))
        #expect(world.nodes[0]?.load.restingOffers == OverlayLimits.restingOffersPerPeer)
        let finished = world.heard[0].count { if case .offerFinished = $0 { true } else { false } }
        #expect(finished == 3)
        world.run(.seconds(5))
        #expect(world.heard[0].count { if case .offerFinished = $0 { true } else { false } } == count)
        expectIdle(world)
    }
}
