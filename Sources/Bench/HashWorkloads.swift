import Primitives

extension Workloads {
    /// Keccak-256.
    static let hashing: [any Workload] =
        [KeccakWorkload(name: "keccak.532", kernel: nil)]
        + Keccak.Kernel.allCases.filter(\.isAvailable).map { KeccakWorkload(name: "keccak.532.\($0)", kernel: $0) }
}

/// Hashes of many messages as long as a full branch node, given as runs of one buffer.
struct KeccakWorkload: Workload {
    let name: String
    /// nil: the one in use.
    let kernel: Keccak.Kernel?
    let items = "hashes"
    let scales = true

    var summary: String {
        "Keccak-256 of 532-byte nodes, in batches of \(KeccakWorkload.messages)"
            + (kernel.map { "; \($0) alone, to be set beside the others" } ?? "")
    }

    /// RLP of a branch with 16 children named by hash.
    static let length = 532
    /// Messages of a batch: together half a megabyte, which stays in the second-level cache.
    static let messages = 1_024
    /// Batches of a run on each thread.
    static let batches = 64

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        KeccakTrial(name: name, kernel: kernel ?? .current, threads: threads)
    }
}

private struct KeccakTrial: Trial {
    let name: String
    let kernel: Keccak.Kernel
    let threads: Int
    private let buffer: [UInt8]
    private let ranges: [Range<Int>]
    private let expected: Bytes32

    init(name: String, kernel: Keccak.Kernel, threads: Int) {
        self.name = name
        self.kernel = kernel
        self.threads = threads
        let length = KeccakWorkload.length
        buffer = (0..<length * KeccakWorkload.messages).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 / length) }
        ranges = (0..<KeccakWorkload.messages).map { $0 * length..<($0 + 1) * length }
        expected = Keccak.hash(Array(buffer[ranges[ranges.count - 1]]))
    }

    func run() throws -> Work {
        try BenchThreads.run(threads) { _ in
            var hashes: [Bytes32] = []
            for _ in 0..<KeccakWorkload.batches {
                hashes.removeAll(keepingCapacity: true)
                buffer.withUnsafeBytes { Keccak.hash($0, ranges: ranges, into: &hashes, kernel: kernel) }
                guard hashes.last == expected else {
                    throw BenchError.wrongResult(workload: name, what: "a batch hashes otherwise than one alone")
                }
            }
        }
        let count = threads * KeccakWorkload.batches * KeccakWorkload.messages
        return Work(items: count, bytes: count * KeccakWorkload.length)
    }
}
