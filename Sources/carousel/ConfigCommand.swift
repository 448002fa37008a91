import ArgumentParser
import Foundation
import Shell

extension Carousel {
    /// `carousel config`
    struct Config: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks a file of settings.", subcommands: [CheckConfig.self])
    }

    /// `carousel config check`
    struct CheckConfig: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Tells what a node would be started with, and whether that is right.",
            discussion: """
                Reads the file of settings and the environment as 'carousel run --config FILE' does, prints each \
                option that is given and by whom, and checks all of it, the network's file too, without starting \
                anything. Exit code 2 where something is wrong.
                """)

        @Argument(help: ArgumentHelp("The command it is for: run, sync or bridge.", valueName: "command"))
        var command = "run"

        @Option(name: .long, help: ArgumentHelp("The file of settings, JSON.", valueName: "file"))
        var config: String?

        func run() throws {
            guard ["run", "sync", "bridge"].contains(command) else {
                throw ValidationError("'\(command)' is none of run, sync and bridge")
            }
            let given = try Settings(
                [command] + (config.map { ["--config", $0] } ?? []),
                environment: ProcessInfo.processInfo.environment)
            let parsed: any ParsableCommand
            do { parsed = try Carousel.parseAsRoot(given.arguments) } catch {
                let text = Carousel.message(for: error)
                throw ValidationError(text + given.origin(ofErrorIn: text))
            }
            guard let node = parsed as? any NodeCommand else { throw ValidationError("'\(command)' runs no node") }
            try NodeRuntime.check(try node.settings())
            for line in given.settings?.lines ?? [] { print(line) }
            print("'carousel \(command)' can be started with this; the rest is as 'carousel help \(command)' says")
        }
    }
}
