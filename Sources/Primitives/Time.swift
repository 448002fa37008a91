/// A point of monotonic time in microseconds since the process (or the simulation) began. Pure machines are told the
/// time with every event; none of them reads a clock.
public struct Instant: Hashable, Comparable, Sendable {
    public var microseconds: UInt64

    @inlinable
    public init(microseconds: UInt64) { self.microseconds = microseconds }

    /// The beginning.
    public static let zero = Instant(microseconds: 0)

    @inlinable
    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }

    @inlinable
    public static func + (a: Instant, b: Interval) -> Instant {
        Instant(microseconds: a.microseconds &+ b.microseconds)
    }

    /// Zero where `b` is later than `a`.
    @inlinable
    public static func - (a: Instant, b: Instant) -> Interval {
        Interval(microseconds: a.microseconds > b.microseconds ? a.microseconds - b.microseconds : 0)
    }
}

/// A length of time in whole microseconds, never negative.
public struct Interval: Hashable, Comparable, Sendable {
    public var microseconds: UInt64

    @inlinable
    public init(microseconds: UInt64) { self.microseconds = microseconds }

    /// A length in milliseconds.
    @inlinable
    public static func milliseconds(_ count: Int) -> Interval { Interval(microseconds: UInt64(count) * 1_000) }
    /// A length in seconds.
    @inlinable
    public static func seconds(_ count: Int) -> Interval { Interval(microseconds: UInt64(count) * 1_000_000) }
    /// No time at all.
    public static let zero = Interval(microseconds: 0)

    /// The length in seconds.
    @inlinable
    public var seconds: Double { Double(microseconds) / 1_000_000 }

    @inlinable
    public static func < (a: Interval, b: Interval) -> Bool { a.microseconds < b.microseconds }
    @inlinable
    public static func + (a: Interval, b: Interval) -> Interval {
        Interval(microseconds: a.microseconds &+ b.microseconds)
    }
    @inlinable
    public static func * (a: Interval, factor: Int) -> Interval {
        Interval(microseconds: a.microseconds &* UInt64(factor))
    }
}
