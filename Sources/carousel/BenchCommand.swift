import ArgumentParser
import Bench
import Foundation
import Primitives

extension Carousel {
    /// `carousel bench`
    struct Bench: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Measures how fast this machine does what a node does.",
            discussion: """
                Runs the named workloads, or all of them ('net.*' stands for all that begin so), and prints a table of \
                medians, or with --json an array of objects: name, items, seconds, items_per_second, \
                bytes_per_second, threads, runs. Every workload is the same on every machine. Heap requests of a \
                network workload ("allocations") are counted by tools/bench alone; without it a dash stands for them.

                Workloads (and keccak.532.KERNEL for each kernel that this machine has):
                \(listed.map { "  \($0.name): \($0.summary); items: \($0.items)" }.joined(separator: "\n"))
                """)

        /// The workloads that there are on every machine, so that the help is the same everywhere.
        private static var listed: [any Workload] {
            Workloads.all.filter { !$0.name.hasPrefix("keccak.532.") }
        }

        @Argument(help: ArgumentHelp("Workloads (default: all).", valueName: "name"))
        var names: [String] = []

        @Flag(name: .long, help: "Print one JSON array instead of a table.")
        var json = false

        @Option(
            name: .long,
            help: ArgumentHelp(
                "Runs of each workload; the median counts (default: \(BenchLimits.runs), or more for a second).",
                valueName: "runs"),
            transform: Bounds.whole(1...100_000))
        var runs: Int?

        @Flag(inversion: .prefixedNo, help: "Measure on all threads too what can be spread over them.")
        var threads = true

        @Option(
            name: .long,
            help: ArgumentHelp(
                "Keccak for batches: scalar, avx2 or avx512 (default: the widest this machine has).",
                valueName: "kernel"))
        var kernel: String?

        @Option(name: .long, help: ArgumentHelp("Where stores are made (default: the system's.)", valueName: "dir"))
        var directory: String?

        func validate() throws {
            do throws(BenchError) {
                if let kernel { _ = try Workloads.kernel(named: kernel) }
            } catch {
                throw ValidationError("--kernel: \(error.description)")
            }
            do throws(BenchError) {
                _ = try Workloads.named(names)
            } catch {
                throw ValidationError(error.description)
            }
        }

        func run() throws {
            if let kernel { try Workloads.kernel(named: kernel).use() }
            var options = BenchRunner.Options()
            options.runs = runs
            options.allThreads = threads
            if let directory { options.directory = directory }
            let workloads = try Workloads.named(names)
            if !json { print(BenchResult.heading) }
            let results = try BenchRunner(options).run(workloads) { result in
                if !json { print(result.line) }
            }
            if json { print(try BenchResult.json(results)) }
        }
    }
}
