import CSecp256k1
import Primitives

/// An account's own key: signs transactions. For tools that make chains; a node never has one.
public struct TransactionKey: Sendable {
    private let secret: Bytes32
    /// The account of the key: the last 20 bytes of the public key's hash.
    public let address: Address

    /// nil where the secret is zero or not below the curve's order.
    public init?(secret: Bytes32) {
        guard let context = CurveContext.shared.pointer else { return nil }
        var key = secp256k1_pubkey()
        guard secp256k1_ec_pubkey_create(context, &key, secret.bytes) == 1, let address = Address(publicKey: &key)
        else { return nil }
        self.secret = secret
        self.address = address
    }

    /// The transaction of these fields, signed. The nonce of the signature follows from key and message (RFC 6979), so
    /// the same fields give the same bytes; `s` is in the lower half, as EIP-2 wants it.
    public func sign(_ kind: Transaction.Kind, _ fields: Transaction.Fields) throws(ChainError) -> Transaction {
        guard let context = CurveContext.shared.pointer else { throw .invalidSignature }
        let message = Transaction.signingHash(kind, fields)
        var signature = secp256k1_ecdsa_recoverable_signature()
        guard secp256k1_ecdsa_sign_recoverable(context, &signature, message.bytes, secret.bytes, nil, nil) == 1 else {
            throw .invalidSignature
        }
        var compact = [UInt8](repeating: 0, count: 64)
        var parity: Int32 = 0
        guard
            secp256k1_ecdsa_recoverable_signature_serialize_compact(context, &compact, &parity, &signature) == 1,
            parity <= 1, let r = UInt256(bigEndian: compact.prefix(32)), let s = UInt256(bigEndian: compact.suffix(32))
        else { throw .invalidSignature }
        return Transaction(kind, fields, signature: Transaction.Signature(parity: UInt8(parity), r: r, s: s))
    }
}
