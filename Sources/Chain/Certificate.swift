import CSodium
import Primitives

/// What one key says of one block at one time.
public struct Claim: Hashable, Sendable {
    /// What is claimed of the block.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// It is the head of the chain as the signer sees it now.
        case head = 0
        /// It will never be replaced.
        case final = 1
    }

    public let kind: Kind
    public let point: StatePoint
    /// When it was signed.
    public let unixSeconds: UInt64

    public init(kind: Kind, point: StatePoint, unixSeconds: UInt64) {
        self.kind = kind
        self.point = point
        self.unixSeconds = unixSeconds
    }
}

/// The chain that a claim is about: signed with it, so that a claim cannot be carried to another chain.
public struct ClaimContext: Hashable, Sendable {
    public let chainID: UInt64
    public let genesisHash: Bytes32

    public init(chainID: UInt64, genesisHash: Bytes32) {
        self.chainID = chainID
        self.genesisHash = genesisHash
    }

    public init(_ configuration: NetworkConfiguration) {
        self.init(chainID: configuration.chainID, genesisHash: configuration.genesisHash)
    }

    /// Text that begins every signed message, so that the key's signatures mean nothing anywhere else.
    static let domain = Array("carousel chain claim v1".utf8)

    /// domain ‖ chain id ‖ genesis hash ‖ kind ‖ number ‖ block hash ‖ unix seconds; integers 8 bytes, little endian.
    public func message(_ claim: Claim) -> [UInt8] {
        ClaimContext.domain + chainID.littleEndianBytes + genesisHash.bytes + [claim.kind.rawValue]
            + claim.point.number.littleEndianBytes + claim.point.hash.bytes + claim.unixSeconds.littleEndianBytes
    }
}

/// An Ed25519 key pair that attests blocks; held by whoever runs a bridge.
public struct AttestingKey: Sendable {
    /// The public key, as the network's configuration names it.
    public let publicKey: Bytes32
    private let secret: [UInt8]

    /// The key pair of a 32-byte seed. nil only where the library refuses to work.
    public init?(seed: Bytes32) {
        var publicBytes = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
        var secretBytes = [UInt8](repeating: 0, count: Int(crypto_sign_SECRETKEYBYTES))
        guard crypto_sign_seed_keypair(&publicBytes, &secretBytes, seed.bytes) == 0,
            let key = Bytes32(publicBytes)
        else { return nil }
        publicKey = key
        secret = secretBytes
    }

    /// Signs a claim about the context's chain.
    public func sign(_ claim: Claim, in context: ClaimContext) -> SignedClaim {
        let message = context.message(claim)
        var signature = [UInt8](repeating: 0, count: SignedClaim.signatureByteCount)
        // Signing with a well-formed key cannot fail; the function only reports 0.
        _ = crypto_sign_detached(&signature, nil, message, UInt64(message.count), secret)
        return SignedClaim(claim: claim, signer: publicKey, signature: signature)
    }
}

/// A claim, who makes it, and the proof of that.
public struct SignedClaim: Hashable, Sendable {
    public let claim: Claim
    /// Ed25519 public key.
    public let signer: Bytes32
    /// 64 bytes.
    public let signature: [UInt8]

    static let signatureByteCount = Int(crypto_sign_BYTES)
    /// kind 1, number 8, hash 32, time 8, signer 32, signature 64.
    public static let byteCount = 145

    public init(claim: Claim, signer: Bytes32, signature: [UInt8]) {
        self.claim = claim
        self.signer = signer
        self.signature = signature
    }

    /// Whether the signature is the signer's over this claim about this chain.
    public func isValid(in context: ClaimContext) -> Bool {
        guard signature.count == SignedClaim.signatureByteCount else { return false }
        let message = context.message(claim)
        return crypto_sign_verify_detached(signature, message, UInt64(message.count), signer.bytes) == 0
    }

