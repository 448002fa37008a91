import Discovery
import Primitives
import Testing
import UTP

@testable import Overlay

/// What peers may send that they should not: each is an error of its own name, costs them, and takes no slot for good.
@Suite struct LiarTests {
    /// A node with a liar in its table.
    static func world(seed: UInt64, network: NetworkID = .state) throws -> (OverlayWorld, Int, Liar) {
        let world = try OverlayWorld(1, seed: seed)
        let (index, liar) = try world.addLiar()
        world.with(0) { $0.addBootNodes([liar.discovery.localRecord], at: $1) }
        let met = world.run(.seconds(10)) { $0.nodes[0]?.peer($0.id(index), network: network) != nil }
        try #require(met)
        world.run(.seconds(1))
        return (world, index, liar)
    }

    static func bytes(_ message: PortalMessage) -> [UInt8] { (try? message.encoded()) ?? [] }

    static let streams: [(bytes: [UInt8], error: ByteError)] = [
        ([], .truncated), ([5, 1, 2], .truncated), ([0x80], .truncated), ([1, 2, 3], .trailingBytes),
        ([0x81, 0, 7], .notCanonical), ([0xff, 0xff, 0xff, 0xff, 0xff, 1], .tooLarge), ([101], .tooLarge),
    ]

    @Test(arguments: streams.indices)
    func lengthsThatLie(_ index: Int) throws {
        let (world, peer, liar) = try LiarTests.world(seed: 80)
        let (bytes, error) = LiarTests.streams[index]
        liar.reply = { if case .findContent = $0 { .stream(bytes) } else { nil } }
        let before = try #require(world.nodes[0]?.standing(of: world.id(peer))?.score)
        let answer = try #require(world.find(0, from: peer, key: [1], limit: 100))
        #expect(answer.error == .framing(error))
        let after = try #require(world.nodes[0]?.standing(of: world.id(peer))?.score)
        #expect(after <= before - OverlayLimits.breachPoints + 2)
        #expect(world.nodes[0]?.traffic(with: world.id(peer), network: .state).received == UInt64(bytes.count))
        expectIdle(world)
    }

    static let answers: [(bytes: [UInt8], error: OverlayError)] = [
        ([9], .malformed(.unknownSelector(9))),
        ([5], .malformed(.container(.wrongSize))),
        ([5, 3, 0], .malformed(.container(.unknownSelector))),
        ([5, 0, 1], .malformed(.container(.wrongSize))),
        (bytes(.nodes(total: 1, records: [])), .unexpectedAnswer(selector: 3)),
        (bytes(.content(.records([[0xc0]]))), .badRecord),
    ]

    @Test(arguments: answers.indices)
    func answersThatAreNone(_ index: Int) throws {
        let (world, peer, liar) = try LiarTests.world(seed: 81)
        let (bytes, error) = LiarTests.answers[index]
        liar.reply = { if case .findContent = $0 { .bytes(bytes) } else { nil } }
        let before = try #require(world.nodes[0]?.standing(of: world.id(peer))?.score)
        #expect(world.find(0, from: peer, key: [1])?.error == error)
        let after = try #require(world.nodes[0]?.standing(of: world.id(peer))?.score)
        #expect(after <= before - OverlayLimits.breachPoints + 2)
        expectIdle(world)
    }

    @Test func aStreamThatNobodyServesFails() throws {
        let (world, peer, liar) = try LiarTests.world(seed: 82)
        liar.reply = { if case .findContent = $0 { .bytes(LiarTests.bytes(.content(.connectionID(77)))) } else { nil } }
        let answer = try #require(world.find(0, from: peer, key: [1], timeout: .seconds(30)))
        #expect(answer.error.map { [.stream(.reset), .stream(.connectTimedOut)].contains($0) } == true)
        expectIdle(world)
    }

    @Test func silenceIsToldFromRefusal() throws {
        let (world, peer, liar) = try LiarTests.world(seed: 83)
        liar.reply = { if case .findContent = $0 { .silence } else { nil } }
        #expect(world.find(0, from: peer, key: [1])?.error == .unanswered(.timeout))
        #expect(liar.asked.filter { $0.selector == 4 }.count == OverlayLimits.requestAttempts)
        liar.reply = { _ in nil }
        #expect(world.find(0, from: peer, key: [1])?.error == .unsupported)
    }

    @Test func repeatedBreachesEndInABan() throws {
        let (world, peer, liar) = try LiarTests.world(seed: 84)
        liar.reply = { if case .findContent = $0 { .bytes([9]) } else { nil } }
        var errors: [OverlayError?] = []
        for _ in 0..<10 { errors.append(world.find(0, from: peer, key: [1])?.error) }
        #expect(errors.first == .malformed(.unknownSelector(9)))
        #expect(errors.last == .peerBanned)
        let lost = world.heard[0].contains {
            if case .peerLost(.state, let id) = $0 { id == world.id(peer) } else { false }
        }
        #expect(lost)
    }

