import Primitives
import UTP

/// How the network between machines behaves. Same seed, same run.
package struct Link: Sendable {
    /// One way.
    package var delay = Interval.milliseconds(10)
    /// Shares of packets, 0…1.
    package var loss = 0.0
    package var reorder = 0.0
    package var duplication = 0.0
    /// Bytes a second and bytes of queue before packets are dropped; unlimited where nil.
    package var rate: Double?
    package var queueBytes = 256 << 10

    package init(
        delay: Interval = .milliseconds(10), loss: Double = 0, reorder: Double = 0, duplication: Double = 0,
        rate: Double? = nil, queueBytes: Int = 256 << 10
    ) {
        (self.delay, self.loss, self.reorder, self.duplication) = (delay, loss, reorder, duplication)
        (self.rate, self.queueBytes) = (rate, queueBytes)
    }
}

/// Pairs of machines, a network that they share, and virtual time. Machine 2i connects to machine 2i + 1, which
/// accepts. A rate is that of one bottleneck for all pairs, in each direction.
package struct Pair {
    struct Flight {
        let at: Instant
        let order: Int
        /// A machine; or what comes about for the cross traffic.
        let to: Int
        let packet: [UInt8]
    }

    package var machines: [UTP]
    package let addresses: [NodeAddress]
    package var link: Link
    package var now = Instant(microseconds: 1_000_000)
    package var generator: SeededGenerator
    private var flights = Heap()
    private var order = 0
    private var busyUntil = [0.0, 0.0]
    /// Directives other than sends, by machine.
    package var outcomes: [[UTP.StreamEnd]]
    /// Packets sent, by machine; and bytes.
    package var packetsSent: [Int]
    package var bytesSent: [Int]
    /// Bytes that arrived, by machine.
    package var bytesArrived: [Int]
    package var dropped = 0
    /// Sees each packet on its way, with its sender, and may change it; false loses it.
    package var filter: ((Int, inout [UInt8]) -> Bool)?
    /// Most bytes any machine held of early packets.
    package var mostEarlyBytes = 0
    /// A flow of another kind through the same bottleneck, in the direction of the machines that accept.
    package var cross: CrossTraffic?

    package init(
        _ link: Link = Link(), pairs: Int = 1, seed: UInt64 = 1,
        configure: (inout UTPConfiguration) -> Void = { _ in }
    ) {
        self.link = link
        var configuration = UTPConfiguration()
        configure(&configuration)
        generator = SeededGenerator(seed: seed)
        addresses = (0..<2 * pairs).map {
            NodeAddress(id: Bytes32(UInt64($0) + 1, 2, 3, 4), endpoint: .loopback(port: UInt16(9000 + $0)))
        }
        machines = (0..<2 * pairs).map {
            UTP(configuration: configuration, entropy: Entropy(seed: Bytes32(seed, UInt64($0), 0, 0)))
        }
        outcomes = Array(repeating: [], count: 2 * pairs)
        (packetsSent, bytesSent) = (Array(repeating: 0, count: 2 * pairs), Array(repeating: 0, count: 2 * pairs))
        bytesArrived = bytesSent
    }

    mutating func chance(_ share: Double) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &generator) < share
    }

    package mutating func collect(_ machine: Int) {
        for directive in machines[machine].drain() {
            switch directive {
            case .send(let packet, let peer):
                guard let target = addresses.firstIndex(of: peer) else { continue }
                packetsSent[machine] += 1
                bytesSent[machine] += packet.count
                launch(packet, from: machine, to: target)
            case .ended(let end):
                outcomes[machine].append(end)
            }
        }
    }

    mutating func launch(_ packet: [UInt8], from machine: Int, to target: Int) {
        var packet = packet
        if let filter, !filter(machine, &packet) { return }
        if chance(link.loss) {
            dropped += 1
            return
        }
        guard var delay = queue(packet.count, direction: machine & 1) else {
            dropped += 1
            return
        }
        if chance(link.reorder) { delay += Double.random(in: 0...1, using: &generator) * delay }
        put(packet, target, delay)
        if chance(link.duplication) { put(packet, target, delay * 1.5) }
    }

    /// Takes `bytes` through the bottleneck: the microseconds until they are there; nil where its queue is full.
    mutating func queue(_ bytes: Int, direction: Int) -> Double? {
        let delay = Double(link.delay.microseconds)
        guard let rate = link.rate else { return delay }
        let present = Double(now.microseconds)
        let start = max(busyUntil[direction], present)
        if (start - present) * rate / 1e6 > Double(link.queueBytes) { return nil }
        busyUntil[direction] = start + Double(bytes) / rate * 1e6
        return delay + busyUntil[direction] - present
    }

    mutating func put(_ packet: [UInt8], _ target: Int, _ delay: Double) {
        order += 1
        flights.push(
            Flight(at: now + Interval(microseconds: UInt64(delay)), order: order, to: target, packet: packet))
    }

    /// Streams open in all machines.
    package var streamCount: Int { machines.reduce(0) { $0 + $1.streamCount } }

    /// Runs until all machines are without streams, or `bound` has passed. True when idle.
    @discardableResult
    package mutating func run(for bound: Interval = .seconds(3_600)) -> Bool {
        let end = now + bound
        for machine in machines.indices { collect(machine) }
        var deadlines = machines.map(\.nextDeadline)
        var isTouched = [Bool](repeating: false, count: machines.count)
        while streamCount > 0 {
            var next = flights.first?.at
            for case let deadline? in deadlines { next = min(next ?? deadline, deadline) }
            guard let next, next <= end else {
                now = max(now, end)
                return false
            }
            now = max(now, next)
            // A batch: everything that arrives at this instant is taken in before acks are drained, as the shell does.
            while let flight = flights.first, flight.at <= now {
                flights.pop()
                guard flight.to >= 0 else {
                    crossEvent(flight.to)
                    continue
                }
                isTouched[flight.to] = true
                bytesArrived[flight.to] += flight.packet.count
                machines[flight.to].receive(flight.packet, from: addresses[flight.to ^ 1], at: now)
            }
            for machine in machines.indices {
                let isDue = deadlines[machine].map { $0 <= now } ?? false
                guard isTouched[machine] || isDue else { continue }
                isTouched[machine] = false
                if isDue { machines[machine].advance(to: now) }
                collect(machine)
                deadlines[machine] = machines[machine].nextDeadline
                mostEarlyBytes = max(mostEarlyBytes, machines[machine].earlyByteCount)
            }
        }
        return true
    }

    /// The payload machine `index` received, if it is what its first outcome says.
    package func received(by index: Int) -> [UInt8]? {
        if case .received(_, let bytes)? = outcomes[index].first { bytes } else { nil }
    }
}

