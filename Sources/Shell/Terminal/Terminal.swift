import Foundation
import Node
import Primitives
import StateNetwork
import Synchronization

/// How much the log says.
public enum LogLevel: String, Comparable, CaseIterable, Sendable {
    case error, warn, info, debug, trace

    private var rank: Int { LogLevel.allCases.firstIndex(of: self) ?? 0 }

    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rank < b.rank }
}

/// How a log line is written.
public enum LogFormat: String, CaseIterable, Sendable {
    /// `pretty` on a terminal, `plain` elsewhere.
    case auto
    /// With colours.
    case pretty
    /// Time, level, message.
    case plain
    /// One JSON object a line.
    case json
}

/// Standard error as the one place where log lines and the progress line meet: a progress line on a terminal is
/// rewritten in place and steps aside for log lines.
public final class Terminal: Sendable {
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
    public init(level: LogLevel, format: LogFormat, clock: SystemClock) {
        isTerminal = isatty(STDERR_FILENO) == 1
        self.level = level
        self.format = format == .auto ? (isTerminal ? .pretty : .plain) : format
        self.clock = clock
    }

    /// Writes a log line, unless it is below the level.
    public func log(_ level: LogLevel, _ message: String) {
        guard level <= self.level else { return }
        let line = Terminal.line(level, message, format: format, unixSeconds: clock.now().unixSeconds)
        state.withLock { state in
            write((state.shown.isEmpty ? "" : "\r\u{1b}[K") + line + "\n" + state.shown)
        }
    }

    /// Shows the progress: in place on a terminal; in a pipe a line every few seconds, or at once where `urgent`.
    public func show(_ progress: NodeProgress, role: Role, urgent: Bool = false) {
        let now = clock.instant()
        state.withLock { state in
            if isTerminal {
                state.shown = ProgressLine.text(
                    progress, role: role, style: .terminal(columns: Terminal.columns()))
                write("\r\u{1b}[K" + state.shown)
                return
            }
            let text = ProgressLine.text(progress, role: role, style: .plain)
            let pause = progress.stall == nil ? ShellLimits.progressLineSeconds : ShellLimits.stallLineSeconds
            let due = state.lastPlain.map { $0.at + .seconds(pause) }
            guard urgent || due.map({ now >= $0 }) ?? true, text != state.lastPlain?.text else { return }
            state.lastPlain = (text, now)
            write(text + "\n")
        }
    }

    /// Leaves the progress line standing and goes to the next one.
    public func endProgress() {
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

/// JSON text made by hand where a whole tree in memory would be too much.
enum JSONText {
    /// A JSON string with its quotes.
    static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
