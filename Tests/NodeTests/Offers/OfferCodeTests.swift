import Chain
import ChainNetwork
import Discovery
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

/// Each code of ACCEPT as the node gives it.
@Suite("Codes a node gives") struct OfferCodeTests {
    private func code(
        _ bench: inout Bench, section: Int = 3, number: UInt64 = 1, hash: Bytes32 = .max,
        from peer: Bytes32 = Bench.peer
    ) -> AcceptCode? {
        let key = BlockDiffKey(point: StatePoint(number: number, hash: hash), section: section)
        return bench.code(StateContentKey.blockDiff(key).encoded, from: peer)
    }

    @Test func code0AcceptedWhatIsWanted() throws {
        var bench = try Bench(.holder)
        let code = code(&bench)
        #expect(code == .accepted)
    }

    @Test func code1DeclinedWhatTheRoleForbidsOrNobodyOffers() throws {
        var bench = try Bench(.bridge)
        let code = code(&bench)
        #expect(code == .declined)
        var holder = try Bench(.holder)
        let availability = holder.code(StateContentKey.availability.encoded)
        #expect(availability == .declined)
        #expect(AcceptCode(holder.node.chain.admission(of: [0x50])) == .declined)
    }

    @Test func code2AlreadyStoredWhatIsPartOfTheBase() throws {
        var bench = try Bench(.holder)
        let code = code(&bench, number: 0, hash: Bench.genesis.hash)
        #expect(code == .alreadyStored)
        let key = ChainContentKey.newBlock(Bench.genesis).encoded
        #expect(AcceptCode(bench.node.chain.admission(of: key)) == .alreadyStored)
        let next = ChainContentKey.newBlock(StatePoint(number: 1, hash: .max)).encoded
        #expect(AcceptCode(bench.node.chain.admission(of: next)) == .accepted)
    }

    @Test func code3OutsideRadiusAnotherArc() throws {
        var bench = try Bench(.holder)
        bench.node.state.holdings = Holdings(
            depth: 1, epochLength: 8, arc: 8..<16, records: (8..<16).map { Bench.record($0) }, layers: [], crowns: [])
        let code = code(&bench)
        #expect(code == .outsideRadius)
    }

    @Test func code4RateLimitedTooMuchWaits() throws {
        var bench = try Bench(.holder)
        for number in 1...UInt64(StateNetworkLimits.pendingDiffsPerSection) {
            let value = BlockDiffValue(
                header: [], certificate: [], sectionHashBefore: .zero, changes: [], codes: [], pathProof: [])
            bench.node.state.pending.enqueue(
                PendingDiff(
                    key: BlockDiffKey(point: StatePoint(number: number, hash: .max), section: 3), section: 3,
                    value: value,
                    byteCount: 1, sender: Bench.peer, receivedAt: bench.now, isVouched: true),
                bench.book)
        }
        let code = code(&bench, number: 500)
        #expect(code == .rateLimited)
    }

    @Test func code5InProgressAnotherBringsIt() throws {
        var bench = try Bench(.holder)
        let first = code(&bench)
        let second = code(&bench, from: Bytes32(8, 8, 8, 8))
        #expect(first == .accepted && second == .inProgress)
    }

    /// Its sender is waited for; where it does not come, the next one that offers it is taken.
    @Test func code5InProgressANewBlockThatAnotherBrings() throws {
        var bench = try Bench(.holder)
        let key = ChainContentKey.newBlock(StatePoint(number: 1, hash: .max)).encoded
        let other = Bytes32(8, 8, 8, 8)
        func code(_ bench: inout Bench, _ peer: Bytes32) -> AcceptCode? {
            bench.node.codes(forBlocks: [key], from: peer, at: bench.now).first
        }
        let (first, second) = (code(&bench, Bench.peer), code(&bench, other))
        #expect(first == .accepted && second == .inProgress)
        bench.now = bench.now + StateNetworkLimits.expectedWait
        #expect(StateNetworkLimits.expectedWait < OverlayLimits.inProgressDelay, "in time for the second offer")
        let third = code(&bench, other)
        #expect(third == .accepted)
        let address = NodeAddress(id: other, endpoint: Endpoint(ipv4: (10, 0, 0, 9), port: 1))
        bench.node.perform(
            Overlay.Directive.offerBroken(.chain, from: address, keys: [key], .timeout), at: bench.moment)
        let fourth = code(&bench, Bench.peer)
        #expect(fourth == .accepted, "given back at once where it broke")
    }

    @Test func asManyBringANewBlockAsThereAreKeysToHear() throws {
        var bench = try Bench(.holder, threshold: 2)
        let key = ChainContentKey.newBlock(StatePoint(number: 1, hash: .max)).encoded
        let codes = (1...3).map { number in
            bench.node.codes(forBlocks: [key], from: Bytes32(0, 0, 0, number), at: bench.now)
        }
        #expect(codes == [[.accepted], [.accepted], [.inProgress]])
    }

    /// What is promised to an offerer is what its keys may bring.
    @Test func theBytesOfAnOfferAreBoundedByItsKeys() throws {
        var bench = try Bench(.holder)
        let blocks = CarouselNode.bytes(ofBlocks: [.accepted, .inProgress, .accepted])
        #expect(blocks == 2 * ChainNetworkLimits.newBlockBytes && blocks < 1 << 16)
        let crown = CrownValue.serve(Bench.crown)
        #expect(crown.count <= StateContentLimits.crownBytes(depth: 1))
        let keys: [StateContentKey?] = [
            .crown(Bench.anchor), .crown(Bench.anchor), nil,
            .blockDiff(BlockDiffKey(point: StatePoint(number: 1, hash: .max), section: 3)),
        ]
        let gossip = bench.node.state.gossip
        let small = gossip.bytes(of: keys, accepted: [.accepted, .inProgress, .declined, .alreadyStored])
        #expect(small == StateContentLimits.crownBytes(depth: 1) && small < 1 << 16)
        let (codes, limit) = bench.offer(keys.map { $0?.encoded ?? [] })
        #expect(codes.count == 4 && codes[2] == .declined && codes[3] == .accepted)
        #expect(!codes.prefix(2).contains(.accepted), "no anchor is final yet")
        #expect(limit == OverlayLimits.offerStreamBytes)
    }

    @Test func code6NotVerifiableTheSectionOrTheAnchorIsNotHeld() throws {
        var bench = try Bench(.holder, isFull: false)
        let code = code(&bench)
        #expect(code == .notVerifiable)
        let crown = StateContentKey.crown(Anchor(epoch: 9, hash: .max)).encoded
        let second = bench.code(crown)
        #expect(second == .notVerifiable)
    }
}
