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
    /// Sleeps while there is none; empty once the queue is closed and empty. Where all of them may `rest`, another is
    /// waited for, so many seconds at most.
    func take(
        while goesOn: (Element) -> Bool, resting rest: (Element) -> Bool = { _ in false }, seconds: Double = 0
    ) -> [Element] {
        condition.lock()
        defer { condition.unlock() }
        while taken == elements.count && !isClosed { condition.wait() }
        if seconds > 0 {
            let end = Date(timeIntervalSinceNow: seconds)
            while !isClosed, elements[taken...].allSatisfy(rest), condition.wait(until: end) {}
        }
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
