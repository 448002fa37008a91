import Primitives
import Testing

@testable import StateNetwork

/// Requests that bring nothing, as the planner takes them.
@Suite("Requests that stand still") struct StandstillTests {
    private func walk(peers: [UInt64], lanes: Int) -> Walk {
        var walk = Walk(lanes: lanes)
        for peer in peers { walk.peer(peer, [0]) }
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        return walk
    }

    private func stand(_ operation: Operation, still: Bool = true, in walk: inout Walk) {
        walk.operations.stands(operation.id, still: still, givingUpSections: false)
    }

    /// While there is much to begin, and not at the end of the walk only.
    @Test func theSameIsAskedOfAnother() throws {
        var walk = walk(peers: [1, 2, 3], lanes: 2)
        let first = walk.plan().asked
        #expect(first.count == 2)
        walk.now = walk.now + .milliseconds(900)
        stand(first[0], in: &walk)
        #expect(walk.plan().asked.isEmpty, "not before the patience is over")
        #expect(walk.planner.nextDeadline == Instant.zero + WalkLimits.doubledAfter)
        walk.now = Instant.zero + WalkLimits.doubledAfter
        let second = walk.plan().asked
        #expect(second.map(\.task) == [first[0].task] && second[0].peer != first[0].peer)
        walk.now = walk.now + .seconds(2)
        #expect(walk.plan().asked.isEmpty, "the second is under way")
        // It stands still as well: the third is asked.
        stand(second[0], in: &walk)
        let third = walk.plan().asked
        #expect(third.map(\.task) == [first[0].task])
        #expect(![first[0].peer, second[0].peer].contains(third[0].peer))
    }

    @Test func whoHasHelpedIsAskedFirst() throws {
        var walk = walk(peers: [1, 2, 3], lanes: 1)
        let first = try #require(walk.plan().asked.first)
        // The chooser would take the lowest id of equals.
        let others: [Bytes32] = [Walk.id(3), Walk.id(2)]
        let helper = try #require(others.first { $0 != first.peer })
        walk.holders.ended(try #require(first.task), of: helper, .done(bytes: 1), at: walk.now)
        walk.now = walk.now + .seconds(2)
        stand(first, in: &walk)
        #expect(walk.plan().asked.map(\.peer) == [helper])
    }

    @Test func whoStandsStillGetsNothingElse() throws {
        var walk = walk(peers: [1], lanes: 2)
        let asked = walk.plan().asked
        #expect(asked.count == 2)
        stand(asked[0], in: &walk)
        walk.hold(try #require(asked[1].task?.subject), .complete(anchor: Walk.anchor(0)))
        walk.finish(asked[1], .done(bytes: 500))
        #expect(walk.plan().asked.isEmpty)
        stand(asked[0], still: false, in: &walk)
        #expect(walk.plan().asked.count == 1, "it goes on")
    }

    /// Where everything takes long, nobody is asked twice for what others are busy with.
    @Test func patienceGrowsWithWhatIsUsual() {
        var times = RangeTimes()
        #expect(times.patienceWithout == WalkLimits.doubledAfter)
        for _ in 0..<20 { times.note(.seconds(5)) }
        #expect(times.patienceWithout == .seconds(10))
        for _ in 0..<20 { times.note(.seconds(30)) }
        #expect(times.patienceWithout == WalkLimits.standstillAtLast)
    }

    @Test func aCrownIsAskedOfAnother() throws {
        var walk = Walk(lanes: 1)
        for peer in [UInt64(1), 2] { walk.peer(peer, [0]) }
        walk.advance(to: Walk.anchor(0))
        func crowns(_ asked: [Operation]) -> [Operation] { asked.filter { $0.task == .crown(Walk.anchor(0)) } }
        let first = try #require(crowns(walk.plan().asked).first)
        walk.now = walk.now + .seconds(2)
        #expect(crowns(walk.plan().asked).isEmpty)
        stand(first, in: &walk)
        let second = try #require(crowns(walk.plan().asked).first)
        #expect(second.peer != first.peer)
    }
}
