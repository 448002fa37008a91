import Discovery
import Primitives
import Testing

@testable import Overlay

/// A node that may send so much a second, and no more, whoever asks.
@Suite("What a node may send") struct UploadRateTests {
    private static let rate: UInt64 = 256 << 10
    private static let readers = 4
    /// Bytes of a uTP packet that fills its datagram, which has as many more as headers take.
    private static let packetBytes = 1_173.0

    /// Node 0 serves `size` bytes; each of the others asks for so many of it at once.
    private func world(seed: UInt64, size: Int, requests: Int, timeout: Interval) throws -> (
        OverlayWorld, [(reader: Int, request: Overlay.RequestID)]
    ) {
        print("seed \(seed)")
        var settings = OverlayWorld.Settings()
        settings.firstSends = UploadRateTests.rate
        settings.networks[0].answerBytes = { _ in size }
        let world = try #require(
            try OverlayWorld.meshed(UploadRateTests.readers + 1, seed: seed, settings))
        world.serves = { _, key in .content(pattern(key[0] == 200 ? 800 : size)) }
        let target = world.id(0)
        var asked: [(Int, Overlay.RequestID)] = []
        for reader in 1...UploadRateTests.readers {
            for number in 0..<requests {
                let request = world.with(reader) { node, now in
                    node.findContent(
                        network: .state, peer: target, key: [UInt8(number)], limit: 1 << 22, timeout: timeout, at: now)
                }
                asked.append((reader, try #require(request)))
            }
        }
        return (world, asked)
    }

    @Test func theRateHoldsWhileStreamsRunAndIsShared() throws {
        let (world, _) = try world(seed: 451, size: 2 << 20, requests: 2, timeout: .seconds(100))
        world.run(.seconds(2))
        var bytes: [UInt16: Double] = [:]
        world.withholds = { target, count in
            if count > 1_100 { bytes[target.port, default: 0] += UploadRateTests.packetBytes }
            return false
        }
        world.run(.seconds(10))
        let total = bytes.values.reduce(0, +) / 10
        let shares = (1...UploadRateTests.readers).map { (bytes[UInt16(9_000 + $0)] ?? 0) / 10 }
        print("\(total) B/s of \(UploadRateTests.rate), each \(shares)")
        #expect(abs(total / Double(UploadRateTests.rate) - 1) < 0.05)
        let equal = Double(UploadRateTests.rate) / Double(UploadRateTests.readers)
        for share in shares { #expect(abs(share / equal - 1) < 0.1) }
    }

    /// Small messages go by: a request answered in one packet takes no longer than it does without streams.
    @Test func smallAnswersDoNotWait() throws {
        let (world, _) = try world(seed: 452, size: 2 << 20, requests: 2, timeout: .seconds(100))
        world.run(.seconds(2))
        for _ in 0..<10 {
            let start = world.now
            let answer = try #require(world.find(1, from: 0, key: [200]))
            #expect(answer.content?.count == 800)
            #expect(world.now - start < .milliseconds(50))
        }
    }

    /// Each stream takes three times as long as its request was given: none is given up, as all of them go on.
    @Test func whatComesSlowlyIsWaitedFor() throws {
        let (world, asked) = try world(seed: 453, size: 1 << 20, requests: 2, timeout: .seconds(10))
        let all = world.run(.seconds(60)) { world in
            asked.allSatisfy { world.answer($0.reader, $0.request) != nil }
        }
        #expect(all)
        for (reader, request) in asked {
            let answer = try #require(world.answer(reader, request))
            #expect(answer.content?.count == 1 << 20, "\(String(describing: answer.error))")
            #expect(answer.report.duration > .seconds(20))
        }
        #expect(world.nodes[0]?.statistics.slowReaders == 0)
        world.run(.seconds(40))
        expectIdle(world)
    }

    /// A stream that brings nothing is given up when its time is over, as ever.
    @Test func whatStandsStillIsNotWaitedFor() throws {
        let (world, asked) = try world(seed: 454, size: 1 << 20, requests: 1, timeout: .seconds(10))
        world.run(.seconds(4))
        world.withholds = { _, bytes in bytes > 700 }
        world.run(.seconds(15))
        for (reader, request) in asked {
            #expect(world.answer(reader, request)?.error != nil)
        }
    }
}
