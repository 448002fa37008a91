import Chain
import Foundation
import Node
import Primitives
import StateNetwork

/// Tells the one who runs a node what it reports: the progress line, the log, the status record and file; and decides
/// when what was asked for is done or has failed.
final class Reporter {
    private let settings: RuntimeSettings
    private let terminal: Terminal
    private let clock: SystemClock
    private var world: NodeStatus.World
    private var progress: NodeProgress?
    /// What of the status could not be written, which was told.
    private var refused: Set<String> = []
    private var hasFailed = false
    private var isDone = false
    /// Whether a sync by blocks has come to its end, and whether it ever had a peer.
    private var isSynced = false, hadPeers = false
    private let chain: ChainDirectory?
    /// The block at whose state the store is whole, if there is one; and whether the other way of catching up is to be
    /// gone now.
    var wholeState: () -> StatePoint? = { nil }
    private(set) var goesOver = false
    /// Bytes of all datagrams that came since the start.
    var receivedBytes: () -> Int = { 0 }
    /// Called for every block that a bridge has applied.
    var blockUsed: () -> Void = {}

    init(settings: RuntimeSettings, terminal: Terminal, clock: SystemClock, chain: ChainDirectory? = nil) {
        self.chain = chain
        self.settings = settings
        self.terminal = terminal
        self.clock = clock
        world = NodeStatus.World(program: ProgramVersion.text, started: clock.instant())
    }

    /// Takes a report; says whether to go on.
    func handle(_ report: NodeReport, from node: CarouselNode) -> LoopVerdict {
        switch report {
        case .log(let level, let text): terminal.log(LogLevel(level), text)
        case .progress(let progress): return take(progress, from: node)
        case .complete(let anchor, let root): return take(complete: anchor, root, from: node)
        case .verified(let point):
            terminal.log(.debug, "verified up to block \(point.number)")
            if case .block(let wanted) = settings.end, point.number >= wanted {
                if !isDone { terminal.log(.info, "block \(point.number) is verified: done") }
                isDone = true
                return .stop(0)
            }
        case .replayed(let point):
            world.replayed = point.number
            terminal.log(.debug, "applied block \(point.number)")
            blockUsed()
        case .blockRefused(let point, let what):
            let error = chain.map { ChainDirectoryError.refused(file: $0.file(ofBlock: point.number), point, what) }
            return fail(error?.description ?? what)
        case .storeFailed(let error):
            let error = ShellError(error, dataDirectory: settings.dataDirectory, networkFile: settings.networkFile)
            return fail(error.description)
        case .answered(let answer): terminal.log(.info, "answered at \(answer.state.anchor)")
        case .unanswered(let failure): terminal.log(.warn, "\(failure)")
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
        let status = status(of: node, progress)
        terminal.show(status, urgent: isUrgent)
        write(status)
        // A sync that nobody answers has failed; a node that serves waits for others to come.
        let waited = clock.instant() - world.started
        if SyncEnd.isReached(by: progress, settings) {
            terminal.log(
                .info,
                "block \(progress.verifiedHead) is the last final one, and the state's root is its header's: done")
            isSynced = true
            return .stop(0)
        }
        if CatchUpEnd.isReached(by: progress, settings, wholeState: wholeState) {
            terminal.log(.info, CatchUpEnd.line(progress, settings))
            goesOver = true
            return .stop(0)
        }
        // Who goes block by block gets no byte of state.
        hadPeers = hadPeers || settings.keeping.blocks.applies && progress.peers > 0
        if settings.role == .walker, progress.peers == 0, progress.stateBytes == 0, !hadPeers,
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
        let isFirst = world.complete == nil
        let after = world.complete?.after ?? (clock.instant() - world.started).seconds
        world.complete = NodeStatus.Complete(epoch: anchor.epoch, root: root.map { "\($0)" }, after: after)
        let held = settings.keeping.storage.accounts.map { "all accounts are held, with the storage of \($0.count)" }
        let what = root.map {
            "\(held ?? "the whole state is held"); the root over its sections, \($0), is the header's"
        }
        let text = "epoch \(anchor.epoch): " + (what ?? "the arc is complete, every section as in the crown")
        terminal.log(isFirst ? .info : .debug, text)
        write(status(of: node))
        return SyncEnd.isReachedByCompletion(settings) ? .stop(0) : .goOn
    }

    /// Whether the whole state was to be the end, and is here.
    var hasSynced: Bool {
        isSynced || SyncEnd.isReachedByCompletion(settings) && world.complete != nil
    }

    /// The last figures, and the end of the progress line.
    func finish(_ node: CarouselNode) {
        if settings.role != .bridge || progress != nil {
            var last = status(of: node)
            last.running = false
            write(last)
        }
        terminal.endProgress()
    }

    /// Where the node stands, for all who are told.
    private func status(of node: CarouselNode, _ progress: NodeProgress? = nil) -> NodeStatus {
        let now = clock.now()
        world.udpBytes = receivedBytes()
        return NodeStatus(node, progress ?? node.progress(at: now), world, at: now)
    }

    private func write(_ status: NodeStatus) {
        write("record") { () throws(ShellError) in try StatusRecord.write(status, to: settings.dataDirectory) }
        if let file = settings.statusFile { write("file") { () throws(ShellError) in try file.write(status) } }
    }

    /// Writes one of the two. That it cannot be written is told once; it is tried again, since a disk may get room.
    private func write(_ what: String, _ body: () throws(ShellError) -> Void) {
        do throws(ShellError) {
            try body()
            refused.remove(what)
        } catch {
            if refused.insert(what).inserted { terminal.log(.warn, "the status cannot be written: \(error)") }
        }
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
