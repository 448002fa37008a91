import Primitives

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

/// The discv5 node as one machine.
public struct Discovery: Sendable {
    /// What the world is to do, or to know. In the order in which it came about.
    public enum Directive: Sendable {
        case send([UInt8], to: Endpoint)
        /// A TALKREQ under one of the configured protocols. It may be left unanswered.
        case talkRequested(from: NodeAddress, protocol: [UInt8], request: [UInt8], TalkToken)
        case talkAnswered(TalkID, Result<[UInt8], DiscoveryError>)
        /// The nodes nearest to the target that answered, nearest first.
        case lookupFinished(LookupID, [NodeRecord])
        /// The other side has proven its key and address.
        case sessionEstablished(NodeAddress, NodeRecord?)
        /// The node answered a PING of ours for the first time, or its record is a newer one.
        case nodeSeen(NodeRecord)
        /// The node left the table.
        case nodeLost(Bytes32)
        /// Voters in enough subnets see us at this address. The local record has changed if it was adopted.
        case addressVoted(Endpoint)
    }

    public let key: IdentityKey
    public private(set) var localRecord: NodeRecord
    public let configuration: Configuration
    private var directives: [Directive] = []

    /// Throws if `record` is not one that `key` signed.
    public init(
        key: IdentityKey, record: NodeRecord, configuration: Configuration = Configuration(), entropy: Entropy
    ) throws(DiscoveryError) {
        guard record.id == key.nodeID else { throw .recordOfAnotherKey }
        self.key = key
        localRecord = record
        self.configuration = configuration
    }

    /// When `advance(to:)` is next due.
    public var nextDeadline: Instant? { nil }

    /// Fires everything that is due at `now`.
    public mutating func advance(to now: Instant) {}

    /// Takes the directives that have come about.
    public mutating func drain() -> [Directive] {
        defer { directives = [] }
        return directives
    }

    /// Handles a datagram that came from `source`.
    public mutating func receive(_ datagram: [UInt8], from source: Endpoint, at now: Instant) {}

    /// Sends a TALKREQ to the endpoint in `record`. Ends in exactly one `talkAnswered`.
    public mutating func talk(
        to record: NodeRecord, protocol name: [UInt8], request: [UInt8], timeout: Interval? = nil, at now: Instant
    ) -> TalkID { TalkID(value: 0) }

    /// The same to a node at an address seen in a session or directive; its record must be known here.
    public mutating func talk(
        to address: NodeAddress, protocol name: [UInt8], request: [UInt8], timeout: Interval? = nil, at now: Instant
    ) -> TalkID { TalkID(value: 0) }

    /// Sends a TALKREQ whose answer nobody waits for. On an established session it costs one packet and no memory;
    /// without one it waits behind a handshake. False when it was dropped: too large, no known record, queue full.
    @discardableResult
    public mutating func talkOneWay(
        to address: NodeAddress, protocol name: [UInt8], request: [UInt8], at now: Instant
    ) -> Bool { false }

    /// Answers a TALKREQ, to the address it came from. False when the answer is too large or the session is gone.
    @discardableResult
    public mutating func respond(to token: TalkToken, response: [UInt8], at now: Instant) -> Bool { false }

    /// Looks for the nodes nearest to `target`.
    public mutating func lookup(_ target: Bytes32, at now: Instant) -> LookupID { LookupID(value: 0) }

    /// Nodes to begin from; they are pinged at once, and again while the table is empty.
    public mutating func addBootNodes(_ records: [NodeRecord], at now: Instant) {}

    /// Changes the local record, raises its sequence number and signs it. Peers learn of it by our next PING.
    public mutating func updateLocalRecord(_ change: (inout NodeRecordFields) -> Void) throws(DiscoveryError) {}

    /// The newest record known of a node.
    public func record(of id: Bytes32) -> NodeRecord? { nil }

    /// Up to `limit` nodes of the table, nearest to `target` first.
    public func closest(to target: Bytes32, limit: Int) -> [NodeRecord] { [] }

    /// Nodes in the table.
    public var tableCount: Int { 0 }

    /// Whether an established session with `address` is held.
    public func hasSession(with address: NodeAddress) -> Bool { false }
}
