import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

/// Sections that no diff leads on are compared by their subtree hashes, and begun again only where nobody can help.
@Suite("What no diff leads on") struct ComparisonTests {
    private static let section = 3

    /// Everything is held at anchor 9 but one section, which is at anchor 2; two peers have all of it at the newest.
    private func walk(newest: UInt64 = 9, peersAt epochs: [UInt64] = [9]) -> Walk {
        var walk = Walk(lanes: 1)
        walk.peer(1, epochs)
        walk.peer(2, epochs)
        walk.advance(to: Walk.anchor(newest))
        for epoch in epochs { walk.store(crownWithLeavesOf: Walk.anchor(epoch)) }
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(newest))) }
        walk.hold(Self.section, .complete(anchor: Walk.anchor(2)))
        return walk
    }

    /// Both say that their history is too short, and that has been so for a while.
    private func refuse(_ walk: inout Walk) throws {
        for _ in 0..<2 { walk.finish(try #require(walk.plan().asked.first), .tooOld) }
        #expect(walk.plan().asked.isEmpty)
        walk.now = walk.now + WalkLimits.fewRefuseGrace
    }

    /// Nothing is known of how much has changed: a small range tells it.
    private func comparison(from first: UInt64 = 2, to epoch: UInt64) -> WalkTask {
        comparison(from: first, to: epoch, rangeBytes: Walk.rangeBytes)
    }

    /// By a range, or by nodes.
    private func comparison(from first: UInt64 = 2, to epoch: UInt64, rangeBytes: UInt32?) -> WalkTask {
        let section = Section(depth: 1, index: Self.section)
        let means: WalkTask.Means =
            rangeBytes.map { .stretch(section.firstCursor, section.lastCursor, maxBytes: $0) }
            ?? .places([StatePlace(account: section.path)])
        return .compare(section: Self.section, from: Walk.anchor(first), to: Walk.anchor(epoch), by: means)
    }

    /// Where little has changed nodes are the shorter way, where much has ranges are: a small one tells which, and
    /// again after a while.
    @Test func aSmallRangeTellsTheShorterWay() throws {
        var walk = walk()
        try refuse(&walk)
        walk.finish(try #require(walk.plan().asked.first), .done(bytes: 100))
        walk.planner.changes.came(changed: 40, of: 400)
        let second = try #require(walk.plan().asked.first)
        #expect(second.task == comparison(to: 9, rangeBytes: nil))
        walk.finish(second, .done(bytes: 100))
        for _ in 0..<WalkLimits.answersUntilSample { walk.planner.changes.came(changed: 0, of: 0) }
        let third = try #require(walk.plan().asked.first)
        #expect(third.task == comparison(to: 9))
        walk.finish(third, .done(bytes: 100))
        walk.planner.changes.came(changed: 300, of: 400)
        #expect(walk.plan().asked.first?.task == comparison(to: 9))
    }

    /// A small range is no larger than any may be, and where much has changed as large as that.
    @Test func theRangeFollowsWhatHasChanged() {
        let usual = WalkLimits.sampleBytes * 4
        var changes = ChangedShare()
        #expect(changes.rangeBytes(isSampling: false, usual: usual) == WalkLimits.sampleBytes)
        #expect(changes.rangeBytes(isSampling: false, usual: 900) == 900)
        #expect(changes.rangeBytes(isSampling: true, usual: usual) == nil, "one tells it")
        changes.came(changed: 26, of: 100)
        #expect(changes.rangeBytes(isSampling: false, usual: usual) == WalkLimits.sampleBytes, "too few to go by")
        changes.came(changed: 74, of: 300)
        #expect(changes.rangeBytes(isSampling: false, usual: usual) == nil, "a quarter")
        changes.came(changed: 2, of: 3)
        #expect(changes.rangeBytes(isSampling: true, usual: usual) == usual)
        changes.wasTooSmall(usual)
        #expect(changes.rangeBytes(isSampling: true, usual: usual) == 2 * usual)
        changes.came(changed: 0, of: WalkLimits.changesRemembered)
        #expect(changes.rangeBytes(isSampling: false, usual: usual) == nil, "what came last counts")
    }

    /// Ranges are known to every version: who answers one with names lacks the section, and still knows subtree hashes.
    @Test func whoAnswersARangeWithNamesKnowsSubtreeHashes() throws {
        #expect(comparison(to: 9).outcomeOfNames == .refused)
        #expect(comparison(to: 9, rangeBytes: nil).outcomeOfNames == .notKnown)
        var walk = walk()
        try refuse(&walk)
        for _ in 0..<2 {
            let asked = try #require(walk.plan().asked.first)
            walk.finish(asked, try #require(asked.task).outcomeOfNames)
        }
        #expect(walk.plan().drops.isEmpty, "nothing is begun again for that")
    }

    /// Not one leaf fits the range: a larger one is asked for, and nobody is taken to withhold the section.
    @Test func aRangeThatHoldsNothingIsDoubled() throws {
        var walk = walk()
        try refuse(&walk)
        for doublings in 0..<3 {
            let plan = walk.plan()
            #expect(plan.drops.isEmpty)
            let asked = try #require(plan.asked.first)
            #expect(asked.task == comparison(to: 9, rangeBytes: Walk.rangeBytes << doublings))
            walk.finish(asked, .tooLarge)
            walk.now = walk.now + WalkLimits.backoffMaximum
        }
    }

    @Test func itIsComparedAndNotBegunAgain() throws {
        var walk = walk()
        try refuse(&walk)
        let plan = walk.plan()
        #expect(plan.drops.isEmpty && plan.asked.compactMap(\.task) == [comparison(to: 9)])
        // No answer, or "busy", is no refusal: it is asked of the other, and again.
        walk.finish(try #require(plan.asked.first), .failed)
        let again = walk.plan()
        #expect(again.drops.isEmpty && again.asked.compactMap(\.task) == [comparison(to: 9)])
        #expect(again.asked.first?.peer != plan.asked.first?.peer)
    }

    /// Everybody is busy, or silent, for longer than anything is expected of them: nobody else is there, so they are
    /// asked again until one answers.
    @Test(arguments: [AskOutcome.failed, .busy(.seconds(1))]) func whoAllAreSilentAreAskedAgain(_ outcome: AskOutcome)
        throws
    {
        var walk = walk()
        try refuse(&walk)
        for round in 0..<6 {
            let plan = walk.plan()
            #expect(plan.drops.isEmpty, "round \(round)")
            walk.finish(try #require(plan.asked.first), outcome)
            walk.now = walk.now + WalkLimits.uselessAfter
        }
        let late = try #require(walk.plan().asked.first)
        #expect(late.task == comparison(to: 9))
        walk.finish(late, .done(bytes: 100))
        #expect(walk.plan().asked.compactMap(\.task) == [comparison(to: 9)])
    }

    @Test func whoHasNeverHeardOfItIsNotAskedAgain() throws {
        var walk = walk()
        try refuse(&walk)
        let first = try #require(walk.plan().asked.first)
        walk.finish(first, .notKnown)
        let second = try #require(walk.plan().asked.first)
        #expect(second.task == comparison(to: 9) && second.peer != first.peer)
        walk.finish(second, .done(bytes: 100))
        walk.now = walk.now + .seconds(1)
        #expect(walk.plan().asked.map(\.peer) == [second.peer], "the other is of a former version")
    }

    /// Who has never heard of it never gives it. Who does not have it at this anchor may at the next: what was compared
    /// is worth a minute.
    @Test(arguments: [AskOutcome.notKnown, .refused]) func whereNobodyGivesNodesItIsBegunAgain(_ outcome: AskOutcome)
        throws
    {
        var walk = walk()
        try refuse(&walk)
        for _ in 0..<2 {
            let plan = walk.plan()
            #expect(plan.drops.isEmpty)
            walk.finish(try #require(plan.asked.first), outcome)
        }
        #expect(walk.plan().drops == (outcome == .notKnown ? [Self.section] : []))
        #expect(walk.planner.nextDeadline.map { $0 <= walk.now + WalkLimits.uselessAfter } ?? (outcome == .notKnown))
        walk.now = walk.now + WalkLimits.uselessAfter
        #expect(walk.plan().drops == [Self.section])
    }

    /// What was taken over is of use in the next life too, and whatever the newest anchor is: it is never walked.
    @Test func whatIsMixedIsComparedAndNothingElse() throws {
        var walk = Walk(lanes: 4)
        for peer in [UInt64(1), 2] { walk.peer(peer, [9]) }
        walk.advance(to: Walk.anchor(9))
        walk.store(crownWithLeavesOf: Walk.anchor(9))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        walk.hold(Self.section, .mixed(anchor: Walk.anchor(4)))
        let plan = walk.plan()
        #expect(plan.drops.isEmpty && plan.asked.compactMap(\.task) == [comparison(from: 4, to: 9)])
        #expect(walk.planner.phase == .walking && !walk.holdings.book.isAllComplete)
        let ahead = walk.planner.sectionsAhead(walk.holdings.book, newest: Walk.anchor(9), at: walk.now)
        #expect(ahead.first == Self.section)
        walk.finish(try #require(plan.asked.first), .failed)
        walk.hold(
            Self.section, .partial(anchor: Walk.anchor(9), next: Section(depth: 1, index: Self.section).firstCursor))
        let range = try #require(walk.plan().asked.first?.task)
        #expect(range.doubled != nil && range.sections == [Self.section], "and walked on from where it ends")
    }

    /// Everything but the section goes on to another anchor, which both peers serve with the one before it.
    private func go(on epoch: UInt64, _ walk: inout Walk) {
        for peer in [UInt64(1), 2] { walk.peer(peer, [epoch, epoch - 1]) }
        walk.advance(to: Walk.anchor(epoch))
        walk.store(crownWithLeavesOf: Walk.anchor(epoch))
        for section in 0..<16 where section != Self.section {
            walk.hold(section, .complete(anchor: Walk.anchor(epoch)))
        }
        walk.now = walk.now + WalkLimits.fewRefuseGrace
    }

    /// A new anchor does not throw away what was compared with the one before, as long as anybody serves that.
    @Test func itStaysWithItsAnchorAsLongAsThatIsServed() throws {
        var walk = walk()
        try refuse(&walk)
        walk.finish(try #require(walk.plan().asked.first), .done(bytes: 100))
        walk.hold(Self.section, .mixed(anchor: Walk.anchor(9)))
        go(on: 10, &walk)
        let second = walk.plan().asked
        #expect(second.compactMap(\.task) == [comparison(from: 9, to: 9)])
        for operation in second { walk.finish(operation, .aborted) }
        go(on: 11, &walk)
        let third = walk.plan().asked.compactMap(\.task)
        #expect(third == [comparison(from: 9, to: 11)], "nobody serves anchor 9 any more")
    }

    /// From its first answer to its last a section is of no use to others, so not all are compared at once.
    @Test func someAreComparedAtOnceAndTheOthersAfterThem() throws {
        var walk = walk()
        for peer in [UInt64(3), 4] { walk.peer(peer, [9]) }
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(2))) }
        for _ in 0..<4 { walk.finish(try #require(walk.plan().asked.first), .tooOld) }
        #expect(walk.plan().asked.isEmpty)
        walk.now = walk.now + WalkLimits.fewRefuseGrace
        let first = walk.plan()
        #expect(first.asked.count == WalkLimits.comparisonsAtOnce && first.drops.isEmpty)
        for operation in first.asked {
            walk.finish(operation, .done(bytes: 100))
            for section in operation.sections { walk.hold(section, .mixed(anchor: Walk.anchor(9))) }
        }
        let second = walk.plan().asked
        #expect(second.map(\.sections) == first.asked.map(\.sections), "what was begun goes on")
        walk.hold(0, .complete(anchor: Walk.anchor(9)))
        walk.finish(try #require(second.first), .done(bytes: 100))
        #expect(walk.plan().asked.map(\.sections) == [[WalkLimits.comparisonsAtOnce]], "another takes its place")
    }

    /// A peer is taken to be of a former version for a while only.
    @Test func aFormerVersionIsAskedAgainAfterAWhile() throws {
        var walk = walk()
        try refuse(&walk)
        for _ in 0..<2 { walk.finish(try #require(walk.plan().asked.first), .notKnown) }
        #expect(walk.plan().asked.isEmpty)
        walk.now = walk.now + StateNetworkLimits.formerTerm
        #expect(walk.plan().asked.compactMap(\.task) == [comparison(to: 9)])
    }

    @Test func whatHasNoLeafLeftIsBegunAgain() throws {
        var walk = walk()
        try refuse(&walk)
        walk.store(crownOf: Walk.anchor(9))
        #expect(walk.plan().drops == [Self.section])
    }
}

/// The end of a walk, and which lane goes first.
@Suite("The last ranges of a walk") struct LastRangeTests {
    @Test func aRangeThatTakesLongIsAskedOfASecondPeer() throws {
        var walk = Walk(lanes: 2)
        for peer in [UInt64(1), 2] { walk.peer(peer, [0]) }
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        // One is left when all others were walked.
        for _ in 0..<16 {
            for asked in walk.plan().asked where asked.task?.subject != 5 {
                walk.hold(try #require(asked.task?.subject), .complete(anchor: Walk.anchor(0)))
                walk.finish(asked, .done(bytes: 500))
            }
        }
        #expect(walk.holdings.book.completeCount == 15)
        _ = walk.plan()
        let first = try #require(Array(walk.operations.asks).first)
        #expect(walk.plan().asked.isEmpty)
        #expect(walk.planner.nextDeadline == Instant.zero + WalkLimits.doubledAfter)
        walk.now = walk.now + WalkLimits.doubledAfter
        let second = try #require(walk.plan().asked.first)
        #expect(second.task == first.task && second.peer != first.peer)
        walk.now = walk.now + .seconds(10)
        #expect(walk.plan().asked.isEmpty, "two are enough")
        // One of them came, and the other is still awaited: what it brings is known by now.
        walk.hold(5, .complete(anchor: Walk.anchor(0)))
        let operation = try #require(walk.operations.asks.first { $0.peer == second.peer })
        walk.finish(operation, .done(bytes: 500))
        walk.now = walk.now + .seconds(10)
        #expect(walk.plan().asked.isEmpty)
    }

    @Test func whileThereIsMoreToBeginNothingIsAskedTwice() {
        var walk = Walk(lanes: 2)
        for peer in [UInt64(1), 2, 3] { walk.peer(peer, [0]) }
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        let first = walk.plan().asked
        walk.now = walk.now + .seconds(10)
        let second = walk.plan().asked
        #expect(first.count == 2 && Set((first + second).map { $0.task?.subject }).count == first.count + second.count)
    }

    @Test func ofEqualsTheSectionThatFewestHaveGoesFirst() throws {
        // The limit covers one range at a time.
        for (few, many) in [(0..<8, 8), (8..<16, 0)] {
            var walk = Walk(lanes: 2, rate: 1_000)
            walk.peer(1, [0])
            walk.peer(2, [0], sections: few)
            walk.advance(to: Walk.anchor(0))
            walk.store(crownOf: Walk.anchor(0))
            let asked = walk.plan().asked.compactMap { $0.task?.subject }
            #expect(asked == [many], "the other half has one holder more")
        }
    }
}
