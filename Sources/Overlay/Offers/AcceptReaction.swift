import Primitives

/// What an offerer does about an item, given the code that came for it.
enum AcceptReaction: Hashable, Sendable {
    /// The item goes into the stream.
    case send
    /// The receiver has no room now, or has the item from another who may fail: it is offered once more, after this.
    case offerAgain(Interval)
    /// What we believe of the receiver's radius is out of date: it is asked.
    case askRadius
    /// The receiver has it, has no use for it or cannot judge it: it is left alone. What it lacks in the end it asks
    /// for.
    case leave

    /// Codes of later versions are treated as a refusal without a reason.
    init(_ code: AcceptCode) {
        switch code {
        case .accepted: self = .send
        case .rateLimited: self = .offerAgain(OverlayLimits.offerAgainDelay)
        case .inProgress: self = .offerAgain(OverlayLimits.inProgressDelay)
        case .outsideRadius: self = .askRadius
        default: self = .leave
        }
    }

    /// The wait before the item is offered once more; nil where it is not.
    var delay: Interval? { if case .offerAgain(let delay) = self { delay } else { nil } }
}
