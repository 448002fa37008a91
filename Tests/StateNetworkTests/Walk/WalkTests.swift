import Chain
import Primitives
import StateStore
import Testing

@testable import StateNetwork

@Suite("The walk") struct WalkTests {
    @Test func nothingIsAskedBeforeAnAnchorIsFinal() {
        var walk = Walk()
        walk.peer(1, [0])
        #expect(walk.plan().asked.isEmpty)
        #expect(walk.planner.phase == .waiting)
    }

    @Test func lanesWalkDisjointStretchesUpward() {
        var walk = Walk()
        walk.peer(1, [0])
        walk.peer(2, [0])
        walk.advance(to: Walk.anchor(0))
        var order: [Int] = []
        for _ in 0..<40 where walk.holdings.completeAnchor == nil {
            for assignment in walk.completeAll() {
                if case .range(let section, _, _, _, _) = assignment.task { order.append(section) }
            }
        }
        #expect(Set(order) == Set(0..<16))
        #expect(order.count == 16, "no section is asked for twice")
        #expect(Array(order.prefix(4)).sorted() == [0, 4, 8, 12], "each lane begins at its own stretch")
        #expect(walk.holdings.completeAnchor == Walk.anchor(0))
        #expect(walk.planner.phase == .following)
    }

    @Test func aLaneGoesOnWhereItsSectionStopped() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        let next = Cursor(account: Bytes32(5 << 56, 0, 0, 0), slot: Bytes32(9, 0, 0, 0))
        walk.store(crownOf: Walk.anchor(0))
        let first = walk.plan().asked
        #expect(first.count == 1)
        walk.hold(0, .partial(anchor: Walk.anchor(0), next: next))
        walk.finish(first[0], .done(bytes: 10))
        let second = walk.plan().asked
        guard case .range(0, Walk.anchor(0), next, _, _)? = second.first?.task else {
            Issue.record("expected the range from the watermark, got \(second)")
            return
        }
    }
}

@Suite("Crossing an epoch") struct CrossingTests {
    @Test func heldSectionsAreBroughtForwardWhileTheWalkGoesOn() {
        var walk = Walk(lanes: 2)
        walk.peer(1, [1, 0])
        walk.advance(to: Walk.anchor(0))
        _ = walk.completeAll()
        walk.advance(to: Walk.anchor(1))
        #expect(walk.holdings.book.isMidway, "a crossing while something is missing")
        walk.store(crownOf: Walk.anchor(1))
        let tasks = walk.plan().asked.compactMap(\.task)
        let diffs = tasks.filter { if case .diffs = $0 { true } else { false } }
        #expect(diffs == [.diffs(sections: [0, 8], from: Walk.anchor(0), to: .anchor(Walk.anchor(1)))])
        #expect(tasks.contains { if case .range(_, Walk.anchor(1), _, _, _) = $0 { true } else { false } })
    }

