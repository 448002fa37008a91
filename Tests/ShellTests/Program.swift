import Foundation

/// The built program, for tests of what a process does as a whole.
enum Program {
    /// What a run gave.
    struct Outcome {
        let code: Int32
        let isKilled: Bool
        let output: String
        let errors: String
    }

    /// The program beside the tests; nil where only they were built.
    static var url: URL? {
        let beside = [
            Bundle.main.bundleURL, URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
        ]
        return beside.map { $0.appendingPathComponent("carousel") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    /// Runs it to its end; nil, and a word, where it is not there. `meanwhile` runs after the first byte of output has
    /// come, which is put into the output too, and before any other is read.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], meanwhile: (() throws -> Void)? = nil
    ) throws -> Outcome? {
        guard let url else {
            print("skipped: the program is not built")
            return nil
        }
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = url
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        var first = Data()
        if let meanwhile {
            first = try output.fileHandleForReading.read(upToCount: 1) ?? Data()
            try meanwhile()
        }
        let rest = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            code: process.terminationStatus, isKilled: process.terminationReason == .uncaughtSignal,
            output: String(decoding: first + rest, as: UTF8.self), errors: String(decoding: complaints, as: UTF8.self))
    }
}
