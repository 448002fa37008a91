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
