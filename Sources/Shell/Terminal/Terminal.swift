import Foundation
import Node
import Primitives
import Synchronization

/// Standard error as the one place where log lines and the progress line meet: a progress line on a terminal is
/// rewritten in place and steps aside for log lines.
final class Terminal: Sendable {
    private struct State {
        var shown = ""
        var lastPlain: (text: String, at: Instant)?
    }

    private let level: LogLevel
    private let format: LogFormat
    private let isTerminal: Bool
    private let clock: SystemClock
    private let state = Mutex(State())

    /// Standard error, with log lines up to `level`.
    init(level: LogLevel, format: LogFormat, clock: SystemClock) {
        isTerminal = isatty(STDERR_FILENO) == 1
        self.level = level
        self.format = format == .auto ? (isTerminal ? .pretty : .plain) : format
        self.clock = clock
    }

    /// Writes a log line, unless it is below the level.
    func log(_ level: LogLevel, _ message: String) {
        guard level <= self.level else { return }
        let line = Terminal.line(level, message, format: format, unixSeconds: clock.now().unixSeconds)
        state.withLock { state in
            write((state.shown.isEmpty ? "" : "\r\u{1b}[K") + line + "\n" + state.shown)
        }
    }

    /// Shows the progress: in place on a terminal; in a pipe a line every few seconds, or at once where `urgent`.
    func show(_ status: NodeStatus, urgent: Bool = false) {
        let now = clock.instant()
        state.withLock { state in
            if isTerminal {
                state.shown = ProgressLine.text(status, style: .terminal(columns: Terminal.columns()))
                write("\r\u{1b}[K" + state.shown)
                return
            }
            let text = ProgressLine.text(status, style: .plain)
            let pause = status.stall == nil ? ShellLimits.progressLineSeconds : ShellLimits.stallLineSeconds
            let due = state.lastPlain.map { $0.at + .seconds(pause) }
            guard urgent || due.map({ now >= $0 }) ?? true, text != state.lastPlain?.text else { return }
            state.lastPlain = (text, now)
            write(text + "\n")
        }
    }

    /// Leaves the progress line standing and goes to the next one.
    func endProgress() {
        state.withLock { state in
            guard !state.shown.isEmpty else { return }
            state.shown = ""
            write("\n")
        }
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }

    private static func columns() -> Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// A log line in a format other than `auto`, without its end.
    static func line(_ level: LogLevel, _ message: String, format: LogFormat, unixSeconds: UInt64) -> String {
        let time = Date(timeIntervalSince1970: Double(unixSeconds)).formatted(.iso8601)
        switch format {
        case .json:
            return "{\"time\":\"\(time)\",\"level\":\"\(level.rawValue)\",\"message\":\(JSONText.quoted(message))}"
        case .pretty:
            let colour = [LogLevel.error: 31, .warn: 33, .info: 32][level] ?? 90
            return "\u{1b}[\(colour)m\(level.rawValue)\u{1b}[0m \(message)"
        case .plain, .auto: return "\(time) \(level.rawValue) \(message)"
        }
    }
}
