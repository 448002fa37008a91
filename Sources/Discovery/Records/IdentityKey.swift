import CSecp256k1
import CSodium
import Primitives

/// A point of secp256k1 as a node's name: the public side of its identity.
public struct PublicKey: Hashable, Sendable {
    /// 33 bytes: 2 or 3, then x.
    public let compressed: [UInt8]
    /// keccak256(x ‖ y), the node's place on the ring.
    public let nodeID: Bytes32
    let point: CurvePoint

    /// nil unless the 33 bytes are a point of the curve.
    public init?(compressed bytes: [UInt8]) {
        guard let point = bytes.withUnsafeBytes({ CurvePoint(compressed: $0) }) else { return nil }
        self.init(point: point, compressed: bytes)
    }

    /// `bytes` is the compressed form of `point`.
    init(point: CurvePoint, compressed bytes: [UInt8]) {
        compressed = bytes
        nodeID = point.nodeID
        self.point = point
    }

    public static func == (a: PublicKey, b: PublicKey) -> Bool { a.compressed == b.compressed }
    public func hash(into hasher: inout Hasher) { hasher.combine(nodeID) }

    /// Whether `signature` (r ‖ s, 64 bytes) over `digest` is this key's. Signatures with a high s are refused.
    public func verifies(_ signature: [UInt8], digest: Bytes32) -> Bool {
        signature.withUnsafeBytes { point.verifies($0, digest: digest) }
    }
}

/// A node's secret key. Copies share one buffer, which is wiped when the last of them goes; neither printing nor
/// reflection shows it.
public struct IdentityKey: Sendable {
    private final class Secret: @unchecked Sendable {
        // Written in init only, so sharing it is safe.
        let pointer: UnsafeMutablePointer<UInt8>

        /// Copies 32 bytes.
        init(_ source: [UInt8]) {
            pointer = .allocate(capacity: 32)
            pointer.initialize(repeating: 0, count: 32)
            for (index, byte) in source.prefix(32).enumerated() { pointer[index] = byte }
        }

        deinit {
            sodium_memzero(pointer, 32)
            pointer.deallocate()
        }
    }

    private let secret: Secret
    public let publicKey: PublicKey

    /// The node id that belongs to this key.
    public var nodeID: Bytes32 { publicKey.nodeID }

    /// nil unless the 32 bytes are a number from 1 to the order of the curve − 1.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        secret = Secret(bytes)
        guard let point = CurvePoint(secret: secret.pointer) else { return nil }
        publicKey = PublicKey(point: point, compressed: point.compressed)
    }

    /// A new key. The chance that 32 random bytes are no key is 2^-128; then the next are taken.
    public init(from entropy: inout Entropy) {
        while true {
            var bytes = entropy.bytes(32)
            defer { sodium_memzero(&bytes, bytes.count) }
            if let key = IdentityKey(bytes: bytes) {
                self = key
                return
            }
        }
    }

    /// A key whose node id begins with the first `bits` bits of `prefix`, found by trying: about 2^bits keys of some
    /// 20 µs each. nil when `attempts` keys were tried in vain.
    public init?(
        idPrefix prefix: Bytes32, bits: Int, from entropy: inout Entropy, attempts: Int = 1 << 24
    ) {
        for _ in 0..<attempts {
            let key = IdentityKey(from: &entropy)
            if (key.nodeID ^ prefix).leadingZeroBitCount >= bits {
                self = key
                return
            }
        }
        return nil
    }

    /// The 32 secret bytes, for the key file only.
    public func exportSecret() -> [UInt8] { Array(UnsafeBufferPointer(start: secret.pointer, count: 32)) }

    /// r ‖ s over `digest`, 64 bytes, s low, the nonce by RFC 6979.
    public func sign(_ digest: Bytes32) -> [UInt8] {
        var signature = secp256k1_ecdsa_signature()
        return [UInt8](unsafeUninitializedCapacity: 64) { compact, count in
            guard let target = compact.baseAddress else { return }
            count = 64
            _ = withBytes(of: digest) { message in
                Curve.run { context in
                    _ = secp256k1_ecdsa_sign(
                        context, &signature, message, secret.pointer, SignatureNonce.function, nil)
                    return secp256k1_ecdsa_signature_serialize_compact(context, target, &signature)
                }
            }
        }
    }

    /// The product of `point` and this key as a compressed point, 33 bytes: the shared secret of discv5.
    public func sharedSecret(with point: PublicKey) -> [UInt8]? { sharedSecret(with: point.point) }

    /// The same with a point that names nobody.
    func sharedSecret(with point: CurvePoint) -> [UInt8]? { point.product(withSecret: secret.pointer) }
}

extension IdentityKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the node, never the secret.
    public var description: String { "IdentityKey(node \(nodeID.short))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["nodeID": nodeID]) }
}
