import Foundation

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
    /// up to `ShellLimits.transactionBytes`. Those that `mayWait` are written with the next one, or alone after
    /// `ShellLimits.commitWaitSeconds`. `done` is called for each with nil, or with the reason of the failure.
    public init(
        commit: @escaping @Sendable ([Batch]) throws(Failure) -> Void, size: @escaping @Sendable (Batch) -> Int,
        mayWait: @escaping @Sendable (Batch) -> Bool = { _ in false },
        done: @escaping @Sendable (CommitID, Failure?) -> Void
    ) {
        let queue = queue
        thread.start(1, name: "writer") {
            var failure: Failure?
            while true {
                var bytes = 0
                let taken = queue.take(
                    while: { waiting in
                        guard case .batch(_, let batch) = waiting else { return true }
                        bytes += size(batch)
                        return bytes <= ShellLimits.transactionBytes
                    },
                    resting: { if case .batch(_, let batch) = $0 { mayWait(batch) } else { false } },
                    seconds: ShellLimits.commitWaitSeconds)
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
