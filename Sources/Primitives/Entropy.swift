import CSodium

/// Random bytes for pure machines: a ChaCha20 key stream from a seed that the shell draws once from the system and the
/// simulation from its own. The same seed gives the same bytes, so a run replays; without the seed they are
/// unpredictable, so nonces and ephemeral keys may come from here.
public struct Entropy: Sendable {
    private let key: Bytes32
    private var counter: UInt64 = 0

    public init(seed: Bytes32) { key = seed }

    /// The next `count` bytes. Each call uses a nonce of its own; the streams never overlap.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        let nonce = withUnsafeBytes(of: counter.littleEndian) { Array($0) }
        counter += 1
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            // The key stream is defined for every length; the function only reports 0.
            if let target = buffer.baseAddress { _ = crypto_stream_chacha20(target, UInt64(count), nonce, key.bytes) }
            written = count
        }
    }

    /// The next 32 bytes.
    public mutating func bytes32() -> Bytes32 {
        Bytes32(bytes(32)) ?? .zero
    }

    /// A generator for choices that need no secrecy (which bucket to check, which peer to try).
    public mutating func generator() -> SeededGenerator {
        SeededGenerator(seed: bytes32().word0)
    }
}

/// SplitMix64: small, fast and reproducible. For shuffles, samples and tests; never for keys.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z &>> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z &>> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z &>> 31)
    }
}
