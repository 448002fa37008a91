import CNet
import Foundation
import Primitives

/// What the user's side says to a report of the machine.
public enum LoopVerdict: Equatable, Sendable {
    /// Nothing follows from it: go on.
    case goOn
    /// The command is done or has failed: finish and end with this exit code.
    case stop(Int32)
}

/// The one thread that owns a machine: it sleeps until a datagram, a message, a signal or a deadline, tells the machine
/// and carries out what it asks for.
public final class EventLoop<Machine: NodeMachine> {
    /// The machine's event.
    public typealias Event = MachineEvent<Machine>

    /// What the loop hands work to, since it must never wait: jobs, writes, what the user is told, feeds.
    public struct Hands {
        /// Does jobs.
        public var pool: WorkerPool<Machine.JobID, Machine.Job>
        /// Writes batches.
        public var writer: StoreWriter<Machine.CommitID, Machine.Batch, Machine.Failure>
        /// Tells the user; says whether to go on.
        public var report: (Machine.Report, Machine) -> LoopVerdict
        /// Ends the feeds (threads that post commands) when the loop ends.
        public var stopFeeds: () -> Void
        /// Tells the user that a feed's source is broken.
        public var feedFailed: (String) -> Void

        /// The hands as given.
        public init(
            pool: WorkerPool<Machine.JobID, Machine.Job>,
            writer: StoreWriter<Machine.CommitID, Machine.Batch, Machine.Failure>,
            report: @escaping (Machine.Report, Machine) -> LoopVerdict, stopFeeds: @escaping () -> Void = {},
            feedFailed: @escaping (String) -> Void = { _ in }
        ) {
            self.pool = pool
            self.writer = writer
            self.report = report
            self.stopFeeds = stopFeeds
            self.feedFailed = feedFailed
        }
    }

    private enum Token {
        static var socket: UInt32 { 1 }
        static var mailbox: UInt32 { 2 }
        static var signals: UInt32 { 3 }
    }

    /// The machine; only the loop changes it.
    public private(set) var machine: Machine
    private let socket: UDPSocket
    private let mailbox: Mailbox<Event>
    private let signals: Signals?
    private let clock: SystemClock
    private let hands: Hands
    private let poll: Int32
    private var waitsForRoom = false
    /// The machine fills one buffer while the socket empties another.
    private var spare = DatagramBuffer(limit: ShellLimits.waitingBytes)
    private var exitCode: Int32?
    private var memoryLookedAt: Instant?
    /// Whether it ended because the store is about to be full, and nothing else.
    public private(set) var endedShort = false

    /// A loop that has not begun. `signals` nil: the loop ends only by a report's verdict.
    public init(
        machine: Machine, socket: UDPSocket, mailbox: Mailbox<Event>, signals: Signals?, clock: SystemClock,
        hands: Hands
    ) throws(ShellError) {
        self.machine = machine
        self.socket = socket
        self.mailbox = mailbox
        self.signals = signals
        self.clock = clock
        self.hands = hands
        poll = cnet_poll_create()
        if poll < 0 { throw .system("epoll_create", poll) }
        cnet_keep_freed_memory(ShellLimits.keptMemoryBytes)
        try watch(socket.descriptor, Token.socket)
        try watch(mailbox.descriptor, Token.mailbox)
        if let signals { try watch(signals.descriptor, Token.signals) }
    }

    deinit { if poll >= 0 { _ = cnet_close(poll) } }

    /// Runs until a signal or a verdict ends it; the exit code. The machine's last writes are on the disk then.
    public func run() throws(ShellError) -> Int32 {
        perform()
        while exitCode == nil {
            try turn()
        }
        return try finish()
    }

    private func watch(_ descriptor: Int32, _ token: UInt32) throws(ShellError) {
        let result = cnet_poll_add(poll, descriptor, token, 0)
        if result < 0 { throw .system("epoll_ctl", result) }
    }

