import Primitives
import Testing

@testable import Discovery

/// The attacks on discovery that are known from the field, each as a simulation in virtual time. They carry the numbers
/// of the project's attack list.
@Suite struct AttackTests {
    private let start = Instant(microseconds: 1_000)

    /// A node at a public address; its first key gives a place on the ring that the tests do not depend on.
    private func node(
        _ configuration: Discovery.Configuration = DiscoveryWorld.configuration, seed: UInt64 = 1
    ) throws -> Discovery {
        let key = DiscoveryWorld.key(seed)
        let place = Endpoint(ipv4: (93, 184, 1, 1), port: 9_009)
        return try Discovery(
            key: key, record: try DiscoveryWorld.record(key, place), configuration: configuration,
            entropy: DiscoveryWorld.entropy(seed))
    }

    private func ping(_ number: UInt32) -> [UInt8] { Message.ping(RequestID(own: number), sequence: 1).encoded }

    /// Bytes of the datagrams that came out, by target.
    private func sent(_ node: inout Discovery) -> [Endpoint: Int] {
        var bytes: [Endpoint: Int] = [:]
        for case .send(let datagram, let target) in node.drain() { bytes[target, default: 0] += datagram.count }
        return bytes
    }

    /// A Sybil that does all that an honest node would: contact, handshake, PONG to every PING.
    private func play(_ seed: UInt64, at place: Endpoint, against node: inout Discovery, at now: Instant) throws {
        var peer = try HandPeer(seed, at: place, against: node)
        guard let challenge = node.exchange(peer.stranger(), from: place, at: now).first else { return }
        var packets = node.exchange(try peer.handshake(challenge, ping(1)), from: place, at: now)
        while !packets.isEmpty {
            let messages = packets.compactMap { peer.open($0) }
            packets = []
            for case .ping(let id, _) in messages {
                let pong = Message.pong(id, sequence: 1, address: [93, 184, 1, 1], port: 9_009)
                packets += node.exchange(try peer.seal(pong.encoded), from: place, at: now)
            }
        }
    }

