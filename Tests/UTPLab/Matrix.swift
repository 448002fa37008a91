import Primitives
import UTP

/// One point of the transport's matrix: a network, a payload, a seed. Written and read as words, so that a point that
/// was printed can be run again.
package struct Point: Sendable, CustomStringConvertible {
    /// Per cent.
    package var loss = 0, reorder = 0, duplication = 0
    /// One way, in milliseconds.
    package var delay = 10
    /// Payload bytes.
    package var size = 0
    package var seed: UInt64 = 1
    /// Whether the ends know the round trip, as a node does that has just asked for what is sent.
    package var known = 0

    package init() {}

    /// Reads words as `description` writes them; nil where one is unknown.
    package init?(_ text: String) {
        for word in text.split(separator: " ") {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let value = Int(parts[1]), value >= 0 else { return nil }
            switch parts[0] {
            case "loss": loss = value
            case "reorder": reorder = value
            case "duplication": duplication = value
            case "delay": delay = value
            case "size": size = value
            case "known": known = min(value, 1)
            case "seed": seed = UInt64(value)
            default: return nil
            }
        }
    }

    package var description: String {
        "loss=\(loss) reorder=\(reorder) duplication=\(duplication) delay=\(delay) size=\(size) known=\(known) "
            + "seed=\(seed)"
    }

    /// All points of the issue: 7 × 3 × 2 × 6 × 8 of them.
    package static func all(seed: UInt64) -> [Point] {
        var points: [Point] = []
        for loss in [0, 1, 3, 5, 10, 20, 30] {
            for reorder in [0, 10, 30] {
                for duplication in [0, 5] {
                    for delay in [1, 5, 20, 50, 150, 300] {
                        for size in [0, 1, 1_153, 1_154, 20_000, 200_000, 1 << 20, 4 << 20] {
                            var point = Point()
                            (point.loss, point.reorder, point.duplication) = (loss, reorder, duplication)
                            (point.delay, point.size, point.seed) = (delay, size, seed)
                            points.append(point)
                        }
                    }
                }
            }
        }
        return points
    }

    /// 160 MiB, so that sequence numbers wrap twice, on a clean, a slightly bad, a bad and a disorderly path.
    package static let long = [
        "loss=0 reorder=0 duplication=0 delay=20", "loss=1 reorder=0 duplication=0 delay=50",
        "loss=5 reorder=10 duplication=5 delay=20", "loss=3 reorder=30 duplication=5 delay=100",
    ].compactMap { Point("\($0) size=\(160 << 20) seed=1") }

    /// How a run of the point ended.
    package enum Verdict: Equatable, Sendable {
        /// Byte for byte.
        case exact
        /// The receiver got no payload but the word that there is none.
        case error(String)
        /// Other bytes, or more than one end: what must never be.
        case wrong(String)
        /// Still open after an hour.
        case hangs
    }

    /// A run's verdict, its virtual time and its packets.
    package struct Outcome: Sendable {
        package let verdict: Verdict
        package let seconds: Double
        package let packets: Int
        package let needed: Int
    }

    /// Runs the point. The one who sends alternates with the seed.
    package func run() throws -> Outcome {
        let share = { (per: Int) in Double(per) / 100 }
        var pair = Pair(
            Link(
                delay: .milliseconds(delay), loss: share(loss), reorder: share(reorder),
                duplication: share(duplication)), seed: seed &* 1_000_003 &+ UInt64(size + delay))
        let role: Direction = seed % 2 == 0 ? .connectorSends : .accepterSends
        let payload = Pair.payload(size, seed: seed)
        try pair.open(role, payload, roundTrip: known > 0 ? .milliseconds(2 * delay) : nil)
        let start = pair.now
        let isDone = pair.run()
        let seconds = (pair.now - start).seconds
        return Outcome(
            verdict: isDone ? verdict(pair, role, payload) : .hangs, seconds: seconds,
            packets: pair.packetsSent[role.sender], needed: size / UTPLimits.payloadBytes + 1)
    }

    private func verdict(_ pair: Pair, _ role: Direction, _ payload: [UInt8]) -> Verdict {
        guard pair.outcomes.allSatisfy({ $0.count == 1 }) else { return .wrong("\(pair.outcomes.map(\.count)) ends") }
        if let received = pair.received(by: role.receiver) {
            return received == payload ? .exact : .wrong("other bytes")
        }
        if case .sent = pair.outcomes[role.sender][0] { return .wrong("sent, but not received") }
        return .error("\(pair.outcomes[role.receiver][0])")
    }
}

