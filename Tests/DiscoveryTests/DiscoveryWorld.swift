import Primitives

@testable import Discovery

/// Machines on a wire in virtual time: latency, loss, and a log of every datagram. Everything follows from the seed.
struct DiscoveryWorld {
    struct Delivery {
        let at: Instant
        let bytes: [UInt8]
        let from: Endpoint
        let to: Endpoint
    }

    var now = Instant(microseconds: 1)
    var nodes: [Discovery] = []
    /// Directives other than `send`, by node.
    var told: [[Discovery.Directive]] = []
    var places: [Endpoint] = []
    var latency = Interval.milliseconds(20)
    /// Datagrams of a hundred that are lost.
    var lossPercent = 0
    /// So many of the datagrams that are sent next are lost.
    var losesNext = 0
    /// How often each datagram arrives.
    var copies = 1
    /// Every datagram sent, delivered or not.
    var log: [Delivery] = []
    /// As of the last event; reading it from the machine each time would copy the machine.
    private var deadlines: [Instant?] = []
    private var wire = TimerQueue<Delivery>()
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    static func entropy(_ seed: UInt64) -> Entropy { Entropy(seed: Bytes32(seed, 1, 2, 3)) }

    static func key(_ seed: UInt64) -> IdentityKey {
        var entropy = entropy(seed &+ 0x9e37)
        return IdentityKey(from: &entropy)
    }

    static func record(_ key: IdentityKey, _ endpoint: Endpoint, sequence: UInt64 = 1) throws -> NodeRecord {
        var fields = NodeRecordFields(sequence: sequence)
        fields.set(endpoint: endpoint)
        return try fields.signed(by: key)
    }

    /// A configuration that passes on the protocol "test".
    static var configuration: Discovery.Configuration {
        var configuration = Discovery.Configuration()
        configuration.talkProtocols = [Array("test".utf8)]
        return configuration
    }

    /// 10.x.y.1, every node in a subnet of its own.
    static func endpoint(_ index: Int) -> Endpoint {
        Endpoint(ipv4: (10, UInt8(index >> 8), UInt8(index & 255), 1), port: 9_000)
    }

    @discardableResult
    mutating func add(
        _ seed: UInt64, at endpoint: Endpoint? = nil,
        configuration: Discovery.Configuration = DiscoveryWorld.configuration
    ) throws -> Int {
        let place = endpoint ?? DiscoveryWorld.endpoint(nodes.count + 1)
        let key = DiscoveryWorld.key(seed)
        nodes.append(
            try Discovery(
                key: key, record: try DiscoveryWorld.record(key, place), configuration: configuration,
                entropy: DiscoveryWorld.entropy(seed)))
        told.append([])
        places.append(place)
        return nodes.count - 1
    }

    /// The process of a node begins anew: same key and place, nothing remembered.
    mutating func restart(_ index: Int, seed: UInt64) throws {
        let old = nodes[index]
        nodes[index] = try Discovery(
            key: old.key, record: old.localRecord, configuration: old.configuration,
            entropy: DiscoveryWorld.entropy(seed))
    }

    func address(_ index: Int) -> NodeAddress { NodeAddress(id: nodes[index].key.nodeID, endpoint: places[index]) }

    /// Takes what a node wants done, and puts its datagrams on the wire.
    mutating func collect(_ index: Int) {
        while deadlines.count < nodes.count { deadlines.append(nil) }
        defer { deadlines[index] = nodes[index].nextDeadline }
        for directive in nodes[index].drain() {
            guard case .send(let bytes, let target) = directive else {
                told[index].append(directive)
                continue
            }
            send(bytes, from: places[index], to: target)
        }
    }

    mutating func send(_ bytes: [UInt8], from: Endpoint, to: Endpoint) {
        let delivery = Delivery(at: now + latency, bytes: bytes, from: from, to: to)
        log.append(delivery)
        guard losesNext == 0 else {
            losesNext -= 1
            return
        }
        guard Int(generator.next() % 100) >= lossPercent else { return }
        for _ in 0..<copies { wire.add(delivery, at: delivery.at) }
    }

    /// Runs until `duration` has passed. `outside` gets what goes to an endpoint that is no node's.
    mutating func run(_ duration: Interval, outside: (inout DiscoveryWorld, Delivery) -> Void = { _, _ in }) {
        let end = now + duration
        for index in nodes.indices { collect(index) }
        while true {
            var deadline: (at: Instant, index: Int)?
            for index in nodes.indices {
                if let at = deadlines[index], at < deadline?.at ?? Instant(microseconds: .max) {
                    deadline = (at, index)
                }
            }
            let next = min(wire.earliest ?? end + .seconds(1), deadline?.at ?? end + .seconds(1))
            guard next <= end else { break }
            now = max(now, next)
            if let delivery = wire.next(due: now) {
                if let index = places.firstIndex(of: delivery.to) {
                    nodes[index].receive(delivery.bytes, from: delivery.from, at: now)
                    collect(index)
                } else {
                    outside(&self, delivery)
                }
            } else if let deadline {
                nodes[deadline.index].advance(to: now)
                collect(deadline.index)
            }
        }
        now = end
    }

    /// The answer to a TALKREQ of ours, if there was one.
    func answer(_ index: Int, _ id: TalkID) -> Result<[UInt8], DiscoveryError>? {
        for case .talkAnswered(id, let result, _) in told[index] { return result }
        return nil
    }

    /// TALKREQ passed on to the layers above.
    func requests(_ index: Int) -> [(from: NodeAddress, request: [UInt8], token: TalkToken)] {
        told[index].compactMap { directive in
            guard case .talkRequested(let from, _, let request, let token) = directive else { return nil }
            return (from, request, token)
        }
    }

    /// Flags of the packets from one endpoint to another, read with the eyes of the receiver.
    func flags(from: Endpoint, to index: Int) -> [UInt8] {
        log.filter { $0.from == from && $0.to == places[index] }.compactMap { delivery in
            DiscoveryWorld.header(delivery.bytes, to: nodes[index].key.nodeID)?.flag.rawValue
        }
    }

    static func header(_ packet: [UInt8], to id: Bytes32) -> PacketHeader? {
        var buffer = PacketBuffer()
        var mask = MaskCipher(to: id)
        return try? buffer.unmask(packet, with: &mask)
    }
}

let testProtocol = Array("test".utf8)

extension Discovery {
    /// No request and no handshake of its own is under way.
    var hasNothingUnderWay: Bool { requests.pending.isEmpty && requests.conversations.isEmpty }
}
