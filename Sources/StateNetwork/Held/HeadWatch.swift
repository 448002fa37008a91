import Chain
import Primitives

/// Follows the attested head: up to which block all that is held stands, what of it was written down, and when it is
/// time to look for sections that were left behind.
struct HeadWatch: Sendable {
    /// When the verified head last moved, or was last looked into.
    private var lookedAt: Instant
    /// The head whose diffs are waited for.
    private var awaited: StatePoint?
    /// After a start, the block at which everything was verified before; nil once that is done again.
    private var resumed: StatePoint?
    /// The state root whose proof is written down: a block that changes nothing needs no other.
    private var written: Bytes32?

    init(resumed: StatePoint?, at now: Instant) {
        self.resumed = resumed
        lookedAt = now
    }

    /// The newest attested block at which all that is held matches the proven section hashes, where that is another
    /// than before. `isNew`: its proof is to be written down, which no earlier run or block has done.
    mutating func verify(
        _ holdings: inout Holdings, _ chain: some AttestedHeaders, at now: Instant
    ) -> (point: StatePoint, root: Bytes32, isNew: Bool)? {
        let head = chain.head
        let lowest = head.number > StateNetworkLimits.headsCompared ? head.number - StateNetworkLimits.headsCompared : 0
        for number in stride(from: head.number, to: max(holdings.verifiedHead?.number ?? 0, lowest), by: -1) {
            guard let header = chain.header(at: number) else { continue }
            let point = header.point
            guard holdings.verify(at: point, root: header.stateRoot, isHead: point == head) else { continue }
            lookedAt = now
            defer { written = header.stateRoot }
            return (point, header.stateRoot, written != header.stateRoot)
        }
        // After a start: the block at which everything was verified when the node stopped may lie further below the
        // head than blocks are looked at else.
        guard let point = resumed, holdings.verifiedHead == nil, let header = chain.header(of: point),
            holdings.verify(at: point, root: header.stateRoot, isHead: point == head)
        else { return nil }
        resumed = nil
        written = header.stateRoot
        lookedAt = now
        return (point, header.stateRoot, false)
    }

    /// While following, everything held should stand at the head soon after the head moved; what does not is marked to
    /// be caught up.
    mutating func noticeBehind(_ holdings: inout Holdings, _ chain: some AttestedHeaders, at now: Instant) {
        // Where all stood at the head until now, a new block's diffs have their time from its header on.
        if awaited != chain.head {
            if let awaited, holdings.verifiedHead == awaited { lookedAt = now }
            awaited = chain.head
        }
        guard now - lookedAt >= StateNetworkLimits.headPatience, let header = chain.headHeader,
            holdings.verifiedHead != header.point
        else { return }
        lookedAt = now
        holdings.markBehind(at: header.point, root: header.stateRoot)
    }
}
