/// The id a request carries and its answer repeats: up to 8 bytes, held in place.
struct RequestID: Hashable, Sendable {
    /// The bytes, the first one highest.
    let value: UInt64
    let count: Int

    /// nil for more than 8 bytes.
    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count <= DiscoveryLimits.requestIDSize else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt64($1) }
        count = bytes.count
    }

    /// One of ours.
    init(own number: UInt32) {
        value = UInt64(number)
        count = DiscoveryLimits.ownRequestIDSize
    }

    var bytes: [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) } }
}
