import Discovery
import Primitives
import Testing

@testable import Overlay

@Suite struct MessageTests {
    static let messages: [PortalMessage] = [
        .ping(recordSequence: .max, type: 0, payload: [1, 2, 3]), .pong(recordSequence: 0, type: 65_535, payload: []),
        .findNodes(distances: [0, 256]), .nodes(total: 1, records: [[1], [], [2, 3]]), .findContent(key: [9]),
        .content(.connectionID(0x0102)), .content(.content([])), .content(.records([])), .offer(keys: [[], [1]]),
        .accept(connectionID: 0xffee, codes: [.accepted, .notVerifiable, AcceptCode(rawValue: 200)]),
    ]

    @Test(arguments: messages)
    func readsWhatItWrites(_ message: PortalMessage) throws {
        #expect(try PortalMessage(decoding: message.encoded()) == message)
    }

    @Test func refusesWhatIsNoMessage() {
        #expect(throws: PortalMessageError.empty) { try PortalMessage(decoding: []) }
        #expect(throws: PortalMessageError.unknownSelector(8)) { try PortalMessage(decoding: [8]) }
        #expect(throws: PortalMessageError.container(.wrongSize)) { try PortalMessage(decoding: [0, 1]) }
        #expect(throws: PortalMessageError.container(.unknownSelector)) { try PortalMessage(decoding: [5, 3]) }
        #expect(throws: PortalMessageError.container(.overLimit)) {
            try PortalMessage.content(.content([UInt8](repeating: 0, count: 2_049))).encoded()
        }
    }

    @Test func anyBytesAreReadOrRefusedAndHaveOneForm() {
        let seed: UInt64 = 70
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var read = 0
        for _ in 0..<20_000 {
            var bytes = (try? MessageTests.messages[Int(random.next() % 10)].encoded()) ?? []
            for _ in 0..<Int(random.next() % 3) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] ^= UInt8(truncatingIfNeeded: 1 << (random.next() % 8))
                case 1: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                default: if bytes.count > 1 { bytes.remove(at: place) }
                }
            }
            guard let message = try? PortalMessage(decoding: bytes) else { continue }
            read += 1
            #expect((try? message.encoded()) == bytes)
        }
        #expect(read > 1_000)
    }

    @Test func payloadsOfUnknownTypesAreLeftAlone() throws {
        #expect(try PingPayload.decode(type: 10_101, [1, 2]) == nil)
        #expect(throws: SSZError.wrongSize) { try PingPayload.decode(type: 1, [1, 2]) }
    }
}

@Suite struct ItemFramesTests {
    @Test func itemsComeBack() throws {
        let items: [[UInt8]] = [[], [1], [UInt8](repeating: 2, count: 300)]
        let bytes = ItemFrames.encode(items)
        #expect(bytes.count == 1 + 2 + 302)
        #expect(try ItemFrames.decode(bytes, count: 3, limit: 300) == items)
    }

    @Test func liarsAreNamed() {
        let bytes = ItemFrames.encode([[1, 2, 3]])
        #expect(throws: ByteError.tooLarge) { try ItemFrames.decode(bytes, count: 1, limit: 2) }
        #expect(throws: ByteError.truncated) { try ItemFrames.decode([4, 1, 2, 3], count: 1, limit: 9) }
        #expect(throws: ByteError.truncated) { try ItemFrames.decode([], count: 1, limit: 9) }
        #expect(throws: ByteError.trailingBytes) { try ItemFrames.decode([2, 1, 2, 3], count: 1, limit: 9) }
        #expect(throws: ByteError.notCanonical) { try ItemFrames.decode([0x80, 0], count: 1, limit: 9) }
        #expect(throws: ByteError.tooLarge) {
            try ItemFrames.decode([0xff, 0xff, 0xff, 0xff, 0x1f], count: 1, limit: .max)
        }
    }
}

@Suite struct SlotTableTests {
    @Test func slotsAreBoundedInAllAndPerPeer() {
        var table = SlotTable<String>(limit: 3, perPeer: 2)
        let (a, b) = (Bytes32(1, 0, 0, 0), Bytes32(2, 0, 0, 0))
        let taken = [(1, a), (2, a), (3, a), (4, b), (5, b)].map { table.insert("\($0.0)", id: $0.0, peer: $0.1) }
        #expect(taken == [true, true, false, true, false])
        table.update(1) { $0 = "one" }
        table.update(9) { $0 = "nobody" }
        #expect(table[1] == "one")
        #expect(table[9] == nil)
        let removed = [table.remove(1), table.remove(1)]
        #expect(removed == ["one", nil])
        #expect(table.count(of: a) == 1)
        let again = table.insert("5", id: 5, peer: b)
        #expect(again)
        #expect(table.count == 3)
    }
}

