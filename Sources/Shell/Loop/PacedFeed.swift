import Foundation
import Primitives

/// A thread that makes things one by one and hands them on at a pace, never more than a few ahead of what was used: a
/// recorded chain's blocks, read and checked while the loop goes on.
final class PacedFeed<Element: Sendable>: Sendable {
    /// What a feed tells besides its elements.
    enum End: Sendable {
        /// There are no more.
        case finished
        /// The source is broken; one line.
        case failed(String)
    }

    /// What a source has.
    enum Offer: Sendable {
        case element(Element)
        /// Nothing yet: it is to be asked again.
        case later
        /// Nothing more.
        case finished
    }

    private let gate = Gate()
    private let threads = ThreadGroup()

    /// A feed at `perSecond` elements a second, at most `ahead` unused ones. `source` makes the next one or gives nil
    /// after the last; it runs on the feed's thread, as do `deliver` and `ended`.
    init(
        perSecond: Double, ahead: Int, source: @escaping @Sendable () throws -> Element?,
        deliver: @escaping @Sendable (Element) -> Void, ended: @escaping @Sendable (End) -> Void
    ) {
        let gate = gate
        run(ended) {
            var due = Date()
            while let element = try source() {
                guard gate.pass(notBefore: due, ahead: ahead) else { return false }
                deliver(element)
                // A late element does not make the next ones hurry after it by more than one step.
                due = max(due, Date(timeIntervalSinceNow: -1 / perSecond)).addingTimeInterval(1 / perSecond)
            }
            return true
        }
    }

    /// A feed whose source knows when it has something: it is asked so many times a second, and again at once after an
    /// element, as long as fewer than `ahead` are unused.
    init(
        asking perSecond: Double, ahead: Int, source: @escaping @Sendable () throws -> Offer,
        deliver: @escaping @Sendable (Element) -> Void, ended: @escaping @Sendable (End) -> Void
    ) {
        let gate = gate
        run(ended) {
            var due = Date()
            while gate.pass(notBefore: due, ahead: ahead) {
                switch try source() {
                case .element(let element): deliver(element)
                case .later:
                    gate.open()
                    due = Date(timeIntervalSinceNow: 1 / perSecond)
                case .finished: return true
                }
            }
            return false
        }
    }

    /// Starts the thread. `body` gives whether there is nothing more, and false where it was ended.
    private func run(_ ended: @escaping @Sendable (End) -> Void, _ body: @escaping @Sendable () throws -> Bool) {
        threads.start(1, name: "feed") {
            do {
                if try body() { ended(.finished) }
            } catch {
                ended(.failed(ErrorLine.text(error)))
            }
        }
    }

    /// One element was used: the feed may go on by one.
    func used() { gate.open() }

    /// Ends the feed and waits for its thread.
    func stop() {
        gate.close()
        threads.join()
    }

    /// Holds the feed back by time and by what is unused.
    private final class Gate: @unchecked Sendable {
        // `condition` guards the fields below.
        private let condition = NSCondition()
        private var unused = 0
        private var isClosed = false

        /// Sleeps until `time` has come and fewer than `ahead` are unused; false once closed.
        func pass(notBefore time: Date, ahead: Int) -> Bool {
            condition.lock()
            defer { condition.unlock() }
            while !isClosed && time > Date() { _ = condition.wait(until: time) }
            while !isClosed && unused >= ahead { condition.wait() }
            unused += 1
            return !isClosed
        }

        func open() {
            condition.lock()
            unused -= 1
            condition.broadcast()
            condition.unlock()
        }

        func close() {
            condition.lock()
            isClosed = true
            condition.broadcast()
            condition.unlock()
        }
    }
}
