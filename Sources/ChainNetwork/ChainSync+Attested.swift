import Chain
import Primitives

// What the machine knows of the attested chain.
extension ChainSync {
    /// The network this machine was made for.
    public var configuration: NetworkConfiguration { attested.configuration }
    /// The newest attested block; at first the checkpoint.
    public var head: StatePoint { attested.head }
    /// The newest final block; at first the checkpoint.
    public var final: StatePoint { attested.final }
    /// The block below which nothing changes any more.
    public var floor: StatePoint { attested.floor }
    public var headHeader: BlockHeader? { attested.headHeader }
    public var finalHeader: BlockHeader? { attested.finalHeader }
    public var attestedAt: UInt64? { attested.attestedAt }
    public var anchors: [Anchor] { attested.anchors }
    public var newestAnchor: Anchor? { attested.newestAnchor }
    /// Set once two finals contradict each other.
    public var conflict: ChainError? { attested.conflict }
    /// Lowest block of the final line in memory; nil before the checkpoint's header is known.
    public var lowest: UInt64? { attested.lowest }
    /// Whether there are as many blocks above the final one as bridges make.
    public var isFull: Bool { attested.isFull }
}
