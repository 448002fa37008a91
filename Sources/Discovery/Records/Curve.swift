import CSecp256k1
import CSodium
import Primitives

/// The library's context, made once. It is only read afterwards, which the library allows from any thread.
enum Curve {
    struct Context: @unchecked Sendable { let pointer: OpaquePointer? }
    static let context = Context(pointer: secp256k1_context_create(UInt32(SECP256K1_CONTEXT_NONE)))

    /// Runs `body` with the context. The library aborts the process when memory for a context is missing; it never
    /// returns none.
    @inline(__always)
    static func run<Result>(_ body: (OpaquePointer) -> Result) -> Result? { context.pointer.map(body) }
}

/// A point of secp256k1 as the library calculates with it. Reading the compressed form takes a square root, so nobody
/// who holds one of these reads it again.
struct CurvePoint: Sendable {
    /// Bytes of the compressed form: 2 or 3, then x.
    static let compressedSize = 33

    private var raw: secp256k1_pubkey

    private init(raw: secp256k1_pubkey) { self.raw = raw }

    /// nil unless the bytes are a point in compressed form.
    init?(compressed bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.bindMemory(to: UInt8.self).baseAddress else { return nil }
        var raw = secp256k1_pubkey()
        let read =
            bytes.count == CurvePoint.compressedSize
            ? Curve.run { secp256k1_ec_pubkey_parse($0, &raw, base, bytes.count) } : 0
        guard read == 1 else { return nil }
        self.raw = raw
    }

    /// The point of a secret of 32 bytes; nil where those are no key.
    init?(secret: UnsafePointer<UInt8>) {
        var raw = secp256k1_pubkey()
        guard Curve.run({ secp256k1_ec_pubkey_create($0, &raw, secret) }) == 1 else { return nil }
        self.raw = raw
    }

    /// The compressed form, 33 bytes.
    var compressed: [UInt8] {
        var raw = raw
        return [UInt8](unsafeUninitializedCapacity: CurvePoint.compressedSize) { buffer, count in
            guard let target = buffer.baseAddress else { return }
            count = CurvePoint.compressedSize
            _ = Curve.run {
                secp256k1_ec_pubkey_serialize($0, target, &count, &raw, UInt32(SECP256K1_EC_COMPRESSED))
            }
        }
    }

    /// keccak256(x ‖ y).
    var nodeID: Bytes32 {
        var raw = raw
        return withUnsafeTemporaryAllocation(byteCount: 65, alignment: 8) { buffer in
            guard let target = buffer.bindMemory(to: UInt8.self).baseAddress else { return .zero }
            var count = buffer.count
            _ = Curve.run {
                secp256k1_ec_pubkey_serialize($0, target, &count, &raw, UInt32(SECP256K1_EC_UNCOMPRESSED))
            }
            return Keccak.hash(UnsafeRawBufferPointer(rebasing: buffer[1...]))
        }
    }

    /// Whether `signature` (r ‖ s, 64 bytes) over `digest` is this key's. Signatures with a high s are refused.
    func verifies(_ signature: UnsafeRawBufferPointer, digest: Bytes32) -> Bool {
        guard signature.count == 64, let compact = signature.bindMemory(to: UInt8.self).baseAddress else {
            return false
        }
        var raw = raw
        var parsed = secp256k1_ecdsa_signature()
        let valid = withBytes(of: digest) { message in
            Curve.run { context in
                secp256k1_ecdsa_signature_parse_compact(context, &parsed, compact) == 1
                    && secp256k1_ecdsa_verify(context, &parsed, message, &raw) == 1
            }
        }
        return valid ?? false
    }

    /// The product of this point and a secret in compressed form, in a time that says nothing of the secret.
    func product(withSecret secret: UnsafePointer<UInt8>) -> [UInt8]? {
        var raw = raw
        // The library hashes the point unless told what else to do with it.
        let compress: secp256k1_ecdh_hash_function = { output, x, y, _ in
            guard let output, let x, let y else { return 0 }
            output[0] = 2 | (y[31] & 1)
            output.advanced(by: 1).update(from: x, count: 32)
            return 1
        }
        var done: Int32?
        let result = [UInt8](unsafeUninitializedCapacity: CurvePoint.compressedSize) { buffer, count in
            guard let target = buffer.baseAddress else { return }
            done = Curve.run { secp256k1_ecdh($0, target, &raw, secret, compress, nil) }
            count = done == 1 ? CurvePoint.compressedSize : 0
        }
        return done == 1 ? result : nil
    }

    /// The same in a time that depends on the secret: see `OneTimeKey`, the only one to use it.
    fileprivate func product(withOneTimeSecret secret: UnsafePointer<UInt8>) -> [UInt8]? {
        var raw = raw
        defer { withUnsafeMutableBytes(of: &raw) { sodium_memzero($0.baseAddress, $0.count) } }
        guard Curve.run({ secp256k1_ec_pubkey_tweak_mul($0, &raw, secret) }) == 1 else { return nil }
        return CurvePoint(raw: raw).compressed
    }
}

