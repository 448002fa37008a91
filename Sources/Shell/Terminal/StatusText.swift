import Foundation
import Node

/// What `carousel status` says of a status record: a line a subject, each of which explains itself.
public enum StatusText {
    /// The lines, without their ends.
    public static func lines(_ reading: StatusRecord.Reading) -> [String] {
        let status = reading.status
        var lines: [String] = []
        if !reading.isRunning {
            let end = status.running ? "last written" : "stopped"
            lines.append("not running: \(end) at \(time(status.time)), \(DurationText.text(reading.age)) ago; then:")
        }
        let node = status.node
        lines.append(
            line(
                "node",
                "\(node.role) \(node.id.prefix(10)) on network \(node.network), \(node.program), up "
                    + DurationText.text(node.uptime)))
        lines.append(line("phase", phase(status)))
        lines.append(line("epoch", epoch(status)))
        lines.append(line("head", head(status)))
        if let mode = mode(status) { lines.append(line("mode", mode)) }
        if let way = status.head.catchUp, let blocks = status.head.blocksCost, let state = status.head.stateCost {
            lines.append(
                line(
                    "catch up",
                    "by \(way): blocks would be \(ByteCount(bytes: blocks)), state \(ByteCount(bytes: state))"))
        }
        if node.role != "bridge" {
            lines.append(line("keyspace", keyspace(status)))
            lines.append(line("sections", sections(status)))
        }
        lines.append(line("received", received(status)))
        if let crossing = crossing(status) { lines.append(line("crossings", crossing)) }
        lines.append(line("peers", peers(status)))
        for lane in status.lanes { lines.append(line("lane \(lane.lane)", text(lane))) }
        if let waiting = status.waiting, status.stall == nil {
            lines.append(
                line("waiting", "section \(waiting.section), \(waiting.providers) known to have it: \(waiting.why)"))
        }
        if let stall = status.stall {
            lines.append(line("stalled", "for \(stall.seconds) s (\(stall.reason)): \(stall.text)"))
            lines.append(line("what helps", stall.advice))
        }
        return lines
    }

    private static func line(_ name: String, _ text: String) -> String {
        name + String(repeating: " ", count: max(1, 12 - name.count)) + text
    }

    /// A time in Unix seconds as the log writes it.
    static func time(_ unixSeconds: UInt64) -> String {
        Date(timeIntervalSince1970: Double(unixSeconds)).formatted(.iso8601)
    }

    private static func phase(_ status: NodeStatus) -> String {
        let text =
            switch status.phase {
            case "headers": "no attested header is here yet"
            case "walking": status.node.role == "holder" ? "the arc is being filled" : "the state is being fetched"
            case "following": "all is held; blocks carry it on"
            case "alone": "all is held, and no peer answers who could carry it on"
            case "outdated": "all is held, and nothing new was attested for longer than the network allows"
            case "replaying": "its chain is brought into the network"
            case "applying": "blocks are applied to the whole state, up to the last final one"
            default: "not known to this program"
            }
        let rest = status.transfer.remaining.map { ", about \(DurationText.text($0)) left" } ?? ""
        let unknown = status.phase == "walking" && status.transfer.remaining == nil ? ", time left unknown" : ""
        return "\(status.phase): \(text)\(rest)\(unknown)"
    }

    private static func epoch(_ status: NodeStatus) -> String {
        guard let epoch = status.epoch else { return "none is final yet" }
        let age = epoch.age.map { ", final here for \(DurationText.text($0))" } ?? ""
        return "\(epoch.number) (block \(epoch.block), \(epoch.hash.prefix(10))\(age))"
    }

    private static func head(_ status: NodeStatus) -> String {
        guard status.node.role != "bridge" else { return "block \(status.head.block) was applied last" }
        let age = status.head.age.map { "attested \(DurationText.text($0)) ago" } ?? "nothing was attested yet"
        let stale = status.head.stale ? ", which is too old" : ""
        return "block \(status.head.block), \(age)\(stale); what is held is verified at block \(status.head.verified)"
    }

    /// What the node is about, what it serves meanwhile, and what peers say of the chain. nil in a record of a former
    /// version.
    private static func mode(_ status: NodeStatus) -> String? {
        let head = status.head
        guard let mode = head.mode else { return nil }
        let doing =
            switch mode {
            case "sync": "catching up, \(head.behind ?? 0) blocks behind"
            case "pacemaker": "caught up"
            default: "not known to this program"
            }
        let time = head.modeFor.map { ", for \(DurationText.text($0))" } ?? ""
        var served = "no headers"
        if let lowest = head.lowest, let highest = head.highest { served = "headers \(lowest) to \(highest)" }
        var told = "no peer says what it has"
        if let count = status.peers.told, count > 0 {
            let heights = status.peers.toldLowest.flatMap { low in status.peers.toldHighest.map { "\(low) to \($0)" } }
            told = "\(count) peers say they have blocks \(heights ?? "?")"
        }
        return "\(mode): \(doing)\(time); serves \(served); \(told)"
    }

