import CCrypto
import CSodium
import Primitives

/// SHA-256 and HMAC by libcrypto, which uses the machine's own instructions for them: a fifth of what portable code
/// takes. One context serves hash after hash; it is wiped when the value goes.
///
/// A library without SHA-256, or memory for it, ends the process: a hash that was not made, taken for one that was,
/// would give away the key that signs with it.
struct Digester: ~Copyable {
    private struct Algorithm: @unchecked Sendable { let pointer: OpaquePointer? }
    // Looked up once: asking for it by name takes longer than a hash. It is only read.
    private static let algorithm = Algorithm(pointer: EVP_MD_fetch(nil, "SHA256", nil))

    static let size = 32
    private static let blockSize = 64

    private let context: OpaquePointer?

    init() { context = EVP_MD_CTX_new() }

    deinit { EVP_MD_CTX_free(context) }

    /// Begins a hash; what was added to one not finished is forgotten.
    func begin() { Digester.require(EVP_DigestInit_ex2(context, Digester.algorithm.pointer, nil)) }

    /// Adds bytes to the hash.
    func add(_ bytes: UnsafeRawPointer, count: Int) { Digester.require(EVP_DigestUpdate(context, bytes, count)) }

    /// The same.
    func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { if let base = $0.baseAddress { add(base, count: $0.count) } } }

    /// The same.
    func add(_ value: Bytes32) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            guard let base = scratch.baseAddress else { return }
            value.store(to: base)
            add(base, count: 32)
        }
    }

    /// Writes the 32 bytes of the hash.
    func finish(to target: UnsafeMutableRawPointer) {
        Digester.require(EVP_DigestFinal_ex(context, target.assumingMemoryBound(to: UInt8.self), nil))
    }

    private static func require(_ result: Int32) { precondition(result == 1, "libcrypto has SHA-256") }

    /// The hash.
    func finish() -> Bytes32 {
        withUnsafeTemporaryAllocation(byteCount: Digester.size, alignment: 8) { scratch in
            guard let base = scratch.baseAddress else { return .zero }
            finish(to: base)
            return Bytes32(loading: base)
        }
    }

    /// Writes to `target` the HMAC of what `message` adds under `count` bytes of `key`. `target` may be the key, or lie
    /// in the message.
    func authenticate(
        key: UnsafeRawPointer, count: Int, to target: UnsafeMutableRawPointer, _ message: () -> Void
    ) {
        withUnsafeTemporaryAllocation(byteCount: Digester.blockSize + Digester.size, alignment: 8) { scratch in
            guard let pad = scratch.baseAddress else { return Digester.require(0) }
            let inner = pad + Digester.blockSize
            defer { sodium_memzero(pad, scratch.count) }
            pad.initializeMemory(as: UInt8.self, repeating: 0, count: Digester.blockSize)
            if count <= Digester.blockSize {
                pad.copyMemory(from: key, byteCount: count)
            } else {
                begin()
                add(key, count: count)
                finish(to: pad)
            }
            Digester.flip(pad, 0x3636_3636_3636_3636)
            begin()
            add(pad, count: Digester.blockSize)
            message()
            finish(to: inner)
            Digester.flip(pad, 0x3636_3636_3636_3636 ^ 0x5c5c_5c5c_5c5c_5c5c)
            begin()
            add(pad, count: Digester.blockSize)
            add(inner, count: Digester.size)
            finish(to: target)
        }
    }

    private static func flip(_ block: UnsafeMutableRawPointer, _ mask: UInt64) {
        for offset in stride(from: 0, to: blockSize, by: 8) {
            block.storeBytes(
                of: block.load(fromByteOffset: offset, as: UInt64.self) ^ mask, toByteOffset: offset,
                as: UInt64.self)
        }
    }
}
