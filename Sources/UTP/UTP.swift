import Primitives

/// A stream of one machine; never used twice.
public struct StreamID: Hashable, Comparable, Sendable {
    /// Counts up from 1 in the order of opening.
    public let value: UInt64

    public init(value: UInt64) { self.value = value }

    public static func < (a: StreamID, b: StreamID) -> Bool { a.value < b.value }
}

/// All uTP streams of a node.
public struct UTP: Sendable {
    /// What a stream carries: one payload, one way.
    public enum Transfer: Sendable {
        /// These bytes go to the peer, then FIN.
        case send([UInt8])
        /// Like `send`; the bytes follow with `supply`, at most `UTPLimits.supplyTime` after the stream stands.
        case sendLater
        /// The peer's bytes are gathered up to its FIN; more than `limit` bytes end the stream with an error.
        case receive(limit: Int)
    }

    /// What the owner must do or know.
    public enum Directive: Hashable, Sendable {
        /// Send this packet as TALKREQ "utp"; no answer is waited for.
        case send([UInt8], to: NodeAddress)
        /// The whole payload, in order, its end seen. The stream is over.
        case received(StreamID, [UInt8])
        /// The peer has acknowledged the whole payload and its end. The stream is over.
        case sent(StreamID)
        /// The stream is over and its payload is not.
        case failed(StreamID, UTPError)
    }

    private var directives: [Directive] = []
    private let configuration: UTPConfiguration
    private var entropy: Entropy

    public init(configuration: UTPConfiguration = UTPConfiguration(), entropy: Entropy) {
        self.configuration = configuration
        self.entropy = entropy
    }

    /// Streams open or opening.
    public var streamCount: Int { 0 }

    /// Opens a stream with the id the peer gave out and sends its SYN.
    public mutating func connect(
        to peer: NodeAddress, connectionID: UInt16, transfer: Transfer, at now: Instant
    ) throws(UTPError) -> StreamID {
        throw .tooManyStreams
    }

    /// Reserves an id that `peer` is to connect with, and waits for its SYN for `UTPLimits.acceptTime`.
    public mutating func accept(
        from peer: NodeAddress, transfer: Transfer, at now: Instant
    ) throws(UTPError) -> (StreamID, connectionID: UInt16) {
        throw .tooManyStreams
    }

    /// The payload of a `sendLater` stream. Ignored for other streams, ended ones, and the second time.
    public mutating func supply(_ stream: StreamID, _ bytes: [UInt8], at now: Instant) {}

    /// A packet from `peer`. Acks and payload it gives rise to come out of the next `drain`: one ack a stream for all
    /// packets received between two drains.
    public mutating func receive(_ packet: [UInt8], from peer: NodeAddress, at now: Instant) {}

    /// Gives the stream up: the peer gets a RESET, the owner no further directive of this stream.
    public mutating func close(_ stream: StreamID, at now: Instant) {}

    /// When `advance` is to be called next.
    public var nextDeadline: Instant? { nil }

    /// Fires what is due at `now`.
    public mutating func advance(to now: Instant) {}

    /// The directives since the last call, in order.
    public mutating func drain() -> [Directive] {
        defer { directives = [] }
        return directives
    }
}