/// Lends the 32 bytes of a number.
func withBytes<Result>(of value: Bytes32, _ body: (UnsafePointer<UInt8>) -> Result?) -> Result? {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { buffer in
        guard let base = buffer.baseAddress else { return nil }
        value.store(to: base)
        return body(base.assumingMemoryBound(to: UInt8.self))
    }
}

/// The initiator's secret of one handshake: made, multiplied once, wiped. That it is used once is in its type.
///
/// Its one multiplication with a point from outside takes a time that depends on it, a fifth less than the even one.
/// That is safe because it is the only one: an observer of times gets a single number, blurred by all else that goes
/// into the packet, and averages of many are what such attacks are made of. The next handshake has another secret, and
/// a session's keys are worth nothing to the next session. (Who can watch this machine's caches from inside it may
/// learn more from one time: the keys of that one session.) The node's own key, whose every use would add to one sum,
/// is multiplied evenly (`IdentityKey`), and so is this one's public point, since that is made from the generator.
struct OneTimeKey: ~Copyable {
    private let secret: UnsafeMutablePointer<UInt8>
    /// The public side, 33 bytes.
    let point: [UInt8]

    /// A new one. The chance that 32 random bytes are no key is 2^-128; then the next are taken.
    init(from entropy: inout Entropy) {
        secret = .allocate(capacity: 32)
        while true {
            var bytes = entropy.bytes(32)
            defer { sodium_memzero(&bytes, bytes.count) }
            secret.initialize(from: bytes, count: 32)
            if let point = CurvePoint(secret: secret) {
                self.point = point.compressed
                return
            }
        }
    }

    deinit {
        sodium_memzero(secret, 32)
        secret.deallocate()
    }

    /// The product of `other` and this key as a compressed point, 33 bytes: the shared secret of discv5.
    consuming func sharedSecret(with other: PublicKey) -> [UInt8]? { other.point.product(withOneTimeSecret: secret) }
}

/// The nonces of signatures by RFC 6979: the library's own bit for bit, with hashes a fifth as dear.
enum SignatureNonce {
    static let function: secp256k1_nonce_function = { target, message, key, _, _, attempt in
        guard let target, let message, let key else { return 0 }
        return withUnsafeTemporaryAllocation(byteCount: 32 + 1 + 64 + 32, alignment: 8) { scratch in
            // 0 ends the signing: whatever `target` holds is no nonce.
            guard let value = scratch.baseAddress else { return 0 }
            defer { sodium_memzero(value, scratch.count) }
            derive(value, message: message, key: key, attempt: attempt)
            UnsafeMutableRawPointer(target).copyMemory(from: value, byteCount: 32)
            return 1
        }
    }

    /// RFC 6979, 3.2 b to h, in `value`: V (32) ‖ a tag (1) ‖ key (32) ‖ message (32) ‖ K (32), V being the result.
    private static func derive(
        _ value: UnsafeMutableRawPointer, message: UnsafePointer<UInt8>, key: UnsafePointer<UInt8>, attempt: UInt32
    ) {
        let tag = value + 32
        let chainKey = value + 97
        let digester = Digester()
        value.initializeMemory(as: UInt8.self, repeating: 1, count: 32)
        (tag + 1).copyMemory(from: key, byteCount: 32)
        reduced(Bytes32(loading: message)).store(to: tag + 33)
        chainKey.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
        for round: UInt8 in 0...1 {
            tag.storeBytes(of: round, as: UInt8.self)
            digester.authenticate(key: chainKey, count: 32, to: chainKey) { digester.add(value, count: 97) }
            digester.authenticate(key: chainKey, count: 32, to: value) { digester.add(value, count: 32) }
        }
        digester.authenticate(key: chainKey, count: 32, to: value) { digester.add(value, count: 32) }
        // A nonce that is no number of the curve's order: 2^-128 a time.
        tag.storeBytes(of: 0, as: UInt8.self)
        for _ in 0..<attempt {
            digester.authenticate(key: chainKey, count: 32, to: chainKey) { digester.add(value, count: 33) }
            digester.authenticate(key: chainKey, count: 32, to: value) { digester.add(value, count: 32) }
            digester.authenticate(key: chainKey, count: 32, to: value) { digester.add(value, count: 32) }
        }
    }

    /// A message modulo the curve's order (bits2octets): one in 2^128 is not below it, and none is twice as large.
    private static func reduced(_ message: Bytes32) -> Bytes32 {
        let order = Bytes32(
            0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_fffe, 0xbaae_dce6_af48_a03b, 0xbfd2_5e8c_d036_4141)
        guard message >= order else { return message }
        let (word3, borrow3) = message.word3.subtractingReportingOverflow(order.word3)
        let (word2, borrow2) = message.word2.subtractingReportingOverflow(order.word2)
        let lower = word2.subtractingReportingOverflow(borrow3 ? 1 : 0)
        // The order's upper word is full, so the message's is the same.
        let word1 = message.word1 &- order.word1 &- (borrow2 || lower.overflow ? 1 : 0)
        return Bytes32(0, word1, lower.partialValue, word3)
    }
}
