import CCrypto

/// libcrypto's ciphers, looked up once: asking for one by name takes longer than setting a key. They are only read.
private struct Algorithm: @unchecked Sendable {
    let pointer: OpaquePointer?

    static let blocks = Algorithm(pointer: EVP_CIPHER_fetch(nil, "AES-128-ECB", nil))
    static let messages = Algorithm(pointer: EVP_CIPHER_fetch(nil, "AES-128-GCM", nil))
}

/// One libcrypto context with its key set. It keeps the key schedule, which costs more than sealing a small packet.
///
/// A context is scratch memory: every operation begins by setting the nonce. The value types below duplicate it before
/// use when another copy of them shares it, so that copies of a machine never meet in one; hence `@unchecked Sendable`.
private final class CipherContext: @unchecked Sendable {
    let pointer: OpaquePointer?

    /// `key` holds 16 bytes.
    init(_ algorithm: Algorithm, key: UnsafePointer<UInt8>, encrypts: Bool) {
        pointer = EVP_CIPHER_CTX_new()
        _ = EVP_CipherInit_ex(pointer, algorithm.pointer, nil, key, nil, encrypts ? 1 : 0)
        // Whole blocks come in and go out; streams have no padding anyway.
        _ = EVP_CIPHER_CTX_set_padding(pointer, 0)
    }

    init(copying other: CipherContext) {
        pointer = EVP_CIPHER_CTX_new()
        _ = EVP_CIPHER_CTX_copy(pointer, other.pointer)
    }

    deinit { EVP_CIPHER_CTX_free(pointer) }
}

/// AES-128-CTR over packet headers; masking and unmasking are the same operation.
///
/// The key stream is made here from the block cipher: libcrypto's own counter mode must be told the IV anew for each
/// packet, which takes longer than the blocks of a header.
struct MaskCipher: Sendable {
    /// Bytes of key stream made at once: those of an ordinary packet's header, 55, in whole blocks.
    private static let streamSize = 64

    private var context: CipherContext
    private var stream: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    /// Bytes of `stream` used.
    private var used = MaskCipher.streamSize
    /// The counter of the next block: 16 bytes, big endian.
    private var high: UInt64 = 0
    private var low: UInt64 = 0

    /// `key` is the first half of the destination's node id, 16 bytes.
    init(key: UnsafePointer<UInt8>) { context = CipherContext(.blocks, key: key, encrypts: true) }

    /// Starts the key stream at the 16 bytes of `iv`.
    mutating func begin(iv: UnsafeRawPointer) -> Bool {
        if !isKnownUniquelyReferenced(&context) { context = CipherContext(copying: context) }
        high = UInt64(bigEndian: iv.loadUnaligned(as: UInt64.self))
        low = UInt64(bigEndian: iv.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        return refill()
    }

    /// Makes the next four blocks of the key stream.
    private mutating func refill() -> Bool {
        stream.0 = high.bigEndian
        stream.1 = low.bigEndian
        count()
        stream.2 = high.bigEndian
        stream.3 = low.bigEndian
        count()
        stream.4 = high.bigEndian
        stream.5 = low.bigEndian
        count()
        stream.6 = high.bigEndian
        stream.7 = low.bigEndian
        count()
        used = 0
        let pointer = context.pointer
        return withUnsafeMutableBytes(of: &stream) { buffer in
            let bytes = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            var written: Int32 = 0
            return EVP_EncryptUpdate(pointer, bytes, &written, bytes, Int32(MaskCipher.streamSize)) == 1
        }
    }

    private mutating func count() {
        low &+= 1
        if low == 0 { high &+= 1 }
    }

    /// Takes `count` more bytes through the key stream, in place.
    mutating func apply(_ bytes: UnsafeMutableRawPointer, count: Int) -> Bool {
        var position = 0
        while position < count {
            if used == MaskCipher.streamSize, !refill() { return false }
            let length = min(count - position, MaskCipher.streamSize - used)
            let first = used
            withUnsafeBytes(of: &stream) { key in
                MaskCipher.combine(bytes + position, with: key, from: first, count: length)
            }
            used += length
            position += length
        }
        return true
    }

    private static func combine(
        _ target: UnsafeMutableRawPointer, with key: UnsafeRawBufferPointer, from first: Int, count: Int
    ) {
        var index = 0
        while index &+ 8 <= count {
            let word = target.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let mask = key.loadUnaligned(fromByteOffset: first &+ index, as: UInt64.self)
            target.storeBytes(of: word ^ mask, toByteOffset: index, as: UInt64.self)
            index &+= 8
        }
        while index < count {
            let byte = target.load(fromByteOffset: index, as: UInt8.self)
            target.storeBytes(of: byte ^ key[first &+ index], toByteOffset: index, as: UInt8.self)
            index &+= 1
        }
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
        context = CipherContext(.messages, key: key, encrypts: encrypts)
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