    @Test func aPartialSectionIsFinishedAtItsOwnAnchor() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [1, 0])
        walk.advance(to: Walk.anchor(0))
        walk.hold(0, .partial(anchor: Walk.anchor(0), next: Cursor(account: Bytes32(1, 0, 0, 0), slot: .zero)))
        walk.advance(to: Walk.anchor(1))
        walk.store(crownOf: Walk.anchor(1))
        guard case .range(0, Walk.anchor(0), _, _, _)? = walk.plan().asked.first?.task else {
            Issue.record("the partial section was not finished at its anchor")
            return
        }
    }

    /// A section of which a part is held at `anchor`, while everybody serves another.
    private func stranded(at anchor: UInt64, peersAt epochs: [UInt64]) -> Walk {
        var walk = Walk(lanes: 1)
        walk.peer(1, epochs)
        walk.advance(to: Walk.anchor(epochs[0]))
        walk.store(crownOf: Walk.anchor(epochs[0]))
        walk.hold(0, .partial(anchor: Walk.anchor(anchor), next: stop))
        return walk
    }

    private let stop = Cursor(account: Bytes32(1, 0, 0, 0), slot: Bytes32(0, 0, 0, 9))

    @Test func aPartialSectionWithoutHolderIsCarriedOnlyAfterAWhile() {
        var walk = stranded(at: 4, peersAt: [5])
        let early = walk.plan()
        #expect(early.asked.isEmpty && early.drops.isEmpty)
        walk.now = walk.now + WalkLimits.fewRefuseGrace
        let late = walk.plan()
        #expect(late.drops.isEmpty)
        #expect(late.asked.compactMap(\.task) == [.carry(section: 0, from: Walk.anchor(4), to: Walk.anchor(5))])
    }

    @Test func aPartialSectionGoesOnAtTheAnchorItsDiffLeadsTo() throws {
        var walk = stranded(at: 3, peersAt: [5, 4])
        let carry = try #require(walk.plan().asked.first)
        // At once: nobody can serve it any more.
        #expect(carry.task == .carry(section: 0, from: Walk.anchor(3), to: Walk.anchor(5)))
        walk.hold(0, .partial(anchor: Walk.anchor(3), next: stop), carriedTo: Walk.anchor(5))
        walk.finish(carry, .done(bytes: 100))
        let range = try #require(walk.plan().asked.first)
        guard case .range(0, Walk.anchor(5), stop, _, _)? = range.task else {
            Issue.record("not the range that goes on: \(range.task)")
            return
        }
        walk.finish(range, .refused)
        // Before the range came, two more epochs have passed: another diff, from where the part still stands.
        walk.advance(to: Walk.anchor(7))
        walk.store(crownOf: Walk.anchor(7))
        walk.peer(1, [7, 6])
        walk.now = walk.now + .seconds(1)
        let again = walk.plan().asked.compactMap(\.task)
        #expect(again == [.carry(section: 0, from: Walk.anchor(3), to: Walk.anchor(7))])
    }

    /// It announces an anchor that everybody else has left, and never gives a range of it.
    @Test(arguments: [AskOutcome.failed, .busy(.seconds(2)), .invalid])
    func oneThatGivesNothingDoesNotKeepAPartialSection(outcome: AskOutcome) throws {
        var walk = stranded(at: 3, peersAt: [5, 3])
        walk.peer(2, [5])
        walk.advance(to: Walk.anchor(5))
        walk.store(crownOf: Walk.anchor(5))
        let carry = WalkTask.carry(section: 0, from: Walk.anchor(3), to: Walk.anchor(5))
        var carriedAfter: Int?
        for second in 0..<200 where carriedAfter == nil {
            for operation in walk.plan().asked {
                if operation.task == carry { carriedAfter = second }
                walk.finish(operation, operation.task == carry ? .aborted : outcome)
            }
            walk.now = walk.now + .seconds(1)
        }
        #expect(try 60...100 ~= #require(carriedAfter))
    }

    @Test(arguments: [AskOutcome.tooOld, .tooLarge])
    func aPartialSectionThatNobodyLeadsOnIsBegunAgain(outcome: AskOutcome) throws {
        var walk = stranded(at: 3, peersAt: [5])
        walk.peer(2, [5])
        for _ in 0..<2 {
            let plan = walk.plan()
            #expect(plan.drops.isEmpty, "somebody has not been asked yet")
            walk.finish(try #require(plan.asked.first), outcome)
            walk.now = walk.now + .seconds(1)
        }
        #expect(walk.plan().drops.isEmpty, "another may come to the anchor yet")
        walk.now = walk.now + WalkLimits.fewRefuseGrace
        #expect(walk.plan().drops == [0])
    }

    /// Whoever announces a new anchor before all others is its only holder, and refuses.
    @Test(arguments: [AskOutcome.tooOld, .tooLarge], [true, false])
    func theFirstAtAnAnchorCannotMakeUsBeginAgain(outcome: AskOutcome, isPartial: Bool) throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [6])
        walk.advance(to: Walk.anchor(6))
        walk.store(crownOf: Walk.anchor(6))
        if !isPartial { for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(6))) } }
        let behind = Walk.anchor(3)
        walk.hold(0, isPartial ? .partial(anchor: behind, next: stop) : .complete(anchor: behind))
        let asked = try #require(walk.plan().asked.first)
        walk.finish(asked, outcome)
        walk.now = walk.now + .seconds(1)
        #expect(walk.plan().drops.isEmpty)
        let due = walk.now + WalkLimits.fewRefuseGrace
        #expect(try #require(walk.planner.nextDeadline) <= due, "the plan is made again by itself")
        walk.now = due
        walk.peer(2, [6])
        let plan = walk.plan()
        #expect(plan.drops.isEmpty)
        #expect(plan.asked.map(\.peer) == [Walk.id(2)])
        #expect(plan.asked.compactMap(\.task) == [asked.task])
    }

    /// One that answers at once, and is busy for no time at all, would have all requests for itself.
    @Test func whoIsBusyForNoTimeIsNotAskedAgainAtOnce() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        let asked = try #require(walk.plan().asked.first)
        walk.finish(asked, .busy(.zero))
        #expect(walk.plan().asked.isEmpty)
        walk.peer(2, [0])
        #expect(walk.plan().asked.map(\.peer) == [Walk.id(2)])
    }

    @Test func carryingWaitsForTheCrownAndTheLimit() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [5])
        walk.advance(to: Walk.anchor(5))
        walk.hold(0, .partial(anchor: Walk.anchor(3), next: stop))
        #expect(walk.plan().asked.compactMap(\.task) == [.crown(Walk.anchor(5))])
    }

    @Test func aSectionOlderThanAnyHistoryIsBegunAgain() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [9])
        walk.peer(2, [9])
        walk.advance(to: Walk.anchor(9))
        walk.store(crownOf: Walk.anchor(9))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        walk.hold(3, .complete(anchor: Walk.anchor(2)))
        for _ in 0..<2 {
            let plan = walk.plan()
            #expect(plan.drops.isEmpty, "somebody has not been asked yet")
            let asked = try #require(plan.asked.first)
            #expect(asked.task == .diffs(sections: [3], from: Walk.anchor(2), to: .anchor(Walk.anchor(9))))
            walk.finish(asked, .tooOld)
        }
        #expect(walk.plan().drops.isEmpty, "another may come to the anchor yet")
        walk.now = walk.now + WalkLimits.fewRefuseGrace
        #expect(walk.plan().drops == [3])
        // Every holder leads on from the anchor before the newest: such a refusal is no reason.
        walk.hold(3, .complete(anchor: Walk.anchor(8)))
        for _ in 0..<2 {
            let asked = try #require(walk.plan().asked.first)
            walk.finish(asked, .tooOld)
        }
        for _ in 0..<2 {
            #expect(walk.plan().drops.isEmpty)
            walk.now = walk.now + WalkLimits.fewRefuseGrace
        }
    }

    /// Otherwise it would be asked for again and again until the end of time.
    @Test func aSectionWhoseDiffFitsNoAnswerIsBegunAgainAndTheOthersAreNot() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [9, 8])
        walk.peer(2, [9, 8])
        walk.advance(to: Walk.anchor(9))
        walk.store(crownOf: Walk.anchor(9))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        for section in [3, 4] { walk.hold(section, .complete(anchor: Walk.anchor(8))) }
        let first = try #require(walk.plan().asked.first)
        #expect(first.task == .diffs(sections: [3, 4], from: Walk.anchor(8), to: .anchor(Walk.anchor(9))))
        walk.finish(first, .tooLarge)
        walk.now = walk.now + .seconds(1)
        let second = walk.plan()
        #expect(second.drops.isEmpty, "the other has not said so")
        for assignment in second.asked {
            let isOfThree = assignment.sections.contains(3)
            #expect(!isOfThree || assignment.peer != first.peer)
            walk.finish(assignment, isOfThree ? .tooLarge : .failed)
        }
        for assignment in walk.plan().asked {
            walk.finish(assignment, .aborted)
        }
        walk.now = walk.now + WalkLimits.fewRefuseGrace
        let third = walk.plan()
        #expect(third.drops == [3])
        #expect(third.asked.map(\.sections) == [[4]])
    }

    @Test func whenTheLimitCoversOneRangeTheOldestAnchorGoesFirst() {
        var walk = Walk(lanes: 4, rate: 1_000)
        walk.peer(1, [6, 5])
        walk.advance(to: Walk.anchor(6))
        walk.store(crownOf: Walk.anchor(6))
        let next = Cursor(account: Bytes32(1, 0, 0, 0), slot: .zero)
        walk.hold(0, .partial(anchor: Walk.anchor(6), next: next))
        walk.hold(4, .partial(anchor: Walk.anchor(5), next: next))
        let tasks = walk.plan().asked.compactMap(\.task)
        #expect(tasks.count == 1)
        #expect(tasks.first?.sections == [4])
    }

    @Test func diffsWaitWhileMoreCameThanTheLimitAllows() throws {
        var walk = Walk(lanes: 4, rate: 100_000)
        walk.peer(1, [1, 0])
        walk.advance(to: Walk.anchor(1))
        walk.store(crownOf: Walk.anchor(1))
        walk.hold(3, .complete(anchor: Walk.anchor(0)))
        let crossing = WalkTask.diffs(sections: [3], from: Walk.anchor(0), to: .anchor(Walk.anchor(1)))
        let first = try #require(walk.plan().asked.first { $0.task == crossing })
        walk.finish(first, .done(bytes: 1_200_000))
        #expect(walk.plan().asked.isEmpty)
        walk.now = walk.now + .seconds(13)
        let tasks = walk.plan().asked.compactMap(\.task)
        #expect(tasks.contains(crossing))
    }

    @Test func aWalkThatIsHeldBackTakesNoBlockDiffs() {
        #expect(Walk().planner.takesBlockDiffs)
        var walk = Walk(rate: 1_000)
        #expect(!walk.planner.takesBlockDiffs)
        walk.advance(to: Walk.anchor(0))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(0))) }
        #expect(walk.planner.takesBlockDiffs)
    }

    @Test func gapsAreCaughtUpByDiffsToAProvenBlock() {
        var walk = Walk()
        let head = StatePoint(number: 77, hash: Bytes32(7, 7, 7, 7))
        walk.peer(1, [0], head: head)
        walk.advance(to: Walk.anchor(0))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(0)), gap: section < 3) }
        walk.store(crownOf: Walk.anchor(0))
        let tasks = walk.plan().asked.compactMap(\.task)
        #expect(tasks == [.diffs(sections: [0, 1, 2], from: Walk.anchor(0), to: .block(head))])
    }
}

