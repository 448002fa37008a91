import Primitives
import Testing

@testable import Bench

/// The list of workloads, the names that choose from it, and the arithmetic of the figures.
@Suite struct BenchTests {
    @Test func namesAreUniqueAndOfOneForm() throws {
        let names = Workloads.all.map(\.name)
        #expect(Set(names).count == names.count)
        for name in names { #expect(name.wholeMatch(of: /[a-z0-9]+(\.[a-z0-9-]+)+/) != nil, "\(name)") }
    }

    @Test func namesChoose() throws {
        #expect(try Workloads.named([]).map(\.name) == Workloads.all.filter { !$0.onlyByName }.map(\.name))
        #expect(try Workloads.named(["trie.root.1m"]).map(\.name) == ["trie.root.1m"])
        #expect(try Workloads.named(["keccak.*"]).allSatisfy { $0.name.hasPrefix("keccak.") })
        #expect(throws: BenchError.unknownWorkload("trie.root")) { try Workloads.named(["trie.root"]) }
    }

    @Test func aKernelThatIsNotThereIsRefusedAndThoseThereAreAreNamed() throws {
        for kernel in Keccak.Kernel.allCases {
            guard kernel.isAvailable else {
                #expect(throws: BenchError.noKernel("\(kernel)")) { try Workloads.kernel(named: "\(kernel)") }
                continue
            }
            #expect(try Workloads.kernel(named: "\(kernel)") == kernel)
            #expect("\(BenchError.noKernel("sse9"))".contains("\(kernel)"))
        }
        for name in ["sse9", "", "Scalar", "AVX2"] {
            #expect(throws: BenchError.noKernel(name)) { try Workloads.kernel(named: name) }
        }
    }

    @Test func mediansAreOfTheMiddle() {
        #expect(BenchResult.median([3, 1, 2]) == 2)
        #expect(BenchResult.median([4, 1, 2, 3]) == 2.5)
        #expect(BenchResult.median([]) == 0)
    }

    @Test func jsonHasTheAgreedNames() throws {
        let result = BenchResult(
            name: "a.b", work: Work(items: 10, bytes: 40), threads: 2, seconds: [2, 1, 4], processorSeconds: [1, 1, 1])
        let text = try BenchResult.json([result])
        for field in [
            "\"name\" : \"a.b\"", "\"items\" : 10", "\"seconds\" : 2", "\"items_per_second\" : 5",
            "\"bytes_per_second\" : 20", "\"threads\" : 2", "\"runs\" : 3",
        ] { #expect(text.contains(field), "\(field) in \(text)") }
    }

    @Test func threadsAllRunAndTheirErrorsArrive() throws {
        let slots = BenchSlots<Int>(count: 3)
        try BenchThreads.run(3) { slots[$0] = $0 * $0 }
        #expect(slots.all == [0, 1, 4])
        #expect(throws: BenchError.wrongResult(workload: "w", what: "1")) {
            try BenchThreads.run(3) { index in
                if index > 0 { throw BenchError.wrongResult(workload: "w", what: "\(index)") }
            }
        }
    }
}
