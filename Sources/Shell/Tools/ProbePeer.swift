import Discovery
import Foundation
import Primitives

/// A discv5 peer driven packet by packet, as a conformance suite needs one: it says what a real peer would not, and
/// shows every packet that comes. It has the codec in common with the node, and none of its machinery.
///
/// It knows one session, the newest, whatever address it was made from.
struct ProbePeer {
    /// What a datagram was.
    enum Received {
        case whoAreYou(nonce: [UInt8], packet: [UInt8])
        case message(Message)
        /// Nothing came in time.
        case silence
        /// Something came that this peer cannot read.
        case unreadable(String)
    }

    /// How long an answer may take.
    static let patience = Interval.milliseconds(300)

    let remote: NodeRecord
    let target: Endpoint
    private let key: IdentityKey
    private(set) var record: NodeRecord
    private var entropy: Entropy
    private var keys: SessionKeys?
    private var lastRequest: UInt32 = 0

    /// A peer with a new identity that knows nothing of the node but its record.
    init(remote: NodeRecord, target: Endpoint, entropy: Entropy) throws(NodeRecordError) {
        var entropy = entropy
        key = IdentityKey(from: &entropy)
        record = try NodeRecordFields(sequence: 1).signed(by: key)
        self.entropy = entropy
        self.remote = remote
        self.target = target
    }

    var id: Bytes32 { key.nodeID }

    /// From now on the record says where this peer is.
    mutating func publish(_ endpoint: Endpoint) throws(NodeRecordError) {
        var fields = record.fields
        fields.sequence += 1
        fields.set(endpoint: endpoint)
        record = try fields.signed(by: key)
    }

    mutating func nextRequestID() -> RequestID? {
        lastRequest += 1
        return RequestID((0..<4).map { UInt8(truncatingIfNeeded: lastRequest >> (24 - 8 * $0)) })
    }

    /// Sends a message under the session's keys; without a session, one that nobody can read. Gives its nonce.
    mutating func write(_ message: [UInt8], from socket: PlainSocket) -> [UInt8] {
        let nonce = entropy.bytes(12)
        let content = keys == nil ? entropy.bytes(4) : message
        let packet = ClearPacket(
            maskingIV: entropy.bytes(16), flag: 0, nonce: nonce, authData: key.nodeID.bytes, message: content)
        let sealed = packet.sealed(to: remote.id, key: keys?.initiator ?? entropy.bytes(16))
        if let sealed { socket.send(sealed, to: target) }
        return nonce
    }

    /// Answers a WHOAREYOU, with the message inside.
    mutating func answer(_ challenge: [UInt8], with message: [UInt8], from socket: PlainSocket) throws {
        let clear = try ClearPacket(opening: challenge, to: key.nodeID, key: nil)
        let data = clear.maskingIV + clear.header
        let ephemeral = IdentityKey(from: &entropy)
        guard let secret = ephemeral.sharedSecret(with: remote.publicKey) else {
            throw ProbeFailure("no shared secret")
        }
        let digest = Handshake.proofDigest(
            challenge: data, ephemeralKey: ephemeral.publicKey.compressed, recipient: remote.id)
        let authData =
            key.nodeID.bytes + [64, 33] + key.sign(digest) + ephemeral.publicKey.compressed + record.encoded
        let keys = Handshake.keys(secret: secret, initiator: key.nodeID, recipient: remote.id, challenge: data)
        self.keys = keys
        let packet = ClearPacket(
            maskingIV: entropy.bytes(16), flag: 2, nonce: entropy.bytes(12), authData: authData, message: message)
        guard let sealed = packet.sealed(to: remote.id, key: keys.initiator) else {
            throw ProbeFailure("the handshake packet does not fit")
        }
        socket.send(sealed, to: target)
    }

    /// The next datagram.
    func read(on socket: PlainSocket, within wait: Interval = ProbePeer.patience) -> Received {
        guard let (bytes, _) = socket.receive(within: wait) else { return .silence }
        if let clear = try? ClearPacket(opening: bytes, to: key.nodeID, key: nil), clear.flag == 1 {
            return .whoAreYou(nonce: clear.nonce, packet: bytes)
        }
        do {
            let clear = try ClearPacket(opening: bytes, to: key.nodeID, key: keys?.recipient)
            return .message(try Message(decoding: clear.message))
        } catch {
            return .unreadable(ErrorLine.text(error))
        }
    }

    /// Sends a request and reads what comes for it, through a handshake if one is asked for.
    mutating func exchange(_ message: [UInt8], on socket: PlainSocket) throws -> Received {
        let nonce = write(message, from: socket)
        let first = read(on: socket)
        guard case .whoAreYou(let named, let challenge) = first else { return first }
        guard named == nonce else { throw ProbeFailure("WHOAREYOU names the nonce \(Hex.encode(named)), not ours") }
        try answer(challenge, with: message, from: socket)
        return read(on: socket)
    }
}

/// Why a test of the probe failed.
struct ProbeFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension ProbePeer.Received: CustomStringConvertible {
    var description: String {
        switch self {
        case .whoAreYou: "WHOAREYOU"
        case .message(.ping): "PING"
        case .message(.pong): "PONG"
        case .message(.findNode): "FINDNODE"
        case .message(.nodes): "NODES"
        case .message(.talkRequest): "TALKREQ"
        case .message(.talkResponse): "TALKRESP"
        case .silence: "nothing within \(ProbePeer.patience.microseconds / 1_000) ms"
        case .unreadable(let why): "a packet that does not open (\(why))"
        }
    }
}
