import Foundation

/// One process of a devnet, which writes what it says into a log.
final class DevnetProcess {
    let log: String
    private let process = Process()

    /// Not started yet.
    init(program: String, arguments: [String], log: String) {
        self.log = log
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        // What the environment sets is meant for the devnet, not for each of its nodes.
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("CAROUSEL_") }
    }

    /// Starts it. A log of an earlier life goes on.
    func start() throws(ShellError) {
        let descriptor = open(log, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .file(path: log, reason: String(cString: strerror(errno))) }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        process.standardOutput = file
        process.standardError = file
        process.standardInput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw .file(path: process.executableURL?.path ?? "", reason: "does not run: \(error.localizedDescription)")
        }
    }

    /// The system's number of it.
    var id: Int32 { process.processIdentifier }

    /// Its exit code, or the signal that ended it; nil while it runs.
    var exitCode: Int32? { process.isRunning ? nil : process.terminationStatus }

    /// Asks it to end.
    func terminate() { if process.isRunning { _ = Foundation.kill(id, SIGTERM) } }

    /// Ends it as a power cut would, and waits until it is gone.
    func kill() {
        guard process.isRunning else { return }
        _ = Foundation.kill(id, SIGKILL)
        process.waitUntilExit()
    }

    /// The last line of its log.
    var lastLine: String {
        let text = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(whereSeparator: \.isNewline).last.map { String($0) } ?? "its log is empty"
    }
}
