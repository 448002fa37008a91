import Primitives
import Testing

@testable import Discovery

/// Addresses that strangers name: what goes there before anybody has answered.
@Suite struct NamedAddressTests {
    private let start = Instant(microseconds: 1_000)

    /// Where attackers say that nodes are.
    enum Victims: CaseIterable, Sendable {
        case oneEndpoint
        case onePrefix
        case manyPrefixes

        func endpoint(_ index: Int) -> Endpoint {
            switch self {
            case .oneEndpoint: Endpoint(ipv4: (60, 1, 1, 1), port: 53)
            case .onePrefix: Endpoint(ipv4: (60, 1, 1, UInt8(1 + index % 250)), port: UInt16(1_000 + index))
            case .manyPrefixes: Endpoint(ipv4: (60, UInt8(index >> 8), UInt8(index & 255), 1), port: 53)
            }
        }

        static func includes(_ endpoint: Endpoint) -> Bool { endpoint.isIPv4 && endpoint.address[0] == 60 }
    }

    /// Attackers in the table of a node, who answer its FINDNODE with records of victims.
    private struct Siege {
        var node: Discovery
        var now: Instant
        var attackers: [(peer: HandPeer, place: Endpoint)] = []
        let records: [NodeRecord]
        /// Bytes that the attackers sent, and that went to victims: in all, and of each endpoint by its records.
        var sent = 0
        var caused = 0
        var naming: [Endpoint: Int] = [:]
        var causedAt: [Endpoint: Int] = [:]
        var answers = 0

        /// Sends a datagram of an attacker to the node.
        mutating func send(_ bytes: [UInt8], from index: Int) {
            sent += bytes.count
            node.receive(bytes, from: attackers[index].place, at: now)
            pump()
        }

        /// Carries what comes out of the node until nothing does. The victims say nothing.
        mutating func pump() {
            for case .send(let bytes, let target) in node.drain() {
                if Victims.includes(target) {
                    caused += bytes.count
                    causedAt[target, default: 0] += bytes.count
                    #expect(caused <= sent)
                    #expect(causedAt[target, default: 0] <= naming[target, default: 0])
                } else if let index = attackers.firstIndex(where: { $0.place == target }) {
                    answer(bytes, by: index)
                }
            }
        }

        private mutating func answer(_ packet: [UInt8], by index: Int) {
            guard let message = attackers[index].peer.open(packet) else { return }
            switch message {
            case .ping(let id, _):
                seal(.pong(id, sequence: 1, address: [93, 184, 1, 1], port: 9_009), by: index)
            case .findNode(let id, let distances):
                let own = attackers[index].peer.key.nodeID
                let fitting = records.filter { distances.contains(RoutingTable.distance(own, $0.id)) }
                let first = answers * 16 % max(fitting.count, 1)
                let chosen = (fitting[first...] + fitting[..<first]).prefix(16)
                answers += 1
                for record in chosen {
                    if let place = record.endpoint { naming[place, default: 0] += record.encoded.count }
                }
                let packets = Directory.packed(chosen.map(\.encoded)[...])
                for records in packets { seal(.nodes(id, total: packets.count, records: records), by: index) }
            default:
                return
            }
        }

        private mutating func seal(_ message: Message, by index: Int) {
            if let packet = try? attackers[index].peer.seal(message.encoded) { send(packet, from: index) }
        }
    }

    private func siege(_ victims: Victims, attackers: Int) throws -> Siege {
        var configuration = DiscoveryWorld.configuration
        configuration.refreshInterval = .seconds(2)
        let key = DiscoveryWorld.key(1)
        let node = try Discovery(
            key: key, record: try DiscoveryWorld.record(key, Endpoint(ipv4: (93, 184, 1, 1), port: 9_009)),
            configuration: configuration, entropy: DiscoveryWorld.entropy(1))
        let records = try (0..<300).map {
            try DiscoveryWorld.record(DiscoveryWorld.key(5_000 + UInt64($0)), victims.endpoint($0))
        }
        var siege = Siege(node: node, now: start, records: records)
        for index in 0..<attackers {
            let place = Endpoint(ipv4: (45, UInt8(index), 1, 1), port: 30)
            let peer = try HandPeer(9_000 + UInt64(index), at: place, against: node)
            siege.attackers.append((peer, place))
            let stranger = siege.attackers[index].peer.stranger()
            siege.sent += stranger.count
            let challenge = try siege.node.first(stranger, from: place, at: siege.now)
            let hello = Message.ping(RequestID(own: 1), sequence: 1).encoded
            siege.send(try siege.attackers[index].peer.handshake(challenge, hello), from: index)
        }
        return siege
    }

