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
            ckeccak_256(
                buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), buffer.count,
                target.assumingMemoryBound(to: UInt8.self))
            return Bytes32(loading: target)
        }
    }

    /// Hash of no bytes: the code hash of an account without code.
    public static let empty = Bytes32(
        0xc5d2_4601_86f7_233c, 0x927e_7db2_dcc7_03c0, 0xe500_b653_ca82_273b, 0x7bfa_d804_5d85_a470)
}

// Batches. Messages are hashed side by side, four or eight at a time where the machine can; whichever of them ends, the
// next takes its place, so lengths may be mixed. One alone gains nothing.
extension Keccak {
    /// A way to hash a batch. All give the same digests.
    public enum Kernel: UInt32, CaseIterable, Sendable {
        /// One message after the other.
        case scalar = 0
        /// Four at a time.
        case avx2 = 1
        /// Eight at a time.
        case avx512 = 2

        private var inC: ckeccak_kernel { ckeccak_kernel(rawValue: rawValue) }

        /// Whether this machine can run it.
        public var isAvailable: Bool { ckeccak_has(inC) != 0 }

        /// The one in use: the widest the machine has, unless `use` said otherwise.
        public static var current: Kernel { Kernel(rawValue: ckeccak_current().rawValue) ?? .scalar }

        /// Lets the whole process use this one from now on; false where the machine cannot run it. For measurements.
        @discardableResult
        public func use() -> Bool { ckeccak_use(inC) != 0 }

        fileprivate func hash(
            _ buffer: UnsafeRawPointer?, _ runs: UnsafeBufferPointer<Run>, _ output: UnsafeMutableRawPointer
        ) {
            guard let first = runs.baseAddress else { return }
            // `Run` is laid out as the C structure is: the test of mixed batches would not pass otherwise.
            first.withMemoryRebound(to: ckeccak_run.self, capacity: runs.count) { runs_ in
                ckeccak_256_runs_with(
                    inC, buffer?.assumingMemoryBound(to: UInt8.self), runs_, runs.count,
                    output.assumingMemoryBound(to: UInt8.self))
            }
        }
    }

    /// A run of bytes of a buffer, and where its digest belongs. All in bytes.
    public struct Run: Sendable {
        /// Where it begins.
        public var offset: Int
        /// How long it is.
        public var length: UInt32
        /// Where in the output the 32 bytes of the digest are written; no alignment is needed.
        public var target: UInt32

        /// A run.
        @inlinable
        public init(offset: Int, length: Int, target: Int) {
            self.offset = offset
            self.length = UInt32(truncatingIfNeeded: length)
            self.target = UInt32(truncatingIfNeeded: target)
        }
    }

    /// The hashes of many runs of the bytes at `buffer`, each written at its target in `output`: without a copy and
    /// without an allocation. That every run lies in the buffer and every digest in the output is for the caller to
    /// see to.
    public static func hash(
        _ buffer: UnsafeRawPointer, runs: UnsafeBufferPointer<Run>, into output: UnsafeMutableRawPointer
    ) {
        Kernel.current.hash(buffer, runs, output)
    }

    /// The hashes of many runs of bytes of one buffer, in the order of `ranges`, appended to `output`. Every range must
    /// lie in the buffer.
    public static func hash(
        _ buffer: UnsafeRawBufferPointer, ranges: [Range<Int>], into output: inout [Bytes32],
        kernel: Kernel = .current
    ) {
        let count = ranges.count
        guard count > 0 else { return }
        precondition(kernel.isAvailable, "a kernel that the machine can run")
        withUnsafeTemporaryAllocation(of: Run.self, capacity: count) { runs in
            var filled = 0
            for range in ranges {
                precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "runs lie in the buffer")
                precondition(range.count <= UInt32.max, "a run is no longer than its field can say")
                runs.initializeElement(
                    at: filled, to: Run(offset: range.lowerBound, length: range.count, target: 32 * filled))
                filled += 1
            }
            withUnsafeTemporaryAllocation(byteCount: 32 * count, alignment: 8) { digests in
                guard let target = digests.baseAddress else { return }
                kernel.hash(buffer.baseAddress, UnsafeBufferPointer(runs), target)
                output.reserveCapacity(output.count + filled)
                for index in 0..<filled { output.append(Bytes32(loading: target + 32 * index)) }
            }
        }
    }

    /// The hashes of many runs of bytes of `bytes`, in the order of `ranges`.
    public static func hash(_ bytes: [UInt8], ranges: [Range<Int>]) -> [Bytes32] {
        var output: [Bytes32] = []
        bytes.withUnsafeBytes { hash($0, ranges: ranges, into: &output) }
        return output
    }
}
