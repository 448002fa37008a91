/// The time of an event on both clocks: monotonic for timers, the wall clock for what is signed or kept with a date.
public struct Moment: Sendable, Equatable {
    public var instant: Instant
    /// Seconds since 1970.
    public var unixSeconds: UInt64

    public init(instant: Instant, unixSeconds: UInt64) {
        self.instant = instant
        self.unixSeconds = unixSeconds
    }
}
