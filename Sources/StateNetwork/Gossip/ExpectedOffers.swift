import Overlay
import Primitives

/// Items that were offered and accepted and have not come yet: from whom, and since when. Others that offer them are
/// put off meanwhile.
public struct ExpectedOffers: Sendable {
    private var peers: [[UInt8]: [Bytes32: Instant]] = [:]

    /// None.
    public init() {}

    /// How many items are expected.
    public var count: Int { peers.count }

    /// An item was accepted from a peer.
    public mutating func expect(_ key: [UInt8], from peer: Bytes32, at now: Instant) {
        if peers.count >= StateNetworkLimits.expectedOffers {
            peers = peers.compactMapValues { senders in
                let fresh = senders.filter { now - $0.value < StateNetworkLimits.expectedWait }
                return fresh.isEmpty ? nil : fresh
            }
        }
        guard peers.count < StateNetworkLimits.expectedOffers else { return }
        peers[key] = peers[key, default: [:]].filter { now - $0.value < StateNetworkLimits.expectedWait }
        peers[key]?[peer] = now
    }

    /// Whether the item is on its way from as many peers as are of use.
    public func isExpected(_ key: [UInt8], from useful: Int = 1, at now: Instant) -> Bool {
        guard let senders = peers[key] else { return false }
        return senders.values.count { now - $0 < StateNetworkLimits.expectedWait } >= useful
    }

    /// The peer's item has come, or will not.
    public mutating func ended(_ key: [UInt8], from peer: Bytes32) {
        peers[key]?[peer] = nil
        if peers[key]?.isEmpty == true { peers[key] = nil }
    }
}
