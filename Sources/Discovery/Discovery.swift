import Primitives

// Discovery: who the other nodes are, where they are, and an encrypted way of asking them something (discv5.1).
//
// Terms. A *node record* (ENR) is what a node says of itself, signed by its *identity key*; the *node id*, its place on
// the ring, is the hash of that key. A *session* is a pair of keys shared with one node id at one IP address and port.
// A *challenge* (WHOAREYOU) is what a packet without a session is answered with; the *handshake* answers it and makes
// the session. The *table* holds nodes that have answered a PING of ours, in *buckets* by logarithmic distance.
// TALKREQ and TALKRESP carry the protocols above: Portal wire and uTP.
//
//      datagram ─▶ unmask ─┬─ ordinary ──▶ session? ─ yes ─▶ message ─▶ answer / match to its request
//                          │                  └ no ──▶ WHOAREYOU (one per node and address, repeated as it is)
//                          ├─ WHOAREYOU ──▶ names a packet of ours? ─▶ handshake packet carrying that request
//                          └─ handshake ──▶ to a challenge of ours? ─▶ verify, session, message
//
// A request goes through: no session → *queued* behind an attempt (random packet → WHOAREYOU → handshake with the first
// request in it → first packet under the new keys: the session *stands*, the queue leaves) → *in flight* → answered or
// timed out. A peer that lost its keys answers an ordinary packet with WHOAREYOU; that begins the same attempt one step
// later, and what was in flight is sent again behind it. Both sides may begin at once: each then keeps the other's keys
// beside the newest for receiving.
//
// Invariants. Answers go to the address the packet came from, nowhere else. Before an address is proven, no more bytes
// leave for it than came from it, or in records that name it. A node enters the table only after answering our PING
// at an endpoint of its record; only such nodes are named to others. Every map is bounded. Every request ends exactly
// once. Undecipherable, malformed and unexpected packets change nothing but counters and recency.
//
// Every rule and limit with its source: Specs/wire.md, 1.1.
//
// Why not otherwise. Retransmission is left to those above: they know what is worth repeating. Keys are kept in
// libcrypto contexts per session and direction, since setting one up costs as much as sealing a packet. Nonces are a
// counter and a tail that is random per session, not per packet: as unique, and a WHOAREYOU is matched without
// remembering every packet sent. There is no clock, no socket and no randomness here but what is handed in: the same
// events give the same directives.

/// Names one TALKREQ of ours.
public struct TalkID: Hashable, Comparable, Sendable {
    public let value: UInt64
    public static func < (a: TalkID, b: TalkID) -> Bool { a.value < b.value }
}

/// Names one lookup of ours.
public struct LookupID: Hashable, Comparable, Sendable {
    public let value: UInt64
    public static func < (a: LookupID, b: LookupID) -> Bool { a.value < b.value }
}

/// Says which request of whom `respond(to:)` answers. It holds all that is needed, so one that is never used costs
/// nothing, and one that is used late or twice does no harm.
public struct TalkToken: Hashable, Sendable {
    public let address: NodeAddress
    let requestID: RequestID
}

/// The discv5 node as one machine: events in with the time, directives out.
public struct Discovery: Sendable {
    /// What the world is to do, or to know, in the order in which it came about.
    public enum Directive: Sendable {
        case send([UInt8], to: Endpoint)
        /// A TALKREQ under one of the configured protocols. It may be left unanswered.
        case talkRequested(from: NodeAddress, protocol: [UInt8], request: [UInt8], TalkToken)
        case talkAnswered(TalkID, Result<[UInt8], DiscoveryError>)
        /// The nodes nearest to the target that answered, nearest first.
        case lookupFinished(LookupID, [NodeRecord])
        /// The other side has proven its key and address.
        case sessionEstablished(NodeAddress, NodeRecord?)
        /// The node entered the table, or its record is a newer one.
        case nodeSeen(NodeRecord)
        /// The node left the table.
        case nodeLost(Bytes32)
        /// Voters of enough prefixes see us at this address. The local record has changed if it was adopted.
        case addressVoted(Endpoint)
        /// Strangers reach us at the address that the votes put into the record; or none did, and it left the record.
        case addressChecked(Endpoint, isReachable: Bool)
    }

    public let key: IdentityKey
    public internal(set) var localRecord: NodeRecord
    public let configuration: Configuration

    /// What has been refused, and how much there was.
    public internal(set) var statistics = Statistics()

    var directives: [Directive] = []
    var random: RandomPool
    /// Distinguishes our nonce tails from anything a stranger can guess.
    let tailSecret: Bytes32

    // Packets
    /// Those of streams, on their way out.
    var outbox = DatagramBuffer(limit: DiscoveryLimits.outboxBytes)
    var buffer = PacketBuffer()
    var localMask: MaskCipher
    var sessions: LRU<NodeAddress, Session>
    var challenges: LRU<NodeAddress, Challenge>
    var limiter: RateLimiter
    var named: NamedAddresses
    var ways = WaysToNodes()
    /// Nonce tails of sessions and attempts.
    var tails: [UInt64: NodeAddress] = [:]

