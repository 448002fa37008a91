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

/// Token buckets of those who send packets outside any session: one of each IP address, one of each node id there.
/// Bounded: under a flood from invented addresses the oldest buckets are forgotten, which costs nobody anything.
struct RateLimiter: Sendable {
    private struct Source: Hashable, Sendable {
        let high: UInt64
        let isIPv4: Bool

        /// A host owns an IPv4 address or an IPv6 /64.
        init(_ endpoint: Endpoint) {
            high = endpoint.address.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
            isIPv4 = endpoint.isIPv4
        }
    }

    /// A node id proves nothing before the handshake, so it has a bucket only together with the address it comes from:
    /// nobody can use up that of another.
    private struct Claim: Hashable, Sendable {
        let id: Bytes32
        let source: Source
    }

    private let configuration: Discovery.Configuration
    private var sources: LRU<Source, TokenBucket>
    private var claims: LRU<Claim, TokenBucket>

    init(_ configuration: Discovery.Configuration) {
        self.configuration = configuration
        sources = LRU(limit: configuration.rateLimitedAddresses)
        claims = LRU(limit: configuration.rateLimitedAddresses)
    }

    /// Buckets remembered.
    var count: Int { sources.count + claims.count }

    /// Whether one more packet of this node at this address may be looked at.
    mutating func admits(_ address: NodeAddress, at now: Instant) -> Bool {
        if address.endpoint.isLoopback { return true }
        let source = Source(address.endpoint)
        return claims.take(
            Claim(id: address.id, source: source), rate: configuration.strangerNodeRate,
            burst: configuration.strangerNodeBurst, at: now)
            && sources.take(source, rate: configuration.strangerRate, burst: configuration.strangerBurst, at: now)
    }
}

extension LRU where Value == TokenBucket {
    /// Takes one token of `key`, whose bucket is full if it is not remembered.
    mutating func take(_ key: Key, rate: Int, burst: Int, at now: Instant) -> Bool {
        if let slot = slot(of: key) {
            touch(slot)
            return update(slot) { $0.take(rate: rate, burst: burst, at: now) } ?? false
        }
        var bucket = TokenBucket(burst: burst, at: now)
        let admitted = bucket.take(rate: rate, burst: burst, at: now)
        insert(key, bucket)
        return admitted
    }
}