@Suite("Peers and bounds") struct PeerTests {
    @Test func aFailingPeerIsLeftAloneForAWhileAndAnotherIsAsked() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        let first = walk.plan().asked
        walk.finish(first[0], .invalid)
        #expect(walk.plan().asked.isEmpty, "the only peer lied")
        walk.peer(2, [0])
        #expect(walk.plan().asked.first?.peer == Walk.id(2))
        #expect(walk.operations.askCount == 1)
    }

    @Test func everyEndGivesTheSlotBack() {
        let outcomes: [AskOutcome] = [
            .done(bytes: 1), .busy(.zero), .refused, .tooLarge, .failed, .invalid, .aborted,
        ]
        for outcome in outcomes {
            var walk = Walk()
            walk.peer(1, [0])
            walk.advance(to: Walk.anchor(0))
            for assignment in walk.plan().asked {
                walk.finish(assignment, outcome)
            }
            #expect(walk.operations.askCount == 0)
            walk.now = walk.now + .seconds(60)
            #expect(!walk.plan().asked.isEmpty, "asked again after \(outcome)")
        }
    }

    @Test func aPeerHasAtMostItsShareOfRequests() {
        var walk = Walk(lanes: 16)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        #expect(walk.plan().asked.count == WalkLimits.requestsPerPeer)
    }

    @Test func theRateLimitHoldsRequestsBack() {
        var walk = Walk(lanes: 8, rate: 1_000)
        for number in 1...8 { walk.peer(UInt64(number), [0]) }
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        var asked = 0
        for _ in 0..<100 {
            for assignment in walk.plan().asked {
                asked += 1
                walk.finish(assignment, .done(bytes: 1_000))
            }
            walk.now = walk.now + .milliseconds(100)
        }
        #expect((9...12).contains(asked), "10 s at 1,000 bytes a second are about 10 ranges of 1,000, not \(asked)")
        #expect(walk.planner.nextDeadline != nil)
    }
}
