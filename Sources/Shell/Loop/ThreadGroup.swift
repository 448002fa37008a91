import Foundation

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
