import Foundation

/// Hands things to one thread that works them off in order, while the caller makes the next: a few ahead and no more.
final class Conveyor<Item: Sendable>: @unchecked Sendable {
    // `condition` guards `waiting`, `isClosed`, `failure` and `work`.
    private let condition = NSCondition()
    private var waiting: [Item] = []
    private var isClosed = false
    private var failure: (any Error)?
    private let ahead: Int
    private let threads = ThreadGroup()
    /// Let go at the end: a thread may outlive its work by a moment, and what the work uses must not.
    private var work: (@Sendable (Item) throws -> Void)?

    /// `ahead`: things that wait at most. After `work` has thrown, what still comes is thrown away.
    init(ahead: Int, name: String, _ work: @escaping @Sendable (Item) throws -> Void) {
        self.ahead = ahead
        self.work = work
        // The thread keeps this alive until `finish`.
        threads.start(1, name: name) {
            while let (item, work) = self.take() {
                do { try work(item) } catch { self.fail(error) }
            }
        }
    }

    /// Hands on the next one; waits where too many wait. Throws what the work has failed with.
    func put(_ item: Item) throws {
        condition.lock()
        defer { condition.unlock() }
        while waiting.count >= ahead, failure == nil { condition.wait() }
        if let failure { throw failure }
        waiting.append(item)
        condition.broadcast()
    }

    /// Waits until all is worked off. Throws what the work has failed with. To be called in any case, and once.
    func finish() throws {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
        threads.join()
        work = nil
        if let failure { throw failure }
    }

    private func take() -> (Item, @Sendable (Item) throws -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        while waiting.isEmpty, !isClosed { condition.wait() }
        guard !waiting.isEmpty, let work else { return nil }
        condition.broadcast()
        return (waiting.removeFirst(), work)
    }

    private func fail(_ error: any Error) {
        condition.lock()
        defer { condition.unlock() }
        failure = failure ?? error
        waiting = []
        condition.broadcast()
    }
}
