import Discovery
import Primitives
import Testing

@testable import Overlay

/// What is promised to offerers is bounded in bytes too, in all and to each, and every promise ends.
@Suite struct OfferBudgetTests {
    private func bytes(_ message: PortalMessage) -> [UInt8] { (try? message.encoded()) ?? [] }

    private func codes(_ liar: Liar) -> [AcceptCode] {
        liar.answers.compactMap { result in
            guard case .success(let bytes) = result, case .accept(_, let codes)? = try? PortalMessage(decoding: bytes)
            else { return nil }
            return codes.first
        }
    }

    @Test func promisesAreBoundedInAllAndPerPeer() {
        var table = SlotTable<Int>(limit: 9, perPeer: 9, bytes: 100, bytesPerPeer: 60)
        let (a, b) = (Bytes32(1, 0, 0, 0), Bytes32(2, 0, 0, 0))
        for (id, peer) in [(1, a), (2, a), (3, b)] as [(UInt64, Bytes32)] {
            let isIn = table.insert(Int(id), id: id, peer: peer)
            #expect(isIn)
        }
        let taken = [
            table.promise(40, to: 1), table.promise(21, to: 2), table.promise(20, to: 2), table.promise(41, to: 3),
            table.promise(40, to: 3), table.promise(0, to: 3), table.promise(1, to: 9), table.promise(-1, to: 1),
        ]
        #expect(taken == [true, false, true, false, true, true, false, false])
        #expect(table.bytes == 100 && table.bytes(of: a) == 60 && table.bytes(of: b) == 40)
        table.update(1) { $0 = 7 }
        #expect(table[1] == 7 && table.bytes == 100)
        table.remove(1)
        table.remove(1)
        #expect(table.bytes == 60 && table.bytes(of: a) == 20)
        table.remove(2)
        table.remove(3)
        #expect(table.bytes == 0 && table.bytes(of: a) == 0)
    }

    /// Offers of the largest kind, all left to rot: a peer's share is spent, then the whole; then all comes back.
    @Test func whatIsSpentIsToldAndComesBack() throws {
        let share = OverlayLimits.inboundOfferBytesPerPeer / OverlayLimits.offerStreamBytes
        let peers = OverlayLimits.inboundOfferBytes / OverlayLimits.inboundOfferBytesPerPeer
        let (world, liars) = try WithholdingTests.world(peers, seed: 240)
        world.offerLimit = OverlayLimits.offerStreamBytes
        let record = try #require(world.record(0))
        for (_, liar) in liars {
            for key in 0...UInt8(share) { liar.ask(record, bytes(.offer(keys: [[key]])), at: world.now) }
        }
        world.run(.milliseconds(500))
        for (_, liar) in liars {
            #expect(codes(liar).count { $0 == .accepted } == share)
            #expect(codes(liar).count { $0 == .rateLimited } == 1, "its share is spent")
        }
        let load = try #require(world.nodes[0]?.load)
        #expect(load.inboundOfferBytes == OverlayLimits.inboundOfferBytes && load.inboundOffers == peers * share)
        // An honest one finds nothing left: it comes back, and what it was told is not held against it.
        let target = world.id(0)
        let items = [ContentItem(key: [200], value: pattern(5_000))]
        let early = try #require(world.with(1) { $0.offer(network: .state, peer: target, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(1, early) == .success([.rateLimited]))
        #expect(world.nodes[0]?.standing(of: world.id(1))?.brokenOfferRate == 0)
        let counted = try #require(world.nodes[0]?.statistics)
        #expect(counted.offersOverBudget == UInt64(peers) + 2, "the honest one came twice")
        #expect(counted.offerBytesPeak == OverlayLimits.inboundOfferBytes && counted.offersBroken == 0)
        // Smaller ones of a network that knows how small still have no room, but a promise of none does.
        world.run(.seconds(30))
        #expect(world.nodes[0]?.load.inboundOfferBytes == 0)
        let late = try #require(world.with(1) { $0.offer(network: .state, peer: target, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(1, late) == .success([.accepted]))
        world.run(.seconds(30))
        expectIdle(world)
    }

    /// The bytes come back when the items have come, so that one peer may bring any number one after the other.
    @Test func bytesComeBackWithTheItems() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 241))
        world.offerLimit = OverlayLimits.offerStreamBytes
        let target = world.id(1)
        var finished = 0
        for round in 0..<UInt8(12) {
            let items = [ContentItem(key: [round], value: pattern(3_000, round))]
            let offer = try #require(world.with(0) { $0.offer(network: .state, peer: target, items: items, at: $1) })
            world.run(.seconds(1))
            if world.outcome(0, offer) == .success([.accepted]) { finished += 1 }
        }
        #expect(finished == 12)
        #expect(world.nodes[1]?.statistics.offersOverBudget == 0)
        #expect(world.nodes[1]?.statistics.offerBytesPeak == OverlayLimits.offerStreamBytes)
        expectIdle(world)
    }

    /// A stream may bring no more than was promised for it.
    @Test func moreThanThePromiseIsABreach() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 242))
        world.offerLimit = 1_000
        let target = world.id(1)
        let items = [ContentItem(key: [1], value: pattern(20_000))]
        world.with(0) { $0.offer(network: .state, peer: target, items: items, at: $1) }
        world.run(.seconds(10))
        var broken: [OverlayError] = []
        for case .offerBroken(.state, _, _, let error) in world.heard[1] { broken.append(error) }
        #expect(broken.count == 1 && broken.allSatisfy(\.isBreach), "\(broken)")
        expectIdle(world)
    }
}
