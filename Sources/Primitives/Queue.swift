/// First in, first out, in one buffer that is used again. An element is taken off by passing it by; when more have been
/// passed by than wait, the buffer is closed up, so each element is moved at most once and everything takes amortised
/// O(1).
public struct Queue<Element>: RandomAccessCollection {
    @usableFromInline var elements: [Element] = []
    /// Where the first that waits lies in `elements`.
    @usableFromInline var head = 0

    /// Passed elements that are let be: fewer are not worth a move.
    @usableFromInline static var slack: Int { 32 }

    /// An empty queue.
    @inlinable
    public init() {}

    /// Zero; the next to be taken.
    @inlinable
    public var startIndex: Int { 0 }
    @inlinable
    public var endIndex: Int { elements.count - head }
    @inlinable
    public subscript(index: Int) -> Element { elements[head + index] }

    /// Puts an element in line.
    @inlinable
    public mutating func append(_ element: Element) {
        if head > Queue.slack, head > elements.count / 2 { closeUp() }
        elements.append(element)
    }

    /// Takes the first off; nil where there is none.
    @inlinable
    @discardableResult
    public mutating func removeFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        removeFirst(1)
        return element
    }

    /// Takes the first `count` off, or all where there are fewer.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        head += Swift.min(count, self.count)
        if head == elements.count { removeAll() }
    }

    /// Takes the last `count` off, or all where there are fewer.
    @inlinable
    public mutating func removeLast(_ count: Int) {
        elements.removeLast(Swift.min(count, self.count))
        if head == elements.count { removeAll() }
    }

    /// Removes what `isOut` names; the others keep their order.
    @inlinable
    public mutating func remove(where isOut: (Element) -> Bool) {
        closeUp()
        elements.removeAll(where: isOut)
    }

    /// Empties it and keeps its memory.
    @inlinable
    public mutating func removeAll() {
        elements.removeAll(keepingCapacity: true)
        head = 0
    }

    @inlinable
    mutating func closeUp() {
        elements.removeFirst(head)
        head = 0
    }
}

extension Queue: Sendable where Element: Sendable {}