    /// 4, by others' hands. FINDNODE is answered with 16 records of victims each time, for five minutes: never have
    /// more bytes gone to the victims, or to any of them, than came about them.
    @Test(arguments: Victims.allCases, [1, 4])
    func attack4VictimsNamedInNodes(_ victims: Victims, _ attackers: Int) throws {
        var siege = try siege(victims, attackers: attackers)
        #expect(siege.node.tableCount == attackers)
        for _ in 0..<3_000 {
            siege.now = siege.now + .milliseconds(100)
            siege.node.advance(to: siege.now)
            siege.pump()
        }
        print(
            "attack 4, \(victims), \(attackers) attackers: \(siege.answers) answers, \(siege.sent) bytes of theirs, "
                + "\(siege.caused) to victims, \(siege.node.statistics.contactsRefused) refused")
        #expect(siege.answers > 100)
        #expect(siege.caused > 0)
        #expect(siege.node.statistics.contactsRefused > 0)
        // What is sent to one prefix is bounded however much names it: twenty packets, and one a second.
        if victims != .manyPrefixes { #expect(siege.caused <= (20 + 300) * DiscoveryLimits.openingSize) }
        #expect(siege.node.tableCount == attackers)
        #expect(siege.node.requests.addresses.named.count <= 3 * DiscoveryLimits.namedAddresses)
    }

    /// A node of the table says that it has moved to a victim's address, again and again: its record is paid for like
    /// any other, and it has left the table.
    @Test func attack4MovingToAVictim() throws {
        var siege = try siege(.oneEndpoint, attackers: 1)
        let victim = Victims.oneEndpoint.endpoint(0)
        let attacker = siege.attackers[0]
        for sequence: UInt64 in 2..<60 {
            siege.now = siege.now + .seconds(1)
            let moved = try DiscoveryWorld.record(attacker.peer.key, victim, sequence: sequence)
            let id = RequestID(own: UInt32(sequence))
            siege.send(try siege.attackers[0].peer.seal(Message.ping(id, sequence: sequence).encoded), from: 0)
            // The record that it is asked for comes in a handshake, too.
            let stranger = siege.attackers[0].peer.stranger()
            siege.sent += stranger.count
            let session = siege.attackers[0].peer.session
            guard let challenge = siege.node.exchange(stranger, from: attacker.place, at: siege.now).first else {
                continue
            }
            siege.naming[victim, default: 0] += moved.encoded.count
            let size = moved.encoded.count
            let hello = Message.ping(id, sequence: sequence).encoded
            let packet = try siege.attackers[0].peer.handshake(challenge, hello) { authData in
                authData.replaceSubrange((authData.count - attacker.peer.record.encoded.count)..., with: moved.encoded)
                #expect(authData.count == PacketHeader.handshakeAuthSize + size)
            }
            if session == nil { Issue.record("the attacker had no session") }
            siege.send(packet, from: 0)
            for _ in 0..<12 {
                siege.now = siege.now + .milliseconds(100)
                siege.node.advance(to: siege.now)
                siege.pump()
            }
        }
        print("attack 4, moving: \(siege.sent) bytes of the attacker, \(siege.caused) to the victim")
        #expect(siege.caused > 0)
        #expect(siege.node.tableCount == 0)
    }

    /// Against a plain sum, with names, packets and proofs in any order.
    @Test(arguments: 0..<4)
    func noMoreGoesThanWasNamed(_ seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var configuration = Discovery.Configuration()
        configuration.namedPrefixRate = 1_000
        configuration.namedPrefixBurst = 1_000
        var named = NamedAddresses(configuration)
        var (credit, open): ([Endpoint: Int], Set<Endpoint>) = ([:], [])
        for step in 0..<5_000 {
            let place = Endpoint(ipv4: (60, 1, UInt8(generator.next() % 6), 1), port: UInt16(generator.next() % 3))
            switch generator.next() % 40 {
            case 0:
                named.open(place)
                open.insert(place)
            case 1...18:
                let size = 120 + Int(generator.next() % 181)
                named.name(place, size: size)
                if !open.contains(place) {
                    credit[place] = min(credit[place, default: 0] + size, DiscoveryLimits.namedCredit)
                }
            default:
                let admitted = named.admits(99, to: place, at: start + .milliseconds(step))
                #expect(admitted == (open.contains(place) || credit[place, default: 0] >= 99))
                if admitted { credit[place, default: 0] -= 99 }
            }
        }
        #expect(open.count > 10)
    }

    @Test func aPrefixFillsAtItsRate() {
        var named = NamedAddresses(Discovery.Configuration())
        func admitted(_ seconds: Int) -> Int {
            (0..<250).count { host in
                let place = Endpoint(ipv4: (60, 1, 1, UInt8(host)), port: 9)
                named.name(place, size: 120)
                return named.admits(99, to: place, at: start + .seconds(seconds))
            }
        }
        #expect([admitted(0), admitted(0), admitted(3), admitted(60)] == [20, 0, 3, 20])
    }

    /// What the caller vouches for is tried four times in the second of a handshake; a record that came from a
    /// stranger, as often as the bytes it came in pay for.
    @Test func hearsayIsTriedNoOftenerThanItIsPaidFor() throws {
        let target = try DiscoveryWorld.record(DiscoveryWorld.key(7), Endpoint(ipv4: (60, 1, 1, 1), port: 53))
        func packets(_ tell: (inout Discovery) throws -> Void) throws -> Int {
            let key = DiscoveryWorld.key(1)
            var node = try Discovery(
                key: key, record: try DiscoveryWorld.record(key, Endpoint(ipv4: (93, 184, 1, 1), port: 9_009)),
                configuration: DiscoveryWorld.configuration, entropy: DiscoveryWorld.entropy(1))
            try tell(&node)
            var now = start
            var count = 0
            for _ in 0..<30 {
                now = now + .milliseconds(100)
                node.advance(to: now)
                for case .send(_, let place) in node.drain() where place == target.endpoint { count += 1 }
            }
            return count
        }
        func ask(_ node: inout Discovery, isHearsay: Bool) {
            _ = node.talk(to: target, isHearsay: isHearsay, protocol: testProtocol, request: [1], at: start)
        }
        #expect(try packets { ask(&$0, isHearsay: false) } == 4)
        #expect(try packets { ask(&$0, isHearsay: true) } == 0)
        let teller = Endpoint(ipv4: (45, 1, 1, 1), port: 30)
        for times in 1...3 {
            let sent = try packets { node in
                for _ in 0..<times { _ = try node.heard(target.encoded, from: teller) }
                ask(&node, isHearsay: true)
            }
            #expect(sent == min(times * target.encoded.count / DiscoveryLimits.openingSize, 4))
        }
        #expect(try packets { $0.addBootNodes([target], at: start) } == 8, "two handshakes, two seconds apart")
    }

    @Test func hearsayWithoutCreditFailsByName() throws {
        let target = try DiscoveryWorld.record(DiscoveryWorld.key(7), Endpoint(ipv4: (60, 1, 1, 1), port: 53))
        var world = DiscoveryWorld(seed: 1)
        try world.add(1)
        let id = world.nodes[0].talk(
            to: target, isHearsay: true, protocol: testProtocol, request: [1], at: world.now)
        world.collect(0)
        #expect(world.answer(0, id) == .failure(.unprovenAddress))
        #expect(world.nodes[0].requests.conversations.isEmpty && world.nodes[0].requests.pending.isEmpty)
    }
}

/// Sockets that speak one family only.
@Suite struct FamilyTests {
    private let four = Endpoint(ipv4: (20, 1, 1, 1), port: 40)
    private let start = Instant(microseconds: 1_000)

