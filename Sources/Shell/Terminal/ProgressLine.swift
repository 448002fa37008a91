import Chain
import Node
import Primitives
import StateContent
import StateNetwork

/// The one line that shows a `Progress`: with a bar on a terminal, plain in a pipe.
enum ProgressLine {
    /// Where the line is shown.
    enum Style: Equatable, Sendable {
        /// A terminal of so many columns.
        case terminal(columns: Int)
        /// A pipe or a file.
        case plain
    }

    /// The line, without its end. On a terminal it is cut to its width.
    static func text(_ progress: NodeProgress, role: Role, style: Style) -> String {
        var parts: [String]
        switch (role, progress.phase) {
        case (.bridge, _): parts = ["bridge  block \(progress.head)", epoch(progress)]
        case (_, .headers): parts = ["start  waiting for an attested header"]
        case (_, .walking): parts = walking(progress, role, style)
        case (_, .following):
            parts = ["follow  block \(progress.verifiedHead) of \(progress.head)", epoch(progress)]
            // A larger arc is being filled.
            if progress.sectionsComplete < progress.sectionsWanted {
                parts.append("\(progress.sectionsComplete)/\(progress.sectionsWanted) sections")
            }
        }
        parts.append(peers(progress))
        if role != .bridge && progress.phase == .walking { parts.append("lanes \(progress.lanes)") }
        if progress.searches > 0 { parts.append("searches \(progress.searches)") }
        if let unheld = progress.lacking.unheld, role == .bridge {
            let word = unheld.count == 1 ? "section" : "sections"
            parts.append("\(unheld.count) \(word) without a complete holder, from \(unheld.first) on")
        }
        if let waiting = progress.waiting, progress.stall == nil {
            parts.append("section \(waiting.section) waits, \(waiting.providers) known to have it: \(waiting.why)")
        }
        if let stall = progress.stall {
            parts.append("STALLED for \(stall.seconds) s: \(stall.reason); \(stall.advice)")
        }
        let line = parts.joined(separator: "  ")
        if case .terminal(let columns) = style { return String(line.prefix(max(0, columns - 1))) }
        return line
    }

    /// A holder fills its arc, a walker the whole keyspace: the same figures.
    private static func walking(_ progress: NodeProgress, _ role: Role, _ style: Style) -> [String] {
        var parts = [role == .holder ? "fill" : "sync", epoch(progress)]
        parts.append("\(role == .holder ? "arc" : "keyspace") \(percent(progress)) %")
        if case .terminal = style { parts.append("[\(bar(shown(progress), cells: 10))]") }
        parts.append("\(progress.sectionsComplete)/\(progress.sectionsWanted) sections")
        let rate = ByteCount(bytes: UInt64(max(0, progress.bytesPerSecond)))
        parts.append("\(ByteCount(bytes: progress.stateBytes)) @ \(rate)/s")
        return parts
    }

    private static func epoch(_ progress: NodeProgress) -> String {
        progress.anchor.map { "epoch \($0.epoch)" } ?? "no epoch yet"
    }

    private static func peers(_ progress: NodeProgress) -> String {
        let word = progress.peers == 1 ? "peer" : "peers"
        return "\(progress.peers) \(word) (\(progress.usefulPeers) useful)"
    }

    /// The share as shown: never the whole before the root of the whole is verified, never above the truth.
    private static func shown(_ progress: NodeProgress) -> Double {
        guard progress.phase != .following else { return 1 }
        return min(max(progress.held, 0), 0.999)
    }

    /// The share in percent with one decimal, rounded down.
    static func percent(_ progress: NodeProgress) -> String {
        let tenths = Int(shown(progress) * 1_000)
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// A bar of `cells` cells, each in eighths.
    static func bar(_ share: Double, cells: Int) -> String {
        let eighths = Int(share * Double(cells * 8))
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let full = String(repeating: "█", count: eighths / 8)
        let part = parts[eighths % 8]
        return full + part + String(repeating: " ", count: cells - full.count - part.count)
    }
}
