import Chain
import Primitives

/// The certificates that go round with block diffs, without what does not hold. All diffs of a block carry the same
/// one, so the last few answers are kept.
struct CheckedCertificates: Sendable {
    private var checked: [(point: StatePoint, given: [UInt8], certificate: [UInt8])] = []
    /// Blocks whose diffs are on their way at the same time, and senders that differ about them.
    private static let limit = 16

    /// What a diff of an attested block carries on, encoded; empty where nothing is left. Of what was `given` only the
    /// claims that hold; in their place the claims this node has for the block, if those alone attest it.
    mutating func certificate(of known: CertifiedHeader, given: [UInt8], in chain: some AttestedHeaders) -> [UInt8] {
        if let kept = checked.first(where: { $0.point == known.point && $0.given == given }) { return kept.certificate }
        let certificate =
            chain.isVouchedFor(known) ? known.certificate : chain.claimsThatHold(in: given, of: known.point)
        let encoded = certificate?.encoded ?? []
        if checked.count == CheckedCertificates.limit { checked.removeFirst() }
        checked.append((known.point, given, encoded))
        return encoded
    }
}
