import Primitives

/// What the state network may know of the attested chain. The chain network owns that and lends it to be read.
public protocol AttestedHeaders {
    /// The newest attested block; at first the checkpoint.
    var head: StatePoint { get }
    /// Its header; nil before the first above the checkpoint.
    var headHeader: BlockHeader? { get }
    /// The newest final block; at first the checkpoint.
    var final: StatePoint { get }
    /// The block below which nothing changes any more.
    var floor: StatePoint { get }
    /// The newest usable anchor; nil before the first.
    var newestAnchor: Anchor? { get }
    /// Lowest block of the final line in memory; nil before the checkpoint's header is known.
    var lowest: UInt64? { get }
    /// Whether there are as many blocks above the final one as bridges make.
    var isFull: Bool { get }

    /// The attested header at a height.
    func header(at number: UInt64) -> BlockHeader?
    /// The attested header of that very block.
    func header(of point: StatePoint) -> BlockHeader?
    /// The boundary block's header of a usable anchor.
    func header(of anchor: Anchor) -> BlockHeader?
    /// The usable anchor of an epoch.
    func anchor(epoch: UInt64) -> Anchor?
    /// Whether that very block is attested.
    func isAttested(_ point: StatePoint) -> Bool
    /// Whether that anchor is usable.
    func isFinal(_ anchor: Anchor) -> Bool
    /// The attested header at a height with its certificate, as block diffs carry it.
    func certifiedHeader(at number: UInt64) -> CertifiedHeader?

    /// Whether it has cost somebody's word, or work, to make that very block.
    func isSpokenFor(_ entry: CertifiedHeader) -> Bool
    /// Whether a header would be believed by itself and what came with it.
    func isVouchedFor(_ entry: CertifiedHeader) -> Bool
    /// The claims of an encoded certificate that hold for an attested block; nil where there are none.
    func claimsThatHold(in certificate: [UInt8], of point: StatePoint) -> Certificate?

    /// Whether the header is here, attested or not.
    func holds(_ hash: Bytes32) -> Bool
    /// Whether a header would be taken with the certificate that it comes with.
    func wouldTake(_ entry: CertifiedHeader, at unixSeconds: UInt64) -> Bool
    /// The header with the claims that are known of it already beside those it comes with.
    func merged(_ entry: CertifiedHeader) -> CertifiedHeader
    /// The blocks from the one above the final block up to a held one, which is the last; none where it is not held.
    func line(to point: StatePoint) -> [StatePoint]
}

extension AttestedHeaders {
    /// The newest usable anchor and the one before it: those that holders serve.
    public var newestAnchors: [Anchor] {
        guard let newestAnchor else { return [] }
        let before = newestAnchor.epoch > 0 ? anchor(epoch: newestAnchor.epoch - 1) : nil
        return [newestAnchor] + (before.map { [$0] } ?? [])
    }

    /// true: attested; false: another block stands at its height; nil: not known yet.
    public func isCanonical(_ point: StatePoint) -> Bool? {
        if isAttested(point) { return true }
        return point.number <= head.number ? false : nil
    }
}

extension AttestedChain: AttestedHeaders {}
