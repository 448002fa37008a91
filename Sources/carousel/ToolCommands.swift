import ArgumentParser
import Conformance
import Discovery
import Foundation
import Primitives
import Shell

extension Carousel {
    /// `carousel export`
    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes the state that a data directory holds, as a file.",
            discussion: """
                The whole state at the newest verified block, hashed while it is written: with exit code 0 it is the \
                state under that block's root. The data directory may be that of a running process. Keys are hashes \
                (keccak256 of address or slot), sorted; hex has 0x, values have no leading zeros. The same state gives \
                the same bytes; at the end their SHA-256 is told on standard error.
                """)

        @OptionGroup var data: DataOptions

        @Option(name: .long, help: "The form: json (one document), jsonl (a line an object) or genesis.")
        var format = StateExport.Format.json

        @Flag(name: .long, help: "Leave all storage and code out.")
        var accountsOnly = false

        @Flag(
            name: .long,
            help: ArgumentHelp(
                "Write the state of the newest final epoch's first block: what 'carousel import' takes.",
                discussion: "In the form jsonl the headers that prove that block come with it."))
        var anchor = false

        @Option(name: .long, help: ArgumentHelp("The file to write (default: standard output).", valueName: "file"))
        var output: String?

        func validate() throws {
            guard format == .genesis else { return }
            guard output != nil else {
                throw ValidationError("--format genesis needs --output: whether it can be written shows at its end")
            }
            guard !accountsOnly else { throw ValidationError("--accounts-only: a genesis has all of the state") }
        }

        func run() throws {
            let summary = try StateExport.run(
                dataDirectory: DataDirectory(data.dataDir), networkFile: data.networkFile(), output: output,
                form: StateExport.Form(format, accountsOnly: accountsOnly, atAnchor: anchor))
            FileHandle.standardError.write(Data((summary.line + "\n").utf8))
        }
    }

    /// `carousel import`
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fills a data directory from an export.",
            discussion: """
                The file's block must be a final one of the network, and all that the file has must hash to that \
                block's state root; a file that was cut, changed, put in another order, or is another chain's leaves \
                nothing behind. In the form jsonl, written with --anchor, it brings the headers that prove its block; \
                a document needs a certificate of the same block. A node then goes on from there.
                  carousel export --anchor --format jsonl --output state.jsonl --network net.json --data-dir ./state
                  carousel import state.jsonl --network net.json --data-dir ./other
                """)

        @Argument(help: ArgumentHelp("The export: json or jsonl.", valueName: "file"))
        var file: String

        @OptionGroup var data: DataOptions

        @Option(
            name: .long,
            help: ArgumentHelp(
                "A file of 'carousel certificate' that proves the block, where the export does not.",
                valueName: "file"))
        var certificate: String?

        func run() throws {
            let summary = try StateImport.run(
                file, certificate: certificate, dataDirectory: DataDirectory(data.dataDir),
                networkFile: data.networkFile())
            for (name, value) in summary.figures { print("\(name)=\(value)") }
        }
    }

    /// `carousel vectors`
    struct Vectors: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the codecs and verifiers against test vectors.",
            discussion: """
                Each path is a vector file or a folder of them; a file's name tells its kind. Prints a line of counts \
                a file and a FAIL line a failed case. Exit code 1 where a case failed, 2 where a file is not known.
                """)

        @Argument(help: ArgumentHelp("Vector files, or folders of them.", valueName: "path"))
        var paths: [String]

        @Flag(name: .long, help: "Print one JSON document instead of lines.")
        var json = false

        func run() throws {
            let report = ConformanceRunner.run(paths: paths)
            if json {
                print(try report.jsonText())
            } else {
                report.lines.forEach { print($0) }
            }
            for line in report.complaints { FileHandle.standardError.write(Data("carousel: \(line)\n".utf8)) }
            if report.exitCode != 0 { throw ExitCode(report.exitCode) }
        }
    }

    /// `carousel enr`
    struct Enr: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows what a node record says, and verifies it.",
            discussion: "Without a record: that of a data directory's node, as it was at its last start.")

        @Argument(help: ArgumentHelp("The record, enr:-...", valueName: "enr"))
        var record: String?

        @Option(name: .long, help: ArgumentHelp("A node's data directory.", valueName: "dir"))
        var dataDir = DataDirectory.standard()

        func run() throws {
            let text = try record ?? DataDirectory(dataDir).readRecord()
            let record: NodeRecord
            do {
                record = try NodeRecord(text: text)
            } catch {
                throw CommandFailure("the record is refused: \(RecordText.reason(error))")
            }
            print("record=\(record.text)")
            print("id=\(Hex.prefixed(record.id.bytes))")
            print("sequence=\(record.sequence)")
            if let endpoint = record.endpointIPv4 { print("ipv4=\(endpoint)") }
            if let endpoint = record.endpointIPv6 { print("ipv6=\(endpoint)") }
            if let portal = record.portal {
                print("portal=versions \(portal.lowestVersion) to \(portal.highestVersion), chain \(portal.chainID)")
            }
        }
    }

    /// `carousel version`
    struct Version: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Tells which program this is.")

        func run() { print(ProgramVersion.text) }
    }
}

extension StateExport.Format: ExpressibleByArgument {}

/// Why a node record is refused, for people.
enum RecordText {
    /// The reason and what helps.
    static func reason(_ error: NodeRecordError) -> String {
        let what =
            switch error {
            case .signatureInvalid: "its signature does not verify"
            case .textPrefix: "it does not begin with enr:"
            case .textEncoding: "a character in it is not base64"
            case .malformed(.truncated): "it is cut off"
            case .malformed: "it is no RLP list"
            default: error.description
            }
        return what + "; copy the record whole, from 'enr:' to its last character"
    }
}

/// A failure with its one line.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
