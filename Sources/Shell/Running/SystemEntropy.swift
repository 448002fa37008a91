import CSodium
import Primitives

/// Random seeds of the system, for everything pure that needs one.
public enum SystemEntropy {
    /// 32 unpredictable bytes.
    public static func seed() -> Bytes32 {
        var bytes = [UInt8](repeating: 0, count: 32)
        randombytes_buf(&bytes, bytes.count)
        return Bytes32(bytes) ?? .zero
    }

    /// A generator of its own, from a new seed.
    public static func make() -> Entropy { Entropy(seed: seed()) }
}
