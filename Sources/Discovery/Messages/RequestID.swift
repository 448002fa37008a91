/// The id a request carries and its answer repeats: up to 8 bytes, held in place.
package struct RequestID: Hashable, Sendable {
    /// The bytes, the first one highest.
    package let value: UInt64
    package let count: Int

    /// nil for more than 8 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count <= DiscoveryLimits.requestIDSize else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt64($1) }
        count = bytes.count
    }

    /// One of ours.
    init(own number: UInt32) {
        value = UInt64(number)
        count = DiscoveryLimits.ownRequestIDSize
    }

    package var bytes: [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) } }
}
