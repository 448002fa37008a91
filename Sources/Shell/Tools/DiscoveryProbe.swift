import Discovery
import Foundation
import Primitives

/// A black-box suite for a discv5 node that is known by its record alone: the seven things that the suite of the
/// reference client asks of a node (after go-ethereum's `devp2p discv5 test`), over real sockets, each answer within
/// 300 ms.
public struct DiscoveryProbe {
    /// How one test went.
    public struct Outcome: Sendable {
        /// The test's name in the field.
        public let name: String
        /// What was wrong; nil where the node passed.
        public let failure: String?
        /// How long the whole test took.
        public let seconds: Double
    }

    /// Bystanders, and how long they wait for a PING.
    private static let bystanders = 5
    private static let bystanderPatience = Interval.seconds(60)
    /// NODES packets an answer may have.
    private static let mostPackets = 6

    private let remote: NodeRecord
    private let target: Endpoint
    private let first: Endpoint
    private let second: Endpoint
    private let clock = SystemClock()

    /// A suite against the node of `record`, from two addresses of this machine.
    public init(record: NodeRecord, from first: Endpoint, and second: Endpoint) throws(ShellError) {
        guard let target = record.endpoint(among: AddressFamilies(listeningAt: first)) else {
            throw .notAnAddress("the record names no UDP endpoint of the family of \(first)")
        }
        remote = record
        self.target = target
        self.first = first
        self.second = second
    }

    /// Runs all seven, in their order, or those named.
    public func run(only names: [String]? = nil) -> [Outcome] {
        let tests: [(String, () throws -> Void)] = [
            ("Ping", ping), ("PingLargeRequestID", pingLargeRequestID), ("PingMultiIP", pingMultiIP),
            ("HandshakeResend", handshakeResend), ("TalkRequest", talkRequest),
            ("FindnodeZeroDistance", findnodeZeroDistance), ("FindnodeResults", findnodeResults),
        ]
        return tests.filter { names?.contains($0.0) ?? true }.map { name, test in
            let start = clock.instant()
            var failure: String?
            do { try test() } catch { failure = ErrorLine.text(error) }
            return Outcome(name: name, failure: failure, seconds: (clock.instant() - start).seconds)
        }
    }

    private func peer() throws -> ProbePeer {
        try ProbePeer(remote: remote, target: target, entropy: SystemEntropy.make())
    }

    /// PING, WHOAREYOU, handshake, PONG with our own address.
    private func ping() throws {
        var peer = try peer()
        let socket = try PlainSocket(binding: first)
        let (id, message) = try ping(&peer)
        try check(pong: try peer.exchange(message, on: socket), id, socket.local)
    }

    /// A request id of nine bytes is one too many: no answer.
    private func pingLargeRequestID() throws {
        var peer = try peer()
        let socket = try PlainSocket(binding: first)
        let message =
            [1]
            + RLPWriter.list { list in
                list.append([UInt8](repeating: 0, count: 9))
                list.append(UInt64(0))
            }
        let answer = try peer.exchange(message, on: socket)
        guard case .silence = answer else { throw ProbeFailure("expected silence, got \(answer)") }
    }

    /// A session belongs to an address: used from another it is challenged, there and back.
    private func pingMultiIP() throws {
        var peer = try peer()
        let (here, there) = (try PlainSocket(binding: first), try PlainSocket(binding: second))
        let (id1, ping1) = try ping(&peer)
        try check(pong: try peer.exchange(ping1, on: here), id1, here.local)
        let (id2, ping2) = try ping(&peer)
        _ = peer.write(ping2, from: there)
        let second = peer.read(on: there)
        guard case .whoAreYou(_, let challenge) = second else {
            throw ProbeFailure("expected WHOAREYOU at the second address, got \(second)")
        }
        try peer.answer(challenge, with: ping2, from: there)
        try check(pong: peer.read(on: there), id2, there.local)
        _ = peer.write(try ping(&peer).message, from: here)
        let back = peer.read(on: here)
        guard case .whoAreYou = back else { throw ProbeFailure("expected WHOAREYOU at the first address, got \(back)") }
    }

    /// While a challenge stands, the very same is sent again.
    private func handshakeResend() throws {
        var peer = try peer()
        let socket = try PlainSocket(binding: first)
        var challenges: [[UInt8]] = []
        for _ in 0..<2 {
            _ = peer.write(try ping(&peer).message, from: socket)
            let answer = peer.read(on: socket)
            guard case .whoAreYou(_, let packet) = answer else {
                throw ProbeFailure("expected WHOAREYOU, got \(answer)")
            }
            let clear = try ClearPacket(opening: packet, to: peer.id, key: nil)
            challenges.append(clear.maskingIV + clear.header)
        }
        guard challenges[0] == challenges[1] else { throw ProbeFailure("the second WHOAREYOU is another one") }
    }

    /// TALKREQ under a protocol that nobody has: an empty answer under the same id, an empty id too.
    private func talkRequest() throws {
        var peer = try peer()
        let socket = try PlainSocket(binding: first)
        for id in [peer.nextRequestID(), RequestID([UInt8]())] {
            guard let id else { throw ProbeFailure("no request id") }
            let message = Message.talkRequest(id, protocol: Array("test-protocol".utf8), request: [])
            let answer = try peer.exchange(message.encoded, on: socket)
            guard case .message(.talkResponse(id, let response)) = answer else {
                throw ProbeFailure("expected TALKRESP under the id \(Hex.encode(id.bytes)), got \(answer)")
            }
            guard response.isEmpty else { throw ProbeFailure("\(response.count) bytes of response, expected none") }
        }
    }

