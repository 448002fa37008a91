import Primitives
import Testing

@testable import Discovery

/// Our own address: votes on it, and the proof that strangers reach us there.
@Suite struct AddressTests {
    private let truth = Endpoint(ipv4: (5, 5, 5, 5), port: 9_009)
    private let lie = Endpoint(ipv4: (6, 6, 6, 6), port: 9_009)

    /// A voter in a public prefix of its own.
    private func voter(_ index: Int, host: UInt8 = 1) -> NodeAddress {
        let endpoint = Endpoint(ipv4: (20, UInt8(index >> 8), UInt8(index & 255), host), port: 9_000)
        return NodeAddress(id: Bytes32(UInt64(index), UInt64(host), 0, 0), endpoint: endpoint)
    }

    /// A node whose record names no address, and `others` that know it as a boot node.
    private func world(_ others: Int, adopts: Bool = true) throws -> DiscoveryWorld {
        var world = DiscoveryWorld(seed: 11)
        var configuration = DiscoveryWorld.configuration
        configuration.revalidationInterval = .seconds(1)
        configuration.adoptsVotedAddress = adopts
        let key = DiscoveryWorld.key(1)
        let nameless = try NodeRecordFields(sequence: 1).signed(by: key)
        world.nodes.append(
            try Discovery(key: key, record: nameless, configuration: configuration, entropy: DiscoveryWorld.entropy(1)))
        world.told.append([])
        world.places.append(DiscoveryWorld.endpoint(1))
        for index in 0..<others { try world.add(10 + UInt64(index)) }
        return world
    }

    /// All find each other; the nameless node pings the others, which vote.
    private func join(_ world: inout DiscoveryWorld) {
        let first = world.nodes[1].localRecord
        for index in world.nodes.indices where index != 1 { world.nodes[index].addBootNodes([first], at: world.now) }
    }

    private func checks(_ world: DiscoveryWorld) -> [Bool] {
        world.told[0].compactMap { directive in
            guard case .addressChecked(_, let isReachable) = directive else { return nil }
            return isReachable
        }
    }

    @Test func tenPrefixesInTwoMinutesDecide() {
        var votes = AddressVotes(Discovery.Configuration())
        for index in 0..<9 {
            #expect(votes.cast(truth, by: voter(index), at: .zero + .seconds(index)) == nil)
        }
        // Another host of a prefix that has voted is no tenth voter.
        #expect(votes.cast(truth, by: voter(3, host: 9), at: .zero + .seconds(10)) == nil)
        #expect(votes.cast(truth, by: voter(9), at: .zero + .seconds(11)) == truth)
        // The first votes have grown too old by then, so that nine are left.
        #expect(votes.cast(truth, by: voter(9), at: .zero + .seconds(121)) == nil)
    }

    @Test func theWinnerNeedsAThirdMoreThanTheNext() {
        var votes = AddressVotes(Discovery.Configuration())
        for index in 0..<10 { _ = votes.cast(lie, by: voter(100 + index), at: .zero) }
        for index in 0..<12 { #expect(votes.cast(truth, by: voter(index), at: .zero) == nil) }
        #expect(votes.cast(truth, by: voter(12), at: .zero) == truth)
        #expect(
            votes.tallies == [
                AddressTally(endpoint: truth, prefixes: 13), AddressTally(endpoint: lie, prefixes: 10),
            ])
    }

    @Test func familiesVoteApart() throws {
        var votes = AddressVotes(Discovery.Configuration())
        let six = try #require(Endpoint(address: [0x20, 1] + [UInt8](repeating: 7, count: 14), port: 9_009))
        func voter6(_ index: Int) throws -> NodeAddress {
            let address = [0x20, 2, 0, 0, 0, UInt8(index)] + [UInt8](repeating: 1, count: 10)
            return NodeAddress(
                id: Bytes32(UInt64(index), 6, 0, 0),
                endpoint: try #require(
                    Endpoint(address: address, port: 9_000)))
        }
        for index in 0..<30 { _ = votes.cast(truth, by: voter(index), at: .zero) }
        for index in 0..<9 { #expect(votes.cast(six, by: try voter6(index), at: .zero) == nil) }
        #expect(votes.cast(six, by: try voter6(9), at: .zero) == six)
        // A voter of the other family cannot have seen us there.
        #expect(votes.cast(six, by: voter(300), at: .zero) == nil)
        #expect(votes.tallies.first { $0.endpoint == six }?.prefixes == 10)
    }

    @Test func votesAreBounded() {
        var votes = AddressVotes(Discovery.Configuration())
        for index in 0..<5_000 { _ = votes.cast(truth, by: voter(index), at: .zero) }
        #expect(votes.count == DiscoveryLimits.addressVotesKept)
    }

    @Test func insideAndOutsideAreNotMixed() {
        var votes = AddressVotes(Discovery.Configuration())
        let inside = Endpoint(ipv4: (192, 168, 1, 2), port: 9_009)
        for index in 0..<20 {
            #expect(votes.cast(inside, by: voter(index), at: .zero) == nil)
            #expect(votes.cast(Endpoint.loopback(port: 5), by: voter(index), at: .zero) == nil)
            #expect(votes.cast(Endpoint(ipv4: (0, 0, 0, 0), port: 5), by: voter(index), at: .zero) == nil)
        }
        #expect(votes.count == 0)
    }

