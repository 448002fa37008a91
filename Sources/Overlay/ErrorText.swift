// The words of this target's errors.

extension OverlayError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownPeer: "its record is not known"
        case .unknownNetwork: "there is no such network"
        case .peerBanned: "it is banned for now"
        case .tooManyRequests: "too many exchanges are under way"
        case .timeout: "it was not finished in time"
        case .unanswered(let error): "\(error)"
        case .unsupported: "it does not speak this network"
        case .stream(let error): "the stream failed: \(error)"
        case .keyTooLong(let bytes): "a content key of \(bytes) bytes"
        case .itemTooLarge(let bytes): "an item of \(bytes) bytes"
        case .malformed(let error): "a message that does not decode: \(error)"
        case .unexpectedAnswer(let selector): "an answer of another kind (\(selector))"
        case .contentTooLarge(let bytes): "content of \(bytes) bytes, more than asked for"
        case .framing(let error): "the stream is not the items it should be: \(error)"
        case .wrongCodeCount(let offered, let answered): "\(answered) answers to \(offered) offers"
        case .badRecord: "a record that does not verify"
        }
    }
}

extension PortalMessageError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .empty: "no bytes"
        case .unknownSelector(let byte): "no message begins with \(byte)"
        case .container(let error): "\(error)"
        }
    }
}
