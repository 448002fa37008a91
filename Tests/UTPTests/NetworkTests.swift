import Primitives
import Testing
import UTP
import UTPLab

@Suite struct NetworkTests {
    /// A sample of the matrix that `tools/soak` runs whole: byte for byte or an error, never a hang; and no error at
    /// all up to 10 % loss.
    @Test(arguments: 0..<6)
    func matrix(_ part: Int) throws {
        let points = Point.all(seed: UInt64(part + 1))
        // 41 is prime to all the numbers of values, so the sample meets each of them.
        for index in stride(from: part * 7, to: points.count, by: 41) {
            let point = points[index]
            let outcome = try point.run()
            switch outcome.verdict {
            case .exact: continue
            case .error(let error): #expect(point.loss > 10, "\(point): \(error)")
            case .wrong, .hangs: Issue.record("\(point): \(outcome.verdict)")
            }
        }
    }

    @Test func pointsAreReadAsTheyAreWritten() throws {
        for point in Point.all(seed: 3).prefix(50) + Point.long {
            #expect(try #require(Point(point.description)).description == point.description)
        }
        #expect(Point("loss=1 colour=2") == nil)
    }

    /// Losing one packet in ten costs at most as much time again, whatever is lost: the round trip is known to both
    /// ends, as to nodes that have just asked and answered. `tools/soak` runs hundreds of seeds.
    @Test(arguments: [64 << 10, 256 << 10, 1 << 20, 4 << 20])
    func tenPercentLossAtMostDoublesTheTime(_ size: Int) throws {
        var point = Point()
        (point.delay, point.size, point.known) = (50, size, 1)
        // Who sends alternates with the seed; half a round trip lies between the two.
        var clean: [Double] = []
        for seed in [0, 1] as [UInt64] {
            point.seed = seed
            clean.append(try point.run().seconds)
        }
        point.loss = 10
        var ratios: [Double] = []
        for seed in 1...40 as ClosedRange<UInt64> {
            point.seed = seed
            let outcome = try point.run()
            #expect(outcome.verdict == .exact, "\(point)")
            let ratio = outcome.seconds / clean[Int(seed % 2)]
            #expect(ratio <= 2, "\(point): \(ratio) times the loss-free time")
            ratios.append(ratio)
        }
        ratios.sort()
        print("\(size) bytes, delay 50 ms, seeds 1…40: median \(ratios[20]), worst \(ratios[39]) times \(clean) s")
    }

