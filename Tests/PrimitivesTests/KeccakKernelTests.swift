import Primitives
import Testing

/// Each way to hash a batch gives what hashing one message after the other gives.
@Suite struct KeccakKernelTests {
    static let kernels = Keccak.Kernel.allCases.filter(\.isAvailable)

    /// The rate is 136 bytes: a message that ends at it has a whole block of padding.
    private static let edges = [0, 1, 7, 8, 55, 56, 134, 135, 136, 137, 271, 272, 273, 407, 408, 409, 532, 1_024]

    @Test func theWidestIsInUse() throws {
        #expect(Keccak.Kernel.scalar.isAvailable)
        #expect(Keccak.Kernel.current == Self.kernels.last)
    }

    @Test(arguments: kernels)
    func lengthsAtTheRate(kernel: Keccak.Kernel) {
        var generator = SeededGenerator(seed: 1)
        let buffer = (0..<1_100).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for first in Self.edges {
            let ranges = [3..<3 + first] + Self.edges.map { 5..<5 + $0 }
            expectEqual(buffer, ranges, kernel, "first \(first)")
        }
    }

    @Test("Batches of any size, lengths mixed, so that lanes end at different times", arguments: kernels)
    func mixed(kernel: Keccak.Kernel) {
        for seed in UInt64(0)..<200 {
            var generator = SeededGenerator(seed: seed)
            let buffer = (0..<5_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let longest = [1, 100, 136, 600, 5_000].randomElement(using: &generator) ?? 1
            let count = seed < 40 ? Int(seed) : Int.random(in: 0...100, using: &generator)
            let ranges = (0..<count).map { _ in
                let length = Int.random(in: 0...longest, using: &generator)
                let start = Int.random(in: 0...5_000 - length, using: &generator)
                return start..<start + length
            }
            expectEqual(buffer, ranges, kernel, "seed \(seed)")
        }
    }

    /// Digests go where they are wanted, aligned or not, and nothing beside them is touched.
    @Test func targets() {
        var generator = SeededGenerator(seed: 5)
        let buffer = (0..<3_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let runs = (0..<37).map { index in
            Keccak.Run(offset: index * 40, length: index * 41, target: (36 - index) * 41 + 3)
        }
        var output = [UInt8](repeating: 0xee, count: 37 * 41 + 3)
        output.withUnsafeMutableBytes { output in
            buffer.withUnsafeBytes { buffer in
                runs.withUnsafeBufferPointer { runs in
                    guard let source = buffer.baseAddress, let target = output.baseAddress else { return }
                    Keccak.hash(source, runs: runs, into: target)
                }
            }
        }
        var expected = [UInt8](repeating: 0xee, count: output.count)
        for run in runs {
            let message = Array(buffer[run.offset..<run.offset + Int(run.length)])
            expected.replaceSubrange(Int(run.target)..<Int(run.target) + 32, with: Keccak.hash(message).bytes)
        }
        #expect(output == expected)
    }

    private func expectEqual(
        _ buffer: [UInt8], _ ranges: [Range<Int>], _ kernel: Keccak.Kernel, _ comment: Comment
    ) {
        var hashes: [Bytes32] = []
        buffer.withUnsafeBytes { Keccak.hash($0, ranges: ranges, into: &hashes, kernel: kernel) }
        #expect(hashes == ranges.map { Keccak.hash(Array(buffer[$0])) }, comment)
    }
}
