import Node

/// The one line that shows a `NodeStatus`: with a bar on a terminal, plain in a pipe.
enum ProgressLine {
    /// Where the line is shown.
    enum Style: Equatable, Sendable {
        /// A terminal of so many columns.
        case terminal(columns: Int)
        /// A pipe or a file.
        case plain
    }

    /// The line, without its end. On a terminal it is cut to its width.
    static func text(_ status: NodeStatus, style: Style) -> String {
        var parts = doing(status, style)
        parts.append(peers(status))
        if status.phase == "walking" { parts.append("lanes \(status.lanes.count)") }
        if status.peers.searches > 0 { parts.append("searches \(status.peers.searches)") }
        if status.node.role == "bridge", let first = status.upkeep.unheldFirst {
            let word = status.upkeep.unheld == 1 ? "section" : "sections"
            parts.append("\(status.upkeep.unheld) \(word) without a complete holder, from \(first) on")
        }
        if let share = status.crossings.share, share >= 1 {
            parts.append("never catches up: an epoch takes \(hundredths(share)) epochs")
        }
        if let waiting = status.waiting, status.stall == nil {
            parts.append("section \(waiting.section) waits, \(waiting.providers) known to have it: \(waiting.why)")
        }
        if let stall = status.stall {
            parts.append("STALLED for \(stall.seconds) s: \(stall.text); \(stall.advice)")
        }
        let line = parts.joined(separator: "  ")
        if case .terminal(let columns) = style { return String(line.prefix(max(0, columns - 1))) }
        return line
    }

    /// What it is at, and how far.
    private static func doing(_ status: NodeStatus, _ style: Style) -> [String] {
        switch status.phase {
        case "replaying": return ["bridge  block \(status.head.block)", epoch(status)]
        case "headers": return ["start  waiting for an attested header"]
        case "walking": return walking(status, style)
        default: break
        }
        let words = ["following": "follow", "alone": "alone", "outdated": "old head", "applying": "blocks"]
        let word = words[status.phase] ?? status.phase
        var parts = ["\(word)  block \(status.head.verified) of \(status.head.block)", epoch(status)]
        // A larger arc is being filled.
        if status.sections.complete < status.sections.wanted {
            parts.append("\(status.sections.complete)/\(status.sections.wanted) sections")
        }
        return parts
    }

    /// A holder fills its arc, a walker the whole keyspace: the same figures.
    private static func walking(_ status: NodeStatus, _ style: Style) -> [String] {
        let isHolder = status.node.role == "holder"
        var parts = [isHolder ? "fill" : "sync", epochAndAge(status)]
        let old = status.keyspace.stale >= 0.0005 ? " (\(percent(status.keyspace.stale)) % of older epochs)" : ""
        parts.append("\(isHolder ? "arc" : "keyspace") \(held(status)) %\(old)")
        if case .terminal = style { parts.append("[\(bar(shown(status), cells: 10))]") }
        parts.append(sections(status))
        let rate = ByteCount(bytes: status.transfer.bytesPerSecond)
        parts.append("\(ByteCount(bytes: status.transfer.stateBytes)) @ \(rate)/s")
        if let seconds = status.transfer.remaining { parts.append("eta \(DurationText.text(seconds))") }
        if status.crossings.count > 0 {
            let share = status.crossings.share.map { ", \(hundredths($0)) of an epoch each" } ?? ""
            parts.append("\(status.crossings.count) crossed\(share)")
        }
        return parts
    }

    /// Whole sections of all, and what of them is on its way.
    private static func sections(_ status: NodeStatus) -> String {
        let sections = status.sections
        let more = [
            sections.stale > 0 ? "\(sections.stale) stale" : nil,
            sections.inFlight > 0 ? "\(sections.inFlight) in flight" : nil,
        ].compactMap { $0 }.joined(separator: ", ")
        return "\(sections.complete)/\(sections.wanted) sections" + (more.isEmpty ? "" : " (\(more))")
    }

    /// The epoch with its block, and for how long it has been final here.
    private static func epochAndAge(_ status: NodeStatus) -> String {
        guard let found = status.epoch else { return epoch(status) }
        let age = found.age.map { ", \(DurationText.text($0)) old" } ?? ""
        return "epoch \(found.number) (block \(found.block)\(age))"
    }

    private static func epoch(_ status: NodeStatus) -> String {
        status.epoch.map { "epoch \($0.number)" } ?? "no epoch yet"
    }

    private static func peers(_ status: NodeStatus) -> String {
        let word = status.peers.connected == 1 ? "peer" : "peers"
        let charged = status.peers.charged > 0 ? ", \(status.peers.charged) charged" : ""
        return "\(status.peers.connected) \(word) (\(status.peers.holding) holding, \(status.peers.useful) "
            + "useful\(charged))"
    }

    /// The share as shown: never the whole while something is walked or the root of the whole is not verified.
    private static func shown(_ status: NodeStatus) -> Double {
        let isWhole = status.keyspace.rootVerified && status.phase != "walking"
        return min(max(status.keyspace.held, 0), isWhole ? 1 : 0.999)
    }

    /// What is held, in percent.
    static func held(_ status: NodeStatus) -> String { percent(shown(status)) }

    /// A share in percent with one decimal, rounded down.
    static func percent(_ share: Double) -> String {
        let tenths = Int(min(max(share, 0), 1) * 1_000)
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// With two decimals.
    private static func hundredths(_ value: Double) -> String {
        let parts = UInt64(min(value, 1e9) * 100)
        return "\(parts / 100).\(parts % 100 < 10 ? "0" : "")\(parts % 100)"
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
