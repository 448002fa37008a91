import Discovery
import Primitives
import Testing

@testable import Overlay

/// Whose answers are made when: by window, by prefix and in all.
@Suite("Answers under way") struct AnswerBudgetTests {
    private func peer(_ number: UInt64) -> Bytes32 { Bytes32(number, 0, 0, 0) }
    private func subnet(_ number: UInt8) -> Subnet? { Subnet(limiting: Endpoint(ipv4: (20, 0, number, 1), port: 1)) }

    private func begun(_ budget: inout AnswerBudget) -> [UInt64] {
        var ids: [UInt64] = []
        while let id = budget.next() { ids.append(id) }
        return ids
    }

    @Test func aPeerGetsItsWindowOrOneAnswerOfAnySize() {
        var budget = AnswerBudget(limit: 1_000, perSubnet: 1_000, window: 100)
        for id in UInt64(1)...3 { budget.add(id, peer: peer(1), subnet: nil, bytes: 40) }
        budget.add(4, peer: peer(2), subnet: nil, bytes: 400)
        budget.add(5, peer: peer(2), subnet: nil, bytes: 1)
        #expect(begun(&budget) == [1, 4, 2] && budget.bytes == 480)
        #expect(budget.heldBack == nil, "both wait for their own readers")
        budget.settle(1, bytes: 10)
        #expect(begun(&budget) == [3] && budget.bytes == 490)
        budget.remove(4, .read)
        #expect(begun(&budget) == [5] && budget.bytes == 91)
        for id in UInt64(1)...5 { budget.remove(id) }
        #expect(budget.bytes == 0 && begun(&budget) == [])
    }

    @Test func theOneWithLeastUnderWayIsNext() {
        var budget = AnswerBudget(limit: 100, perSubnet: 100, window: 100)
        for id in UInt64(1)...9 { budget.add(id, peer: peer(1), subnet: nil, bytes: 25) }
        #expect(begun(&budget) == [1, 2, 3, 4])
        budget.add(20, peer: peer(2), subnet: nil, bytes: 25)
        #expect(begun(&budget) == [] && budget.heldBack == peer(2))
        #expect(budget.mayGive(peer(1), to: peer(2)) && !budget.mayGive(peer(2), to: peer(1)))
        budget.remove(2)
        #expect(begun(&budget) == [20], "before the fifth of the other")
    }

    /// Small answers do not take the room that a large one waits for.
    @Test func aLargeOneIsNotOvertakenForEver() {
        var budget = AnswerBudget(limit: 100, perSubnet: 100, window: 100)
        for id in UInt64(1)...8 { budget.add(id, peer: peer(id), subnet: nil, bytes: 12) }
        #expect(begun(&budget) == [1, 2, 3, 4, 5, 6, 7, 8])
        budget.add(20, peer: peer(20), subnet: nil, bytes: 60)
        for id in UInt64(30)...40 { budget.add(id, peer: peer(id), subnet: nil, bytes: 12) }
        for id in UInt64(1)...4 {
            budget.remove(id, .read)
            #expect(begun(&budget) == [], "\(budget.bytes) of 100 are taken")
        }
        budget.remove(5, .read)
        #expect(begun(&budget) == [20])
    }

    @Test func aPrefixHasItsShareAndNoMore() {
        var budget = AnswerBudget(limit: 100, perSubnet: 50, window: 100)
        for id in UInt64(1)...4 { budget.add(id, peer: peer(id), subnet: subnet(1), bytes: 25) }
        #expect(begun(&budget) == [1, 2] && budget.heldBack == peer(3))
        budget.add(9, peer: peer(9), subnet: subnet(2), bytes: 50)
        #expect(begun(&budget) == [9])
        #expect(budget.mayGive(peer(1), to: peer(3)))
        #expect(budget.mayGive(peer(9), to: peer(3)), "all is full too")
        budget.remove(9)
        #expect(!budget.mayGive(peer(9), to: peer(3)))
        budget.add(10, peer: peer(10), subnet: subnet(2), bytes: 10)
        #expect(begun(&budget) == [10])
        #expect(!budget.mayGive(peer(10), to: peer(3)), "it is not of the prefix that is full")
    }

    @Test func whoWasFoundSlowIsLast() {
        var budget = AnswerBudget(limit: 100, perSubnet: 100, window: 100)
        for id in UInt64(1)...4 { budget.add(id, peer: peer(1), subnet: nil, bytes: 50) }
        #expect(begun(&budget) == [1, 2])
        budget.add(9, peer: peer(2), subnet: nil, bytes: 50)
        budget.add(10, peer: peer(2), subnet: nil, bytes: 50)
        budget.remove(1, .tooSlow)
        #expect(begun(&budget) == [9])
        budget.remove(2)
        #expect(begun(&budget) == [10], "the other has nothing under way, but was slow")
        budget.remove(9)
        #expect(begun(&budget) == [3])
        budget.remove(3, .read)
        budget.remove(10)
        budget.add(11, peer: peer(2), subnet: nil, bytes: 50)
        #expect(begun(&budget) == [4, 11], "forgiven once it has read one")
    }

    /// Random requests, answers and ends: the sums are what is under way, and never above the limits.
    @Test func nothingIsForgotten() {
        var generator = SeededGenerator(seed: 77)
        var budget = AnswerBudget(limit: 1_000, perSubnet: 600, window: 300)
        var open: [UInt64: (peer: UInt64, bytes: Int, isUnderWay: Bool)] = [:]
        for id in UInt64(1)...3_000 {
            let number = generator.next() % 7
            let bytes = Int(generator.next() % 400)
            budget.add(id, peer: peer(number), subnet: number < 3 ? subnet(1) : nil, bytes: bytes)
            open[id] = (number, bytes, false)
            for begun in begun(&budget) { open[begun]?.isUnderWay = true }
            if let settled = open.filter(\.value.isUnderWay).keys.min(), generator.next() % 2 == 0 {
                let less = open[settled].map { $0.bytes / 2 } ?? 0
                budget.settle(settled, bytes: less)
                open[settled]?.bytes = less
            }
            if open.count > 20, let ended = open.keys.sorted().randomElement(using: &generator) {
                budget.remove(ended, generator.next() % 3 == 0 ? .tooSlow : .read)
                open[ended] = nil
            }
            let underWay = open.values.filter(\.isUnderWay)
            #expect(budget.bytes == underWay.reduce(0) { $0 + $1.bytes } && budget.bytes <= 1_000)
            #expect(underWay.filter { $0.peer < 3 }.reduce(0) { $0 + $1.bytes } <= 600)
        }
        for id in open.keys { budget.remove(id) }
        #expect(budget.bytes == 0 && budget.heldBack == nil)
    }
}
