import Chain
import Primitives

/// What the machine wants done, in order.
struct Outbox: Sendable {
    private var directives: [StateSync.Directive] = []

    mutating func append(_ directive: StateSync.Directive) { directives.append(directive) }

    mutating func report(_ report: NodeReport) { append(.report(report)) }

    mutating func log(_ level: NodeReport.Level, _ text: String) { report(.log(level, text)) }

    /// Takes it all.
    mutating func drain() -> [StateSync.Directive] {
        guard !directives.isEmpty else { return [] }
        defer { directives = [] }
        return directives
    }
}
