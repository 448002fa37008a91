import Primitives

/// Where a request goes: a node at one of its addresses.
struct Route: Sendable {
    let address: NodeAddress
    /// Needed to begin a handshake; without one only a session leads there.
    let record: NodeRecord?
    /// The node stands in the table at this address: it has answered from there, so it may be written to freely.
    let isProven: Bool
}

/// Why a request was sent, which decides what its answer or its absence means.
enum RequestPurpose: Sendable {
    /// A PING to a node that would enter the table. `tries` more PINGs follow if this one is lost.
    case verify(NodeRecord, tries: Int)
    /// A PING to a node of the table.
    case check
    /// A PING only to open a session for what waits behind it.
    case open
    /// FINDNODE [0], for a record that has become newer.
    case record
    case lookup(LookupID)
    case talk(TalkID)
}

/// A request without its answer yet.
struct PendingRequest: Sendable {
    /// Where it is sent; the node's other address may take its place while it waits.
    var address: NodeAddress
    /// Whether it was on its way to the other address before.
    var hasMoved = false
    let purpose: RequestPurpose
    /// The plaintext, to be sent again inside a handshake.
    let message: [UInt8]
    /// How long an answer may take once the request has left in a session.
    let timeout: Interval
    /// nil while it waits behind a handshake.
    var deadline: Instant?
    /// When it was sent first and last in the session that it is under way in.
    var sentFirst = Instant.zero, sentLast = Instant.zero
    /// Times it was sent again since it was sent first.
    var repetitions = 0
    /// When it is sent again if nobody has answered; nil for not any more.
    var repeatsAt: Instant?
    /// The packet it went out with.
    var nonce: Nonce?
    /// Times it was packed into a handshake. A peer that challenges us without end gets two.
    var handshakes = 0

    /// Of FINDNODE: the distances asked for, the records so far and the packets still to come.
    var distances: [Int] = []
    private(set) var records: [NodeRecord] = []
    private var packets = 0
    /// The records of each packet that has come, as they were sent: a datagram that the network doubles is no other
    /// packet.
    private(set) var packetsTaken: [[[UInt8]]] = []

    init(address: NodeAddress, purpose: RequestPurpose, message: [UInt8], timeout: Interval) {
        self.address = address
        self.purpose = purpose
        self.message = message
        self.timeout = timeout
    }

    /// How long its answer took that has come at `now`; nil where it was sent more than once.
    func roundTrip(answered now: Instant) -> Interval? {
        deadline != nil && repetitions == 0 ? now - sentFirst : nil
    }

    /// One packet of NODES of `total` has come; `taken` is all that was taken so far, of this one too. True when it was
    /// the last.
    mutating func note(_ packet: [[UInt8]], total: Int, records taken: [NodeRecord]) -> Bool {
        packetsTaken.append(packet)
        records = taken
        if packets == 0 { packets = max(1, total) }
        packets -= 1
        return packets == 0
    }
}

/// Something that waits behind a handshake.
enum Queued: Sendable {
    case request(UInt32)
    case oneWay([UInt8])
}

/// What is under way with one node at one address. It exists only while something is.
struct Conversation: Sendable {
    /// A handshake that we began.
    var attempt: Attempt?
    var queue: [Queued] = []
    /// Requests that have left, oldest first.
    var inFlight: [UInt32] = []

    var isIdle: Bool { attempt == nil && queue.isEmpty && inFlight.isEmpty }
}

/// A handshake from the packet that asks for a WHOAREYOU to the first packet under the new keys.
struct Attempt: Sendable {
    enum Phase: Sendable {
        case awaitingChallenge
        case awaitingAnswer
    }

    let serial: UInt64
    let record: NodeRecord
    /// Whether the node stood in the table at this address when the attempt began.
    let isProven: Bool
    /// By which the WHOAREYOU is recognised.
    let tail: UInt64
    var phase = Phase.awaitingChallenge
}
