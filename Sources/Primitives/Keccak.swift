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

    /// The hashes of many runs of bytes of one buffer, in the order of `ranges`, appended to `output`. One call for a
    /// batch, so that kernels that hash several runs at once can stand behind it. Every range must lie in the buffer.
    public static func hash(
        _ buffer: UnsafeRawBufferPointer, ranges: some Collection<Range<Int>>, into output: inout [Bytes32]
    ) {
        let count = ranges.count
        guard count > 0 else { return }
        withUnsafeTemporaryAllocation(of: ckeccak_range.self, capacity: count) { runs in
            var filled = 0
            for range in ranges {
                precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "runs lie in the buffer")
                runs.initializeElement(at: filled, to: ckeccak_range(offset: range.lowerBound, length: range.count))
                filled += 1
            }
            withUnsafeTemporaryAllocation(byteCount: 32 * count, alignment: 8) { digests in
                guard let target = digests.baseAddress else { return }
                ckeccak_256_ranges(
                    buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), runs.baseAddress, filled,
                    target.assumingMemoryBound(to: UInt8.self))
                output.reserveCapacity(output.count + filled)
                for index in 0..<filled { output.append(Bytes32(loading: target + 32 * index)) }
            }
        }
    }

    /// The hashes of many runs of bytes of `bytes`, in the order of `ranges`.
    public static func hash(_ bytes: [UInt8], ranges: some Collection<Range<Int>>) -> [Bytes32] {
        var output: [Bytes32] = []
        bytes.withUnsafeBytes { hash($0, ranges: ranges, into: &output) }
        return output
    }

    /// Hash of no bytes: the code hash of an account without code.
    public static let empty = hash([UInt8]())
}
