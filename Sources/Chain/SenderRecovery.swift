import CSecp256k1
import Primitives

/// The curve library's context. It is only read after it was made, and the library says that may be done from any
/// thread.
struct CurveContext: @unchecked Sendable {
    let pointer = secp256k1_context_create(UInt32(SECP256K1_CONTEXT_NONE))
    static let shared = CurveContext()
}

extension Transaction {
    /// Half the curve's order. A larger `s` is the other form of the same signature, refused since EIP-2.
    private static let halfOrder = UInt256(
        big: Bytes32(0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff, 0x5d57_6e73_57a4_501d, 0xdfe9_2f46_681b_20a0))

    /// The account that signed, recovered from the signature (about 35 µs). A large `s` is let pass only where no chain
    /// id is signed: such transactions may be older than the rule against it.
    public func sender() throws(ChainError) -> Address {
        guard signature.s <= Transaction.halfOrder || fields.chainID == nil, signature.parity <= 1 else {
            throw .invalidSignature
        }
        guard let context = CurveContext.shared.pointer else { throw .invalidSignature }
        let compact = signature.r.big.bytes + signature.s.big.bytes
        var recoverable = secp256k1_ecdsa_recoverable_signature()
        guard
            secp256k1_ecdsa_recoverable_signature_parse_compact(
                context, &recoverable, compact, Int32(signature.parity)) == 1
        else { throw .invalidSignature }
        var key = secp256k1_pubkey()
        guard secp256k1_ecdsa_recover(context, &key, &recoverable, signingHash.bytes) == 1 else {
            throw .invalidSignature
        }
        guard let address = Address(publicKey: &key) else { throw .invalidSignature }
        return address
    }

    /// What the sender of these fields signs: keccak256 of the envelope without the signature.
    static func signingHash(_ kind: Kind, _ fields: Fields) -> Bytes32 {
        Keccak.hash(TransactionCodec.encode(kind, fields, signature: nil))
    }
}

extension Address {
    /// The account of a public key: the last 20 bytes of the hash of its two coordinates.
    init?(publicKey key: inout secp256k1_pubkey) {
        guard let context = CurveContext.shared.pointer else { return nil }
        var serialized = [UInt8](repeating: 0, count: 65)
        var count = serialized.count
        guard
            secp256k1_ec_pubkey_serialize(
                context, &serialized, &count, &key, UInt32(SECP256K1_EC_UNCOMPRESSED)) == 1
        else { return nil }
        self.init(lastOf: Keccak.hash(Array(serialized.dropFirst())))
    }

    /// The contract that `sender` creates by its transaction with this nonce. Source: yellow paper, 7.
    public init(createdBy sender: Address, nonce: UInt64) {
        self.init(
            lastOf: Keccak.hash(
                RLPWriter.list { writer in
                    writer.append(sender.bytes)
                    writer.append(nonce)
                }))
    }
}
