import Primitives

/// Why a request was sent, which decides what its answer or its absence means.
enum Purpose: Sendable {
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
    let purpose: Purpose
    /// The plaintext, to be sent again inside a handshake.
    let message: [UInt8]
    /// How long an answer may take once the request has left in a session.
    let timeout: Interval
    /// nil while it waits behind a handshake.
    var deadline: Instant?
    /// The packet it went out with.
    var nonce: Nonce?
    /// Times it was packed into a handshake. A peer that challenges us without end gets two.
    var handshakes = 0

    /// Of FINDNODE: the distances asked for, the records so far and the packets still to come.
    var distances: [Int] = []
    var records: [NodeRecord] = []
    var packets = 0
    /// The records of each packet that has come, as they were sent: a datagram that the network doubles is no other
    /// packet.
    var packetsTaken: [[[UInt8]]] = []
}

/// Something that waits behind a handshake.
enum Queued: Sendable {
    case request(UInt32)
    case oneWay([UInt8])
}

/// What is under way with one node at one address. It exists only while something is.
struct Peer: Sendable {
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
    /// By which the WHOAREYOU is recognised.
    let tail: UInt64
    var phase: Phase
}

/// A WHOAREYOU of ours that has not been answered yet.
struct Challenge: Sendable {
    /// The packet, repeated as it is while the challenge stands.
    let packet: [UInt8]
    /// Its header in the clear.
    let data: [UInt8]
    let expires: Instant
    /// The record we know of the node, which then need not send it.
    let record: NodeRecord?
}

/// What a deadline is for. It is void when the request or attempt is gone by then.
enum Timer: Sendable {
    case request(UInt32)
    /// Half of an attempt's time is over.
    case reopen(NodeAddress, serial: UInt64)
    case attempt(NodeAddress, serial: UInt64)
}
