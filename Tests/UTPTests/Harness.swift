import Primitives
import UTP

/// How the network between two machines behaves. Same seed, same run.
struct Link {
    var delay = Interval.milliseconds(10)
    /// Shares of packets, 0…1.
    var loss = 0.0
    var reorder = 0.0
    var duplication = 0.0
    /// Bytes a second and bytes of queue before packets are dropped; unlimited where nil.
    var rate: Double?
    var queueBytes = 256 << 10
}

/// Two machines, a network and virtual time.
struct Pair {
    struct Flight {
        let at: Instant
        let order: Int
        let to: Int
        let packet: [UInt8]
    }

    var machines: [UTP]
    let addresses: [NodeAddress]
    var link: Link
    var now = Instant(microseconds: 1_000_000)
    var generator: SeededGenerator
    private var flights = Heap()
    private var order = 0
    private var busyUntil = [0.0, 0.0]
    /// Directives other than sends, by machine.
    var outcomes: [[UTP.Directive]] = [[], []]
    /// Packets sent, by machine; and bytes.
    var packetsSent = [0, 0]
    var bytesSent = [0, 0]
    var dropped = 0
    /// Sees each packet on its way, with its sender, and may change it; false loses it.
    var filter: ((Int, inout [UInt8]) -> Bool)?
    /// Most bytes either machine held of early packets.
    var mostEarlyBytes = 0

    init(_ link: Link = Link(), seed: UInt64 = 1, configure: (inout UTPConfiguration) -> Void = { _ in }) {
        self.link = link
        var configuration = UTPConfiguration()
        configure(&configuration)
        generator = SeededGenerator(seed: seed)
        addresses = (0..<2).map {
            NodeAddress(id: Bytes32(UInt64($0) + 1, 2, 3, 4), endpoint: .loopback(port: UInt16(9000 + $0)))
        }
        machines = (0..<2).map {
            UTP(configuration: configuration, entropy: Entropy(seed: Bytes32(seed, UInt64($0), 0, 0)))
        }
    }

    mutating func chance(_ share: Double) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &generator) < share
    }

    mutating func collect(_ machine: Int) {
        for directive in machines[machine].drain() {
            guard case .send(let packet, let peer) = directive else {
                outcomes[machine].append(directive)
                continue
            }
            guard let target = addresses.firstIndex(of: peer) else { continue }
            packetsSent[machine] += 1
            bytesSent[machine] += packet.count
            launch(packet, from: machine, to: target)
        }
    }

    mutating func launch(_ packet: [UInt8], from machine: Int, to target: Int) {
        var packet = packet
        if let filter, !filter(machine, &packet) { return }
        if chance(link.loss) {
            dropped += 1
            return
        }
        var delay = Double(link.delay.microseconds)
        if let rate = link.rate {
            let start = max(busyUntil[machine], Double(now.microseconds))
            if (start - Double(now.microseconds)) * rate / 1e6 > Double(link.queueBytes) {
                dropped += 1
                return
            }
            busyUntil[machine] = start + Double(packet.count) / rate * 1e6
            delay += busyUntil[machine] - Double(now.microseconds)
        }
        if chance(link.reorder) { delay += Double.random(in: 0...1, using: &generator) * delay }
        put(packet, target, delay)
        if chance(link.duplication) { put(packet, target, delay * 1.5) }
    }

    private mutating func put(_ packet: [UInt8], _ target: Int, _ delay: Double) {
        order += 1
        flights.push(
            Flight(at: now + Interval(microseconds: UInt64(delay)), order: order, to: target, packet: packet))
    }

    /// Runs until both machines are without streams, or `bound` has passed. True when idle.
    @discardableResult
    mutating func run(for bound: Interval = .seconds(3_600)) -> Bool {
        let end = now + bound
        collect(0)
        collect(1)
        while machines[0].streamCount + machines[1].streamCount > 0 {
            var next = flights.first?.at
            for machine in machines {
                if let deadline = machine.nextDeadline { next = min(next ?? deadline, deadline) }
            }
            guard let next, next <= end else { return false }
            now = max(now, next)
            // A batch: everything that arrives at this instant is taken in before acks are drained, as the shell does.
            while let flight = flights.first, flight.at <= now {
                flights.pop()
                machines[flight.to].receive(flight.packet, from: addresses[1 - flight.to], at: now)
            }
            for machine in 0..<2 {
                if let deadline = machines[machine].nextDeadline, deadline <= now { machines[machine].advance(to: now) }
                collect(machine)
                mostEarlyBytes = max(mostEarlyBytes, machines[machine].earlyByteCount)
            }
        }
        return true
    }

    /// The payload machine `index` received, if it is what its first outcome says.
    func received(by index: Int) -> [UInt8]? {
        if case .received(_, let bytes)? = outcomes[index].first { bytes } else { nil }
    }
}

/// Who sends; machine 0 connects, machine 1 accepts.
enum Role: Int, CaseIterable {
    case connectorSends, accepterSends

    var sender: Int { rawValue }
    var receiver: Int { 1 - rawValue }
}

extension Pair {
    /// Opens a stream between machine 0, which connects, and machine 1.
    @discardableResult
    mutating func open(
        _ role: Role, _ payload: [UInt8], limit: Int? = nil
    ) throws -> (connector: StreamID, accepter: StreamID) {
        let limit = limit ?? payload.count
        let send = UTP.Transfer.send(payload)
        let (accepter, id) = try machines[1].accept(
            from: addresses[0], transfer: role == .accepterSends ? send : .receive(limit: limit), at: now)
        let connector = try machines[0].connect(
            to: addresses[1], connectionID: id, transfer: role == .accepterSends ? .receive(limit: limit) : send,
            at: now)
        return (connector, accepter)
    }

    static func payload(_ count: Int, seed: UInt64) -> [UInt8] {
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