    /// The order in a certificate: kind, then number, then key.
    static func precedes(_ a: SignedClaim, _ b: SignedClaim) -> Bool {
        (a.claim.kind.rawValue, a.claim.point.number, a.signer)
            < (b.claim.kind.rawValue, b.claim.point.number, b.signer)
    }
}

/// The signed claims that travel with one header: head claims of that block, final claims of it or of ancestors.
///
/// Encoding: the claims one after another, 145 bytes each, at least one and at most `ChainLimits.certificateClaims`, in
/// strictly rising order of (kind, number, key).
public struct Certificate: Hashable, Sendable {
    public let claims: [SignedClaim]

    /// A certificate of these claims, in order; of two with the same kind, number and key the newer stays. nil where
    /// there are no claims, or more than a certificate may have.
    public init?(_ claims: [SignedClaim]) {
        let newestFirst = claims.sorted {
            if SignedClaim.precedes($0, $1) { return true }
            if SignedClaim.precedes($1, $0) { return false }
            return $0.claim.unixSeconds > $1.claim.unixSeconds
        }
        var kept: [SignedClaim] = []
        for claim in newestFirst {
            if let last = kept.last, !SignedClaim.precedes(last, claim) { continue }
            kept.append(claim)
        }
        guard (1...ChainLimits.certificateClaims).contains(kept.count) else { return nil }
        self.claims = kept
    }

    /// Reads exactly one certificate; the order is checked, the signatures are not.
    public init(decoding bytes: [UInt8]) throws(ChainError) {
        let count = bytes.count / SignedClaim.byteCount
        guard bytes.count.isMultiple(of: SignedClaim.byteCount),
            (1...ChainLimits.certificateClaims).contains(count)
        else { throw .certificate(.wrongSize(bytes: bytes.count)) }
        var claims: [SignedClaim] = []
        for index in 0..<count {
            let start = index * SignedClaim.byteCount
            let claim = try Certificate.claim(bytes[start..<start + SignedClaim.byteCount])
            if let last = claims.last, !SignedClaim.precedes(last, claim) { throw .certificate(.claimOrder) }
            claims.append(claim)
        }
        self.claims = claims
    }

    private static func claim(_ bytes: ArraySlice<UInt8>) throws(ChainError) -> SignedClaim {
        let start = bytes.startIndex
        func number(_ offset: Int) -> UInt64 {
            bytes[start + offset..<start + offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard let kind = Claim.Kind(rawValue: bytes[start]) else { throw .certificate(.unknownKind(bytes[start])) }
        guard let hash = Bytes32(bytes[start + 9..<start + 41]), let signer = Bytes32(bytes[start + 49..<start + 81])
        else { throw .certificate(.wrongSize(bytes: bytes.count)) }
        let point = StatePoint(number: number(1), hash: hash)
        return SignedClaim(
            claim: Claim(kind: kind, point: point, unixSeconds: number(41)), signer: signer,
            signature: Array(bytes[(start + 81)...]))
    }

    /// The encoding that `init(decoding:)` reads.
    public var encoded: [UInt8] {
        claims.flatMap { signed in
            [signed.claim.kind.rawValue] + signed.claim.point.number.littleEndianBytes + signed.claim.point.hash.bytes
                + signed.claim.unixSeconds.littleEndianBytes + signed.signer.bytes + signed.signature
        }
    }

    /// Both certificates' claims; nil where they would be too many.
    public func merged(with other: Certificate) -> Certificate? { Certificate(claims + other.claims) }
}

/// A header and the certificate that came with it, if one did.
public struct CertifiedHeader: Hashable, Sendable {
    public let header: BlockHeader
    public let certificate: Certificate?

    public init(header: BlockHeader, certificate: Certificate? = nil) {
        self.header = header
        self.certificate = certificate
    }

    /// Number and hash of the block.
    public var point: StatePoint { header.point }
}

extension UInt64 {
    /// 8 bytes, little endian.
    var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
