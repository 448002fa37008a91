import ArgumentParser
import Primitives
import Simulation

extension Carousel {
    /// `carousel developer simulate`: one seeded run of a whole network in virtual time, to replay a failing seed.
    struct Simulate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Runs a whole network in virtual time from a seed and prints what came of it.")

        @Option(help: "Decides everything about the run.", transform: Bounds.whole(0...UInt64.max)) var seed: UInt64 = 1
        @Option(help: "Nodes that hold half of the ring each.", transform: Bounds.whole(1...200)) var holders = 8
        @Option(help: "Of each datagram, 0 to 1.") var loss = 0.0
        @Option(help: "One way, milliseconds.", transform: Bounds.whole(0...10_000)) var latency = 20
        @Option(
            help: "The run ends after so much virtual time, or when the client stands at the last block.",
            transform: Bounds.whole(1...100_000))
        var seconds = 300

        func validate() throws {
            guard (0..<1).contains(loss) else { throw ValidationError("--loss must be at least 0 and below 1") }
        }

        func run() throws {
            var plan = Scenario.Plan(seed: seed)
            plan.holders = holders
            plan.conditions = SimulatedNetwork.Conditions(
                loss: loss, latency: .milliseconds(latency), jitter: .milliseconds(latency / 5))
            plan.walkerRate = 2_000
            plan.walkerRangeBytes = 3_000
            var scenario = try Scenario(plan)
            let limit = Instant(microseconds: UInt64(seconds) * 1_000_000)
            let outcome = try scenario.runClient(joining: Instant(microseconds: 12_000_000), limit: limit).outcome
            print("seed \(seed): \(outcome.events) events in \(outcome.virtualSeconds) virtual seconds")
            print("client at the head: \(outcome.reachedHead), crossings while fetching: \(outcome.crossings)")
            for completion in outcome.completions {
                print("whole state at \(completion.anchor): root \(completion.root?.description ?? "-")")
            }
            print("log hash \(outcome.logHash)")
        }
    }
}
