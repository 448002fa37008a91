import CSecp256k1
import CSodium
import Primitives

/// The library's signing context, made once. It is only read afterwards, which the library allows from any thread.
enum Curve {
    struct Context: @unchecked Sendable { let pointer: OpaquePointer? }
    static let context = Context(pointer: secp256k1_context_create(UInt32(SECP256K1_CONTEXT_NONE)))

    /// Runs `body` with the context. The library aborts the process when memory for a context is missing; it never
    /// returns none.
    @inline(__always)
    static func run<Result>(_ body: (OpaquePointer) -> Result) -> Result? { context.pointer.map(body) }
}

/// A point of secp256k1 in compressed form: the public side of a node's identity.
public struct PublicKey: Hashable, Sendable {
    /// 33 bytes: 2 or 3, then x.
    public let compressed: [UInt8]
    /// keccak256(x ‖ y), the node's place on the ring.
    public let nodeID: Bytes32
    /// The same point as the library calculates with it: reading the compressed form takes a square root.
    fileprivate let point: secp256k1_pubkey

    /// nil unless the 33 bytes are a point of the curve.
    public init?(compressed bytes: [UInt8]) {
        guard bytes.count == 33, var point = PublicKey.parse(bytes) else { return nil }
        compressed = bytes
        nodeID = PublicKey.nodeID(&point)
        self.point = point
    }

    fileprivate init(point: inout secp256k1_pubkey) {
        compressed = PublicKey.serialize(&point, compressed: true)
        nodeID = PublicKey.nodeID(&point)
        self.point = point
    }

    public static func == (a: PublicKey, b: PublicKey) -> Bool { a.compressed == b.compressed }
    public func hash(into hasher: inout Hasher) { hasher.combine(nodeID) }

    static func parse(_ bytes: [UInt8]) -> secp256k1_pubkey? {
        var point = secp256k1_pubkey()
        let read = Curve.run { secp256k1_ec_pubkey_parse($0, &point, bytes, bytes.count) }
        return read == 1 ? point : nil
    }

    private static func serialize(_ point: inout secp256k1_pubkey, compressed: Bool) -> [UInt8] {
        var size = compressed ? 33 : 65
        var bytes = [UInt8](repeating: 0, count: size)
        let flags = UInt32(compressed ? SECP256K1_EC_COMPRESSED : SECP256K1_EC_UNCOMPRESSED)
        _ = Curve.run { secp256k1_ec_pubkey_serialize($0, &bytes, &size, &point, flags) }
        return bytes
    }

    private static func nodeID(_ point: inout secp256k1_pubkey) -> Bytes32 {
        let bytes = serialize(&point, compressed: false)
        return bytes.withUnsafeBytes { Keccak.hash(UnsafeRawBufferPointer(rebasing: $0[1...])) }
    }

    /// Whether `signature` (r ‖ s, 64 bytes) over `digest` is this key's. Signatures with a high s are refused.
    public func verifies(_ signature: [UInt8], digest: Bytes32) -> Bool {
        guard signature.count == 64 else { return false }
        var point = point
        var parsed = secp256k1_ecdsa_signature()
        let message = digest.bytes
        let valid = Curve.run { context in
            secp256k1_ecdsa_signature_parse_compact(context, &parsed, signature) == 1
                && secp256k1_ecdsa_verify(context, &parsed, message, &point) == 1
        }
        return valid ?? false
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
        var point = secp256k1_pubkey()
        guard Curve.run({ secp256k1_ec_pubkey_create($0, &point, bytes) }) == 1 else { return nil }
        secret = Secret(bytes)
        publicKey = PublicKey(point: &point)
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
        var compact = [UInt8](repeating: 0, count: 64)
        let message = digest.bytes
        _ = Curve.run { context in
            _ = secp256k1_ecdsa_sign(context, &signature, message, secret.pointer, nil, nil)
            return secp256k1_ecdsa_signature_serialize_compact(context, &compact, &signature)
        }
        return compact
    }

    /// The product of `point` and this key as a compressed point, 33 bytes: the shared secret of discv5.
    public func sharedSecret(with point: PublicKey) -> [UInt8]? {
        var parsed = point.point
        var result = [UInt8](repeating: 0, count: 33)
        // The library hashes the point unless told what else to do with it.
        let compress: secp256k1_ecdh_hash_function = { output, x, y, _ in
            guard let output, let x, let y else { return 0 }
            output[0] = 2 | (y[31] & 1)
            output.advanced(by: 1).update(from: x, count: 32)
            return 1
        }
        let done = Curve.run { secp256k1_ecdh($0, &result, &parsed, secret.pointer, compress, nil) }
        return done == 1 ? result : nil
    }
}

extension IdentityKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the node, never the secret.
    public var description: String { "IdentityKey(node \(nodeID.short))" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["nodeID": nodeID]) }
}