    @Test func codesMustMatchTheKeys() throws {
        let (world, peer, liar) = try LiarTests.world(seed: 85)
        liar.reply = {
            if case .offer = $0 { .bytes(LiarTests.bytes(.accept(connectionID: 1, codes: [.accepted]))) } else { nil }
        }
        let items = [ContentItem(key: [1], value: [1]), ContentItem(key: [2], value: [2])]
        let id = world.id(peer)
        let offer = try #require(world.with(0) { $0.offer(network: .state, peer: id, items: items, at: $1) })
        world.run(.seconds(5))
        #expect(world.outcome(0, offer) == .failure(.wrongCodeCount(offered: 2, answered: 1)))
        expectIdle(world)
    }

    @Test(arguments: [([2, 1, 1], ByteError.truncated), ([1, 7, 1, 8, 0], .trailingBytes), ([1, 7], .truncated)])
    func offeredStreamsAreCheckedToo(_ stream: [UInt8], _ error: ByteError) throws {
        let (world, peer, liar) = try LiarTests.world(seed: 86)
        let record = try #require(world.record(0))
        try liar.offer(record, keys: [[1], [2]], stream: stream, at: world.now)
        world.run(.seconds(5))
        var broken: [OverlayError] = []
        for case .offerBroken(.state, let from, let keys, let error) in world.heard[0] {
            #expect(from.id == world.id(peer))
            #expect(keys == [[1], [2]])
            broken.append(error)
        }
        #expect(broken == [.framing(error)])
        #expect(liar.accepts == [[.accepted, .accepted]])
        expectIdle(world)
    }

    @Test func aStreamThatNeverComesBreaksTheOffer() throws {
        let (world, _, liar) = try LiarTests.world(seed: 87)
        let record = try #require(world.record(0))
        // An OFFER whose ACCEPT it ignores.
        liar.ask(record, LiarTests.bytes(.offer(keys: [[1]])), at: world.now)
        world.run(.seconds(15))
        var broken: [OverlayError] = []
        for case .offerBroken(.state, _, _, let error) in world.heard[0] { broken.append(error) }
        #expect(broken == [.stream(.acceptTimedOut)])
        expectIdle(world)
    }

    @Test func inboundOffersOfOnePeerAreBounded() throws {
        let (world, _, liar) = try LiarTests.world(seed: 88)
        let record = try #require(world.record(0))
        for index in 0..<UInt8(OverlayLimits.inboundOffersPerPeer + 3) {
            liar.ask(record, LiarTests.bytes(.offer(keys: [[index]])), at: world.now)
        }
        world.run(.seconds(1))
        let codes = liar.answers.compactMap { result -> AcceptCode? in
            guard case .success(let bytes) = result, case .accept(_, let codes)? = try? PortalMessage(decoding: bytes)
            else { return nil }
            return codes.first
        }
        #expect(codes.filter { $0 == .accepted }.count == OverlayLimits.inboundOffersPerPeer)
        #expect(codes.filter { $0 == .rateLimited }.count == 3)
        #expect(world.nodes[0]?.load.inboundOffers == OverlayLimits.inboundOffersPerPeer)
        world.run(.seconds(20))
        expectIdle(world)
    }

    @Test func recordsFromOtherDistancesAreRefused() throws {
        let (world, peer, liar) = try LiarTests.world(seed: 89)
        // Its own record is at distance 0, which a lookup never asks for.
        let own = liar.discovery.localRecord.encoded
        liar.reply = {
            if case .findNodes = $0 { .bytes(LiarTests.bytes(.nodes(total: 1, records: [own]))) } else { nil }
        }
        let lookup = try #require(world.with(0) { $0.lookup(network: .state, target: .max, at: $1) })
        let before = try #require(world.nodes[0]?.standing(of: world.id(peer))?.score)
        world.run(.seconds(5))
        var found: [[NodeRecord]] = []
        for case .lookupFinished(lookup, let result) in world.heard[0] {
            found.append(result.nodes.filter(\.hasAnswered).map(\.record))
        }
        #expect(found == [[]])
        #expect((world.nodes[0]?.standing(of: world.id(peer))?.score ?? 0) < before)
    }

