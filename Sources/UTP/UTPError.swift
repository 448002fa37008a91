import Primitives

/// Why a stream could not be opened or did not end well. A payload is never delivered short: a stream ends either whole
/// (`received`, `sent`) or with one of these.
public enum UTPError: Error, Hashable, Sendable {
    /// This machine holds as many streams as it may.
    case tooManyStreams
    /// This peer holds as many streams as one peer may.
    case tooManyStreamsOfPeer
    /// A stream with this peer uses the connection id already, or did a moment ago.
    case connectionIDInUse
    /// No answer to any of the SYNs.
    case connectTimedOut
    /// The peer that was told an id never sent its SYN.
    case acceptTimedOut
    /// The payload promised with `sendLater` was not supplied in time.
    case supplyTimedOut
    /// Nothing new arrived or was acknowledged for the idle time.
    case idle
    /// The peer reset the stream.
    case reset
    /// The peer sends more than the `limit` in bytes that was to be received.
    case payloadTooLarge(limit: Int)
    /// The peer sent payload on a stream whose payload goes the other way.
    case payloadFromReceiver
    /// The peer named two different ends of its payload, or sent payload behind the end.
    case conflictingEnd
}

/// What is wrong with the bytes of a packet.
public enum UTPPacketError: Error, Hashable, Sendable {
    /// Fewer than the 20 bytes of the header.
    case tooShort
    /// A version other than 1.
    case unknownVersion(UInt8)
    /// A type above 4.
    case unknownType(UInt8)
    /// An extension announced or begun is cut off.
    case extensionCut
    /// A selective ack whose length is 0 or not a multiple of 4.
    case selectiveAckLength(Int)
    /// More than one selective ack.
    case repeatedSelectiveAck
    /// Payload on a packet other than DATA or FIN.
    case unexpectedPayload
}
