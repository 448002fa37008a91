import Primitives
import Testing
import UTP
import UTPLab

@Suite struct NetworkTests {
    struct Conditions: CustomStringConvertible, Sendable {
        let loss: Double
        let reorder: Double
        let duplication: Double
        let delay: Int
        var description: String { "loss \(loss) reorder \(reorder) duplication \(duplication) delay \(delay) ms" }
    }

    static let conditions: [Conditions] = [0, 0.01, 0.05, 0.1, 0.2, 0.3].flatMap { loss in
        [0, 0.3].flatMap { reorder in
            [0, 0.05].flatMap { duplication in
                [1, 10, 50, 150, 300].map {
                    Conditions(loss: loss, reorder: reorder, duplication: duplication, delay: $0)
                }
            }
        }
    }

    /// Byte for byte or an error, never a hang; and no error at all up to 10 % loss.
    @Test(arguments: NetworkTests.conditions)
    func matrix(_ conditions: Conditions) throws {
        for (number, size) in [0, 1, 1_153, 20_000, 200_000, 1 << 20, 4 << 20].enumerated() {
            // The largest only in every third condition: time.
            if size > 1 << 20, (conditions.delay + Int(conditions.loss * 100)) % 3 != 0 { continue }
            let seed = UInt64(number * 1_000 + conditions.delay)
            let role = Role.allCases[number % 2]
            var pair = Pair(
                Link(
                    delay: .milliseconds(conditions.delay), loss: conditions.loss, reorder: conditions.reorder,
                    duplication: conditions.duplication), seed: seed)
            let payload = Pair.payload(size, seed: seed)
            try pair.open(role, payload)
            let isDone = pair.run(for: .seconds(600))
            #expect(isDone, "hangs: \(conditions), \(size) bytes, seed \(seed)")
            if let received = pair.received(by: role.receiver) {
                #expect(received == payload, "differs: \(conditions), \(size) bytes, seed \(seed)")
            } else {
                #expect(conditions.loss > 0.1, "\(pair.outcomes): \(conditions), \(size) bytes, seed \(seed)")
            }
            #expect(pair.outcomes[0].count == 1 && pair.outcomes[1].count == 1)
        }
    }

    /// Losing one packet in ten costs at most as much time again.
    @Test(arguments: [256 << 10, 1 << 20, 4 << 20])
    func tenPercentLossAtMostDoublesTheTime(_ size: Int) throws {
        func time(_ loss: Double, seed: UInt64) throws -> Double {
            var pair = Pair(Link(delay: .milliseconds(50), loss: loss), seed: seed)
            try pair.open(.connectorSends, Pair.payload(size, seed: seed))
            let start = pair.now
            pair.run()
            #expect(pair.outcomes[1].count == 1)
            return (pair.now - start).seconds
        }
        let times = try (1...15).map { try time(0.1, seed: $0) }.sorted()
        let clean = try time(0, seed: 1)
        print("\(size) bytes, delay 50 ms: clean \(clean) s, 10 % loss (seeds 1…15) \(times)")
        // The median, for a handshake or tail can lose more than its share.
        #expect(times[7] <= 2 * clean)
        #expect(times[14] <= 4 * clean)
    }

    /// Fills a path of some rate, leaves its queue short, and loses little on it.
    @Test(arguments: [(1e6, 20, 128 << 10), (10e6, 1, 128 << 10), (10e6, 20, 1 << 20), (0.1e6, 100, 1 << 20)])
    func fillsABottleneck(_ rate: Double, _ delay: Int, _ queue: Int) throws {
        var pair = Pair(Link(delay: .milliseconds(delay), rate: rate, queueBytes: queue), seed: 1)
        let payload = Pair.payload(min(16 << 20, Int(rate * 20)), seed: 1)
        try pair.open(.accepterSends, payload)
        let start = pair.now
        pair.run()
        #expect(pair.received(by: 0) == payload)
        let use = Double(payload.count) / (pair.now - start).seconds / rate
        #expect(use > 0.75, "use \(use)")
        #expect(pair.dropped * 10 < pair.packetsSent[1], "dropped \(pair.dropped) of \(pair.packetsSent[1])")
    }

    /// A deep queue is not filled: the one-way delay stays near the target.
    @Test func leavesADeepQueueShort() throws {
        var pair = Pair(Link(delay: .milliseconds(10), rate: 1e6, queueBytes: 8 << 20), seed: 1)
        try pair.open(.accepterSends, Pair.payload(20 << 20, seed: 1))
        pair.run(for: .seconds(3))
        var worst = 0
        var sentAt: [UInt64] = []
        // Timestamps of what is sent now against what arrives: the queue in front of the bottleneck.
        pair.filter = { sender, packet in
            if sender == 0, let header = try? Packet(parsing: packet).header {
                worst = max(worst, Int(header.timestampDifference))
                sentAt.append(UInt64(header.timestampDifference))
            }
            return true
        }
        pair.run(for: .seconds(10))
        #expect(sentAt.count > 100)
        #expect(worst < 10_000 + 2 * 100_000, "one-way delay up to \(worst) µs")
    }

    @Test func streamsShareAPath() throws {
        var pair = Pair(Link(delay: .milliseconds(20), rate: 2e6, queueBytes: 256 << 10), seed: 3)
        let payloads = (0..<10).map { Pair.payload(1 << 20, seed: $0) }
        for payload in payloads { try pair.open(.accepterSends, payload) }
        let start = pair.now
        let isDone = pair.run()
        #expect(isDone)
        #expect(pair.outcomes[1].count == 10)
        #expect(10 * Double(1 << 20) / (pair.now - start).seconds / 2e6 > 0.75)
    }

    /// All packets of one direction lost for a while, then none.
    @Test(arguments: [1, 5, 10])
    func outage(_ seconds: Int) throws {
        for direction in [0, 1] {
            var pair = Pair(Link(delay: .milliseconds(20), rate: 4e6))
            let payload = Pair.payload(8 << 20, seed: 1)
            try pair.open(.connectorSends, payload)
            pair.run(for: .seconds(1))
            pair.filter = { sender, _ in sender != direction }
            pair.run(for: .seconds(seconds))
            pair.filter = nil
            let isDone = pair.run()
            #expect(isDone)
            #expect(pair.received(by: 1) == payload)
        }
    }
}
