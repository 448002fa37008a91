import Discovery
import Primitives
import UTP

/// What can go wrong in an exchange with a peer or in a message of one.
public enum OverlayError: Error, Equatable, Sendable {
    // The exchange.

    /// No record of that node is known.
    case unknownPeer
    /// No such network was configured.
    case unknownNetwork
    /// The peer is banned for now.
    case peerBanned
    /// All slots for such exchanges, or the peer's share of them, are in use.
    case tooManyRequests
    /// The exchange was not finished in the time given.
    case timeout
    /// The request was not answered; Discovery says why.
    case unanswered(DiscoveryError)
    /// The peer answered with no bytes: it does not speak the network, or not now.
    case unsupported
    /// The stream failed.
    case stream(UTPError)

    // Our own requests.

    /// The content key, or the keys of an offer's item, do not fit a request (bytes).
    case keyTooLong(Int)
    /// The item exceeds what one stream of an offer may carry (bytes).
    case itemTooLarge(Int)

    // What the peer sent.

    /// A message that does not decode.
    case malformed(PortalMessageError)
    /// An answer of another kind than the request asks for.
    case unexpectedAnswer(selector: UInt8)
    /// More bytes of content than were allowed.
    case contentTooLarge(Int)
    /// The stream's bytes are not exactly the items they should be.
    case framing(ByteError)
    /// ACCEPT with another number of codes than keys were offered.
    case wrongCodeCount(offered: Int, answered: Int)
    /// A record that does not verify, or is not what was asked for.
    case badRecord
}

extension OverlayError {
    /// Whether the peer broke a rule (it costs more than being slow or busy).
    var isBreach: Bool {
        switch self {
        case .malformed, .unexpectedAnswer, .contentTooLarge, .framing, .wrongCodeCount, .badRecord: true
        case .stream(.payloadTooLarge), .stream(.payloadFromReceiver), .stream(.conflictingEnd): true
        default: false
        }
    }

    /// Whether content came that nobody who keeps to the rules sends for what was asked: more of it than was allowed,
    /// or bytes that are not one item.
    public var isFalseContent: Bool {
        switch self {
        case .contentTooLarge, .framing, .stream(.payloadTooLarge): true
        default: false
        }
    }

    /// Whether the cause lies with us, so that it says nothing of the peer.
    var isOurs: Bool {
        switch self {
        case .unknownPeer, .unknownNetwork, .peerBanned, .tooManyRequests, .keyTooLong, .itemTooLarge: true
        case .stream(.tooManyStreams), .stream(.tooManyStreamsOfPeer), .stream(.supplyTimedOut): true
        // To an address that it names, and has not answered from, no more may be sent: to us it is silent.
        case .unanswered(.timeout), .unanswered(.unprovenAddress): false
        case .unanswered: true
        default: false
        }
    }
}
