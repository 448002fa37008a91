import Primitives

/// What the user is told about a sync, in figures. Everything in it is verified fact: a share of the keyspace is one
/// whose proofs were checked against a root at the named epoch.
public struct Progress: Equatable, Sendable {
    /// What the node is doing.
    public enum Phase: String, Sendable {
        /// Looking for peers and headers.
        case starting
        /// Fetching ranges and carrying what is held forward.
        case sync
        /// Everything is held; on by block diffs.
        case follow
        /// Replaying a recorded chain for others.
        case bridge
    }

    /// What the node is doing.
    public var phase: Phase
    /// The newest anchor: its epoch and its block.
    public var epoch: UInt64
    public var anchorBlock: UInt64
    /// The newest block known to be attested.
    public var headBlock: UInt64
    /// The block that the held state stands at, while following.
    public var stateBlock: UInt64
    /// Verified share of the keyspace wanted, 0…1, and whether the root of the whole has been recomputed.
    public var verified: Double
    public var isComplete: Bool
    /// Sections complete at the newest anchor, and how many are wanted.
    public var sections: Int
    public var wantedSections: Int
    /// Verified bytes received so far, and in a second now.
    public var bytes: UInt64
    public var bytesPerSecond: UInt64
    /// Peers known to be alive, and those of them that hold something wanted.
    public var peers: Int
    public var usefulPeers: Int
    /// Requests under way.
    public var lanes: Int
    /// Epoch boundaries passed while still fetching.
    public var crossings: Int
    /// Why nothing arrives, and for how long; nil while something does.
    public var stall: Stall?

    /// A reason why no verified byte arrives.
    public struct Stall: Equatable, Sendable {
        /// One line for a person.
        public var reason: String
        /// Since the last verified byte.
        public var seconds: Int

        /// A reason and since when.
        public init(reason: String, seconds: Int) {
            self.reason = reason
            self.seconds = seconds
        }
    }

    /// A node that has just begun: all figures zero.
    public init(phase: Phase) {
        self.phase = phase
        (epoch, anchorBlock, headBlock, stateBlock) = (0, 0, 0, 0)
        (verified, isComplete, sections, wantedSections) = (0, false, 0, 0)
        (bytes, bytesPerSecond) = (0, 0)
        (peers, usefulPeers, lanes, crossings) = (0, 0, 0, 0)
    }
}

/// The one line that shows a `Progress`: with a bar on a terminal, plain in a pipe.
public enum ProgressLine {
    /// Where the line is shown.
    public enum Style: Equatable, Sendable {
        /// A terminal of so many columns.
        case terminal(columns: Int)
        /// A pipe or a file.
        case plain
    }

    /// The line, without its end. On a terminal it is cut to its width.
    public static func text(_ progress: Progress, style: Style) -> String {
        var parts: [String]
        switch progress.phase {
        case .starting: parts = ["start  looking for peers"]
        case .sync: parts = syncParts(progress, style)
        case .follow:
            parts = ["follow  block \(progress.stateBlock) of \(progress.headBlock)", "epoch \(progress.epoch)"]
        case .bridge: parts = ["bridge  block \(progress.headBlock)", "epoch \(progress.epoch)"]
        }
        parts.append(peers(progress))
        if progress.phase == .sync { parts.append("lanes \(progress.lanes)") }
        if let stall = progress.stall { parts.append("STALLED for \(stall.seconds) s: \(stall.reason)") }
        let line = parts.joined(separator: "  ")
        if case .terminal(let columns) = style { return String(line.prefix(max(0, columns - 1))) }
        return line
    }

    private static func syncParts(_ progress: Progress, _ style: Style) -> [String] {
        var parts = ["sync  epoch \(progress.epoch) (block \(progress.anchorBlock))"]
        parts.append("keyspace \(percent(progress)) %")
        if case .terminal = style { parts.append("[\(bar(shown(progress), cells: 10))]") }
        parts.append("\(progress.sections)/\(progress.wantedSections) sections")
        let rate = ByteCount(bytes: progress.bytesPerSecond)
        parts.append("\(ByteCount(bytes: progress.bytes)) @ \(rate)/s")
        return parts
    }

    private static func peers(_ progress: Progress) -> String {
        let word = progress.peers == 1 ? "peer" : "peers"
        return "\(progress.peers) \(word) (\(progress.usefulPeers) useful)"
    }

    /// The share as shown: never the whole before the root of the whole is verified, never above the truth.
    private static func shown(_ progress: Progress) -> Double {
        guard !progress.isComplete else { return 1 }
        return min(max(progress.verified, 0), 0.999)
    }

    /// The share in percent with one decimal, rounded down.
    static func percent(_ progress: Progress) -> String {
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
