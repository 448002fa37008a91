import Primitives

/// A flow that knows loss only, as TCP Reno does: one packet more each round trip, half at a loss. Its packets are 1,200
/// bytes and carry nothing.
package struct CrossTraffic: Sendable {
    var window = 10.0
    var threshold = Double.infinity
    var flying = 0
    var recoversUntil = Instant.zero
    package var isRunning = true
    /// Packets that arrived.
    package var arrived = 0

    package init() {}

    static let packet = [UInt8](repeating: 0, count: 1_200)
    // What a flight that is none of a machine's stands for.
    static let arrival = -1, ack = -2, loss = -3
}

extension Pair {
    /// Sends what the cross traffic's window allows; call it once to begin.
    package mutating func driveCross() {
        while let flow = cross, flow.isRunning, Double(flow.flying) < flow.window {
            cross?.flying += 1
            let delay = Double(link.delay.microseconds)
            if let arrival = queue(CrossTraffic.packet.count, direction: 1) {
                put(CrossTraffic.packet, CrossTraffic.arrival, arrival)
            } else {
                // Found out when the packets behind it are acknowledged.
                put([], CrossTraffic.loss, 3 * delay)
            }
        }
    }

    mutating func crossEvent(_ kind: Int) {
        guard var flow = cross else { return }
        switch kind {
        case CrossTraffic.arrival:
            flow.arrived += 1
            cross = flow
            put([], CrossTraffic.ack, Double(link.delay.microseconds))
            return
        case CrossTraffic.loss:
            flow.flying -= 1
            if flow.recoversUntil <= now {
                flow.window = max(2, flow.window / 2)
                flow.threshold = flow.window
                flow.recoversUntil = now + link.delay * 4
            }
        default:
            flow.flying -= 1
            flow.window += flow.window < flow.threshold ? 1 : 1 / flow.window
        }
        cross = flow
        driveCross()
    }
}
