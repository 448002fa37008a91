// The words of this target's errors.

extension UTPError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooManyStreams: "this machine has as many streams as it may"
        case .tooManyStreamsOfPeer: "the peer has as many streams as one may"
        case .connectionIDInUse: "the connection id is in use"
        case .connectTimedOut: "nobody answered"
        case .acceptTimedOut: "the peer never came"
        case .supplyTimedOut: "what was promised was not ready in time"
        case .idle: "nothing arrived any more"
        case .reset: "the peer gave it up"
        case .payloadTooLarge(let limit): "the peer sends more than \(limit) bytes"
        case .payloadFromReceiver: "the peer sends where it should receive"
        case .conflictingEnd: "the peer names two ends"
        }
    }
}

extension UTPPacketError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooShort: "fewer bytes than a header"
        case .unknownVersion(let version): "the unknown version \(version)"
        case .unknownType(let type): "the unknown type \(type)"
        case .extensionCut: "an extension is cut off"
        case .selectiveAckLength(let length): "a selective ack of \(length) bytes"
        case .repeatedSelectiveAck: "more than one selective ack"
        case .unexpectedPayload: "payload where none may be"
        }
    }
}
