import Foundation

/// Places that threads put their results in, each its own.
final class BenchSlots<Element: Sendable>: @unchecked Sendable {
    // `lock` guards `elements`.
    private let lock = NSLock()
    private var elements: [Element?]

    init(count: Int) { elements = Array(repeating: nil, count: count) }

    subscript(index: Int) -> Element? {
        get { lock.withLock { elements[index] } }
        set { lock.withLock { elements[index] = newValue } }
    }

    /// What has been put in, in the order of the places.
    var all: [Element] { lock.withLock { elements.compactMap { $0 } } }
}
