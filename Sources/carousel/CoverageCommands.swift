import ArgumentParser
import Shell

extension Carousel {
    /// `carousel certificate`
    struct Certificate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes down what a data directory holds, with proof, signed with the node's key.",
            discussion: """
                Reads back every account, slot and code first, and writes then which sections are held whole at a \
                final anchor, what they hash to, the trie nodes from them to the header's root, and the headers that \
                show that the network believes it. 'carousel verify FILE' reads it anywhere, with nothing but the \
                network's file. The data directory may be that of a running process.
                """)

        @Argument(help: ArgumentHelp("The file to write.", valueName: "file"))
        var file: String

        @OptionGroup var data: DataOptions
        @OptionGroup var key: KeyFileOptions
        @OptionGroup var work: WorkerOptions

        func run() throws {
            let figures = try CoverageReport.write(
                file, dataDirectory: DataDirectory(data.dataDir), networkFile: data.networkFile(),
                keyFile: key.nodeKeyFile, threads: work.count)
            for (name, value) in figures { print("\(name)=\(value)") }
        }
    }

    /// `carousel verify`
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks everything that a data directory holds, or somebody's certificate.",
            discussion: """
                Without a file: reads back every account, slot and code, hashes them, and compares sections and root \
                with the attested headers; no stored hash is believed. The data directory may be that of a running \
                process. Prints what was read; the first damaged thing is told in one line, with exit code 1.
                With a file that 'carousel certificate' wrote: the lines that begin with 'proven' follow from it for \
                everybody who has the network's file; those that begin with 'said' are the word of the node that \
                signed it. A file that was changed, or is of another network: one line, exit code 1.
                """)

        @Argument(help: ArgumentHelp("A certificate, to be checked instead.", valueName: "file"))
        var file: String?

        @OptionGroup var data: DataOptions
        @OptionGroup var work: WorkerOptions

        func run() throws {
            let figures: [(name: String, value: String)]
            if let file {
                figures = try CoverageReport.check(file, networkFile: data.networkFile())
            } else {
                figures =
                    try StoreCheck.run(
                        dataDirectory: DataDirectory(data.dataDir), networkFile: data.networkFile(),
                        threads: work.count
                    ).figures
            }
            for (name, value) in figures { print("\(name)=\(value)") }
        }
    }
}