@Suite struct CompatibilityTests {
    func record(_ portal: NodeRecord.PortalEntry?) throws -> NodeRecord {
        var entropy = Entropy(seed: .zero)
        var fields = NodeRecordFields(sequence: 1)
        if let portal { fields.set(portal: portal) }
        return try fields.signed(by: IdentityKey(from: &entropy))
    }

    @Test(arguments: [
        (2, 2, 1, true), (0, 2, 1, true), (1, 9, 1, true), (2, 2, 2, false), (0, 1, 1, false), (3, 4, 1, false),
        (4, 1, 1, false),
    ])
    func chainAndVersionDecide(_ low: UInt64, _ high: UInt64, _ chain: UInt64, _ fits: Bool) throws {
        let world = try OverlayWorld(1, seed: 72)
        let record = try record(.init(lowestVersion: low, highestVersion: high, chainID: chain))
        #expect(world.nodes[0]?.wire.isCompatible(record) == fits)
    }

    @Test func aRecordWithoutTheEntryIsOfNoUse() throws {
        let world = try OverlayWorld(1, seed: 73)
        #expect(world.nodes[0]?.wire.isCompatible(try record(nil)) == false)
        #expect(world.record(0)?.portal == .init(lowestVersion: 2, highestVersion: 2, chainID: 1))
    }
}

@Suite struct PeerBookTests {
    let peer = Bytes32(1, 2, 3, 4)

    @Test func failuresOfOneStallAreOneFailure() {
        var book = PeerBook(networks: 1)
        for _ in 0..<10 { book.failed(peer, silent: true, at: .zero + .seconds(1)) }
        #expect(book.standing(of: peer)?.failuresInARow == 1)
        book.failed(peer, silent: true, at: .zero + .seconds(2))
        #expect(book.standing(of: peer)?.failuresInARow == 2)
        book.succeeded(peer, at: .zero + .seconds(3))
        #expect(book.standing(of: peer)?.failuresInARow == 0)
        #expect(book.standing(of: peer)?.failureRate == 11.0 / 12.0)
    }

    @Test func silenceNeverBansButLiesDo() {
        var book = PeerBook(networks: 1)
        for second in 0..<1_000 { book.failed(peer, silent: true, at: .zero + .seconds(second)) }
        #expect(book.standing(of: peer)?.score == -40)
        #expect(!book.isBanned(peer, at: .zero + .seconds(1_000)))
        let now = Instant.zero + .seconds(2_000)
        let banned = book.punish(peer, points: OverlayLimits.liePoints, at: now)
        #expect(banned)
        #expect(book.isBanned(peer, at: now + .seconds(599)))
        #expect(!book.isBanned(peer, at: now + .seconds(600)))
        let bannedAgain = book.punish(peer, points: 2 * OverlayLimits.breachPoints, at: now + .seconds(700))
        #expect(bannedAgain)
    }

    @Test func aLieOutweighsAnyMerit() {
        var book = PeerBook(networks: 1)
        for _ in 0..<1_000 { book.succeeded(peer, at: .zero) }
        #expect(book.standing(of: peer)?.score == 100)
        let banned = book.punish(peer, points: OverlayLimits.liePoints, at: .zero)
        #expect(banned)
    }

    @Test func measuresAreWeightedMeans() {
        var book = PeerBook(networks: 2)
        book.measured(.milliseconds(100), \.roundTrip, of: peer, at: .zero)
        book.measured(.milliseconds(20), \.roundTrip, of: peer, at: .zero)
        #expect(book.standing(of: peer)?.roundTrip == .milliseconds(80))
        book.measured(bytes: 10_000, in: .seconds(1), of: peer, at: .zero)
        book.measured(bytes: 100, in: .seconds(1), of: peer, at: .zero)
        #expect(book.standing(of: peer)?.throughput == 10_000)
        book.count(7, \.contentReceived, of: peer, network: 1, at: .zero)
        #expect(book.traffic(of: peer, network: 1).received == 7)
        #expect(book.traffic(of: peer, network: 0).received == 0)
    }

