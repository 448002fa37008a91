import Chain
import ChainNetwork
import Primitives
import StateContent
import Testing

@testable import Node
@testable import Overlay

/// When blocks are offered to whom, and which offers are spared.
@Suite("Gathering of offers") struct GatheringTests {
    private let peer = Bytes32(5, 0, 0, 0)
    private let point = StatePoint(number: 1, hash: Bytes32(0, 0, 0, 1))

    private func gathering(threshold: Int = 1) -> OfferGathering {
        OfferGathering(id: Bytes32(1, 0, 0, 0), threshold: threshold)
    }

    private func point(_ number: UInt64) -> StatePoint { StatePoint(number: number, hash: Bytes32(0, 0, 0, number)) }

    private func diff(_ number: UInt64) throws -> ContentItem {
        let key = try #require(BlockDiffsKey(point: point(number), first: 0, last: 7))
        return ContentItem(key: StateContentKey.blockDiffs(key).encoded, value: [1, 2, 3])
    }

    private func block(_ number: UInt64) -> ContentItem {
        ContentItem(key: ChainContentKey.newBlock(point(number)).encoded, value: [4, 5])
    }

    /// Offers what is due and has it answered.
    private func offer(
        _ offers: inout OfferGathering, _ codes: [AcceptCode]?, at now: Instant
    ) -> [OfferGathering.Ready] {
        let due = offers.takeDue(at: now)
        for ready in due {
            offers.began(Overlay.OfferID(value: 1), ready)
            offers.ended(Overlay.OfferID(value: 1), codes, at: now)
        }
        return due
    }

    @Test func aDiffGoesAtOnceAndTheHeaderGoesWithIt() throws {
        var offers = gathering()
        offers.add([block(1)], to: peer, on: .chain, at: .zero)
        #expect(offers.takeDue(at: .zero).isEmpty)
        #expect(offers.deadline == Instant.zero + NodeLimits.newBlockGather)
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        let due = offer(&offers, [.accepted], at: .zero)
        #expect(due.map(\.items) == [[try diff(1)]])
        #expect(offers.deadline == nil, "the block is not offered by itself")
    }

    @Test func aBlockWithoutDiffsGoesAfterAMoment() throws {
        var offers = gathering()
        offers.add([block(1)], to: peer, on: .chain, at: .zero)
        offers.add([try diff(2)], to: peer, on: .state, at: .zero)
        #expect(offer(&offers, [.accepted], at: .zero).map(\.network) == [.state])
        #expect(offers.takeDue(at: .zero + NodeLimits.newBlockGather).map(\.items) == [[block(1)]])
    }

    @Test(arguments: [AcceptCode.outsideRadius, .rateLimited, .notVerifiable])
    func whoDoesNotTakeTheDiffGetsTheHeader(code: AcceptCode) throws {
        var offers = gathering()
        offers.add([block(1)], to: peer, on: .chain, at: .zero)
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        _ = offer(&offers, [code], at: .zero)
        #expect(offers.takeDue(at: .zero + NodeLimits.newBlockGather).map(\.items) == [[block(1)]])
    }

    @Test(arguments: [AcceptCode.alreadyStored, .inProgress])
    func whoHadAllGetsSeveralBlocksTogether(code: AcceptCode) throws {
        var offers = gathering()
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        _ = offer(&offers, [code], at: .zero)
        offers.add([try diff(2)], to: peer, on: .state, at: .zero)
        offers.add([try diff(3)], to: peer, on: .state, at: .zero + .milliseconds(100))
        #expect(offers.takeDue(at: .zero + .milliseconds(399)).isEmpty)
        // The peer took one of them: what follows goes at once.
        let due = offer(&offers, [code, .accepted], at: .zero + NodeLimits.suppliedGather)
        #expect(due.map(\.items) == [[try diff(2), try diff(3)]])
        offers.add([try diff(4)], to: peer, on: .state, at: .zero + .seconds(1))
        #expect(offers.takeDue(at: .zero + .seconds(1)).map(\.items) == [[try diff(4)]])
    }

    @Test func theOneWithTheGreaterIDLetsTheOtherGoFirst() throws {
        var offers = OfferGathering(id: .max, threshold: 1)
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        _ = offer(&offers, [.alreadyStored], at: .zero)
        offers.add([try diff(2)], to: peer, on: .state, at: .zero)
        #expect(offers.deadline == Instant.zero + NodeLimits.suppliedGather * 2)
        offers.heard([try diff(2).key], by: peer, on: .state)
        #expect(offers.deadline == nil)
    }

    @Test func whatThePeerHasOfferedIsNotOfferedToIt() throws {
        var offers = gathering()
        offers.heard([try diff(1).key], by: peer, on: .state)
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        offers.add([block(1)], to: peer, on: .chain, at: .zero)
        #expect(offers.deadline == nil)
        offers.add([block(2)], to: peer, on: .chain, at: .zero)
        offers.heard([block(2).key], by: peer, on: .chain)
        #expect(offers.deadline == nil)
        offers.add([try diff(1)], to: .max, on: .state, at: .zero)
        #expect(offers.deadline == .zero, "others are another matter")
    }

    @Test func whereOneWordIsNotEnoughEveryBlockGoes() throws {
        var offers = gathering(threshold: 2)
        offers.heard([try diff(1).key], by: peer, on: .state)
        offers.heard([block(1).key], by: peer, on: .chain)
        offers.add([block(1), block(2)], to: peer, on: .chain, at: .zero)
        offers.add([try diff(2)], to: peer, on: .state, at: .zero)
        #expect(offer(&offers, [.accepted], at: .zero).map(\.network) == [.state])
        #expect(offers.takeDue(at: .zero + .seconds(1)).map(\.items) == [[block(1), block(2)]])
    }

    @Test func whatIsNoBlockGoesAtOnce() throws {
        var offers = gathering()
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        _ = offer(&offers, [.alreadyStored], at: .zero)
        let crown = ContentItem(key: StateContentKey.crown(Bench.anchor).encoded, value: [9])
        offers.add([crown], to: peer, on: .state, at: .zero)
        #expect(offers.takeDue(at: .zero).map(\.items) == [[crown]])
    }

    @Test func whatIsGatheredIsBounded() throws {
        var offers = gathering()
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        _ = offer(&offers, [.alreadyStored], at: .zero)
        for number in 2...UInt64(NodeLimits.gatheredItems) {
            offers.add([try diff(number)], to: peer, on: .state, at: .zero)
        }
        #expect(offers.takeDue(at: .zero).isEmpty)
        offers.add([try diff(99)], to: peer, on: .state, at: .zero)
        #expect(offers.takeDue(at: .zero).map(\.items.count) == [NodeLimits.gatheredItems])
        var large = try diff(100)
        large.value = [UInt8](repeating: 0, count: NodeLimits.gatheredBytes)
        offers.add([large], to: peer, on: .state, at: .zero)
        #expect(offers.takeDue(at: .zero).count == 1)
    }

    @Test func whoIsNoPeerAnyMoreIsForgotten() throws {
        var offers = gathering()
        offers.add([block(1)], to: peer, on: .chain, at: .zero)
        offers.lost(peer, on: .chain)
        #expect(offers.deadline == nil)
        // Nor does an offer without an answer say anything of it.
        offers.add([try diff(1)], to: peer, on: .state, at: .zero)
        _ = offer(&offers, nil, at: .zero)
        offers.add([try diff(2)], to: peer, on: .state, at: .zero)
        #expect(offers.deadline == .zero)
    }
}
