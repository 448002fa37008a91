import Discovery
import Primitives
import Testing

@testable import Overlay

/// Readers that ask for much and take next to nothing, all on the honest one's own address.
@Suite("Slow readers") struct SlowReaderTests {
    private static let slow = 16

    /// Node 0 answers with `size` bytes; 1…16 keep asking and let one large datagram through in four seconds; the last
    /// node reads as fast as it comes.
    private func world(seed: UInt64, size: Int, areSlow: Bool) throws -> OverlayWorld {
        print("seed \(seed)")
        var settings = OverlayWorld.Settings()
        settings.networks[0].answerBytes = { _ in size }
        let count = SlowReaderTests.slow + 2
        let world = try #require(try OverlayWorld.meshed(count, seed: seed, settings))
        let content = pattern(size)
        world.serves = { _, _ in .content(content) }
        guard areSlow else { return world }
        var next: [UInt16: Instant] = [:]
        world.withholds = { [unowned world] target, bytes in
            guard bytes > 700, (9_001...9_016).contains(target.port) else { return false }
            guard world.now >= next[target.port] ?? .zero else { return true }
            next[target.port] = world.now + .seconds(4)
            return false
        }
        for second in 0..<60 { world.at(world.now + .seconds(second)) { SlowReaderTests.ask($0, size: size) } }
        return world
    }

    /// Each slow one has as many requests open as it may.
    private static func ask(_ world: OverlayWorld, size: Int) {
        let target = world.id(0)
        for index in 1...slow {
            world.with(index) { node, now in
                for key in node.load.requests..<OverlayLimits.servedContentsPerPeer {
                    _ = node.findContent(
                        network: .state, peer: target, key: [UInt8(key)], limit: size, timeout: .seconds(100), at: now)
                }
            }
        }
    }

    /// How long the honest one's requests take, one after the other, rising.
    private func times(_ world: OverlayWorld, size: Int, _ count: Int) -> [Interval] {
        let honest = SlowReaderTests.slow + 1
        var times: [Interval] = []
        for _ in 0..<count {
            let start = world.now
            let answer = world.find(honest, from: 0, key: [200], timeout: .seconds(30))
            #expect(answer?.content?.count == size, "\(String(describing: answer?.error))")
            times.append(world.now - start)
            world.run(.milliseconds(300))
        }
        return times.sorted()
    }

    /// A megabyte each, so that the bytes are taken; 40 KiB each, so that the slots are and the bytes are not.
    @Test(arguments: [1 << 20, 40 << 10])
    func theyTakeNeitherMemoryNorSlotsFromAQuickOne(size: Int) throws {
        let calm = times(try world(seed: 310, size: size, areSlow: false), size: size, 10)
        let world = try world(seed: 310, size: size, areSlow: true)
        world.run(.milliseconds(500))
        let load = try #require(world.nodes[0]?.load)
        #expect(load.served == OverlayLimits.servedContents, "every slot is taken")
        let slots = OverlayLimits.servedContents
        #expect(load.answerBytes > min(OverlayLimits.answersUnderWay, slots * size) - 2 * size)
        // Until the first of them are known to be slow the quick one may be told to come back.
        world.run(OverlayLimits.slowPatience)
        let attacked = times(world, size: size, 60)
        let node = try #require(world.nodes[0])
        print("calm \(calm[5]), attacked: median \(attacked[30]), p95 \(attacked[56]), most \(attacked[59])")
        #expect(attacked[56].microseconds <= 2 * calm[calm.count / 2].microseconds)
        #expect(attacked[59] <= OverlayLimits.slowPatience + .seconds(1))
        #expect(node.statistics.answerBytesPeak <= OverlayLimits.answersUnderWay)
        #expect(node.statistics.slowReaders > 0)
        // They give up: everything comes back.
        world.run(OverlayLimits.serveTimeout + .seconds(60))
        expectIdle(world)
        #expect(world.nodes[0]?.load.answerBytes == 0)
    }
}
