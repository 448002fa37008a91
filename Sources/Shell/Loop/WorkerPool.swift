import Foundation

/// A first-in first-out line between threads whose takers sleep until there is something to take.
final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
    // `condition` guards every other field.
    private let condition = NSCondition()
    private var elements: [Element] = []
    private var taken = 0
    private var isClosed = false

    /// False once the queue is closed: the element was not taken in.
    @discardableResult
    func put(_ element: Element) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !isClosed else { return false }
        elements.append(element)
        condition.signal()
        return true
    }

    /// The next element; sleeps while there is none; nil once the queue is closed and empty.
    func take() -> Element? { take(while: { _ in false }).first }

    /// The next element, and those behind it as long as `goesOn`, which is asked about each in turn, wants them too.
    /// Sleeps while there is none; empty once the queue is closed and empty.
    func take(while goesOn: (Element) -> Bool) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        while taken == elements.count && !isClosed { condition.wait() }
        guard taken < elements.count else { return [] }
        var end = taken
        // The first is taken whatever is said of it.
        while end < elements.count, goesOn(elements[end]) || end == taken { end += 1 }
        let result = Array(elements[taken..<end])
        taken = end
        if taken == elements.count || taken >= 1_024 {
            elements.removeFirst(taken)
            taken = 0
        }
        return result
    }

    /// Nothing more is taken in; `discarding` drops what still waits.
    func close(discarding: Bool) {
        condition.lock()
        defer { condition.unlock() }
        isClosed = true
        if discarding {
            elements.removeAll()
            taken = 0
        }
        condition.broadcast()
    }
}

/// Threads of our own that can be waited for. `body` runs once on each.
final class ThreadGroup: @unchecked Sendable {
    // `condition` guards `running`.
    private let condition = NSCondition()
    private var running = 0

    /// Starts `count` threads named `name`.
    func start(_ count: Int, name: String, _ body: @escaping @Sendable () -> Void) {
        condition.lock()
        running += count
        condition.unlock()
        for index in 0..<count {
            let thread = Thread {
                body()
                self.finishOne()
            }
            thread.name = "\(name)-\(index)"
            thread.stackSize = ShellLimits.workerStackBytes
            thread.start()
        }
    }

    /// Sleeps until every thread has ended.
    func join() {
        condition.lock()
        while running > 0 { condition.wait() }
        condition.unlock()
    }

    private func finishOne() {
        condition.lock()
        running -= 1
        condition.broadcast()
        condition.unlock()
    }
}

/// Threads that do a machine's heavy work, each job on a store snapshot of its own. The number of jobs at once is
/// bounded by the machine, which has a slot for each.
public final class WorkerPool<JobID: Sendable, Job: Sendable>: Sendable {
    private let queue = BlockingQueue<(JobID, Job)>()
    private let threads = ThreadGroup()

    /// `count` threads (at least one); each calls `work` for the jobs it takes. `work` posts the result by itself.
    public init(count: Int, work: @escaping @Sendable (JobID, Job) -> Void) {
        let queue = queue
        threads.start(max(1, count), name: "worker") {
            while let (id, job) = queue.take() { work(id, job) }
        }
    }

    /// Puts a job in line.
    public func run(_ id: JobID, _ job: Job) { queue.put((id, job)) }

    /// Drops jobs not yet begun and waits for those that are.
    public func shutDown() {
        queue.close(discarding: true)
        threads.join()
    }
}

/// The one thread that writes the store: batches in the order given, none of them split. What has come while the disk
/// was busy with the last transaction goes into one together: at an anchor hundreds of sections are folded at once, and
/// a flush for each would hold up the blocks behind them. Once a commit fails, every later one fails with the same
/// message: none may build on one that is not there.
public final class StoreWriter<CommitID: Sendable, Batch: Sendable, Failure: Error>: Sendable {
    private enum Entry: Sendable {
        case batch(CommitID, Batch)
        /// Somebody waits until what stands before it is done.
        case flush(DispatchSemaphore)
    }

    private let queue = BlockingQueue<Entry>()
    private let thread = ThreadGroup()

    /// `commit` writes batches durably, all or none. `size`: bytes of a batch; a transaction takes batches together
    /// up to `ShellLimits.transactionBytes`. `done` is called for each with nil, or with the reason of the failure.
    public init(
        commit: @escaping @Sendable ([Batch]) throws(Failure) -> Void, size: @escaping @Sendable (Batch) -> Int,
        done: @escaping @Sendable (CommitID, Failure?) -> Void
    ) {
        let queue = queue
        thread.start(1, name: "writer") {
            var failure: Failure?
            while true {
                var bytes = 0
                let taken = queue.take { waiting in
                    guard case .batch(_, let batch) = waiting else { return true }
                    bytes += size(batch)
                    return bytes <= ShellLimits.transactionBytes
                }
                guard !taken.isEmpty else { return }
                let batches = taken.compactMap { if case .batch(_, let batch) = $0 { batch } else { nil } }
                if failure == nil, !batches.isEmpty {
                    do throws(Failure) { try commit(batches) } catch { failure = error }
                }
                for entry in taken {
                    switch entry {
                    case .batch(let id, _): done(id, failure)
                    case .flush(let semaphore): semaphore.signal()
                    }
                }
            }
        }
    }

    /// Puts a batch in line.
    public func commit(_ id: CommitID, _ batch: Batch) { queue.put(.batch(id, batch)) }

    /// Waits until all that is in line now is committed, or has failed, and was told so.
    public func flush() {
        let semaphore = DispatchSemaphore(value: 0)
        if queue.put(.flush(semaphore)) { semaphore.wait() }
    }

    /// Commits what is in line, then ends.
    public func shutDown() {
        queue.close(discarding: false)
        thread.join()
    }
}