/// One stream on a path of 100 ms and 1 Gbit/s.
package enum FatPath {
    /// The share of the link it fills in the third to sixth second, behind a queue of `queue` bytes; packets dropped.
    package static func use(queue: Int) throws -> (share: Double, dropped: Int) {
        var pair = Pair(Link(delay: .milliseconds(50), rate: 125e6, queueBytes: queue))
        try pair.open(.accepterSends, [UInt8](repeating: 7, count: 800 << 20))
        pair.run(for: .seconds(2))
        let before = pair.bytesArrived[0]
        pair.run(for: .seconds(4))
        return (Double(pair.bytesArrived[0] - before) / 4 / 125e6, pair.dropped)
    }
}

/// Hosts that know nothing of each other through one bottleneck.
package struct SharedPath: Sendable, CustomStringConvertible {
    /// Bytes a second.
    package var rate: Double
    /// One way, and the queue's depth at `rate`, in milliseconds.
    package var delay: Int
    package var queue: Int
    /// Seconds after which each further host begins.
    package var stagger: Int
    package var hosts = 2
    package var seed: UInt64 = 1
    /// Seconds after the last has begun that count as convergence, and then of measurement.
    package var settling = 20
    package var measured = 20

    package init(rate: Double, delay: Int, queue: Int, stagger: Int) {
        (self.rate, self.delay, self.queue, self.stagger) = (rate, delay, queue, stagger)
    }

    package var description: String {
        "\(hosts) hosts, \(Int(rate * 8 / 1e6)) Mbit/s, delay \(delay) ms, queue \(queue) ms, "
            + "begin \(stagger) s apart, seed \(seed)"
    }

    /// What each host got of the bottleneck.
    package struct Result: Sendable, CustomStringConvertible {
        package let shares: [Double]
        package let dropped: Double

        /// Jain's index: 1 where all got the same, 1 / hosts where one got everything.
        package var index: Double {
            let sum = shares.reduce(0, +)
            return sum * sum / (Double(shares.count) * shares.map { $0 * $0 }.reduce(0, +))
        }
        /// Of the bottleneck, by all.
        package var use: Double { shares.reduce(0, +) }

        package var description: String {
            func short(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
            return "index \(short(index)), use \(short(use)), shares \(shares.map(short)), dropped \(short(dropped))"
        }
    }

    /// Runs it.
    package func run() throws -> Result {
        let link = Link(delay: .milliseconds(delay), rate: rate, queueBytes: Int(rate) * queue / 1_000)
        var pair = Pair(link, pairs: hosts, seed: seed)
        let seconds = stagger * hosts + settling + measured
        let payload = [UInt8](repeating: 7, count: Int(rate) * seconds)
        for host in 0..<hosts {
            try pair.open(.accepterSends, payload, pair: host)
            if stagger > 0, host < hosts - 1 { pair.run(for: .seconds(stagger)) }
        }
        pair.run(for: .seconds(settling))
        let before = (pair.bytesArrived, pair.dropped, pair.packetsSent.reduce(0, +))
        pair.run(for: .seconds(measured))
        let shares = (0..<hosts).map { Double(pair.bytesArrived[2 * $0] - before.0[2 * $0]) / Double(measured) / rate }
        let sent = pair.packetsSent.reduce(0, +) - before.2
        return Result(shares: shares, dropped: Double(pair.dropped - before.1) / Double(max(sent, 1)))
    }
}
