/// First in, first out, in one buffer that is reused.
struct Queue<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    var first: Element? { head < elements.count ? elements[head] : nil }
    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count - head }

    mutating func append(_ element: Element) {
        // The passed half is given back when it is the larger one, so that each element is moved at most once.
        if head > 32, head > elements.count / 2 {
            elements.removeFirst(head)
            head = 0
        }
        elements.append(element)
    }

    mutating func removeFirst() {
        guard head < elements.count else { return }
        head += 1
        if head == elements.count { removeAll() }
    }

    /// Removes what `isOut` names, in the order of the others.
    mutating func remove(where isOut: (Element) -> Bool) {
        elements.removeFirst(head)
        head = 0
        elements.removeAll(where: isOut)
    }

    mutating func removeAll() {
        elements.removeAll(keepingCapacity: true)
        head = 0
    }
}