    /// Records of a victim in NODES: no more goes to its address than came about it.
    @Test func victimsAreSentNoMoreThanWasSaidOfThem() throws {
        let (world, _, liar) = try LiarTests.world(seed: 92)
        let victim = Endpoint.loopback(port: 40_000)
        var entropy = Entropy(seed: Bytes32(92, 0, 0, 0))
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: victim)
        fields.set(portal: NodeRecord.PortalEntry(lowestVersion: 2, highestVersion: 2, chainID: 1))
        let records = try (0..<80).map { _ in try fields.signed(by: IdentityKey(from: &entropy)) }
        let (own, answers) = (liar.discovery.localRecord.id, Counter())
        liar.reply = { message in
            guard case .findNodes(let distances) = message else { return nil }
            let fitting = records.filter { distances.contains(UInt16(RingDistance.logarithmic(own, $0.id))) }
            let named = fitting.prefix(6).map(\.encoded)
            answers.value += named.reduce(0) { $0 + $1.count }
            return .bytes(LiarTests.bytes(.nodes(total: 1, records: named)))
        }
        let packets = Counter()
        world.blocks = { _, target in
            if target == victim { packets.value += 1 }
            return false
        }
        for _ in 0..<20 {
            world.with(0) { _ = $0.lookup(network: .state, target: entropy.bytes32(), at: $1) }
            world.run(.seconds(3)) { _ in
                // The packets that begin a handshake are the only ones an address gets that never answers.
                #expect(packets.value * DiscoveryLimits.openingSize <= answers.value)
                return false
            }
        }
        #expect(packets.value > 0)
        #expect(answers.value > 1_000)
    }

    private final class Counter {
        var value = 0
    }

    @Test func requestsThatAreNoneGetAnEmptyAnswer() throws {
        let (world, _, liar) = try LiarTests.world(seed: 90)
        let record = try #require(world.record(0))
        for bytes: [UInt8] in [[], [8], [5, 1, 1], [0, 1, 2], LiarTests.bytes(.findNodes(distances: [257]))] {
            liar.ask(record, bytes, at: world.now)
            world.run(.milliseconds(100))
        }
        #expect(liar.answers.count == 5)
        #expect(liar.answers.prefix(3).allSatisfy { $0 == .success([]) })
    }

    @Test func anUnknownProtocolGetsAnEmptyAnswer() throws {
        let (world, _, liar) = try LiarTests.world(seed: 91)
        let record = try #require(world.record(0))
        _ = liar.discovery.talk(to: record, protocol: [0x50, 0x0a], request: [1], at: world.now)
        world.run(.seconds(1))
        #expect(liar.answers == [.success([])])
    }

    @Test func pingsAreAnsweredByTheirKind() throws {
        let (world, _, liar) = try LiarTests.world(seed: 92)
        let record = try #require(world.record(0))
        world.with(0) { $0.setLocal(network: .state, radius: UInt256(7), extensionPayload: [4, 2], at: $1) }
        let radius = try PingPayload.radius(.max).encoded()
        for (type, payload): (UInt16, [UInt8]) in [(1, radius), (10_101, [9]), (10_102, []), (1, [1]), (65_535, [])] {
            liar.ask(record, LiarTests.bytes(.ping(recordSequence: 1, type: type, payload: payload)), at: world.now)
            world.run(.milliseconds(100))
        }
        let pongs = try liar.answers.map { result -> PortalMessage in try PortalMessage(decoding: result.get()) }
        func error(_ code: UInt16) throws -> PortalMessage {
            .pong(
                recordSequence: 1, type: 65_535, payload: try PingPayload.error(code: code, message: []).encoded())
        }
        #expect(
            try pongs == [
                .pong(recordSequence: 1, type: 1, payload: PingPayload.radius(UInt256(7)).encoded()),
                .pong(recordSequence: 1, type: 10_101, payload: [4, 2]), error(0), error(2), error(2),
            ])
    }

    @Test func aPeerThatCannotReadItsExtensionIsPingedWithTypeZero() throws {
        let (world, peer, liar) = try LiarTests.world(seed: 93)
        let boast = try PingPayload.clientInfo(client: [], radius: .max, capabilities: [0, 10_101]).encoded()
        let refusal = try PingPayload.error(code: 0, message: []).encoded()
        liar.reply = {
            switch $0 {
            case .ping(_, 0, _): .bytes(LiarTests.bytes(.pong(recordSequence: 1, type: 0, payload: boast)))
            case .ping: .bytes(LiarTests.bytes(.pong(recordSequence: 1, type: 65_535, payload: refusal)))
            default: nil
            }
        }
        world.with(0) { $0.setLocal(network: .state, radius: .zero, extensionPayload: [1], at: $1) }
        world.run(.seconds(60))
        let types = liar.asked.compactMap { message -> UInt16? in
            if case .ping(_, let type, _) = message { type } else { nil }
        }
        #expect(types.contains(10_101))
        #expect(types.filter { $0 == 0 }.count > 4)
        #expect(world.nodes[0]?.peer(world.id(peer), network: .state) != nil)
    }
}
