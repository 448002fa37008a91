import Primitives

/// A budget that fills at a steady rate up to a burst.
struct TokenBucket: Sendable {
    /// Millionths of a token.
    private var tokens: UInt64
    private var updated: Instant

    /// Full.
    init(burst: Int, at now: Instant) {
        tokens = UInt64(max(0, burst)) * 1_000_000
        updated = now
    }

    /// Takes one token if there is one; `rate` is tokens a second.
    mutating func take(rate: Int, burst: Int, at now: Instant) -> Bool {
        // A rate in tokens a second is the same number in millionths a microsecond.
        let elapsed = min((now - updated).microseconds, 1 << 32)
        tokens = min(tokens + elapsed * UInt64(max(0, rate)), UInt64(max(0, burst)) * 1_000_000)
        updated = max(updated, now)
        guard tokens >= 1_000_000 else { return false }
        tokens -= 1_000_000
        return true
    }
}

/// Token buckets of the addresses that send packets outside any session. Bounded: under a flood from invented addresses
/// the oldest buckets are forgotten, which costs those addresses nothing.
struct RateLimiter: Sendable {
    private struct Source: Hashable, Sendable {
        let high: UInt64
        let isIPv4: Bool
    }

    private let rate: Int
    private let burst: Int
    private var buckets: LRU<Source, TokenBucket>

    init(rate: Int, burst: Int, limit: Int) {
        self.rate = rate
        self.burst = burst
        buckets = LRU(limit: limit)
    }

    /// Addresses remembered.
    var count: Int { buckets.count }

    /// Whether one more packet of `endpoint`'s address may be looked at. A host owns an IPv4 address or an IPv6 /64.
    mutating func admits(_ endpoint: Endpoint, at now: Instant) -> Bool {
        if endpoint.isLoopback { return true }
        let source = Source(
            high: endpoint.address.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, isIPv4: endpoint.isIPv4)
        if let slot = buckets.slot(of: source) {
            buckets.touch(slot)
            return buckets.update(slot) { $0.take(rate: rate, burst: burst, at: now) } ?? false
        }
        var bucket = TokenBucket(burst: burst, at: now)
        let admitted = bucket.take(rate: rate, burst: burst, at: now)
        buckets.insert(source, bucket)
        return admitted
    }
}