    // Requests
    var peers: [NodeAddress: Peer] = [:]
    var pending: [UInt32: PendingRequest] = [:]
    var timers = TimerQueue<Timer>()
    var nextRequest: UInt32
    var nextSerial: UInt64 = 0

    // Nodes
    var table: RoutingTable
    /// Records of nodes outside the table.
    var records: LRU<Bytes32, NodeRecord>
    /// Records by their bytes, so that the same one is verified once: every lookup brings most of them again.
    var verified: LRU<[UInt8], NodeRecord>
    var bootNodes: [NodeRecord] = []
    var votes: AddressVotes
    var reachability: Reachability
    /// The winner that was told but not taken into the record.
    var toldVote: Endpoint?
    /// Nodes being pinged to enter the table, and those waiting for it.
    var verifying: Set<Bytes32> = []
    var candidates: [(record: NodeRecord, address: NodeAddress)] = []
    /// Nodes of the table being pinged.
    var checking: Set<Bytes32> = []
    /// Nodes being asked for their record.
    var fetching: Set<Bytes32> = []

    // Lookups
    var lookups: [LookupID: Lookup] = [:]
    var waitingLookups: [(id: LookupID, target: Bytes32, isPublic: Bool)] = []
    var nextLookup: UInt64 = 0
    var nextTalk: UInt64 = 0

    // Upkeep; nil until the first event tells the time.
    var schedule: Schedule?

    /// Throws if `record` is not one that `key` signed.
    public init(
        key: IdentityKey, record: NodeRecord, configuration: Configuration = Configuration(), entropy: Entropy
    ) throws(DiscoveryError) {
        guard record.id == key.nodeID else { throw .recordOfAnotherKey }
        self.key = key
        self.configuration = configuration
        localRecord = record
        random = RandomPool(entropy)
        tailSecret = random.entropy.bytes32()
        nextRequest = UInt32(truncatingIfNeeded: random.next64())
        localMask = MaskCipher(to: key.nodeID)
        sessions = LRU(limit: configuration.sessionLimit)
        challenges = LRU(limit: configuration.challengeLimit)
        records = LRU(limit: configuration.recordLimit)
        verified = LRU(limit: configuration.recordLimit)
        limiter = RateLimiter(configuration)
        named = NamedAddresses(configuration)
        table = RoutingTable(localID: key.nodeID, configuration: configuration)
        votes = AddressVotes(configuration)
        reachability = Reachability(configuration)
    }

    /// Takes the directives that have come about since the last time.
    public mutating func drain() -> [Directive] {
        drainDirectives() + drainDatagrams().map { .send($0.bytes, to: $0.to) }
    }

    /// When `advance(to:)` is next due. Before the first event: at once.
    public var nextDeadline: Instant? {
        guard let schedule else { return .zero }
        let next = min(timers.earliest ?? schedule.next, schedule.next)
        return min(reachability.deadline ?? next, next)
    }

    /// Fires everything that is due at `now`.
    public mutating func advance(to now: Instant) {
        while let timer = timers.next(due: now) {
            switch timer {
            case .request(let id):
                if let request = pending[id], let deadline = request.deadline, deadline <= now {
                    fail(id, .timeout, at: now)
                    openerLost(request.address, at: now)
                }
            case .reopen(let address, let serial):
                if peers[address]?.attempt?.serial == serial { reopen(address, at: now) }
            case .attempt(let address, let serial):
                if peers[address]?.attempt?.serial == serial { abandonAttempt(address, at: now) }
            }
        }
        endProbations(at: now)
        upkeep(at: now)
    }

    /// Changes the local record, raises its sequence number and signs it. Peers learn of it by our next PING.
    public mutating func updateLocalRecord(_ change: (inout NodeRecordFields) -> Void) throws(DiscoveryError) {
        var fields = localRecord.fields
        change(&fields)
        guard localRecord.sequence < .max else { throw .record(.sequenceExhausted) }
        fields.sequence = localRecord.sequence + 1
        do throws(NodeRecordError) {
            localRecord = try fields.signed(by: key)
        } catch {
            throw .record(error)
        }
    }

    /// The newest record known of a node.
    public func record(of id: Bytes32) -> NodeRecord? {
        guard id != key.nodeID else { return localRecord }
        guard let listed = table.record(of: id) else { return records.peek(id) }
        guard let other = records.peek(id), other.sequence > listed.sequence else { return listed }
        return other
    }

    /// Up to `limit` nodes of the table, nearest to `target` first.
    public func closest(to target: Bytes32, limit: Int) -> [NodeRecord] {
        table.closest(to: target, limit: limit).map(\.record)
    }

    /// Up to `limit` nodes of the table with the time of their last answer, the newest first: what is worth keeping for
    /// the next start.
    public func knownNodes(limit: Int) -> [(record: NodeRecord, lastAnswer: Instant)] {
        table.entries.prefix(max(0, limit)).map { ($0.record, $0.lastAnswer) }
    }

    /// Nodes in the table.
    public var tableCount: Int { table.count }

    /// Sessions held.
    public var sessionCount: Int { sessions.count }

    /// Whether a session with `address` is held.
    public func hasSession(with address: NodeAddress) -> Bool { sessions.slot(of: address) != nil }
}
