import Fuzzing
import Glibc

/// What tools/fuzz runs: must-reject trials, decoders under libFuzzer, and corpora for these out of vector files.
@main enum Fuzz {
    static func main() {
        do throws(UsageError) {
            exit(try run(Array(CommandLine.arguments.dropFirst())))
        } catch {
            complain(error.description)
            exit(2)
        }
    }

    private static func run(_ arguments: [String]) throws(UsageError) -> Int32 {
        guard let command = arguments.first else { throw .command("none") }
        let rest = Array(arguments.dropFirst())
        switch command {
        case "trials": return try TrialRun(rest).run()
        case "targets":
            for target in DecoderTarget.allCases { print(target.rawValue) }
            return 0
        case "corpus":
            guard rest.count > 2 else { throw .command("corpus TARGET FOLDER FILE…") }
            return try Corpus.write(target(rest[0]), into: rest[1], from: Array(rest[2...]))
        case "decoder":
            guard let name = rest.first else { throw .command("decoder TARGET …") }
            return try LibFuzzer.run(target(name), Array(rest.dropFirst()))
        default: throw .command(command)
        }
    }

    private static func target(_ name: String) throws(UsageError) -> DecoderTarget {
        guard let target = DecoderTarget(rawValue: name) else { throw .target(name) }
        return target
    }

    /// A line to the standard error output.
    static func complain(_ text: String) {
        let line = Array("fuzz: \(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}

/// A command line that means nothing.
enum UsageError: Error, CustomStringConvertible {
    case command(String)
    case option(String)
    case target(String)
    case file(String)
    case noDriver

    var description: String {
        switch self {
        case .command(let text): "no such command: \(text) (use tools/fuzz --help)"
        case .option(let text): "no such option, or a value that is none: \(text) (use tools/fuzz --help)"
        case .target(let text): "no such decoder: \(text) (tools/fuzz decoders --list names them)"
        case .file(let text): "cannot read or write \(text)"
        case .noDriver: "built without libFuzzer: tools/fuzz decoders builds with it"
        }
    }
}