    private func six(_ host: UInt8) throws -> Endpoint {
        try #require(Endpoint(address: [0x2a, 1, 0, host] + [UInt8](repeating: 0, count: 11) + [1], port: 60))
    }

    private func node(_ families: AddressFamilies) throws -> Discovery {
        var configuration = DiscoveryWorld.configuration
        configuration.families = families
        let key = DiscoveryWorld.key(1)
        return try Discovery(
            key: key, record: try DiscoveryWorld.record(key, try six(99)), configuration: configuration,
            entropy: DiscoveryWorld.entropy(1))
    }

    private func record(_ seed: UInt64, _ endpoints: Endpoint..., sequence: UInt64 = 1) throws -> NodeRecord {
        var fields = NodeRecordFields(sequence: sequence)
        for endpoint in endpoints { fields.set(endpoint: endpoint) }
        return try fields.signed(by: DiscoveryWorld.key(seed))
    }

    private func targets(_ node: inout Discovery) -> [Endpoint] {
        node.drain().compactMap { if case .send(_, let target) = $0 { target } else { nil } }
    }

    @Test func aDualRecordIsContactedOnAFamilyWeHave() throws {
        let both = try record(2, four, try six(2))
        let cases: [(AddressFamilies, Endpoint)] = [(.ipv4, four), (.ipv6, try six(2)), ([.ipv4, .ipv6], four)]
        for (families, expected) in cases {
            var node = try node(families)
            node.addBootNodes([both], at: start)
            #expect(targets(&node) == [expected])
            _ = node.talk(to: both, protocol: testProtocol, request: [1], at: start)
            #expect(targets(&node) == [])
            #expect(node.requests.conversations.keys.map(\.endpoint) == [expected])
        }
    }