    /// Waits once and handles everything that is ready.
    private func turn() throws(ShellError) {
        let ready = cnet_poll_wait(poll, timeoutMicroseconds())
        if ready < 0 { throw .system("epoll_wait", Int32(ready)) }
        if ready & 1 &<< Int64(Token.signals) != 0, let signals, signals.next() != nil { exitCode = exitCode ?? 0 }
        if ready & 1 &<< Int64(Token.mailbox) != 0 { takeMail() }
        if ready & 1 &<< Int64(Token.socket) != 0 { try receive() }
        let now = clock.now()
        if let deadline = deadline(at: now), deadline <= now.instant { machine.handle(.tick, at: now) }
        perform()
        if memoryLookedAt.map({ now.instant - $0 >= ShellLimits.memoryInterval }) ?? true {
            memoryLookedAt = now.instant
            cnet_give_back_freed_memory(ShellLimits.keptMemoryBytes)
        }
    }

    private func timeoutMicroseconds() -> Int64 {
        let now = clock.now()
        guard let deadline = deadline(at: now) else { return -1 }
        let wait = (deadline - now.instant).microseconds
        return Int64(clamping: max(wait, ShellLimits.shortestWaitMicroseconds))
    }

    /// Asked in place: to read a machine that lies in an object would copy it.
    private func deadline(at now: Moment) -> Instant? {
        func ask(_ machine: inout Machine) -> Instant? { machine.nextDeadline(at: now) }
        return ask(&machine)
    }

    /// Hands the machine what other threads left; whether there was anything.
    @discardableResult
    private func takeMail() -> Bool {
        let now = clock.now()
        let mail = mailbox.take()
        for event in mail {
            switch event {
            case .feedFailed(let reason):
                hands.feedFailed(reason)
                exitCode = exitCode ?? 1
            case .storeShort:
                endedShort = endedShort || exitCode == nil
                exitCode = exitCode ?? 0
            default:
                // A commit for which there is no room says nothing new then.
                if !endedShort { machine.handle(event, at: now) }
            }
        }
        return !mail.isEmpty
    }

    private func receive() throws(ShellError) {
        var batches = ShellLimits.batchesPerTurn
        while batches > 0 {
            let now = clock.now()
            let isMore = try socket.receive { machine.receive($0, from: $1, at: now) }
            machine.handle(.tick, at: now)
            // What the batch caused goes out before the next is read: acknowledgements must not wait.
            perform()
            if !isMore { return }
            batches -= 1
        }
    }

    private func perform() {
        for directive in machine.drain() {
            switch directive {
            case .send(let bytes, let endpoint): socket.send(bytes, to: endpoint)
            case .run(let id, let job): hands.pool.run(id, job)
            case .commit(let id, let batch): hands.writer.commit(id, batch)
            case .report(let report):
                if case .stop(let code) = hands.report(report, machine) { exitCode = exitCode ?? code }
            }
        }
        machine.swapDatagrams(&spare)
        socket.send(&spare)
        let isEmpty = socket.flush()
        if isEmpty == waitsForRoom {
            waitsForRoom = !isEmpty
            // A refusal here would show itself as a line that fills up; it is counted there.
            _ = cnet_poll_change(poll, socket.descriptor, Token.socket, waitsForRoom ? 1 : 0)
        }
        let unsent = socket.takeUnsent()
        guard !unsent.isEmpty else { return }
        // What the machine sends elsewhere instead; it does not send to these again at once.
        machine.handle(.unsent(unsent), at: clock.now())
        perform()
    }

    /// Ends in order: what the machine has asked to be written reaches the disk, and so does what it asks to be written
    /// when it hears of that. No further job is begun: the next start goes on from the last watermark.
    private func finish() throws(ShellError) -> Int32 {
        hands.stopFeeds()
        hands.pool.shutDown()
        for _ in 0..<ShellLimits.lastRounds {
            hands.writer.flush()
            guard takeMail() else { break }
            perform()
        }
        hands.writer.shutDown()
        return exitCode ?? 0
    }
}
