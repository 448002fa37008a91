import Foundation
import Primitives
import Testing
import UTP
import UTPLab

/// Two machines in one process, packets handed over in batches. Prints; judges nothing.
@Suite struct Throughput {
    @Test(.enabled(if: ProcessInfo.processInfo.environment["CAROUSEL_BENCH"] != nil), arguments: [1, 64])
    func machinePair(_ batch: Int) throws {
        for _ in 0..<3 {
            var pair = Pair()
            let payload = Pair.payload(64 << 20, seed: 1)
            try pair.open(.accepterSends, payload)
            var now = pair.now
            var queues: [[[UInt8]]] = [[], []]
            var packets = 0
            let start = ContinuousClock.now
            while pair.machines[0].streamCount + pair.machines[1].streamCount > 0 {
                for machine in 0..<2 {
                    let arrived = queues[machine]
                    queues[machine] = []
                    var index = 0
                    repeat {
                        for packet in arrived[index..<min(index + batch, arrived.count)] {
                            pair.machines[machine].receive(packet, from: pair.addresses[1 - machine], at: now)
                        }
                        index += batch
                        for directive in pair.machines[machine].drain() {
                            switch directive {
                            case .send(let bytes, _): queues[1 - machine].append(bytes)
                            case .ended(.received(_, let bytes)): #expect(bytes == payload)
                            case .ended: break
                            }
                        }
                    } while index < arrived.count
                    packets += arrived.count
                    now = now + Interval(microseconds: 50)
                    if let next = pair.machines[machine].nextDeadline, next <= now {
                        pair.machines[machine].advance(to: now)
                    }
                }
            }
            let time = start.duration(to: .now) / .seconds(1)
            print("64 MiB, batches of \(batch): \(Int(64 / time)) MiB/s, \(packets) packets, \(time) s")
        }
    }
}
