import Primitives

/// Peers that do not know a kind of content, as nodes of the former version: they answered as nobody does who knows the
/// key, declined an offer of block diffs by stretches (0x4A), or gave names for subtree hashes (0x46). That is believed
/// for a while, and as long as their record stays the same: a node that was brought up to date has a new one.
struct FormerPeers: Sendable {
    private var peers: [Bytes32: (sequence: UInt64?, since: Instant)] = [:]

    /// How many there are.
    var count: Int { peers.count }

    /// The peer has shown that it does not know the key. `sequence`: of its record; nil where that is not looked at.
    mutating func add(_ peer: Bytes32, sequence: UInt64?, at now: Instant) {
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
