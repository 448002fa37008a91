import CSodium

/// SHA-256, the hash of SSZ's Merkle trees and of discv5's id signatures.
public enum SHA256 {
    /// The hash of `bytes`.
    public static func hash(_ bytes: [UInt8]) -> Bytes32 {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { output in
            guard let target = output.baseAddress else { return .zero }
            // Defined for every length; the function only reports 0.
            _ = crypto_hash_sha256(target, bytes, UInt64(bytes.count))
            return Bytes32(loading: UnsafeRawPointer(target))
        }
    }

    /// The hash of two hashes one after the other.
    public static func hash(_ left: Bytes32, _ right: Bytes32) -> Bytes32 {
        withUnsafeTemporaryAllocation(byteCount: 96, alignment: 8) { scratch in
            guard let base = scratch.baseAddress else { return .zero }
            left.store(to: base)
            right.store(to: base + 32)
            let input = base.assumingMemoryBound(to: UInt8.self)
            _ = crypto_hash_sha256(input + 64, input, 64)
            return Bytes32(loading: base + 64)
        }
    }
}

extension SHA256 {
    /// The hash of bytes that come piece by piece.
    public struct Stream: Sendable {
        private var state = crypto_hash_sha256_state()

        /// Of no bytes yet.
        public init() { _ = crypto_hash_sha256_init(&state) }

        /// Takes the next piece.
        public mutating func add(_ bytes: UnsafeRawBufferPointer) {
            guard let start = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
            _ = crypto_hash_sha256_update(&state, start, UInt64(bytes.count))
        }

        /// The hash of all that was taken; the next piece begins another.
        public mutating func finish() -> Bytes32 {
            defer { self = Stream() }
            var digest = [UInt8](repeating: 0, count: 32)
            _ = crypto_hash_sha256_final(&state, &digest)
            return Bytes32(digest) ?? .zero
        }
    }
}
