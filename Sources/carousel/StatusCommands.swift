import ArgumentParser
import Shell

/// Where the node is that is asked about.
struct WatchOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("The node's data directory.", valueName: "dir"))
    var dataDir = DataDirectory.standard()

    @Flag(name: .long, help: "Print JSON.")
    var json = false

    /// Prints what is asked for; exit code 1 where no node runs there.
    func print(_ subject: StatusReport.Subject) throws {
        guard try StatusReport.run(subject, of: DataDirectory(dataDir), json: json) else { throw ExitCode(1) }
    }
}

extension Carousel {
    /// `carousel status`
    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tells where a node stands: what it holds, what it waits for and why.",
            discussion: """
                Reads the record that a running node writes into its data directory every second. Where that is older \
                than 5 s it says "not running" and what was last written, with exit code 1. The fields of --json, \
                and every reason of a stall, are told in Specs/status.md.
                """)

        @OptionGroup var watch: WatchOptions

        func run() throws { try watch.print(.status) }
    }

    /// `carousel peers`
    struct Peers: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists a node's peers: what they hold, how quick they are, whether they are believed.",
            discussion: """
                Reads the record that a running node writes into its data directory every second; at most 256 peers, \
                those that were of use first. Exit code 1 where no node runs there.
                """)

        @OptionGroup var watch: WatchOptions

        func run() throws { try watch.print(.peers) }
    }
}
