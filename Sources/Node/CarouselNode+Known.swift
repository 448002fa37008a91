import Chain
import Discovery
import Overlay
import Primitives
import StateNetwork

// What those who run or watch a node may ask it.
extension CarouselNode {
    /// The record others find this node by.
    public var record: NodeRecord { overlay.localRecord }

    /// Section indices this node keeps or wants.
    public var arc: Range<Int> { state.arc }

    /// The arcs that a holder keeps and announces; nil for the other roles.
    public var arcMark: ArcMark? { state.arcMark }

    /// Sections read back to their end since the start.
    public var scrubbedSections: Int { state.scrubbedSections }

    /// Sections that were found damaged since the start, and fetched again.
    public var damagedSections: Int { state.damagedSections }

    /// Who has what, as far as its peers have told this node.
    public var holders: HolderDirectory { state.holders }

    /// What it received and did.
    public var totals: Totals { state.totals }

    /// The chain as far as its rule vouches for it.
    public var attestedChain: AttestedChain { chain.attested }

    /// The newest block this bridge has applied; nil for other roles and before genesis.
    public var replayedHead: StatePoint? { state.replayedHead }

    /// The first block that this bridge is to be given.
    public var nextReplayed: UInt64 { state.nextReplayed(chain.attested) }

    /// Blocks given to this bridge that are not applied yet.
    public var replayBacklog: Int { state.replayBacklog }

    /// Where this node stands.
    public func progress(at moment: Moment) -> NodeProgress { Standing.progress(of: self, at: moment) }
}
