import Primitives

/// Peers that do not know block diffs by stretches (0x4A), as nodes of the former version: they declined an offer of
/// one, which nobody does who knows the key. They are offered each section's diff by itself (0x43). That is believed
/// for a while, and as long as their record stays the same: a node that was brought up to date has a new one.
struct FormerPeers: Sendable {
    private var peers: [Bytes32: (sequence: UInt64?, since: Instant)] = [:]

    /// How many there are.
    var count: Int { peers.count }

    /// The peer declined. `sequence`: of its record, where it is known.
    mutating func declined(_ peer: Bytes32, sequence: UInt64?, at now: Instant) {
        if peers.count >= StateNetworkLimits.formerPeers {
            peers = peers.filter { now - $0.value.since < StateNetworkLimits.formerTerm }
        }
        guard peers.count < StateNetworkLimits.formerPeers else { return }
        peers[peer] = (sequence, now)
    }

    /// Whether the peer is taken to be of the former version.
    func contains(_ peer: Bytes32, sequence: UInt64?, at now: Instant) -> Bool {
        guard let known = peers[peer] else { return false }
        return known.sequence == sequence && now - known.since < StateNetworkLimits.formerTerm
    }

    /// It is no peer any more.
    mutating func lost(_ peer: Bytes32) { peers[peer] = nil }
}
