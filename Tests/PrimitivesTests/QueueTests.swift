import Primitives
import Testing

struct QueueTests {
    /// The same as an array that is moved at each removal, whatever is done in whatever order.
    @Test(arguments: [UInt64(1), 2, 3])
    func doesWhatAnArrayDoes(seed: UInt64) {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var queue = Queue<Int>()
        var array: [Int] = []
        for step in 0..<4_000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                queue.append(step)
                array.append(step)
            case 5..<7:
                #expect(queue.removeFirst() == array.first)
                array = Array(array.dropFirst())
            case 7:
                let count = Int.random(in: 0..<12, using: &generator)
                queue.removeFirst(count)
                array = Array(array.dropFirst(count))
            case 8:
                let count = Int.random(in: 0..<3, using: &generator)
                queue.removeLast(count)
                array = Array(array.dropLast(count))
            default:
                queue.remove { $0.isMultiple(of: 7) }
                array.removeAll { $0.isMultiple(of: 7) }
            }
            #expect(Array(queue) == array && queue.first == array.first && queue.last == array.last)
        }
        queue.removeAll()
        #expect(queue.isEmpty && queue.removeFirst() == nil)
    }
}
