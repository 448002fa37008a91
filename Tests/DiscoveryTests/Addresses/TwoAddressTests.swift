import Primitives
import Testing

@testable import Discovery

/// Nodes that name an address of each family, one of which leads nowhere: they are reached by the other.
@Suite struct TwoAddressTests {
    private static let dead = Endpoint(ipv4: (10, 99, 9, 9), port: 9_000)

    private static func ipv6(_ index: UInt8) -> Endpoint {
        let head: [UInt8] = [0x26, 0x07, 0xf8, 0xb0, 0, index]
        return Endpoint(address: head + [UInt8](repeating: 0, count: 9) + [1], port: 9_000)
            ?? .loopback(port: 9_000)
    }

    /// One who asks, and one at an IPv6 address whose record names an IPv4 address too, where nobody is.
    private static func pair() throws -> (world: DiscoveryWorld, asker: Int, target: Int) {
        var world = DiscoveryWorld(seed: 17)
        let asker = try world.add(1, at: ipv6(1))
        let target = try world.add(2, at: ipv6(2))
        try world.nodes[target].updateLocalRecord { $0.set(endpoint: dead) }
        return (world, asker, target)
    }

    @Test func aBootNodeWithADeadIPv4AddressIsReachedByIPv6() throws {
        var (world, asker, target) = try Self.pair()
        let record = world.nodes[target].localRecord
        #expect(record.endpointIPv4 == Self.dead && record.endpointIPv6 == world.places[target])
        world.nodes[asker].addBootNodes([record], at: world.now)
        world.run(.seconds(4))
        #expect(world.nodes[asker].tableCount == 1)
        #expect(world.nodes[asker].endpoint(of: record) == world.places[target])
        let report = world.nodes[asker].familyReport
        let tallies = Dictionary(uniqueKeysWithValues: report.map { ($0.family, $0.tally) })
        #expect(tallies[.ipv4]?.tried == 1 && tallies[.ipv4]?.answered == 0)
        #expect(tallies[.ipv6]?.tried == 1 && tallies[.ipv6]?.answered == 1)
    }

    /// The system has no route: nothing has to be waited for.
    @Test func whatCannotBeSentGoesToTheOtherAddressAtOnce() throws {
        var (world, asker, target) = try Self.pair()
        let record = world.nodes[target].localRecord
        let id = world.nodes[asker].talk(to: record, protocol: testProtocol, request: [1], at: world.now)
        // What goes to the dead address comes back from the system, not from the wire.
        world.latency = .zero
        world.run(.zero) { world, delivery in
            if delivery.to == Self.dead { world.nodes[asker].unsent(to: delivery.to, at: world.now) }
        }
        world.latency = .milliseconds(20)
        world.run(.milliseconds(200))
        let request = try #require(world.requests(target).first)
        world.nodes[target].respond(to: request.token, response: [2], at: world.now)
        world.run(.milliseconds(100))
        #expect(world.answer(asker, id) == .success([2]))
        #expect(world.nodes[asker].familyReport.first { $0.family == .ipv4 }?.tally.unsent == 1)
    }

    /// Both ways fail: the request ends once, and the next one is tried again, first where nobody was for longest.
    @Test func aNodeThatIsNowhereIsGivenUp() throws {
        var (world, asker, target) = try Self.pair()
        let record = world.nodes[target].localRecord
        let place = world.places[target]
        world.places[target] = Self.ipv6(9)
        let id = world.nodes[asker].talk(to: record, protocol: testProtocol, request: [1], at: world.now)
        world.run(.seconds(5))
        #expect(world.answer(asker, id) == .failure(.timeout))
        #expect(world.nodes[asker].endpoint(of: record) == Self.dead, "it was tried first, so it is tried first again")
        // It is back, at the address that was tried last.
        world.places[target] = place
        let again = world.nodes[asker].talk(to: record, protocol: testProtocol, request: [1], at: world.now)
        world.run(.milliseconds(1_300))
        let request = try #require(world.requests(target).first)
        world.nodes[target].respond(to: request.token, response: [2], at: world.now)
        world.run(.seconds(3))
        #expect(world.answer(asker, again) == .success([2]))
        let ends = world.told[asker].count { if case .talkAnswered = $0 { true } else { false } }
        #expect(ends == 2, "each request once")
    }

    /// A peer in the table whose IPv4 address dies is found again at the other.
    @Test func aNodeOfTheTableMayChangeItsAddress() throws {
        var world = DiscoveryWorld(seed: 18)
        let asker = try world.add(1, at: Self.ipv6(1))
        let alive = Endpoint(ipv4: (10, 1, 2, 3), port: 9_000)
        let target = try world.add(2, at: alive)
        try world.nodes[target].updateLocalRecord { $0.set(endpoint: Self.ipv6(2)) }
        let record = world.nodes[target].localRecord
        world.nodes[asker].addBootNodes([record], at: world.now)
        world.run(.seconds(2))
        #expect(world.nodes[asker].endpoint(of: record) == alive)
        world.places[target] = Self.ipv6(2)
        world.run(.seconds(60))
        #expect(world.nodes[asker].endpoint(of: record) == Self.ipv6(2))
        #expect(world.nodes[asker].tableCount == 1)
    }
}
