import Chain
import Primitives

// The one way in: what happens to the machine, and what it does about each.
extension ChainSync: Machine {
    /// What can happen to it.
    public enum Event: Sendable {
        /// A peer's ping payload (type 10102) came.
        case peerUpdated(Bytes32, payload: [UInt8])
        /// The peer is gone; what it was asked is asked of others.
        case peerLost(Bytes32)
        /// What a request gave: the content, or nil where none came (no answer, an error, a list of other nodes).
        case answered(RequestTag, content: [UInt8]?)
        /// An offered item came.
        case offered(key: [UInt8], value: [UInt8], by: Bytes32)
        /// A header came by the way, with a block diff for instance.
        case learned(CertifiedHeader, from: Bytes32)
        /// A block of the node's own making (a bridge's): it is taken and passed on. One that does not fit the attested
        /// chain is a conflict: the node replays another chain than the one its network attests.
        case produced(CertifiedHeader)
        /// The store has no headers below this one any more.
        case pruned(below: UInt64)
    }

    /// Takes one event in.
    public mutating func handle(_ event: Event, at now: Instant) {
        switch event {
        case .peerUpdated(let peer, let payload): peerUpdated(peer, payload, at: now)
        case .peerLost(let peer): peerLost(peer)
        case .answered(let tag, let content): answered(tag, content, at: now)
        case .offered(let key, let value, let peer): offered(key, value, by: peer, at: now)
        case .learned(let entry, let peer): learned(entry, from: peer, at: now)
        case .produced(let entry): produced(entry, at: now)
        case .pruned(let number): storedFrom = max(storedFrom ?? number, number)
        }
    }
}