    @Test func addressIsLearnedFromTheVotesAndProvenByStrangers() throws {
        var world = try world(12)
        join(&world)
        world.run(.seconds(20))
        #expect(world.nodes[0].localRecord.endpoint == DiscoveryWorld.endpoint(1))
        #expect(world.nodes[0].localRecord.sequence == 2)
        #expect(world.nodes[0].addressReport.testing == [DiscoveryWorld.endpoint(1)])
        #expect(checks(world) == [])
        // Two that it never wrote to, of different prefixes, make contact.
        for index in 0..<2 {
            let stranger = try world.add(900 + UInt64(index))
            world.nodes[stranger].addBootNodes([world.nodes[0].localRecord], at: world.now)
            world.run(.seconds(3))
            #expect(checks(world) == (index == 0 ? [] : [true]))
        }
        world.run(.seconds(400))
        #expect(world.nodes[0].localRecord.endpoint == DiscoveryWorld.endpoint(1))
        #expect(world.nodes[0].addressReport.proven == [DiscoveryWorld.endpoint(1)])
        #expect(checks(world) == [true])
    }

    @Test func addressWhereNoStrangerIsHeardOfIsWithdrawnForHours() throws {
        var world = try world(12)
        join(&world)
        world.run(.seconds(20))
        #expect(world.nodes[0].localRecord.endpoint == DiscoveryWorld.endpoint(1))
        world.run(.seconds(310))
        #expect(checks(world) == [false])
        #expect(world.nodes[0].localRecord.endpoint == nil)
        #expect(world.nodes[0].localRecord.sequence == 3)
        // The votes go on, and change nothing until its time is over.
        world.run(.seconds(600))
        #expect(world.nodes[0].addressReport.tallies.first?.prefixes ?? 0 >= 10)
        #expect(world.nodes[0].localRecord.endpoint == nil)
        let reachability = world.nodes[0].ownAddress.reachability
        #expect(reachability.mayAdopt(DiscoveryWorld.endpoint(1), at: world.now + .seconds(6 * 3_600)))
        #expect(!reachability.mayAdopt(DiscoveryWorld.endpoint(1), at: world.now + .seconds(4 * 3_600)))
    }

    @Test func aFixedAddressIsOnlyToldOf() throws {
        var world = try world(12, adopts: false)
        join(&world)
        world.run(.seconds(60))
        let told = world.told[0].filter { if case .addressVoted = $0 { true } else { false } }
        #expect(told.count == 1)
        #expect(world.nodes[0].localRecord.sequence == 1)
        #expect(world.nodes[0].localRecord.endpoint == nil)
    }

    @Test func aHostThatWasWrittenToProvesNothing() {
        var reachability = Reachability(Discovery.Configuration())
        reachability.begin(truth, at: .zero)
        for index in 0..<20 {
            let host = voter(index).endpoint
            reachability.noteSent(to: host, at: .zero)
            // Another port of it is the same host.
            let other = Endpoint(address: host.address, port: 77) ?? host
            #expect(reachability.noteInbound(from: other, at: .zero + .seconds(200)) == nil)
        }
        let strangers = [voter(50), voter(50, host: 2), voter(51)].map(\.endpoint)
        #expect(reachability.noteInbound(from: strangers[0], at: .zero + .seconds(201)) == nil)
        #expect(reachability.noteInbound(from: strangers[1], at: .zero + .seconds(202)) == nil)
        #expect(reachability.noteInbound(from: strangers[2], at: .zero + .seconds(203)) == .proven(truth))
        #expect(reachability.deadline == nil)
        // A new address of the same family begins anew.
        reachability.begin(lie, at: .zero + .seconds(204))
        #expect(reachability.proven == [])
        #expect(reachability.expire(at: .zero + .seconds(503)) == nil)
        #expect(reachability.expire(at: .zero + .seconds(504)) == .unreachable(lie))
    }

    @Test func familiesThatTheSocketDoesNotSpeakAreNotTried() throws {
        let six = try #require(Endpoint(address: [0x20, 1] + [UInt8](repeating: 7, count: 14), port: 9_009))
        var both = NodeRecordFields(sequence: 1)
        both.set(endpoint: truth)
        both.set(endpoint: six)
        let record = try both.signed(by: DiscoveryWorld.key(5))
        let cases: [(AddressFamilies, Endpoint?)] = [
            ([.ipv4, .ipv6], truth), (.ipv4, truth), (.ipv6, six), ([], nil),
        ]
        for (families, expected) in cases {
            var configuration = DiscoveryWorld.configuration
            configuration.families = families
            let key = DiscoveryWorld.key(1)
            var node = try Discovery(
                key: key, record: try DiscoveryWorld.record(key, DiscoveryWorld.endpoint(1)),
                configuration: configuration,
                entropy: DiscoveryWorld.entropy(1))
            node.addBootNodes([record], at: .zero)
            let targets = node.drain().compactMap { directive in
                if case .send(_, let to) = directive { to } else { Endpoint?.none }
            }
            #expect(targets == [expected].compactMap { $0 })
        }
    }
}
