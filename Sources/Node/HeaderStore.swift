import Chain
import ChainNetwork
import Primitives

/// What is under way between the chain network and the store: old headers that are read for peers, and those that are
/// forgotten. And which gap in the headers was told.
struct HeaderStore: Sendable {
    /// Headers that are kept, from the chain's floor down; nil: all.
    private let kept: UInt64?
    private let epochLength: UInt64
    /// Jobs that read for peers under way.
    var reads = 0
    /// Whether headers are being forgotten.
    var isPruning = false
    /// Since when no peer has had the header that is needed next, and which gap was told.
    private var gapSince: Instant?
    private var told: HeaderGap?

    init(kept: UInt64?, epochLength: UInt64) {
        self.kept = kept
        self.epochLength = epochLength
    }

    /// The headers to forget now: of those that nothing replaces the ones beyond what is to be kept, where they are
    /// enough to be worth a transaction. `needed`: those from this block on are still to be followed by blocks; nil: it
    /// is not by blocks that the state comes here.
    func toPrune(_ chain: ChainSync, needed: UInt64?) -> (from: UInt64, upTo: UInt64, epochLength: UInt64)? {
        guard let kept, !isPruning, let first = chain.storedFrom, chain.floor.number > kept else { return nil }
        let end = min(chain.floor.number - kept, needed ?? .max)
        guard end >= first + NodeLimits.headersPrunedTogether else { return nil }
        return (first, end, epochLength)
    }

    /// The gap that is to be told now: no peer has had the header that is needed next for a while. Peers come one by
    /// one: the first need not be the best.
    mutating func gapToTell(_ gap: HeaderGap?, at now: Instant) -> HeaderGap? {
        guard let gap else {
            gapSince = nil
            return nil
        }
        let since = gapSince ?? now
        gapSince = since
        guard now - since >= NodeLimits.gapPatience, told != gap else { return nil }
        told = gap
        return gap
    }
}
