import Discovery
import Foundation
import Primitives
import Testing

@testable import Shell

/// A slow line as a value, and the relay that has one.
@Suite("Slow lines") struct LineQueueTests {
    private static func at(_ milliseconds: UInt64) -> Instant { Instant(microseconds: milliseconds * 1_000) }

    @Test func aPlainLineDoesNothing() {
        var line = LineQueue(LineShape(), seed: 1)
        #expect(LineShape().isPlain)
        for time in 0..<50 as Range<UInt64> { #expect(line.arrival(of: 1_200, at: Self.at(time)) == Self.at(time)) }
    }

    @Test func packetsFollowOneAnotherAtTheRate() {
        var shape = LineShape()
        shape.delay = .milliseconds(30)
        shape.bytesPerSecond = 100_000
        var line = LineQueue(shape, seed: 1)
        // A thousand bytes take ten milliseconds.
        #expect(line.arrival(of: 1_000, at: Self.at(0)) == Self.at(40))
        #expect(line.arrival(of: 1_000, at: Self.at(0)) == Self.at(50))
        #expect(line.arrival(of: 1_000, at: Self.at(100)) == Self.at(140))
        // What would wait for more than a second is lost, and takes no time of those behind it.
        let arrivals = (0..<200).map { _ in line.arrival(of: 1_000, at: Self.at(200)) }
        #expect(arrivals.count { $0 != nil } == 100 && arrivals[99] == Self.at(1_230) && arrivals[100] == nil)
        #expect(line.arrival(of: 1_000, at: Self.at(1_300)) == Self.at(1_340))
    }

    @Test func aSeedLosesTheSamePackets() {
        print("seed 7")
        var shape = LineShape()
        shape.lostOfThousand = 200
        func lost(seed: UInt64) -> [Bool] {
            var line = LineQueue(shape, seed: seed)
            return (0..<2_000).map { line.arrival(of: 100, at: Self.at(UInt64($0))) == nil }
        }
        let first = lost(seed: 7)
        #expect(first == lost(seed: 7) && first != lost(seed: 8))
        #expect((300...500).contains(first.count { $0 }))
    }

    /// Each end sees the other where that end says it is, and a stranger is answered by nobody.
    @Test func theRelayHandsOnBetweenItsNodes() throws {
        var shape = LineShape()
        shape.delay = .milliseconds(5)
        let relay = try DevnetRelay(nodes: 3, slow: 2, shape, seed: 1)
        let nodes = try relay.places.map { try PlainSocket(binding: $0.inside) }
        relay.start()
        defer { relay.stop() }
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            let bytes = [UInt8](repeating: UInt8(from), count: 40 + to)
            nodes[from].send(bytes, to: relay.places[to].outside)
            let received = try #require(nodes[to].receive(within: .seconds(10)))
            #expect(received.bytes == bytes && received.source == relay.places[from].outside)
        }
        let stranger = try PlainSocket(binding: Endpoint(ipv4: (127, 0, 0, 1), port: 0))
        stranger.send([1, 2, 3], to: relay.places[1].outside)
        nodes[0].send([9], to: relay.places[1].outside)
        #expect(nodes[1].receive(within: .seconds(10))?.bytes == [9])
    }
}
