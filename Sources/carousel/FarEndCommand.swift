import ArgumentParser
import Bench

extension Carousel {
    /// `carousel developer net-far`: what `carousel bench` starts as the other process of its network workloads.
    struct FarEndCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "net-far", abstract: "The other end of a network workload.")

        @Argument var kind: String

        @Flag(name: .long, help: "Without the system's splitting and joining of datagrams.")
        var plain = false

        func run() throws { try FarEnd.serve(kind, plain: plain) }
    }
}