/// Who sends: the machine that connects, or the one that accepts.
package enum Direction: Int, CaseIterable, Sendable {
    case connectorSends, accepterSends

    package var sender: Int { rawValue }
    package var receiver: Int { 1 - rawValue }
}

extension Pair {
    /// Opens a stream in a pair.
    @discardableResult
    package mutating func open(
        _ role: Direction, _ payload: [UInt8], limit: Int? = nil, pair: Int = 0, roundTrip: Interval? = nil
    ) throws -> (connector: StreamID, accepter: StreamID) {
        let limit = limit ?? payload.count
        let send = UTP.Transfer.send(payload)
        let (connects, accepts) = (2 * pair, 2 * pair + 1)
        let (accepter, id) = try machines[accepts].accept(
            from: addresses[connects], transfer: role == .accepterSends ? send : .receive(limit: limit),
            roundTrip: roundTrip, at: now)
        let connector = try machines[connects].connect(
            to: addresses[accepts], connectionID: id,
            transfer: role == .accepterSends ? .receive(limit: limit) : send, roundTrip: roundTrip, at: now)
        return (connector, accepter)
    }

    package static func payload(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            var index = 0
            while index < count {
                var word = generator.next()
                for _ in 0..<min(8, count - index) {
                    buffer[index] = UInt8(truncatingIfNeeded: word)
                    word >>= 8
                    index += 1
                }
            }
            written = count
        }
    }
}

/// Flights by time, then by order of sending.
struct Heap {
    private var items: [Pair.Flight] = []
    var first: Pair.Flight? { items.first }

    private func before(_ a: Int, _ b: Int) -> Bool {
        items[a].at != items[b].at ? items[a].at < items[b].at : items[a].order < items[b].order
    }

    mutating func push(_ flight: Pair.Flight) {
        items.append(flight)
        var index = items.count - 1
        while index > 0, before(index, (index - 1) / 2) {
            items.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func pop() {
        items.swapAt(0, items.count - 1)
        items.removeLast()
        var index = 0
        while true {
            var least = index
            for child in 2 * index + 1...2 * index + 2 where child < items.count && before(child, least) {
                least = child
            }
            if least == index { return }
            items.swapAt(index, least)
            index = least
        }
    }
}
