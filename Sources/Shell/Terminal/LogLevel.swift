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
