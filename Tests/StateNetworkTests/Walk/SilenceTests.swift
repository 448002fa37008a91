import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// Who opens a stream and sends nothing may do so for half a minute: what else there is to fetch does not wait for him.
@Suite("Peers that owe an answer") struct SilenceTests {
    private static let anchor = Walk.anchor(5)

    /// A walk of one lane over sections that a silent peer and a good one have, the silent one asked first.
    private func walk(lanes: Int = 1) -> Walk {
        var walk = Walk(lanes: lanes)
        walk.peer(1, [5])
        walk.peer(2, [5])
        walk.advance(to: Self.anchor)
        walk.store(crownOf: Self.anchor)
        return walk
    }

    @Test func aLaneLeavesWhatIsOwedForTooLong() throws {
        var walk = walk()
        let owed = try #require(walk.plan().asked.first)
        #expect(walk.plan().asked.isEmpty, "its lane is taken")
        #expect(walk.planner.nextDeadline == Instant.zero + WalkLimits.doubledAfter)
        walk.now = walk.now + WalkLimits.doubledAfter
        let next = try #require(walk.plan().asked.first)
        #expect(next.task?.sections != owed.task?.sections && next.peer != owed.peer)
        // What is owed is asked of nobody else while there are other sections.
        #expect(walk.plan().asked.isEmpty)
        // It fails in the end, and its section is walked as any other.
        walk.finish(owed, .failed)
        walk.finish(next, .done(bytes: 500))
        for section in next.task?.sections ?? [] { walk.hold(section, .complete(anchor: Self.anchor)) }
        var sections: Set<Int> = []
        for _ in 0..<16 { for asked in walk.completeAll() { sections.formUnion(asked.task?.sections ?? []) } }
        #expect(sections.isSuperset(of: owed.task?.sections ?? []))
        #expect((0..<16).allSatisfy { walk.holdings.book.isComplete($0) })
    }

    /// A begun section that its peer owes the next range of is left too, and not taken up again before that has ended.
    @Test func aBegunSectionIsLeftAsWell() throws {
        var walk = walk()
        walk.hold(3, .partial(anchor: Self.anchor, next: Cursor(account: Section(depth: 1, index: 3).firstKey)))
        let owed = try #require(walk.plan().asked.first)
        #expect(owed.task?.sections == [3])
        for _ in 0..<3 {
            walk.now = walk.now + WalkLimits.doubledAtLast
            let others = walk.plan().asked
            #expect(others.allSatisfy { $0.task?.sections.contains(3) == false })
            for other in others {
                walk.finish(other, .done(bytes: 500))
                for section in other.task?.sections ?? [] { walk.hold(section, .complete(anchor: Self.anchor)) }
            }
        }
        walk.finish(owed, .failed)
        #expect(walk.plan().asked.contains { $0.task?.sections == [3] })
    }

    /// All crossings wait for the crown: another peer is asked for it after a while, and then a third.
    @Test func aCrownThatIsOwedIsAskedOfOthers() throws {
        var walk = Walk(lanes: 1, rate: 1)
        for peer in 1...3 { walk.peer(UInt64(peer), [5]) }
        walk.advance(to: Self.anchor)
        func crowns(_ walk: inout Walk) -> [Operation] {
            walk.plan().asked.filter { $0.task == .crown(Self.anchor) }
        }
        let first = try #require(crowns(&walk).first)
        #expect(crowns(&walk).isEmpty)
        walk.now = walk.now + WalkLimits.doubledAfter
        let second = try #require(crowns(&walk).first)
        #expect(first.peer != second.peer)
        walk.now = walk.now + WalkLimits.doubledAfter
        let third = try #require(crowns(&walk).first)
        #expect(third.peer != first.peer && third.peer != second.peer)
    }
}
