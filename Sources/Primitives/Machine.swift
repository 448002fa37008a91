/// The one shape of every protocol in this house: a value that is told what happens and what time it is, and says
/// what is to be done. It owns no socket, clock, disk or source of randomness, so it is tested without a network and
/// replays from its events.
///
/// Whoever runs it calls `handle` for each event, `advance` when `nextDeadline` is reached, and carries out what
/// `drain` gives, in order. A machine that looks at what another one owns is lent that with each call, as further
/// arguments of the same two verbs; it keeps no copy.
public protocol Machine: Sendable {
    /// What can happen to it.
    associatedtype Event: Sendable
    /// What it wants done.
    associatedtype Directive: Sendable
    /// The time that comes with every call.
    associatedtype Time

    /// Takes one event in.
    mutating func handle(_ event: Event, at time: Time)
    /// Acts on the time that has passed.
    mutating func advance(to time: Time)
    /// When `advance` is next due; nil while nothing is awaited.
    var nextDeadline: Instant? { get }
    /// Takes what has come about, in order.
    mutating func drain() -> [Directive]
}
