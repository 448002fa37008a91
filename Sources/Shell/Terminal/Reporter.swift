import Chain
import Foundation
import Node
import Primitives
import StateNetwork

/// Tells the one who runs a node what it reports: the progress line, the log, the status file; and decides when what
/// was asked for is done or has failed.
final class Reporter {
    private let settings: RuntimeSettings
    private let terminal: Terminal
    private let clock: SystemClock
    private let started: Instant
    private var progress: NodeProgress?
    private var complete: (anchor: Anchor, root: Bytes32?)?
    /// From the start to the first report of everything.
    private var completeAfter: Interval?
    private var verified: StatePoint?
    private var replayed: StatePoint?
    private var isStatusRefused = false
    private var hasFailed = false
    private var isDone = false
    private let chain: ChainDirectory?
    /// Bytes of all datagrams that came since the start.
    var receivedBytes: () -> Int = { 0 }
    /// Called for every block that a bridge has applied.
    var blockUsed: () -> Void = {}

    init(settings: RuntimeSettings, terminal: Terminal, clock: SystemClock, chain: ChainDirectory? = nil) {
        self.chain = chain
        self.settings = settings
        self.terminal = terminal
        self.clock = clock
        started = clock.instant()
    }

    /// Takes a report; says whether to go on.
    func handle(_ report: NodeReport, from node: CarouselNode) -> LoopVerdict {
        switch report {
        case .log(let level, let text): terminal.log(LogLevel(level), text)
        case .progress(let progress): return take(progress, from: node)
        case .complete(let anchor, let root): return take(complete: anchor, root, from: node)
        case .verified(let point):
            verified = point
            terminal.log(.debug, "verified up to block \(point.number)")
            if case .block(let wanted) = settings.end, point.number >= wanted {
                if !isDone { terminal.log(.info, "block \(point.number) is verified: done") }
                isDone = true
                return .stop(0)
            }
        case .replayed(let point):
            replayed = point
            terminal.log(.debug, "applied block \(point.number)")
            blockUsed()
        case .blockRefused(let point, let what):
            let error = chain.map { ChainDirectoryError.refused(file: $0.file(ofBlock: point.number), point, what) }
            return fail(error?.description ?? what)
        case .storeFailed(let error):
            let error = ShellError(error, dataDirectory: settings.dataDirectory, networkFile: settings.networkFile)
            return fail(error.description)
        case .failed(let text): return fail(text)
        }
        return .goOn
    }

    /// What follows from the first failure, every transaction in line say, tells nothing new.
    private func fail(_ text: String) -> LoopVerdict {
        if !hasFailed { terminal.log(.error, text) }
        hasFailed = true
        return .stop(1)
    }

    private func take(_ progress: NodeProgress, from node: CarouselNode) -> LoopVerdict {
        let wasStalled = self.progress?.stall != nil
        let isUrgent = progress.phase != self.progress?.phase || (progress.stall != nil) != wasStalled
        self.progress = progress
        terminal.show(progress, role: settings.role, urgent: isUrgent)
        writeStatus(of: node)
        // A sync that nobody answers has failed; a node that serves waits for others to come.
        let waited = clock.instant() - started
        if settings.role == .walker, progress.peers == 0, progress.stateBytes == 0,
            waited >= .seconds(ShellLimits.secondsWithoutPeers)
        {
            terminal.log(
                .error,
                "no boot node answered for \(ShellLimits.secondsWithoutPeers) s: check --bootnodes, that its node "
                    + "runs, that both have the same --network file, and that UDP is let through")
            return .stop(1)
        }
        return .goOn
    }

    private func take(complete anchor: Anchor, _ root: Bytes32?, from node: CarouselNode) -> LoopVerdict {
        let isFirst = complete == nil
        complete = (anchor, root)
        completeAfter = completeAfter ?? clock.instant() - started
        let held = settings.keeping.storage.accounts.map { "all accounts are held, with the storage of \($0.count)" }
        let what = root.map {
            "\(held ?? "the whole state is held"); the root over its sections, \($0), is the header's"
        }
        let text = "epoch \(anchor.epoch): " + (what ?? "the arc is complete, every section as in the crown")
        terminal.log(isFirst ? .info : .debug, text)
        writeStatus(of: node)
        return settings.end == .synced ? .stop(0) : .goOn
    }

    /// Whether the whole state was to be the end, and is here.
    var hasSynced: Bool { settings.end == .synced && complete != nil }

    /// The last figures, and the end of the progress line.
    func finish(_ node: CarouselNode) {
        if settings.role != .bridge || progress != nil { writeStatus(of: node) }
        terminal.endProgress()
    }

    private func writeStatus(of node: CarouselNode) {
        guard let file = settings.statusFile, !isStatusRefused else { return }
        do {
            try file.write(figures(of: node))
        } catch {
            isStatusRefused = true
            terminal.log(.warn, "no more status is written: \(error)")
        }
    }

