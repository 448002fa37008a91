import Primitives

/// State bytes received in answers that held: how many, how fast, and when the last.
public struct VerifiedBytes: Sendable {
    /// Since the start.
    public private(set) var total: UInt64 = 0
    private var last: Instant
    /// Of the last seconds, oldest first.
    private var window: [(second: UInt64, bytes: UInt64)] = []

    /// Seconds over which the rate is taken.
    private static let windowSeconds: UInt64 = 10

    init(at now: Instant) { last = now }

    mutating func add(_ bytes: Int, at now: Instant) {
        last = now
        total += UInt64(bytes)
        let second = now.microseconds / 1_000_000
        if window.last?.second == second {
            window[window.count - 1].bytes += UInt64(bytes)
        } else {
            window.append((second, UInt64(bytes)))
        }
        window.removeAll { $0.second + VerifiedBytes.windowSeconds < second }
    }

    /// Bytes a second, over the last ten.
    public func rate(at now: Instant) -> Double {
        let second = now.microseconds / 1_000_000
        let recent = window.filter { $0.second + VerifiedBytes.windowSeconds > second }.reduce(0) { $0 + $1.bytes }
        return Double(recent) / Double(VerifiedBytes.windowSeconds)
    }

    /// How long nothing came that held.
    public func quiet(at now: Instant) -> Interval { now - last }
}