    @Test func aNodeWithoutAnEndpointOfOurFamilyIsNotTried() throws {
        var node = try node(.ipv6)
        let foreign = try record(2, four)
        node.addBootNodes([foreign], at: start)
        node.addKnownNodes([foreign], at: start)
        let id = node.talk(to: foreign, protocol: testProtocol, request: [1], at: start)
        for step in 0..<30 { node.advance(to: start + .milliseconds(100 * step)) }
        let directives = node.drain()
        #expect(directives.count == 1)
        guard case .talkAnswered(id, .failure(.noEndpoint), _) = directives.first else {
            Issue.record("the request was not refused")
            return
        }
        #expect(node.directory.bootNodes.isEmpty && node.hasNothingUnderWay && node.directory.entrance.isEmpty)
    }

    /// Lookups leave such nodes out, and who moves to the other family leaves the table.
    @Test func tableAndLookupsHoldOnlyOurFamily() throws {
        var node = try node(.ipv6)
        let peer = try record(3, four, try six(3))
        let address = NodeAddress(id: peer.id, endpoint: try six(3))
        #expect(node.directory.table.insert(peer, at: address, now: start) == .added)
        // Its IPv4 endpoint is no concern of ours.
        let elsewhere = Endpoint(ipv4: (20, 1, 1, 2), port: 41)
        node.directory.remember(try record(3, elsewhere, try six(3), sequence: 2), at: start, through: &node.requests)
        #expect(node.tableCount == 1 && node.record(of: peer.id)?.sequence == 2)
        node.directory.remember(try record(3, elsewhere, sequence: 3), at: start, through: &node.requests)
        #expect(node.tableCount == 0)
        #expect(targets(&node) == [])
    }

    /// A node of both families that was met on one is not sought on the other.
    @Test func aNodeIsSoughtWhereItHasAnswered() throws {
        var node = try node([.ipv4, .ipv6])
        let peer = try record(5, four, try six(5))
        #expect(node.endpoint(of: peer) == four)
        let address = NodeAddress(id: peer.id, endpoint: try six(5))
        #expect(node.directory.table.insert(peer, at: address, now: start) == .added)
        #expect(node.endpoint(of: peer) == (try six(5)))
        _ = node.lookup(peer.id, at: start)
        #expect(targets(&node) == [try six(5)])
        #expect(node.endpoint(of: try record(5, four, sequence: 2)) == four)
    }

    /// Who waits for its PING is pinged where it was met, not at another address that its record names.
    @Test func candidatesArePingedWhereTheyWereMet() throws {
        var node = try node([.ipv4, .ipv6])
        let peer = try record(4, four, try six(4))
        for index in 0..<16 { node.directory.entrance.began(Bytes32(UInt64(index), 0, 0, 0)) }
        node.requests.addresses.proved(try six(4))
        node.directory.meet(peer, at: try six(4), now: start, through: &node.requests)
        #expect(targets(&node) == [])
        for index in 0..<16 { node.directory.entrance.ended(Bytes32(UInt64(index), 0, 0, 0)) }
        node.directory.verifyNext(at: start, through: &node.requests)
        #expect(targets(&node) == [try six(4)])
    }
}
