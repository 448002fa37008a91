import Discovery
import Foundation
import Primitives

// What discv5 itself costs, without sockets: two machines, the datagrams of one handed to the other.

/// Two machines with a session, and how packets pass between them.
private struct MachinePair {
    static let talkProtocol = Array("utp".utf8)
    static let places = [Endpoint.loopback(port: 1), Endpoint.loopback(port: 2)]

    var near: Discovery
    var far: Discovery
    let farAddress: NodeAddress
    let now = Instant(microseconds: 1_000)

    init(seed: UInt64) throws {
        near = try MachinePair.node(seed, at: MachinePair.places[0])
        far = try MachinePair.node(seed + 1, at: MachinePair.places[1])
        farAddress = NodeAddress(id: far.key.nodeID, endpoint: MachinePair.places[1])
    }

    private static func node(_ seed: UInt64, at place: Endpoint) throws -> Discovery {
        var entropy = Entropy(seed: Bytes32(seed, 0, 0, 7))
        let key = IdentityKey(from: &entropy)
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: place)
        var configuration = Discovery.Configuration()
        configuration.talkProtocols = [talkProtocol]
        // The clock stands still here, and the limit with it.
        configuration.peerPacketBurst = .max >> 24
        return try Discovery(
            key: key, record: try fields.signed(by: key), configuration: configuration, entropy: entropy)
    }

    /// Sends a request and lets the machines talk until they have nothing more to say. Bytes that passed.
    @discardableResult
    mutating func meet() -> Int {
        _ = near.talk(to: far.localRecord, protocol: MachinePair.talkProtocol, request: [1], at: now)
        var count = 0
        while true {
            var passed = 0
            for case .send(let bytes, _) in near.drain() {
                far.receive(bytes, from: MachinePair.places[0], at: now)
                passed += bytes.count
            }
            for case .send(let bytes, _) in far.drain() {
                near.receive(bytes, from: MachinePair.places[1], at: now)
                passed += bytes.count
            }
            guard passed > 0 else { return count }
            count += passed
        }
    }

    var hasSession: Bool { near.hasSession(with: farAddress) }
}

private func microseconds(_ nanoseconds: UInt64, _ count: Int) -> String {
    String(format: "%.2f µs", Double(nanoseconds) / Double(max(count, 1)) / 1_000)
}

/// TALKREQ of 1,150 bytes sealed by one machine and opened by another: what go-ethereum's `v5wire` needs 4.5 µs for.
struct PacketWorkload: Workload {
    let name = "net.packet"
    let items = "packets"
    let scales = false
    let summary = "TALKREQ of 1,150 bytes, sealed by one discv5 machine and opened by another, no socket"

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial { try PacketTrial() }
}

private struct PacketTrial: Trial {
    private struct Sink: TalkSink {
        var bytes = 0

        mutating func take(_ request: UnsafeRawBufferPointer, from address: NodeAddress, at now: Instant) {
            bytes &+= request.count
        }
    }

    private static let packets = 200_000
    private static let batch = 64
    /// Bytes of a request whose message, with type, list, id and protocol, has 1,150.
    private static let requestSize = 1_150 - 1 - 3 - 5 - 4 - 3

    private var pair: MachinePair
    private var buffer = DatagramBuffer(limit: 1 << 20)
    private let request = [UInt8](repeating: 7, count: PacketTrial.requestSize)
    private(set) var remark: String?

    init() throws {
        pair = try MachinePair(seed: 1)
        pair.meet()
        guard pair.hasSession else {
            throw BenchError.wrongResult(workload: "net.packet", what: "no session came about")
        }
        _ = run(PacketTrial.batch * 16)
    }

    mutating func run() throws -> Work {
        let heap = HeapCounter.present
        let before = heap?.ofThread ?? 0
        let (bytes, sealing, opening) = run(PacketTrial.packets)
        let counted = heap.map { $0.ofThread - before }
        guard bytes == PacketTrial.packets * PacketTrial.requestSize else {
            throw BenchError.wrongResult(workload: "net.packet", what: "\(bytes) bytes came through")
        }
        remark =
            "sealing \(microseconds(sealing, PacketTrial.packets)), opening "
            + "\(microseconds(opening, PacketTrial.packets)) CPU, "
            + "\(HeapCounter.text(counted, per: Double(PacketTrial.packets))) a packet"
        return Work(items: PacketTrial.packets, bytes: bytes)
    }

    private mutating func run(_ count: Int) -> (bytes: Int, sealing: UInt64, opening: UInt64) {
        var sink = Sink()
        var (sealing, opening): (UInt64, UInt64) = (0, 0)
        for _ in 0..<count / PacketTrial.batch {
            let start = ProcessorTime.ofThread
            seal()
            let middle = ProcessorTime.ofThread
            open(into: &sink)
            sealing += middle - start
            opening += ProcessorTime.ofThread - middle
        }
        return (sink.bytes, sealing, opening)
    }

