import Primitives

// What others ask who work with blocks: what may go round with one, and whether one fits.
extension AttestedChain {
    /// The header with the claims that are known of it already beside those it comes with.
    public func merged(_ entry: CertifiedHeader) -> CertifiedHeader {
        guard let known = held(entry.header.hash)?.certificate else { return entry }
        let certificate = entry.certificate.map { known.merged(with: $0) ?? known } ?? known
        return CertifiedHeader(header: entry.header, certificate: certificate)
    }

    /// The claims of an encoded certificate that may go round with an attested block; nil where there are none.
    public func claimsThatHold(in certificate: [UInt8], of point: StatePoint) -> Certificate? {
        guard case .success(let certificate) = Result(catching: { try Certificate(decoding: certificate) }) else {
            return nil
        }
        return claimsThatHold(in: certificate, of: point)
    }

    /// Whether a header would be taken, whatever certificate came with it.
    public func joins(_ header: BlockHeader) -> Bool {
        let outcome = Result { () throws(ChainError) in try check(header) }
        return if case .success = outcome { true } else { false }
    }
}