    /// What `--status-file` says, in a fixed order.
    private func figures(of node: CarouselNode) -> [(name: String, value: String)] {
        let now = clock.now()
        let progress = node.progress(at: now)
        let sections = 1 << (4 * node.configuration.network.sectionDepth)
        let seconds = max((now.instant - started).seconds, 0.001)
        let totals = node.totals
        var figures: [(name: String, value: String)] = [
            ("role", "\(settings.role)"),
            ("id", Hex.prefixed(node.configuration.key.nodeID.bytes)),
            ("phase", progress.phase.rawValue),
            ("epoch", progress.anchor.map { "\($0.epoch)" } ?? "none"),
            ("head", "\(settings.role == .bridge ? replayed?.number ?? 0 : progress.head)"),
            ("head_age", progress.headAge.map { "\($0)" } ?? "none"),
            ("stale", progress.isStale ? "yes" : "no"),
            ("verified_block", "\(progress.verifiedHead)"),
            ("held", Reporter.share(progress.held)),
            ("held_at_newest", Reporter.share(progress.atNewestAnchor)),
            ("keyspace_share", Reporter.share(Double(progress.sectionsComplete) / Double(sections))),
            ("sections", "\(progress.sectionsComplete)"),
            ("sections_wanted", "\(progress.sectionsWanted)"),
            ("state_bytes", "\(progress.stateBytes)"),
            ("bytes_per_second", "\(UInt64(max(0, progress.bytesPerSecond)))"),
            ("average_rate", "\(UInt64(Double(progress.stateBytes) / seconds))"),
            ("udp_bytes_received", "\(receivedBytes())"),
            ("leaf_bytes", "\(totals.leafBytes)"),
            ("followed_bytes", "\(totals.followedBytes)"),
            ("ranges", "\(totals.ranges)"),
            ("bundled_sections", "\(totals.sections)"),
            ("diffs", "\(totals.sectionDiffs)"),
            ("block_diffs", "\(totals.blockDiffs)"),
            ("codes", "\(totals.codes)"),
            ("folds", "\(totals.folds)"),
            ("crossings", "\(totals.crossingsWhileFetching)"),
            ("invalid_answers", "\(totals.invalidAnswers)"),
            ("peers", "\(progress.peers)"),
            ("useful_peers", "\(progress.usefulPeers)"),
            ("lanes", "\(progress.lanes)"),
            ("ready_sections", "\(progress.ready.sections)"),
            ("ready_bytes", "\(progress.ready.bytes)"),
            ("searches", "\(progress.searches)"),
            ("searches_made", "\(node.holders.searchCount)"),
            ("kept_peers", "\(node.holders.keptCount)"),
            ("waiting_section", progress.waiting?.section ?? "none"),
            ("unheld_sections", "\(progress.lacking.unheld?.count ?? 0)"),
            ("under_held_sections", "\(progress.lacking.underHeld?.count ?? 0)"),
            ("under_held_first", progress.lacking.underHeld.map { "\($0.first)" } ?? "none"),
            ("radius_kept", node.arcMark.map { "2^\($0.kept)" } ?? "none"),
            ("radius_announced", node.arcMark.map { "2^\($0.announced)" } ?? "none"),
            ("storage_of", settings.keeping.storage.accounts.map { "\($0.count)" } ?? "all"),
            ("damaged_sections", "\(node.damagedSections)"),
            ("scrubbed_sections", "\(node.scrubbedSections)"),
        ]
        for run in node.holders.supply {
            // Live providers and kept holders that cover it, of each section from the first to the last.
            figures.append(("holders.\(run.first)-\(run.last)", "\(run.providers)/\(run.keepers)"))
        }
        if let complete {
            figures.append(("complete_epoch", "\(complete.anchor.epoch)"))
            if let completeAfter { figures.append(("complete_after", String(format: "%.3f", completeAfter.seconds))) }
            if let root = complete.root { figures.append(("complete_root", Hex.prefixed(root.bytes))) }
        }
        for (id, bytes) in totals.stateBytesByPeer.sorted(by: { $0.key < $1.key }) {
            figures.append(("state_bytes_from.\(Hex.prefixed(id.bytes))", "\(bytes)"))
        }
        return figures
    }

    /// A share with four decimals, rounded down: never more than is true.
    private static func share(_ value: Double) -> String {
        let parts = Int(min(max(value, 0), 1) * 10_000)
        let digits = "\(parts % 10_000)"
        return "\(parts / 10_000)." + String(repeating: "0", count: 4 - digits.count) + digits
    }
}

extension LogLevel {
    /// The level of a report of the node.
    init(_ level: NodeReport.Level) {
        switch level {
        case .error: self = .error
        case .warning: self = .warn
        case .info: self = .info
        case .debug: self = .debug
        }
    }
}