    private mutating func seal() {
        for _ in 0..<PacketTrial.batch {
            let request = request
            _ = pair.near.talkOneWay(
                to: pair.farAddress, protocol: MachinePair.talkProtocol, count: request.count, at: pair.now
            ) { target in
                request.withUnsafeBytes { bytes in
                    if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
                }
            }
        }
        pair.near.swapDatagrams(&buffer)
    }

    private mutating func open(into sink: inout Sink) {
        let entries = buffer.entries
        buffer.withBytes { bytes in
            for entry in entries {
                pair.far.receive(
                    UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.start + entry.count]),
                    from: MachinePair.places[0], at: pair.now, streams: MachinePair.talkProtocol, to: &sink)
            }
        }
        buffer.removeAll()
    }
}

/// Handshakes from the first packet to the session on both sides.
struct HandshakeWorkload: Workload {
    let name = "net.handshake"
    let items = "handshakes"
    let scales = false
    let summary = "discv5 handshakes between strangers: both sides' work, from the first packet to the answer inside"

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial { HandshakeTrial() }
}

private struct HandshakeTrial: Trial {
    private static let handshakes = 500

    private var pairs: [MachinePair] = []
    private(set) var remark: String?

    /// Strangers each time: nothing of a peer is known.
    mutating func restore() throws {
        pairs = try (0..<HandshakeTrial.handshakes).map { try MachinePair(seed: 10_000 + UInt64($0) * 2) }
    }

    mutating func run() throws -> Work {
        if pairs.isEmpty { try restore() }
        let start = ProcessorTime.ofThread
        var bytes = 0
        for index in pairs.indices {
            bytes += pairs[index].meet()
            guard pairs[index].hasSession else {
                throw BenchError.wrongResult(workload: "net.handshake", what: "no session came about")
            }
        }
        let spent = ProcessorTime.ofThread - start
        remark = "\(microseconds(spent, pairs.count)) CPU each, both sides together"
        return Work(items: pairs.count, bytes: bytes)
    }
}

/// One half of a handshake alone, to the extent of go-ethereum's codec (`v5wire`), to be set beside its figures:
///
/// - *encode*: a WHOAREYOU and the node it came from are given; `Codec.Encode` makes an ephemeral key, the shared
///   secret, the id signature and the session's keys, and seals a PING behind its own record in a masked packet;
/// - *decode*: the packet and the challenge it answers are given, the sender's record is not known; `Codec.Decode`
///   unmasks it, verifies the record and the id signature, makes the secret and the keys and opens the message.
///
/// The same packet is opened again and again as it is there; nothing but the machine's caches gets used to it.
struct HandshakeHalfWorkload: Workload {
    enum Half: String, Sendable {
        case encode
        case decode
    }

    let half: Half
    var name: String { "net.handshake.\(half.rawValue)" }
    let items = "packets"
    let scales = false
    var summary: String {
        switch half {
        case .encode: "discv5 handshake packets made: one-time key, secret, id signature, keys, PING and record sealed"
        case .decode: "discv5 handshake packets opened: record and id signature verified, secret, keys, PING"
        }
    }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial { try HandshakeHalfTrial(half) }
}

private struct HandshakeHalfTrial: Trial {
    private static let packets = 2_000

    private let half: HandshakeHalfWorkload.Half
    private var near: HandshakeEnd
    private var far: HandshakeEnd
    private let farRecord: NodeRecord
    private let challenge: [UInt8]
    private let packet: [UInt8]
    private(set) var remark: String?

    init(_ half: HandshakeHalfWorkload.Half) throws {
        self.half = half
        let pair = try MachinePair(seed: 1)
        near = HandshakeEnd(
            key: pair.near.key, record: pair.near.localRecord, entropy: Entropy(seed: Bytes32(1, 0, 0, 8)))
        far = HandshakeEnd(
            key: pair.far.key, record: pair.far.localRecord, entropy: Entropy(seed: Bytes32(2, 0, 0, 8)))
        farRecord = pair.far.localRecord
        challenge = far.challenge(to: pair.near.key.nodeID)
        guard let packet = near.encode(answering: challenge, of: farRecord) else { throw Self.wrong(half) }
        self.packet = packet
    }

    private static func wrong(_ half: HandshakeHalfWorkload.Half) -> BenchError {
        .wrongResult(workload: "net.handshake.\(half.rawValue)", what: "the handshake failed")
    }

    mutating func run() throws -> Work {
        let start = ProcessorTime.ofThread
        for _ in 0..<Self.packets {
            switch half {
            case .encode:
                guard near.encode(answering: challenge, of: farRecord)?.count == packet.count else {
                    throw Self.wrong(half)
                }
            case .decode:
                guard case .ping = try far.decode(packet, answering: challenge) else { throw Self.wrong(half) }
            }
        }
        remark = "\(microseconds(ProcessorTime.ofThread - start, Self.packets)) CPU each"
        return Work(items: Self.packets, bytes: Self.packets * packet.count)
    }
}