    @Test func pingsAreBoundedInRate() {
        var book = PeerBook(networks: 1)
        let now = Instant.zero + .seconds(1)
        let atOnce = (0..<200).filter { _ in book.admits(peer, at: now) }.count
        let later = (0..<200).filter { _ in book.admits(peer, at: now + .seconds(1)) }.count
        #expect(atOnce == Int(OverlayLimits.requestBurst))
        #expect(later == Int(OverlayLimits.requestRate))
    }

    @Test func theBookIsBoundedAndKeepsTheBanned() {
        var book = PeerBook(networks: 1)
        _ = book.punish(peer, points: OverlayLimits.liePoints, at: .zero)
        for index in 0..<UInt64(2 * OverlayLimits.standings) {
            book.succeeded(Bytes32(9, 9, 9, index), at: .zero + .milliseconds(Int(index)))
        }
        #expect(book.count <= OverlayLimits.standings)
        #expect(book.isBanned(peer, at: .zero + .seconds(30)))
    }
}

@Suite struct NetworkTableTests {
    func peer(_ first: UInt8, _ last: UInt64, address: [UInt8] = [127, 0, 0, 1]) throws -> TablePeer {
        var entropy = Entropy(seed: Bytes32(UInt64(first), last, 0, 0))
        let key = try #require(
            IdentityKey(idPrefix: Bytes32(UInt64(first) << 56, 0, 0, 0), bits: 4, from: &entropy))
        var fields = NodeRecordFields(sequence: 1)
        let endpoint = try #require(Endpoint(address: address, port: 9_000))
        fields.set(endpoint: endpoint)
        return TablePeer(
            contact: Contact(try fields.signed(by: key), at: endpoint), radius: .zero, capabilities: [],
            clientInfo: [], lastPing: .zero, nextPing: .zero)
    }

    @Test func fullBucketsKeepTheOldAndPromoteTheNew() throws {
        var table = NetworkTable(local: .zero, limitsSubnets: true)
        let peers = try (0..<18).map { try peer(0x80, UInt64($0)) }
        let entered = peers.map { table.insert($0) }
        #expect(entered == (0..<18).map { $0 < 16 })
        #expect(table.count == 16)
        let twice = table.insert(peers[3])
        #expect(!twice)
        #expect(table.isReplacement(peers[16].id))
        #expect(table.records(at: 256).map(\.id) == peers.prefix(16).map(\.id))
        let (wasPeer, promoted) = table.remove(peers[3].id)
        #expect(wasPeer)
        #expect(promoted?.id == peers[17].id)
        #expect(table.count == 16)
        let wasThere = table.remove(peers[16].id).wasPeer
        #expect(!wasThere)
        #expect(table.peers.map(\.id) == table.peers.map(\.id).sorted())
        let target = Bytes32(0x8f << 56, 0, 0, 0)
        let near = table.closest(to: target, limit: 5).map { $0 ^ target }
        #expect(near == near.sorted())
        #expect(near.count == 5)
    }

    @Test func subnetsAreLimitedButNotLoopback() throws {
        var table = NetworkTable(local: .zero, limitsSubnets: true)
        let near = try (0..<3).map { try peer(0x80, UInt64($0), address: [10, 0, 0, UInt8($0)]) }
        let entered = near.map { table.insert($0) }
        #expect(entered == [true, true, false])
        let elsewhere = table.insert(try peer(0x80, 7, address: [10, 0, 1, 1]))
        #expect(elsewhere)
        // Another bucket has places of its own for the same subnet.
        let otherBucket = table.insert(try peer(0x40, 8, address: [10, 0, 0, 9]))
        #expect(otherBucket)
        let promoted = table.remove(near[0].id).promoted
        #expect(promoted?.id == near[2].id)
        var free = NetworkTable(local: .zero, limitsSubnets: false)
        let all = near.map { free.insert($0) }
        #expect(all == [true, true, true])
    }

    @Test func weNeverEnterOurOwnTable() throws {
        let peer = try peer(0x80, 1)
        var table = NetworkTable(local: peer.id, limitsSubnets: true)
        let entered = table.insert(peer)
        #expect(!entered)
        #expect(table.count == 0)
    }
}
