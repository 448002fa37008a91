import CCrypto
import CSodium

/// One libcrypto context with its key set. It keeps the key schedule, which costs more than sealing a small packet.
///
/// A context is scratch memory: every operation begins by setting the nonce. The value types below duplicate it before
/// use when another copy of them shares it, so that copies of a machine never meet in one; hence `@unchecked Sendable`.
private final class CipherContext: @unchecked Sendable {
    let pointer: OpaquePointer?

    /// `cipher` is libcrypto's table for the algorithm, `key` its 16 bytes.
    init(_ cipher: OpaquePointer?, key: UnsafePointer<UInt8>, encrypts: Bool) {
        pointer = EVP_CIPHER_CTX_new()
        _ = EVP_CipherInit_ex(pointer, cipher, nil, key, nil, encrypts ? 1 : 0)
    }

    init(copying other: CipherContext) {
        pointer = EVP_CIPHER_CTX_new()
        _ = EVP_CIPHER_CTX_copy(pointer, other.pointer)
    }

    deinit { EVP_CIPHER_CTX_free(pointer) }
}

/// AES-128-CTR over packet headers; masking and unmasking are the same operation.
struct MaskCipher: Sendable {
    private var context: CipherContext

    /// `key` is the first half of the destination's node id, 16 bytes.
    init(key: UnsafePointer<UInt8>) { context = CipherContext(EVP_aes_128_ctr(), key: key, encrypts: true) }

    /// Starts the key stream at the 16 bytes of `iv`.
    mutating func begin(iv: UnsafeRawPointer) -> Bool {
        if !isKnownUniquelyReferenced(&context) { context = CipherContext(copying: context) }
        return EVP_EncryptInit_ex(context.pointer, nil, nil, nil, iv.assumingMemoryBound(to: UInt8.self)) == 1
    }

    /// Takes `count` more bytes through the key stream, in place.
    mutating func apply(_ bytes: UnsafeMutableRawPointer, count: Int) -> Bool {
        var written: Int32 = 0
        let target = bytes.assumingMemoryBound(to: UInt8.self)
        return EVP_EncryptUpdate(context.pointer, target, &written, target, Int32(count)) == 1
    }
}

/// AES-128-GCM under one key in one direction.
struct MessageCipher: Sendable {
    /// Bytes of the tag after the ciphertext.
    static let tagSize = 16

    private var context: CipherContext
    private let encrypts: Bool

    /// `key` holds 16 bytes.
    init(key: [UInt8], encrypts: Bool) {
        self.encrypts = encrypts
        context = CipherContext(EVP_aes_128_gcm(), key: key, encrypts: encrypts)
    }

    private mutating func begin(nonce: UnsafeRawPointer, data: UnsafeRawBufferPointer) -> Bool {
        if !isKnownUniquelyReferenced(&context) { context = CipherContext(copying: context) }
        var written: Int32 = 0
        return EVP_CipherInit_ex(
            context.pointer, nil, nil, nil, nonce.assumingMemoryBound(to: UInt8.self), encrypts ? 1 : 0) == 1
            && EVP_CipherUpdate(
                context.pointer, nil, &written, data.baseAddress?.assumingMemoryBound(to: UInt8.self),
                Int32(data.count)) == 1
    }

    /// Encrypts `count` bytes in place and writes the tag after them. `nonce` is 12 bytes.
    mutating func seal(
        _ message: UnsafeMutableRawPointer, count: Int, nonce: UnsafeRawPointer, data: UnsafeRawBufferPointer
    ) -> Bool {
        let bytes = message.assumingMemoryBound(to: UInt8.self)
        var written: Int32 = 0
        return begin(nonce: nonce, data: data)
            && EVP_EncryptUpdate(context.pointer, bytes, &written, bytes, Int32(count)) == 1
            && EVP_EncryptFinal_ex(context.pointer, bytes + count, &written) == 1
            && EVP_CIPHER_CTX_ctrl(
                context.pointer, EVP_CTRL_AEAD_GET_TAG, Int32(MessageCipher.tagSize), bytes + count) == 1
    }

    /// Decrypts `source` (ciphertext and tag) to `target`, which has room for the ciphertext and may be `source` itself
    /// only if a failure may destroy it. False when the tag is wrong.
    mutating func open(
        _ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer, nonce: UnsafeRawPointer,
        data: UnsafeRawBufferPointer
    ) -> Bool {
        let count = source.count - MessageCipher.tagSize
        guard count >= 0, let base = source.baseAddress else { return false }
        let output = target.assumingMemoryBound(to: UInt8.self)
        let tag = UnsafeMutableRawPointer(mutating: base + count)
        var written: Int32 = 0
        return begin(nonce: nonce, data: data)
            && EVP_DecryptUpdate(
                context.pointer, output, &written, base.assumingMemoryBound(to: UInt8.self), Int32(count)) == 1
            && EVP_CIPHER_CTX_ctrl(context.pointer, EVP_CTRL_AEAD_SET_TAG, Int32(MessageCipher.tagSize), tag) == 1
            && EVP_DecryptFinal_ex(context.pointer, output + count, &written) == 1
    }
}