    /// A path longer than the first timeout, of which nothing is known: what is repeated too early must not keep the
    /// round trip from being learnt.
    @Test func aLongUnknownPathIsLearnt() throws {
        var pair = Pair(Link(delay: .milliseconds(350)))
        try pair.open(.accepterSends, Pair.payload(400_000, seed: 1))
        pair.run()
        #expect(pair.received(by: 0)?.count == 400_000)
        // Two probes in the first round trip, and what they took for lost; nothing after it.
        #expect(pair.packetsSent[1] < 347 + 20, "\(pair.packetsSent[1]) packets")
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

    /// A round trip of 100 ms at 1 Gbit/s: 12.5 MB on the way, of which one stream fills at least 80 %. `tools/soak`
    /// runs it with shorter queues too.
    @Test func fillsALongFatPath() throws {
        let queue = 12_500_000
        var pair = Pair(Link(delay: .milliseconds(50), rate: 125e6, queueBytes: queue))
        try pair.open(.accepterSends, [UInt8](repeating: 7, count: 384 << 20))
        pair.run(for: .milliseconds(1_500))
        let before = pair.bytesArrived[0]
        pair.run(for: .milliseconds(1_000))
        let use = Double(pair.bytesArrived[0] - before) / 125e6
        print("100 ms × 1 Gbit/s, queue \(queue) bytes: \(use) of the link, \(pair.dropped) packets dropped")
        #expect(use >= 0.8)
    }

    /// Streams between two nodes have turns: each gets the same, whether they begin together or one after the other.
    @Test(arguments: [0, 200])
    func streamsOfAPairShareItsPathEqually(_ between: Int) throws {
        var pair = Pair(Link(delay: .milliseconds(20), rate: 2e6, queueBytes: 256 << 10), seed: 3)
        var arrived: [UInt16: Int] = [:]
        for _ in 0..<10 {
            try pair.open(.accepterSends, Pair.payload(8 << 20, seed: 1))
            if between > 0 { pair.run(for: .milliseconds(between)) }
        }
        pair.run(for: .seconds(1))
        pair.filter = { sender, packet in
            if sender == 1, let header = try? Packet(parsing: packet).header {
                arrived[header.connectionID, default: 0] += packet.count
            }
            return true
        }
        pair.run(for: .seconds(10))
        let shares = arrived.values.sorted()
        #expect(shares.count == 10)
        let ratio = Double(shares.last ?? 0) / Double(max(shares.first ?? 0, 1))
        print("10 streams of one pair, \(between) ms apart: largest share \(ratio) times the smallest")
        #expect(ratio < 1.1)
        #expect(Double(shares.reduce(0, +)) / 10 / 2e6 > 0.9)
    }

    /// Two hosts that know nothing of each other but the queue, short or long, get about the same of it, whether they
    /// begin together or one after the other; and hardly anything is dropped.
    @Test(arguments: [10, 40, 100], [0, 5])
    func hostsShareABottleneckFairly(_ queue: Int, _ stagger: Int) throws {
        let run = SharedPath(rate: 1.25e6, delay: 20, queue: queue, stagger: stagger)
        let result = try run.run()
        print("\(run): \(result)")
        #expect(result.index >= 0.9)
        #expect(result.use >= 0.9)
        #expect(result.dropped < 0.02)
    }

    /// Streams of different nodes know nothing of each other but the queue they share: none is starved.
    @Test func pairsShareABottleneck() throws {
        var pair = Pair(Link(delay: .milliseconds(20), rate: 4e6, queueBytes: 1 << 20), pairs: 4, seed: 3)
        for index in 0..<4 { try pair.open(.accepterSends, Pair.payload(64 << 20, seed: 1), pair: index) }
        pair.run(for: .seconds(10))
        let before = pair.bytesArrived
        pair.run(for: .seconds(20))
        let shares = (0..<4).map { Double(pair.bytesArrived[2 * $0] - before[2 * $0]) / 20 / 4e6 }
        print("4 streams of 4 pairs: shares \(shares)")
        #expect(shares.reduce(0, +) > 0.9)
        #expect((shares.min() ?? 0) > 0.25 / 4)
    }

    /// A flow that knows loss only gets the path while it is there, and the stream gets it back.
    @Test func yieldsToAFlowThatFillsTheQueue() throws {
        var pair = Pair(Link(delay: .milliseconds(20), rate: 4e6, queueBytes: 2 << 20), seed: 3)
        try pair.open(.accepterSends, [UInt8](repeating: 7, count: 200 << 20))
        func share(_ seconds: Int, _ pair: inout Pair) -> Double {
            let before = pair.bytesArrived[0]
            pair.run(for: .seconds(seconds))
            return Double(pair.bytesArrived[0] - before) / Double(seconds) / 4e6
        }
        pair.run(for: .seconds(2))
        let alone = share(3, &pair)
        pair.cross = CrossTraffic()
        pair.driveCross()
        pair.run(for: .seconds(5))
        let beside = share(10, &pair)
        pair.cross?.isRunning = false
        pair.run(for: .seconds(3))
        let after = share(3, &pair)
        print("share of the path alone \(alone), beside a Reno flow \(beside), after it \(after)")
        #expect(alone > 0.9 && beside < 0.2 && after > 0.8)
    }

    /// Streams that wait for their payload send nothing and want nothing but their one deadline; what one busy stream
    /// costs does not depend on them.
    @Test func idleStreamsCostNoPackets() throws {
        func packets(idle: Int) throws -> (sent: [Int], deadlines: Int) {
            var pair = Pair(Link(delay: .milliseconds(5)), seed: 4) { $0.streamsPerPeer = 600 }
            for _ in 0..<idle {
                _ = try pair.machines[1].accept(from: pair.addresses[0], transfer: .sendLater, at: pair.now)
            }
            try pair.open(.accepterSends, Pair.payload(1 << 20, seed: 1))
            pair.run(for: .seconds(2))
            #expect(pair.received(by: 0)?.count == 1 << 20)
            let before = pair.packetsSent
            pair.run(for: .seconds(5))
            #expect(pair.packetsSent == before)
            return (pair.packetsSent, pair.machines[1].streamCount)
        }
        let alone = try packets(idle: 0)
        let among = try packets(idle: 500)
        #expect(among.sent == alone.sent && among.deadlines == 500)
    }

    /// What a path has learnt serves the next stream; after a pause it is doubted.
    @Test func theNextStreamBeginsWithWhatTheLastLearnt() throws {
        var pair = Pair(Link(delay: .milliseconds(20)))
        func time(_ seed: UInt64) throws -> Double {
            let start = pair.now
            try pair.open(.accepterSends, Pair.payload(2 << 20, seed: seed))
            pair.run()
            return (pair.now - start).seconds
        }
        let first = try time(1)
        let second = try time(2)
        #expect(second < 0.85 * first)
        pair.now = pair.now + UTPLimits.pathPause + .milliseconds(1)
        let third = try time(3)
        #expect(third > second)
        #expect(pair.outcomes[0].count == 3)
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
