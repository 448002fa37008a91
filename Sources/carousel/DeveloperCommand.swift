import ArgumentParser
import Bench
import Discovery
import Foundation
import Primitives
import Shell

extension Carousel {
    /// Helpers of the scripts in `tools/`; not shown in the help.
    struct Developer: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Helpers of this project's own scripts.", shouldDisplay: false,
            subcommands: [
                CompareState.self, ChainFactsCommand.self, MakeChain.self, MakeBlocks.self, RecordVectorsCommand.self,
                Simulate.self, ProbeDiscovery.self, FarEndCommand.self, FillStore.self,
            ])
    }

    /// `carousel developer probe-discovery`
    struct ProbeDiscovery: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "probe-discovery",
            abstract: "Asks of a discv5 node, known by its record, what the reference client's suite asks.")

        @Argument var record: String
        @Option(name: .long) var from = "127.0.0.1"
        @Option(name: .long) var and = "127.0.0.2"

        func run() throws {
            guard let first = Endpoint(parsing: from, port: 0), let second = Endpoint(parsing: and, port: 0) else {
                throw ValidationError("--from and --and must be IP addresses")
            }
            let outcomes = try DiscoveryProbe(record: try NodeRecord(text: record), from: first, and: second).run()
            for outcome in outcomes {
                let verdict = outcome.failure.map { "FAIL (\($0))" } ?? "pass"
                print("\(outcome.name) \(Int(outcome.seconds * 1_000)) ms \(verdict)")
            }
            let passed = outcomes.count { $0.failure == nil }
            print("\(passed) of \(outcomes.count)")
            if passed < outcomes.count { throw ExitCode(1) }
        }
    }

    /// `carousel developer compare-state`
    struct CompareState: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "compare-state", abstract: "Compares an export with a geth state dump, entry by entry.")

        @Argument var export: String
        @Argument var dump: String

        func run() throws {
            let comparison = try StateComparison(
                export: try FileReading.contents(export), dump: try FileReading.contents(dump))
            guard comparison.differenceCount == 0 else {
                comparison.differences.forEach { print($0) }
                print("\(comparison.differenceCount) differences")
                throw ExitCode(1)
            }
            print("equal: \(comparison.accounts) accounts, \(comparison.slots) slots, \(comparison.codes) codes")
        }
    }

    /// `carousel developer chain-facts`
    struct ChainFactsCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "chain-facts", abstract: "Prints what the demo needs to know of a chain directory.")

        @Argument var directory: String

        func run() throws {
            for (name, value) in try ChainFacts(directory: directory).figures { print("\(name)=\(value)") }
        }
    }

    /// `carousel developer fill-store`
    struct FillStore: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fill-store",
            abstract: "Writes accounts to a store, section by section, and goes on where an earlier one was killed.")

        @Argument var directory: String

        @Option(transform: Bounds.whole(1...10_000_000)) var accounts = 10_000

        @Option(transform: Bounds.whole(1...4)) var depth = 2

        func run() throws {
            let root = try StoreFilling.run(directory: directory, count: accounts, depth: depth) { section in
                FileHandle.standardOutput.write(Data("\(section)\n".utf8))
            }
            print("root \(root)")
        }
    }
}