    /// Distance zero is the node itself.
    private func findnodeZeroDistance() throws {
        var peer = try peer()
        let records = try findNode([0], &peer, try PlainSocket(binding: first))
        guard records.count == 1, records[0].id == remote.id else {
            throw ProbeFailure("expected the node's own record, got \(records.map(\.id.short))")
        }
    }

    /// Strangers who ping are pinged back, and then named to others.
    private func findnodeResults() throws {
        var nodes: [Bystander] = []
        for _ in 0..<DiscoveryProbe.bystanders {
            var node = Bystander(peer: try peer(), socket: try PlainSocket(binding: first))
            try node.peer.publish(node.socket.local)
            nodes.append(node)
        }
        let deadline = clock.instant() + DiscoveryProbe.bystanderPatience
        while nodes.contains(where: { !$0.wasPinged }) {
            guard clock.instant() < deadline else {
                let count = nodes.count { $0.wasPinged }
                throw ProbeFailure("\(count) of \(nodes.count) bystanders were pinged within 60 s")
            }
            for index in nodes.indices { try nodes[index].step(target: target, at: clock.instant()) }
        }
        var distances: [Int] = []
        for node in nodes {
            let distance = 256 - (node.peer.id ^ remote.id).leadingZeroBitCount
            if !distances.contains(distance) { distances.append(distance) }
        }
        var peer = try peer()
        let found = Set(try findNode(distances, &peer, try PlainSocket(binding: first)).map(\.id))
        let missing = nodes.count { !found.contains($0.peer.id) }
        guard missing == 0 else { throw ProbeFailure("\(missing) of \(nodes.count) bystanders are not named") }
    }

    // MARK: Parts

    private func ping(_ peer: inout ProbePeer) throws -> (id: RequestID, message: [UInt8]) {
        guard let id = peer.nextRequestID() else { throw ProbeFailure("no request id") }
        return (id, Message.ping(id, sequence: 0).encoded)
    }

    private func check(pong: ProbePeer.Received, _ id: RequestID, _ place: Endpoint) throws {
        guard case .message(.pong(let answered, _, let address, let port)) = pong else {
            throw ProbeFailure("expected PONG, got \(pong)")
        }
        guard answered == id else { throw ProbeFailure("PONG under the id \(Hex.encode(answered.bytes))") }
        guard let seen = Endpoint(address: address, port: port), seen == place else {
            throw ProbeFailure("PONG says that we are at \(address):\(port), but we are at \(place)")
        }
    }

    /// All records of the answer to a FINDNODE, in as many packets as it says.
    private func findNode(_ distances: [Int], _ peer: inout ProbePeer, _ socket: PlainSocket) throws -> [NodeRecord] {
        guard let id = peer.nextRequestID() else { throw ProbeFailure("no request id") }
        let message = Message.findNode(id, distances: distances).encoded
        let nonce = peer.write(message, from: socket)
        var (records, total, packets): ([NodeRecord], Int, Int) = ([], 0, 0)
        while total == 0 || packets < total {
            let answer = peer.read(on: socket)
            switch answer {
            case .whoAreYou(nonce, let challenge): try peer.answer(challenge, with: message, from: socket)
            case .message(.ping(let ping, _)): peer.pong(ping, from: socket)
            case .message(.nodes(id, let count, let encoded)):
                guard (1...DiscoveryProbe.mostPackets).contains(count), total == 0 || total == count else {
                    throw ProbeFailure("NODES says that it has \(count) packets")
                }
                total = count
                packets += 1
                records += try encoded.map { try NodeRecord(decoding: $0) }
            default: throw ProbeFailure("expected NODES, got \(answer)")
            }
        }
        return records
    }
}

/// A node whose only purpose is to fill a place in the other's table.
private struct Bystander {
    var peer: ProbePeer
    let socket: PlainSocket
    var wasPinged = false
    private var lastPing: Instant?

    init(peer: ProbePeer, socket: PlainSocket) {
        self.peer = peer
        self.socket = socket
    }

    /// Pings now and then until it was pinged, and answers what comes.
    mutating func step(target: Endpoint, at now: Instant) throws {
        if !wasPinged, lastPing.map({ now >= $0 + .seconds(10) }) ?? true {
            lastPing = now
            guard let id = peer.nextRequestID() else { return }
            _ = try peer.exchange(Message.ping(id, sequence: 1).encoded, on: socket)
        }
        switch peer.read(on: socket, within: .milliseconds(5)) {
        case .message(.ping(let id, _)):
            peer.pong(id, from: socket)
            wasPinged = true
        case .message(.findNode(let id, _)):
            _ = peer.write(Message.nodes(id, total: 1, records: []).encoded, from: socket)
            wasPinged = true
        case .message(.talkRequest(let id, _, _)):
            _ = peer.write(Message.talkResponse(id, response: []).encoded, from: socket)
        case .whoAreYou, .message, .silence, .unreadable: break
        }
    }
}

extension ProbePeer {
    /// Answers a PING of the node.
    fileprivate mutating func pong(_ id: RequestID, from socket: PlainSocket) {
        let pong = Message.pong(id, sequence: record.sequence, address: target.address, port: target.port)
        _ = write(pong.encoded, from: socket)
    }
}
