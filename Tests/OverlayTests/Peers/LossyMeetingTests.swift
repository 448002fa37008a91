import Primitives
import Testing

@testable import Overlay

@Suite("Meeting on a lossy wire") struct LossyMeetingTests {
    /// Every fifth packet is lost: a lost first PING is repeated soon, not after five seconds and then ten.
    @Test func aNodeBecomesAPeerWithinSeconds() throws {
        var settings = OverlayWorld.Settings()
        settings.loss = 200
        settings.latency = .milliseconds(50)
        var times: [Interval] = []
        for seed in UInt64(400)..<440 {
            let world = try OverlayWorld(2, seed: seed, settings)
            world.bootstrap()
            let target = world.id(0)
            let met = world.run(.seconds(20)) { $0.nodes[1]?.peer(target, network: .state) != nil }
            #expect(met, "seed \(seed)")
            times.append(world.now - .zero)
        }
        times.sort()
        print("median \(times[20]), 95 % \(times[38]), most \(times[39])")
        #expect(times[20] <= .seconds(2) && times[38] <= .seconds(6) && times[39] <= .seconds(12))
    }

    /// The network doubles every datagram: a request is served once.
    @Test func aDoubledRequestIsServedOnce() throws {
        let world = try #require(try OverlayWorld.meshed(2, seed: 441))
        world.serves = { _, _ in .content([1, 2, 3]) }
        world.copies = 2
        #expect(world.find(1, from: 0, key: [7])?.content == [1, 2, 3])
        let asked = world.heard[0].count { if case .contentRequested = $0 { true } else { false } }
        #expect(asked == 1)
    }
}