    private static func keyspace(_ status: NodeStatus) -> String {
        let keyspace = status.keyspace
        var text = "\(ProgressLine.held(status)) % is held and verified"
        let epoch = status.epoch.map { "at epoch \($0.number)" } ?? "at the newest epoch"
        if keyspace.stale > 0 {
            text +=
                ": \(ProgressLine.percent(keyspace.newest)) % \(epoch), \(ProgressLine.percent(keyspace.stale)) % at "
            text += "older ones\(keyspace.oldestEpoch.map { " (from \($0) on)" } ?? ""), which is being brought forward"
        } else {
            text += " \(epoch)"
        }
        return text + (keyspace.rootVerified ? "" : "; the root of all is not verified yet")
    }

    private static func sections(_ status: NodeStatus) -> String {
        let sections = status.sections
        return "\(sections.complete) of \(sections.wanted) are whole: \(sections.verified) at the newest epoch, "
            + "\(sections.stale) stale; \(sections.begun) begun, \(sections.inFlight) asked for"
    }

    private static func received(_ status: NodeStatus) -> String {
        let transfer = status.transfer
        return "\(ByteCount(bytes: transfer.stateBytes)) of verified state at "
            + "\(ByteCount(bytes: transfer.bytesPerSecond))/s, \(ByteCount(bytes: transfer.udpBytes)) in all"
    }

    private static func crossing(_ status: NodeStatus) -> String? {
        let crossings = status.crossings
        guard crossings.count > 0 || crossings.rollForward != nil else { return nil }
        var text = "\(crossings.count) while fetching"
        if let took = crossings.rollForward { text += "; the last took \(String(format: "%.1f", took)) s" }
        if let length = crossings.epochLength, let share = crossings.share {
            text += ", \(ProgressLine.percent(share)) % of an epoch of \(String(format: "%.1f", length)) s"
            if share >= 1 { text += ": it never catches up at this pace" }
        }
        return text
    }

    private static func peers(_ status: NodeStatus) -> String {
        let peers = status.peers
        return "\(peers.connected) connected, \(peers.holding) hold state, \(peers.useful) were of use, "
            + "\(peers.charged) not believed now, \(peers.banned) banned; \(peers.searches) searches under way"
    }

    private static func text(_ lane: NodeStatus.Lane) -> String {
        let place = "section \(lane.section), \(ProgressLine.percent(lane.share)) % held: \(lane.doing)"
        guard let peer = lane.peer, let seconds = lane.seconds else { return place }
        return place + " peer \(peer.dropFirst(2).prefix(8)) for \(String(format: "%.1f", seconds)) s"
    }
}

/// What `carousel peers` says of a status record: a table, and lines for what does not fit one.
public enum PeersText {
    private static let heading = [
        "id", "address", "client", "role", "arc", "sections", "epoch", "headers", "head", "blocks", "mode", "rtt",
        "failed", "rate", "asked", "useful", "charge",
    ]

    /// The lines, without their ends.
    public static func lines(_ reading: StatusRecord.Reading) -> [String] {
        let status = reading.status
        var lines: [String] = []
        if !reading.isRunning {
            let when = StatusText.time(status.time)
            lines.append("not running: last written at \(when), \(DurationText.text(reading.age)) ago; then:")
        }
        let rows = [heading] + status.peerList.map(row)
        let widths = heading.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            lines.append(String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed()))
        }
        let unlisted = status.peers.connected - status.peerList.count { $0.address != nil }
        if unlisted > 0 { lines.append("and \(unlisted) more") }
        return lines
    }

    private static func heights(_ lowest: UInt64?, _ highest: UInt64?) -> String {
        lowest.flatMap { low in highest.map { "\(low)-\($0)" } } ?? "-"
    }

    private static func row(_ peer: NodeStatus.Peer) -> [String] {
        let charge = peer.charge.map { charge in
            charge + (peer.chargedFor.map { ", \(DurationText.text($0)) more" } ?? "")
        }
        return [
            String(peer.id.dropFirst(2).prefix(8)), peer.address ?? "-", String((peer.client ?? "-").prefix(24)),
            peer.role ?? "-", peer.arc ?? "-", peer.sections.map { "\($0)" } ?? "-",
            peer.epoch.map { "\($0)" } ?? "-", heights(peer.lowest, peer.highest), peer.head.map { "\($0)" } ?? "-",
            heights(peer.lowestBlock, peer.highestBlock), peer.mode ?? "-",
            peer.roundTrip.map { String(format: "%.1f ms", $0) } ?? "-",
            peer.failureRate.map { "\(ProgressLine.percent($0)) %" } ?? "-",
            peer.rate.map { "\(ByteCount(bytes: $0))/s" } ?? "-", "\(peer.inFlight)",
            peer.usefulFor.map { "for \(DurationText.text($0))" } ?? "no", charge ?? "-",
        ]
    }
}
