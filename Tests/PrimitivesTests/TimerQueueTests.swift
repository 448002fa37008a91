import Primitives
import Testing

@Suite struct TimerQueueTests {
    @Test(arguments: 0..<4)
    func eventsComeByTimeThenInTheOrderAdded(_ seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var queue = TimerQueue<Int>()
        var model: [(at: UInt64, order: Int)] = []
        for order in 0..<1_000 {
            let at = generator.next() % 100
            queue.add(order, at: Instant(microseconds: at))
            model.append((at, order))
        }
        model.sort { ($0.at, $0.order) < ($1.at, $1.order) }
        #expect(queue.earliest == Instant(microseconds: model[0].at))
        var fired: [Int] = []
        for now in stride(from: UInt64(0), to: 60, by: 10) {
            while let order = queue.next(due: Instant(microseconds: now)) { fired.append(order) }
            #expect(fired == model.filter { $0.at <= now }.map(\.order))
            #expect(queue.count == 1_000 - fired.count)
        }
        while let (time, order) = queue.next() {
            #expect(time == Instant(microseconds: model[fired.count].at))
            fired.append(order)
        }
        #expect(fired == model.map(\.order))
        #expect(queue.earliest == nil)
    }

    @Test func eventsAddedWhileOthersFireFindTheirPlace() {
        var queue = TimerQueue<String>()
        queue.add("b", at: Instant(microseconds: 2))
        queue.add("d", at: Instant(microseconds: 4))
        #expect(queue.next(due: Instant(microseconds: 1)) == nil)
        #expect(queue.next(due: Instant(microseconds: 2)) == "b")
        queue.add("c", at: Instant(microseconds: 3))
        queue.add("e", at: Instant(microseconds: 4))
        var rest: [String] = []
        while let event = queue.next(due: Instant(microseconds: 4)) { rest.append(event) }
        #expect(rest == ["c", "d", "e"])
    }
}