    /// 1. Ten thousand Sybils of one /24 and one /48 that behave: two to a bucket and ten in the table of each.
    @Test func attack1TableFillFromOnePrefix() throws {
        var node = try node()
        var now = start
        for index in 0..<5_000 {
            let four = Endpoint(ipv4: (45, 9, 9, UInt8(1 + index % 250)), port: UInt16(1_000 + index))
            try play(10_000 + UInt64(index), at: four, against: &node, at: now)
            let host = [UInt8(index >> 8), UInt8(index & 255)]
            let six = try #require(
                Endpoint(
                    address: [0x2a, 1, 4, 5, 6, 7] + host + [UInt8](repeating: 1, count: 8), port: 1_000))
            try play(20_000 + UInt64(index), at: six, against: &node, at: now)
            now = now + .milliseconds(100)
            node.advance(to: now)
            _ = node.drain()
        }
        var buckets: [Subnet: [Int: Int]] = [:]
        let table = node.directory.table
        for entry in table.entries + (1...256).flatMap({ table.replacements(at: $0) }) {
            let distance = RoutingTable.distance(node.key.nodeID, entry.address.id)
            buckets[Subnet(entry.address.endpoint), default: [:]][distance, default: 0] += 1
        }
        #expect(buckets.count == 2)
        for (_, held) in buckets {
            #expect(held.values.reduce(0, +) == 10)
            #expect(held.values.allSatisfy { $0 <= 2 })
        }
        #expect(node.sessionCount <= node.configuration.sessionLimit)
        #expect(node.requests.sessions.challenges.count <= node.configuration.challengeLimit)
        print("attack 1: 10,000 Sybils, \(node.statistics.handshakes) handshakes, table \(node.tableCount)")
    }

    /// 2. PING and FINDNODE of strangers that never answer: whatever they say, the table stays as it is.
    @Test func attack2UnsolicitedContactFillsNothing() throws {
        var node = try node()
        var now = start
        for index in 0..<500 {
            let place = Endpoint(ipv4: (50, UInt8(index >> 8), UInt8(index & 255), 1), port: 30)
            var peer = try HandPeer(5_000 + UInt64(index), at: place, against: node)
            let challenge = try node.first(peer.stranger(), from: place, at: now)
            let messages = [ping(1), Message.findNode(RequestID(own: 2), distances: [254, 255, 256]).encoded]
            node.receive(try peer.handshake(challenge, messages[index % 2]), from: place, at: now)
            for number in 0..<20 { node.receive(try peer.seal(ping(UInt32(number))), from: place, at: now) }
            // A PONG that answers no PING of ours is none.
            let pong = Message.pong(RequestID(own: 77), sequence: 1, address: [1, 2, 3, 4], port: 1)
            node.receive(try peer.seal(pong.encoded), from: place, at: now)
            now = now + .milliseconds(50)
            node.advance(to: now)
            #expect(node.tableCount == 0)
            #expect(node.directory.table.replacementCount == 0)
            _ = node.drain()
        }
        #expect(node.addressReport.tallies == [])
        #expect(node.localRecord.sequence == 1)
        for _ in 0..<20 {
            now = now + .seconds(1)
            node.advance(to: now)
        }
        #expect(node.requests.pending.isEmpty && node.requests.conversations.isEmpty)
    }

    /// 3a. Packets that ask for WHOAREYOU without end: one challenge a node and address, memory as configured.
    @Test func attack3OneChallengeForEachNodeAndAddress() throws {
        var configuration = DiscoveryWorld.configuration
        configuration.challengeLimit = 128
        configuration.rateLimitedAddresses = 64
        var node = try node(configuration)
        let place = Endpoint(ipv4: (51, 1, 1, 1), port: 30)
        var peer = try HandPeer(50, at: place, against: node)
        let first = try node.first(peer.stranger(), from: place, at: start)
        for step in 0..<50 {
            let replies = node.exchange(peer.stranger(), from: place, at: start + .milliseconds(step * 10))
            #expect(replies.allSatisfy { $0 == first })
            #expect(node.requests.sessions.challenges.count == 1)
        }
        for index in 0..<20_000 {
            let place = Endpoint(ipv4: (52, UInt8(index >> 8 & 255), UInt8(index & 255), 1), port: 30)
            var other = peer
            node.receive(other.stranger(), from: place, at: start + .milliseconds(600))
            _ = node.drain()
        }
        #expect(node.requests.sessions.challenges.count == 128)
        #expect(node.requests.sessions.limiter.count <= 128)
        #expect(node.sessionCount == 0 && node.hasNothingUnderWay && node.requests.deadlineCount == 0)
    }

    /// 3b. WHOAREYOU of strangers, replayed or invented: no state, no packet, and the handshake that was answered once
    /// is not answered again.
    @Test func attack3ReplayedAndInventedChallenges() throws {
        var world = DiscoveryWorld(seed: 33)
        try world.add(1)
        try world.add(2)
        world.nodes[0].addBootNodes([world.nodes[1].localRecord], at: world.now)
        world.run(.seconds(3))
        let (here, there) = (world.places[0], world.places[1])
        let challenges = world.log.filter { $0.to == here && $0.from == there }.map(\.bytes).filter {
            DiscoveryWorld.header($0, to: world.nodes[0].key.nodeID)?.flag == .whoAreYou
        }
        let challenge = try #require(challenges.first)
        let sessions = world.nodes[0].sessionCount
        var entropy = DiscoveryWorld.entropy(4)
        for index in 0..<2_000 {
            var mask = MaskCipher(to: world.nodes[0].key.nodeID)
            let number = entropy.bytes32()
            let invented = PacketWriter.plain(
                iv: Random16(high: number.word0, low: number.word1), flag: .whoAreYou,
                nonce: Nonce(counter: UInt32(index), tail: number.word2), authSize: 24, tail: [], mask: &mask
            ) { $0.initializeMemory(as: UInt8.self, repeating: 0, count: 24) }.packet
            for packet in [challenge, invented] {
                for source in [there, DiscoveryWorld.endpoint(99)] {
                    #expect(world.nodes[0].exchange(packet, from: source, at: world.now) == [])
                }
            }
        }
        #expect(world.nodes[0].sessionCount == sessions)
        #expect(world.nodes[0].requests.conversations.values.allSatisfy { $0.attempt == nil })
    }

    /// 3c. Handshakes to a challenge that is over, was replaced, or was another's: nothing.
    @Test func attack3StaleHandshakes() throws {
        var node = try node()
        let place = Endpoint(ipv4: (51, 1, 1, 1), port: 30)
        var peer = try HandPeer(50, at: place, against: node)
        let first = try node.first(peer.stranger(), from: place, at: start)
        let late = try peer.handshake(first, ping(1))
        let second = try node.first(peer.stranger(), from: place, at: start + .seconds(2))
        #expect(first != second)
        // It names the challenge before, whose time is over.
        #expect(node.exchange(late, from: place, at: start + .seconds(2)) == [])
        #expect(node.sessionCount == 0)
        // It was used up by that: one try a challenge.
        let right = try peer.handshake(second, ping(2))
        #expect(node.exchange(right, from: place, at: start + .seconds(2)) == [])
        let third = try node.first(peer.stranger(), from: place, at: start + .seconds(3))
        let good = try peer.handshake(third, ping(3))
        #expect(!node.exchange(good, from: place, at: start + .seconds(3)).isEmpty)
        #expect(node.exchange(good, from: place, at: start + .seconds(3)) == [])
        #expect(node.statistics.handshakesRefused == 3)
    }

    /// 4. A spoofed source: of every kind and size of packet, no more bytes leave for an address than came from it
    /// before it has proven itself. The sums over all that came count, too.
    @Test(arguments: 0..<4)
    func attack4NoAmplification(_ seed: Int) throws {
        var node = try node()
        var generator = SeededGenerator(seed: UInt64(seed))
        let victim = Endpoint(ipv4: (60, 1, 1, 1), port: 4_000)
        let home = Endpoint(ipv4: (61, 1, 1, 1), port: 4_000)
        // The attacker has a session of its own from another address, and has seen a challenge.
        var insider = try HandPeer(50, at: home, against: node)
        let own = try node.first(insider.stranger(), from: home, at: start)
        let opening = try insider.handshake(own, ping(1))
        node.receive(opening, from: home, at: start)
        _ = node.drain()
        var (came, left) = (0, 0)
        var now = start + .seconds(2)
        for size in 63...1_280 {
            var packets: [[UInt8]] = [insider.entropy.bytes(size)]
            for flag in [PacketFlag.ordinary, .handshake, .whoAreYou] {
                if let packet = insider.invented(flag, size: size) { packets.append(packet) }
            }
            // A message of its session, sent from the victim's address; the old handshake and challenge once more.
            let message = [UInt8](repeating: 0, count: max(0, size - 87))
            packets += [try insider.seal(ping(1)), try insider.seal(message), opening, own]
            // A handshake that answers the challenge to the victim, were it seen, but is not signed by the id.
            let address = NodeAddress(id: insider.key.nodeID, endpoint: victim)
            if let challenge = node.requests.sessions.challenges.peek(address) {
                let forged = try insider.handshake(challenge.packet, ping(1)) { $0[40] ^= 1 }
                packets.append(forged)
            }
            for packet in packets {
                node.receive(packet, from: victim, at: now)
                came += packet.count
                let out = sent(&node)
                #expect(out.keys.allSatisfy { $0 == victim })
                #expect(out[victim, default: 0] <= packet.count)
                left += out[victim, default: 0]
                now = now + .milliseconds(Int(generator.next() % 200))
                node.advance(to: now)
                left += sent(&node)[victim, default: 0]
                #expect(left <= came)
            }
        }
        print("attack 4, seed \(seed): \(came) bytes in, \(left) out")
        #expect(left > 0)
        #expect(!node.hasSession(with: NodeAddress(id: insider.key.nodeID, endpoint: victim)))
    }

    /// 5. Records with addresses that whoever tells of them cannot know: neither taken nor passed on.
    @Test func attack5ForeignAddressesAreNotPassedOn() throws {
        let asker = Endpoint(ipv4: (62, 1, 1, 1), port: 30)
        let places = [
            Endpoint(ipv4: (10, 1, 1, 1), port: 30), Endpoint(ipv4: (192, 168, 3, 1), port: 30),
            Endpoint(ipv4: (169, 254, 3, 1), port: 30), Endpoint(ipv4: (100, 64, 3, 1), port: 30),
            .loopback(port: 30), Endpoint(ipv4: (63, 1, 1, 1), port: 30),
            try #require(Endpoint(address: [0xfd] + [UInt8](repeating: 1, count: 15), port: 30)),
            try #require(Endpoint(address: [UInt8](repeating: 0, count: 15) + [1], port: 30)),
        ]
        var node = try node()
        for (index, place) in places.enumerated() {
            // Each proves itself at its place, as a node of the same house may.
            try play(700 + UInt64(index), at: place, against: &node, at: start)
        }
        #expect(node.tableCount == places.count)
        // One that is public, and says in the same record that it is also somewhere inside.
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: Endpoint(ipv4: (64, 1, 1, 1), port: 30))
        fields.set(endpoint: places[6])
        let double = try fields.signed(by: DiscoveryWorld.key(800))
        let doubleAddress = NodeAddress(id: double.id, endpoint: Endpoint(ipv4: (64, 1, 1, 1), port: 30))
        #expect(node.directory.table.insert(double, at: doubleAddress, now: start) == .added)

        let everything = Array(1...256)
        #expect(try named(by: &node, to: asker, everything) == [places[5]])
        #expect(try Set(named(by: &node, to: .loopback(port: 31), everything)).isSuperset(of: places))
        // The other way: a public node names such records to us in an answer.
        var teller = try HandPeer(900, at: asker, against: node)
        let challenge = try node.first(teller.stranger(), from: asker, at: start + .seconds(5))
        node.receive(try teller.handshake(challenge, ping(1)), from: asker, at: start + .seconds(5))
        _ = node.drain()
        let address = NodeAddress(id: teller.key.nodeID, endpoint: asker)
        let route = node.directory.route(to: address)
        try node.requests.send(.record, to: route, distances: everything, at: start + .seconds(5)) {
            .findNode($0, distances: everything)
        }
        let asked = node.drain().compactMap { directive in
            if case .send(let bytes, _) = directive { teller.open(bytes) } else { Message?.none }
        }
        guard case .findNode(let id, _) = asked.last else {
            Issue.record("no FINDNODE")
            return
        }
        let told =
            try places.enumerated().map { try DiscoveryWorld.record(DiscoveryWorld.key(1_000 + UInt64($0)), $1) } + [
                double
            ]
        for (index, half) in [told.prefix(4), told.dropFirst(4)].enumerated() {
            let message = Message.nodes(id, total: 2, records: half.map(\.encoded)).encoded
            node.receive(try teller.seal(message), from: asker, at: start + .milliseconds(5_010 + index))
        }
        let taken = told.dropLast().filter { node.record(of: $0.id) != nil }.compactMap(\.endpoint)
        #expect(taken == [places[5]])
    }

    /// Endpoints of the records that the node names to a stranger at `asker`.
    private func named(by node: inout Discovery, to asker: Endpoint, _ distances: [Int]) throws -> [Endpoint] {
        var found: [Endpoint] = []
        let now = start + .seconds(2)
        var peer = try HandPeer(990, at: asker, against: node)
        let challenge = try node.first(peer.stranger(), from: asker, at: now)
        let message = Message.findNode(RequestID(own: 1), distances: distances).encoded
        let answers = node.exchange(try peer.handshake(challenge, message), from: asker, at: now)
        for case .nodes(_, _, let records) in answers.compactMap({ peer.open($0) }) {
            found += try records.map { try NodeRecord(decoding: $0) }.compactMap(\.endpoint)
        }
        return found
    }

    /// 6. A thousand liars of one prefix against eleven honest voters: our address does not change, before the honest
    /// have voted nor after.
    @Test func attack6VotesOfOnePrefix() throws {
        let truth = Endpoint(ipv4: (93, 184, 1, 1), port: 9_009)
        let lie = Endpoint(ipv4: (6, 6, 6, 6), port: 6)
        var votes = AddressVotes(Discovery.Configuration())
        func liars(at now: Instant) {
            for index in 0..<1_000 {
                let place = Endpoint(ipv4: (45, 9, 9, UInt8(index & 255)), port: UInt16(index + 1))
                let voter = NodeAddress(id: Bytes32(UInt64(index), 9, 9, 9), endpoint: place)
                #expect(votes.cast(lie, by: voter, at: now) == nil)
            }
        }
        liars(at: start)
        var winners: [Endpoint] = []
        for index in 0..<11 {
            let place = Endpoint(ipv4: (20, 1, UInt8(index), 1), port: 30)
            let voter = NodeAddress(id: Bytes32(UInt64(index), 1, 1, 1), endpoint: place)
            if let winner = votes.cast(truth, by: voter, at: start + .seconds(index)) { winners.append(winner) }
            liars(at: start + .seconds(index))
        }
        #expect(winners == [truth, truth])
        #expect(votes.tallies.map(\.prefixes) == [11, 1])
    }
}
