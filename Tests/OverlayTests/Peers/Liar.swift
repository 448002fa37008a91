import Discovery
import Overlay
import Primitives
import UTP

/// A node that speaks discv5 and uTP as it should and the Portal wire as the test likes. Left alone it answers PINGs
/// and nothing else.
final class Liar {
    enum Reply {
        /// These bytes as TALKRESP.
        case bytes([UInt8])
        /// A connection id, and these bytes as they stand in the stream behind it.
        case stream([UInt8])
        /// No TALKRESP at all.
        case silence
    }

    var discovery: Discovery
    private var utp: UTP
    /// What it answers to a message; nil: what an honest node with no content would.
    var reply: (PortalMessage) -> Reply? = { _ in nil }
    /// Whether it opens streams, and lets others open them, and then sends nothing on them.
    var withholds = false
    /// When the next DATA packet may leave, where they leave one a second.
    private var nextData: Instant?
    /// What it streams to those who accept an offer of it.
    private var offered: [TalkID: (bytes: [UInt8], to: NodeAddress)] = [:]
    /// ACCEPTs it got.
    private(set) var accepts: [[AcceptCode]] = []
    /// Everything it was asked, but for uTP.
    private(set) var asked: [PortalMessage] = []
    /// Answers to what it asked.
    private(set) var answers: [Result<[UInt8], DiscoveryError>] = []

    init(
        key: IdentityKey, endpoint: Endpoint, entropy: Entropy, versions: ClosedRange<UInt64> = 2...2
    ) throws {
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: endpoint)
        fields.set(
            portal: NodeRecord.PortalEntry(
                lowestVersion: versions.lowerBound, highestVersion: versions.upperBound, chainID: 1))
        var configuration = Discovery.Configuration()
        configuration.talkProtocols = [NetworkID.state.bytes, NetworkID.chain.bytes, Array("utp".utf8)]
        var entropy = entropy
        discovery = try Discovery(
            key: key, record: try fields.signed(by: key), configuration: configuration,
            entropy: Entropy(seed: entropy.bytes32()))
        utp = UTP(entropy: Entropy(seed: entropy.bytes32()))
    }

    /// From now on its streams carry a byte a packet and a packet a second.
    func trickle(from now: Instant) {
        var configuration = UTPConfiguration()
        configuration.payloadBytes = 1
        utp = UTP(configuration: configuration, entropy: Entropy(seed: Bytes32(0, 0, 0, 77)))
        nextData = now
    }

    /// Whether a packet leaves. Its kind is in the high four bits: 0 is DATA, 2 STATE, 4 SYN.
    private func leaves(_ packet: [UInt8], at now: Instant) -> Bool {
        let kind = packet.first.map { $0 >> 4 }
        if withholds { return kind == 2 || kind == 4 }
        guard let next = nextData, kind == 0 else { return true }
        guard now >= next else { return false }
        nextData = now + .seconds(1)
        return true
    }

    var nextDeadline: Instant? { [discovery.nextDeadline, utp.nextDeadline].compactMap { $0 }.min() }

    func advance(to now: Instant) {
        discovery.advance(to: now)
        utp.advance(to: now)
    }

    /// Sends raw bytes as a request of the state network.
    func ask(_ peer: NodeRecord, _ bytes: [UInt8], at now: Instant) {
        _ = discovery.talk(to: peer, protocol: NetworkID.state.bytes, request: bytes, at: now)
    }

    /// Offers keys and, once they are accepted, streams these bytes.
    func offer(_ peer: NodeRecord, keys: [[UInt8]], stream: [UInt8], at now: Instant) throws {
        guard let endpoint = peer.endpoint else { return }
        let message = try PortalMessage.offer(keys: keys).encoded()
        let id = discovery.talk(to: peer, protocol: NetworkID.state.bytes, request: message, at: now)
        offered[id] = (stream, NodeAddress(id: peer.id, endpoint: endpoint))
    }

    func drain(at now: Instant) -> [([UInt8], Endpoint)] {
        var sends: [([UInt8], Endpoint)] = []
        while true {
            let below = discovery.drain()
            let packets = utp.drain()
            if below.isEmpty && packets.isEmpty { return sends }
            for directive in below {
                switch directive {
                case .send(let bytes, let endpoint): sends.append((bytes, endpoint))
                case .talkRequested(let from, let name, let request, let token):
                    if name == Array("utp".utf8) {
                        utp.receive(request, from: from, at: now)
                    } else {
                        handle(request, from, token, now)
                    }
                case .talkAnswered(let id, let result, _): answered(id, result, now)
                default: break
                }
            }
            for case .send(let packet, let address) in packets where leaves(packet, at: now) {
                discovery.talkOneWay(to: address, protocol: Array("utp".utf8), request: packet, at: now)
            }
        }
    }

    private func handle(_ request: [UInt8], _ from: NodeAddress, _ token: TalkToken, _ now: Instant) {
        guard let message = try? PortalMessage(decoding: request) else { return }
        asked.append(message)
        switch reply(message) ?? honest(message) {
        case .silence: return
        case .bytes(let bytes): discovery.respond(to: token, response: bytes, at: now)
        case .stream(let bytes):
            guard let (_, id) = try? utp.accept(from: from, transfer: .send(bytes), at: now) else { return }
            respond(.content(.connectionID(id)), token, now)
        }
    }

    private func respond(_ message: PortalMessage, _ token: TalkToken, _ now: Instant) {
        discovery.respond(to: token, response: (try? message.encoded()) ?? [], at: now)
    }

    private func honest(_ message: PortalMessage) -> Reply {
        let payload = try? PingPayload.clientInfo(client: [], radius: .max, capabilities: [0, 1, 65_535]).encoded()
        switch message {
        case .ping:
            let pong = PortalMessage.pong(recordSequence: 1, type: 0, payload: payload ?? [])
            return .bytes((try? pong.encoded()) ?? [])
        case .findNodes:
            return .bytes((try? PortalMessage.nodes(total: 1, records: []).encoded()) ?? [])
        default:
            return .bytes([])
        }
    }

    private func answered(_ id: TalkID, _ result: Result<[UInt8], DiscoveryError>, _ now: Instant) {
        guard let (bytes, address) = offered.removeValue(forKey: id) else {
            answers.append(result)
            return
        }
        guard case .success(let answer) = result,
            case .accept(let id, let codes)? = try? PortalMessage(decoding: answer)
        else { return }
        accepts.append(codes)
        if codes.contains(.accepted) {
            _ = try? utp.connect(to: address, connectionID: id, transfer: .send(bytes), at: now)
        }
    }
}
