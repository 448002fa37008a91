import Discovery
import Primitives
import Testing
import UTP

@testable import Overlay

/// What is promised and never sent takes no slot for good, and is remembered.
@Suite struct WithholdingTests {
    private func bytes(_ message: PortalMessage) -> [UInt8] { (try? message.encoded()) ?? [] }

    private func world(_ count: Int, seed: UInt64) throws -> (OverlayWorld, [(index: Int, liar: Liar)]) {
        try WithholdingTests.world(count, seed: seed)
    }

    /// A node in whose table are `count` liars.
    static func world(_ count: Int, seed: UInt64) throws -> (OverlayWorld, [(index: Int, liar: Liar)]) {
        let world = try OverlayWorld(2, seed: seed)
        world.bootstrap()
        let liars = try (0..<count).map { _ in try world.addLiar() }
        let records = liars.map(\.liar.discovery.localRecord)
        world.with(0) { $0.addBootNodes(records, at: $1) }
        let met = world.run(.seconds(20)) { world in
            liars.allSatisfy { world.nodes[0]?.peer(world.id($0.index), network: .state) != nil }
                && world.nodes[0]?.peer(world.id(1), network: .state) != nil
        }
        try #require(met)
        world.run(.seconds(1))
        return (world, liars)
    }

    /// Offers until every slot is taken, accepted and then left to rot: with a SYN and no DATA where `sendsSYN`, with
    /// nothing at all else.
    private func withhold(sendsSYN: Bool, seed: UInt64) throws {
        let count = OverlayLimits.inboundOffers / OverlayLimits.inboundOffersPerPeer
        let (world, liars) = try world(count, seed: seed)
        let record = try #require(world.record(0))
        for (_, liar) in liars {
            liar.withholds = true
            for key in 0..<UInt8(OverlayLimits.inboundOffersPerPeer) {
                if sendsSYN {
                    try liar.offer(record, keys: [[key]], stream: [1, 1], at: world.now)
                } else {
                    liar.ask(record, bytes(.offer(keys: [[key]])), at: world.now)
                }
            }
        }
        world.run(.seconds(1))
        #expect(world.nodes[0]?.load.inboundOffers == OverlayLimits.inboundOffers)
        // An honest one is told to come back, and when it does the slowest of the others has to go.
        let target = world.id(0)
        let items = [ContentItem(key: [200], value: [5])]
        let early = try #require(world.with(1) { $0.offer(network: .state, peer: target, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(1, early) == .success([.accepted]))
        world.run(UTPLimits.idleTime + UTPLimits.acceptTime)
        #expect(world.nodes[0]?.load.inboundOffers == 0 && world.nodes[0]?.load.streams == 0)
        let broken = world.heard[0].count { if case .offerBroken = $0 { true } else { false } }
        #expect(broken == OverlayLimits.inboundOffers)
        #expect(world.nodes[0]?.statistics.offersBroken == UInt64(OverlayLimits.inboundOffers))
        let late = try #require(world.with(1) { $0.offer(network: .state, peer: target, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(1, late) == .success([.accepted]))
        // Who did that has a name for it, and one slot the next time.
        for (index, _) in liars {
            let standing = try #require(world.nodes[0]?.standing(of: world.id(index)))
            #expect(standing.brokenOfferRate == 1)
        }
        for (_, liar) in liars {
            for key in 100..<104 as Range<UInt8> { liar.ask(record, bytes(.offer(keys: [[key]])), at: world.now) }
        }
        world.run(.seconds(1))
        #expect(world.nodes[0]?.load.inboundOffers == liars.count)
        #expect(world.nodes[0]?.standing(of: world.id(1))?.isBanned(at: world.now) == false)
        world.run(.seconds(40))
        expectIdle(world)
    }

    @Test func offersAcceptedAndNeverSentGiveTheirSlotsBack() throws { try withhold(sendsSYN: false, seed: 220) }

    @Test func aSYNWithoutDataGivesItsSlotBack() throws { try withhold(sendsSYN: true, seed: 221) }

    /// A byte a second is progress, so no silence ends it: the request's own time does.
    @Test func contentThatTricklesIsCutOffInTime() throws {
        let (world, liars) = try world(1, seed: 223)
        let (index, liar) = liars[0]
        liar.trickle(from: world.now)
        liar.reply = { if case .findContent = $0 { .stream([UInt8](repeating: 1, count: 5_000)) } else { nil } }
        let peer = world.id(index)
        let start = world.now
        let request = try #require(
            world.with(0) {
                $0.findContent(
                    network: .state, peer: peer, key: [1], limit: 1 << 20, timeout: .seconds(32), at: $1)
            })
        world.run(.seconds(60)) { $0.answer(0, request) != nil }
        let answer = try #require(world.answer(0, request))
        #expect(answer.error == .timeout, "not for silence: it went on")
        #expect(world.now - start <= .seconds(33) && answer.report.duration == .seconds(32))
        let standing = try #require(world.nodes[0]?.standing(of: peer))
        #expect(standing.failureRate == 1 && standing.failureTime == .seconds(32) && standing.bannedUntil == nil)
        world.run(.seconds(1))
        expectIdle(world)
        // Another is asked before it is asked again.
        let honest = world.id(1)
        let chosen = world.with(0) { node, now in
            (0..<50).map { _ in
                node.choose(
                    network: .state, among: [AskCandidate(id: peer, load: 0), AskCandidate(id: honest, load: 0)],
                    bytes: 5_000, at: now)
            }
        }
        #expect(chosen?.allSatisfy { $0 == honest } == true)
    }

    /// The other direction: a holder that promises content on a stream, lets us in and sends nothing.
    @Test func contentPromisedAndNeverSentGivesItsSlotBack() throws {
        let (world, liars) = try world(1, seed: 222)
        let (index, liar) = liars[0]
        liar.withholds = true
        liar.reply = { if case .findContent = $0 { .stream([UInt8](repeating: 1, count: 5_000)) } else { nil } }
        let peer = world.id(index)
        for key in 0..<UInt8(10) {
            world.with(0) {
                _ = $0.findContent(
                    network: .state, peer: peer, key: [key], limit: 1 << 20, timeout: .seconds(30), at: $1)
            }
        }
        world.run(.seconds(35))
        let failures = world.heard[0].count {
            if case .contentAnswered(_, .failure, _) = $0 { true } else { false }
        }
        #expect(failures == 10 && world.nodes[0]?.statistics.requestsFailed == 10)
        expectIdle(world)
    }
}
