// Shell: the real world round a node. Sockets, threads, disk, clock, signals, files and the terminal.
//
// Terms
// - *machine*: the node, a value that takes events with the time and gives back directives (`NodeMachine`).
// - *loop*: the one thread that owns the machine (`EventLoop`). Nobody else touches it, so it has no lock.
// - *job*: heavy pure work (serving a range, verifying one) that the loop hands to the *pool* (`WorkerPool`).
// - *writer*: the one thread that commits batches to the store, in the order in which they were asked for
//   (`StoreWriter`).
// - *mailbox*: the way back into the loop: a locked list and an eventfd that wakes it (`Mailbox`).
//
//     socket ──recvmmsg──▶ ┌──────┐ ──run──▶ pool (N threads, store snapshots) ──┐
//     socket ◀─sendmmsg─── │ loop │ ──commit─▶ writer (1 thread, transactions) ──┤
//     signals, timers ───▶ └──────┘ ◀───────────── mailbox + eventfd ────────────┘
//
// Phases. Start: the port is bound, then the store opened, then threads start, then the loop runs. Run: the loop
// sleeps in one `epoll_wait` until a datagram, a message, a signal or the machine's next deadline. Stop: the machine
// is told, its last directives are carried out, the writer empties its queue, the answers are delivered, threads are
// joined.
//
// Invariants
// - A directive is carried out in the order given; commits reach the disk in that order too.
// - After one commit failed, every later one fails: a transaction never builds on one that is not there.
// - Every queue is bounded (`ShellLimits`) or bounded by the machine's own slots (jobs, commits).
//
// Why not Swift tasks: an actor hop a datagram costs more than the datagram, and the order of directives would be the
// scheduler's instead of the machine's.
//
// Folders. `Loop`: the threads, and what they hand each other. `Sockets`, `Store`, `Files`: what the system gives.
// `Chain`: recorded chains on disk. `Running`: a node put together with all of these. `Terminal`: what people see.
// `Export`: a state as a file, and back. `Tools`: comparison, doctor, probe, certificates. `Devnet`: a network of
// processes on this machine.

import Primitives

/// The bounds of this target. Each says its unit, its reason and where the figure is from.
enum ShellLimits {
    /// Bytes asked for each socket buffer: 4 MiB hold what a 1 Gbit/s peer sends in 32 ms, longer than any job of ours
    /// keeps the loop from the socket.
    static let socketBufferBytes = 4 << 20
    /// Batches (one read call of the system each) before the loop looks at its mailbox again: some milliseconds.
    static let batchesPerTurn = 4
    /// Bytes of freed memory kept for the next payloads: a few dozen ranges of a megabyte. The pages of a new payload
    /// otherwise cost a fault each, a sixth of what receiving it costs.
    static let keptMemoryBytes: Int32 = 48 << 20
    /// Between two looks at how much more than that lies unused.
    static let memoryInterval = Interval.seconds(5)
    /// Bytes waiting for room in the socket; datagrams beyond are lost, as any network may lose them.
    static let waitingBytes = 16 << 20
    /// Bytes of one datagram, the limit of discv5.1 packets. A longer one is dropped unread.
    static let datagramBytes = 1_280
    /// Microseconds that the loop waits at least where a machine's deadline stays in the past: a bug in a timer must
    /// not become a busy loop.
    static let shortestWaitMicroseconds: UInt64 = 1_000
    /// Bytes of a worker thread's stack: tries recurse 64 levels deep at most.
    static let workerStackBytes = 4 << 20
    /// Seconds after which a sync that no boot node has answered gives up.
    static let secondsWithoutPeers = 30
    /// Bytes of batches that one transaction takes together; a larger one goes alone. A flush costs as much as writing
    /// some megabytes, and what a transaction changes is kept in memory until its end.
    static let transactionBytes = 8 << 20
    /// How long a batch that nothing is held up by waits for another: a block's header, and the proof of its state, are
    /// written with what the block or the next one changed.
    static let commitWaitSeconds = 0.1
    /// Addresses that the system refuses to send to, told to the machine at once; those beyond are met again.
    static let unsentAddresses = 256
    /// Blocks that a feed hands on before they are applied: enough to keep the bridge busy, few enough to stay small.
    static let blocksAhead = 8
    /// How often, at the end, the machine is told of its writes and may ask for others: what follows from a write is
    /// one or two more, and a machine that never stops asking must not keep the process from ending.
    static let lastRounds = 64
    /// Hashes of codes that an export remembers as checked: 2 MiB. Mainnet's accounts share most of theirs.
    static let knownCodes = 65_536
    /// Seconds between two progress lines in a pipe. Ethereum clients say something every 8 s or so; a sync is watched
    /// more closely than they are.
    static let progressLineSeconds = 2
    /// The same while nothing arrives: the reason was told, the seconds are all that changes.
    static let stallLineSeconds = 10
}
