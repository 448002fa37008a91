import Foundation
import Node

/// A small file of `name=value` lines that scripts read while a node runs. It is replaced in one step, so a reader
/// never sees half of it. The figures are those of the status record.
public struct StatusFile: Sendable {
    /// The file's path.
    public let path: String

    /// The file at `path`; nothing is touched yet.
    public init(_ path: String) { self.path = path }

    /// Replaces the file.
    func write(_ status: NodeStatus) throws(ShellError) {
        // It is of use while the node runs: not worth a wait for the disk every second.
        let text = StatusFile.figures(status).map { "\($0.name)=\($0.value)\n" }.joined()
        try WholeFile.write(text, to: path, .replaced, flushed: false)
    }

    /// What it says, in a fixed order.
    static func figures(_ status: NodeStatus) -> [(name: String, value: String)] {
        func known(_ value: (some CustomStringConvertible)?) -> String { value.map { "\($0)" } ?? "none" }
        let (keyspace, sections, transfer) = (status.keyspace, status.sections, status.transfer)
        let (peers, done, upkeep) = (status.peers, status.done, status.upkeep)
        var figures: [(name: String, value: String)] = [
            ("role", status.node.role), ("id", status.node.id), ("phase", status.phase),
            ("epoch", known(status.epoch?.number)),
            ("head", "\(status.head.block)"), ("head_age", known(status.head.age)),
            ("stale", status.head.stale ? "yes" : "no"), ("verified_block", "\(status.head.verified)"),
            ("mode", known(status.head.mode)), ("behind", known(status.head.behind)),
            ("held", share(keyspace.held)), ("held_at_newest", share(keyspace.newest)),
            ("held_stale", share(keyspace.stale)), ("keyspace_share", share(keyspace.ofRing)),
            ("sections", "\(sections.complete)"), ("sections_wanted", "\(sections.wanted)"),
            ("sections_verified", "\(sections.verified)"), ("sections_stale", "\(sections.stale)"),
            ("sections_in_flight", "\(sections.inFlight)"),
            ("state_bytes", "\(transfer.stateBytes)"), ("bytes_per_second", "\(transfer.bytesPerSecond)"),
            ("average_rate", "\(transfer.averageRate)"), ("remaining", known(transfer.remaining)),
            ("udp_bytes_received", "\(transfer.udpBytes)"),
            ("leaf_bytes", "\(done.leafBytes)"), ("followed_bytes", "\(done.followedBytes)"),
            ("ranges", "\(done.ranges)"),
            ("bundled_sections", "\(done.bundledSections)"), ("diffs", "\(done.sectionDiffs)"),
            ("block_diffs", "\(done.blockDiffs)"), ("codes", "\(done.codes)"), ("folds", "\(done.folds)"),
            ("crossings", "\(status.crossings.count)"), ("roll_forward", seconds(status.crossings.rollForward)),
            ("epoch_length", seconds(status.crossings.epochLength)),
            ("invalid_answers", "\(done.invalidAnswers)"),
            ("peers", "\(peers.connected)"), ("holding_peers", "\(peers.holding)"),
            ("useful_peers", "\(peers.useful)"), ("charged_peers", "\(peers.charged)"),
            ("banned_peers", "\(peers.banned)"), ("lanes", "\(status.lanes.count)"),
            ("ready_sections", "\(upkeep.readySections)"), ("ready_bytes", "\(upkeep.readyBytes)"),
            ("searches", "\(peers.searches)"), ("searches_made", "\(peers.searchesMade)"),
            ("kept_peers", "\(peers.kept)"), ("waiting_section", known(status.waiting?.section)),
            ("stall", known(status.stall?.reason)), ("stall_seconds", known(status.stall?.seconds)),
            ("unheld_sections", "\(upkeep.unheld)"), ("under_held_sections", "\(upkeep.underHeld)"),
            ("under_held_first", known(upkeep.underHeldFirst)),
            ("radius_kept", known(upkeep.radiusKept.map { "2^\($0)" })),
            ("radius_announced", known(upkeep.radiusAnnounced.map { "2^\($0)" })),
            ("storage_of", status.node.storageOf.map { "\($0)" } ?? "all"),
            ("damaged_sections", "\(upkeep.damagedSections)"), ("scrubbed_sections", "\(upkeep.scrubbedSections)"),
        ]
        // Live providers and kept holders that cover it, of each section from the first to the last.
        figures += status.supply.map { ("holders.\($0.first)-\($0.last)", "\($0.providers)/\($0.keepers)") }
        if let complete = status.complete {
            figures.append(("complete_epoch", "\(complete.epoch)"))
            figures.append(("complete_after", seconds(complete.after)))
            if let root = complete.root { figures.append(("complete_root", root)) }
        }
        figures += done.stateBytesFrom.sorted { $0.key < $1.key }.map { ("state_bytes_from.\($0.key)", "\($0.value)") }
        return figures
    }

    /// A share with four decimals, rounded down: never more than is true.
    static func share(_ value: Double) -> String {
        let parts = Int(min(max(value, 0), 1) * 10_000)
        let digits = "\(parts % 10_000)"
        return "\(parts / 10_000)." + String(repeating: "0", count: 4 - digits.count) + digits
    }

    /// Seconds with three decimals.
    private static func seconds(_ value: Double?) -> String {
        value.map { String(format: "%.3f", $0) } ?? "none"
    }
}
