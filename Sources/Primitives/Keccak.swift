import CKeccak

/// Keccak-256 as Ethereum uses it (padding 0x01).
public enum Keccak {
    /// The hash of `bytes`.
    public static func hash(_ bytes: [UInt8]) -> Bytes32 {
        bytes.withUnsafeBytes { hash($0) }
    }

    /// The hash of the bytes in `buffer`.
    public static func hash(_ buffer: UnsafeRawBufferPointer) -> Bytes32 {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { output in
            guard let target = output.baseAddress else { return .zero }
            ckeccak_256(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), buffer.count,
                        target.assumingMemoryBound(to: UInt8.self))
            return Bytes32(loading: target)
        }
    }

    /// Hash of no bytes: the code hash of an account without code.
    public static let empty = hash([UInt8]())
}
