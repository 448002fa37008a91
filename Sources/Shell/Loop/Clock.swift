import Foundation
import Node
import Primitives

/// The system's clocks: monotonic microseconds since it was made, and the calendar's seconds.
public struct SystemClock: Sendable {
    private let origin: UInt64

    /// A clock that reads zero now.
    public init() {
        origin = SystemClock.monotonicMicroseconds()
    }

    /// Both clocks at once.
    public func now() -> Moment {
        var wall = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        return Moment(instant: instant(), unixSeconds: UInt64(max(0, wall.tv_sec)))
    }

    /// The monotonic clock alone.
    public func instant() -> Instant {
        Instant(microseconds: SystemClock.monotonicMicroseconds() &- origin)
    }

    private static func monotonicMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000 &+ UInt64(time.tv_nsec) / 1_000
    }
}
