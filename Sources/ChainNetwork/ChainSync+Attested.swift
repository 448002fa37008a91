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
    public var headHeader: BlockHeader? { attested.headHeader }
    public var finalHeader: BlockHeader? { attested.finalHeader }
    public var attestedAt: UInt64? { attested.attestedAt }
    public var anchors: [Anchor] { attested.anchors }
    public var newestAnchor: Anchor? { attested.newestAnchor }
    /// Set once two finals contradict each other.
    public var conflict: ChainError? { attested.conflict }
    public func isStale(at unixSeconds: UInt64) -> Bool { attested.isStale(at: unixSeconds) }
    /// Lowest block of the final line in memory; nil before the checkpoint's header is known.
    public var lowest: UInt64? { attested.lowest }
    /// Whether there are as many blocks above the final one as bridges make.
    public var isFull: Bool { attested.isFull }
    /// Whether the header is here, attested or not.
    public func holds(_ hash: Bytes32) -> Bool { attested.holds(hash) }
    /// The blocks from the one above the final block up to a held one, which is the last; none where it is not held.
    public func line(to point: StatePoint) -> [StatePoint] { attested.line(to: point) }
    /// The attested header at a height.
    public func header(at number: UInt64) -> BlockHeader? { attested.header(at: number) }
    /// The attested header of that very block.
    public func header(of point: StatePoint) -> BlockHeader? { attested.header(of: point) }
    /// The boundary block's header of a usable anchor.
    public func header(of anchor: Anchor) -> BlockHeader? { attested.header(of: anchor) }
    public func anchor(epoch: UInt64) -> Anchor? { attested.anchor(epoch: epoch) }
    public func isAttested(_ point: StatePoint) -> Bool { attested.isAttested(point) }
    public func isFinal(_ point: StatePoint) -> Bool { attested.isFinal(point) }
    public func isFinal(_ anchor: Anchor) -> Bool { attested.isFinal(anchor) }
    /// Whether a header's own certificate is enough to attest it, its ancestors not being known yet.
    public func isVouchedFor(_ entry: CertifiedHeader) -> Bool { attested.isVouchedFor(entry) }
    /// The header with the claims that are known of it already beside those it comes with.
    public func merged(_ entry: CertifiedHeader) -> CertifiedHeader { attested.merged(entry) }
    /// Whether at least one key of the network has spoken for that very block.
    public func isSpokenFor(_ entry: CertifiedHeader) -> Bool { attested.isSpokenFor(entry) }
    /// The claims of an encoded certificate that hold for an attested block; nil where there are none.
    public func claimsThatHold(in certificate: [UInt8], of point: StatePoint) -> Certificate? {
        attested.claimsThatHold(in: certificate, of: point)
    }
    /// The attested header at a height with its certificate, as block diffs carry it.
    public func certifiedHeader(at number: UInt64) -> CertifiedHeader? { attested.certifiedHeader(at: number) }
    /// Whether a header would be taken, whatever certificate came with it.
    public func joins(_ header: BlockHeader) -> Bool { attested.joins(header) }
}
