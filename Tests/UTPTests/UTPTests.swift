import Primitives
import Testing
import UTP

@Suite struct Explore {
    @Test func matrix() throws {
        for loss in [0.0, 0.01, 0.05, 0.1, 0.2, 0.3] {
            for delay in [1, 10, 50, 150, 300] {
                for size in [0, 1, 10_000, 200_000, 1 << 20, 4 << 20] {
                    var times: [Double] = []
                    var failures = 0
                    var overhead = 0.0
                    for seed in 1...4 as ClosedRange<UInt64> {
                        var pair = Pair(Link(delay: .milliseconds(delay), loss: loss, reorder: seed % 2 == 0 ? 0.3: 0), seed: seed)
                        let data = Pair.payload(size, seed: seed)
                        _ = try pair.open(seed > 2 ? .accepterSends : .connectorSends, data)
                        let start = pair.now
                        let done = pair.run()
                        #expect(done)
                        times.append((pair.now - start).seconds)
                        let receiver = seed > 2 ? 0 : 1
                        if case .received(_, let got)? = pair.outcomes[receiver].first { #expect(got == data) } else { failures += 1; print(pair.outcomes.map{$0.map{ if case .failed(_, let e) = $0 { return "\(e)"} else { return "ok"} }}) }
                        overhead += Double(max(pair.bytesSent[0], pair.bytesSent[1])) / Double(max(size, 1)) / 4
                    }
                    print("loss", loss, "delay", delay, "size", size, "fail", failures, "overhead", (overhead * 100).rounded() / 100, "times", times)
                }
            }
        }
    }
    @Test func one() throws {
        var pair = Pair(Link(delay: .milliseconds(50), loss: 0.1, reorder: 0.3), seed: 2)
        let data = Pair.payload(4 << 20, seed: 2)
        _ = try pair.open(.connectorSends, data)
        let done = pair.run(); #expect(done)
        print("sent", pair.packetsSent, pair.dropped)
    }
    @Test func bottleneck() throws {
        for rate in [100e3, 1e6, 10e6, 50e6] {
            for queue in [16 << 10, 128 << 10, 1 << 20, 8 << 20] {
                for delay in [1, 20, 100] {
                    var pair = Pair(Link(delay: .milliseconds(delay), rate: rate, queueBytes: queue), seed: 1)
                    let data = Pair.payload(min(16 << 20, Int(rate * 20)), seed: 1)
                    _ = try pair.open(.connectorSends, data)
                    let start = pair.now
                    let done = pair.run(); #expect(done)
                    let time = (pair.now - start).seconds
                    var okay = false
                    if case .received(_, let got)? = pair.outcomes[1].first { okay = got == data }
                    print("rate", rate, "queue", queue, "delay", delay, okay, "use", (Double(data.count) / time / rate * 100).rounded(), "% time", time, "dropped", pair.dropped, "of", pair.packetsSent[0])
                }
            }
        }
    }
}
