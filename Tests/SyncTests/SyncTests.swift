import Chain
import Primitives
import StateStore
import Testing

@testable import Sync

/// A walk over 16 sections with the given lanes; peers and time are told by each test.
struct Walk {
    var sync: StateSync
    var now = Instant.zero

    init(lanes: Int = 4, rate: UInt64? = nil, sections: Int = 16) {
        let configuration = StateSync.Configuration(
            depth: 1, arc: 0..<sections, lanes: lanes, rangeBytes: 1_000, downloadBytesPerSecond: rate)
        let none = SectionStatus(coverage: .none, isLocked: false, hasGap: false)
        sync = StateSync(
            configuration: configuration, sections: Array(repeating: none, count: sections), wantedCodes: [], at: .zero)
    }

    static func anchor(_ epoch: UInt64) -> Anchor { Anchor(epoch: epoch, hash: Bytes32(epoch, 0, 0, 1)) }

    mutating func peer(_ number: UInt64, _ epochs: [UInt64], sections: Range<Int> = 0..<16, head: StatePoint? = nil) {
        let served = epochs.map { SyncPeer.Served(anchor: Walk.anchor($0), sections: [sections]) }
        sync.peerUpdated(SyncPeer(id: Bytes32(0, 0, 0, number), served: served, head: head))
    }

    /// Plans, and ends every assignment as the network and the store would if all went well.
    mutating func completeAll() -> [Assignment] {
        let plan = sync.plan(at: now)
        for assignment in plan.assignments {
            switch assignment.task {
            case .crown(let anchor): sync.crownStored(anchor)
            case .range(let section, let anchor, _, _, _): hold(section, .complete(anchor: anchor))
            case .diffs(let sections, _, .anchor(let anchor)):
                for section in sections { hold(section, .complete(anchor: anchor)) }
            case .diffs(let sections, let from, .block):
                for section in sections { hold(section, .complete(anchor: from)) }
            case .carry: break
            case .codes(let hashes, _): sync.codesStored(hashes)
            }
            sync.finish(assignment.id, .done(bytes: 500), at: now)
        }
        return plan.assignments
    }

    mutating func hold(_ section: Int, _ coverage: SectionStatus.Coverage, gap: Bool = false) {
        sync.update(section: section, SectionStatus(coverage: coverage, isLocked: false, hasGap: gap))
    }
}

@Suite("The walk") struct WalkTests {
    @Test func nothingIsAskedBeforeAnAnchorIsFinal() {
        var walk = Walk()
        walk.peer(1, [0])
        #expect(walk.sync.plan(at: walk.now).assignments.isEmpty)
        #expect(walk.sync.phase == .waiting)
    }

    @Test func lanesWalkDisjointStretchesUpward() {
        var walk = Walk()
        walk.peer(1, [0])
        walk.peer(2, [0])
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        var order: [Int] = []
        for _ in 0..<40 where walk.sync.completeAnchor == nil {
            for assignment in walk.completeAll() {
                if case .range(let section, _, _, _, _) = assignment.task { order.append(section) }
            }
        }
        #expect(Set(order) == Set(0..<16))
        #expect(order.count == 16, "no section is asked for twice")
        #expect(Array(order.prefix(4)).sorted() == [0, 4, 8, 12], "each lane begins at its own stretch")
        #expect(walk.sync.completeAnchor == Walk.anchor(0))
        #expect(walk.sync.phase == .following)
    }

    @Test func aLaneGoesOnWhereItsSectionStopped() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        let next = Cursor(account: Bytes32(5 << 56, 0, 0, 0), slot: Bytes32(9, 0, 0, 0))
        walk.sync.crownStored(Walk.anchor(0))
        let first = walk.sync.plan(at: walk.now).assignments
        #expect(first.count == 1)
        walk.hold(0, .partial(anchor: Walk.anchor(0), next: next))
        walk.sync.finish(first[0].id, .done(bytes: 10), at: walk.now)
        let second = walk.sync.plan(at: walk.now).assignments
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
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        _ = walk.completeAll()
        walk.sync.anchorAdvanced(to: Walk.anchor(1))
        #expect(walk.sync.crossingsWhileFetching == 1)
        walk.sync.crownStored(Walk.anchor(1))
        let tasks = walk.sync.plan(at: walk.now).assignments.map(\.task)
        let diffs = tasks.filter { if case .diffs = $0 { true } else { false } }
        #expect(diffs == [.diffs(sections: [0, 8], from: Walk.anchor(0), to: .anchor(Walk.anchor(1)))])
        #expect(tasks.contains { if case .range(_, Walk.anchor(1), _, _, _) = $0 { true } else { false } })
    }

    @Test func aPartialSectionIsFinishedAtItsOwnAnchor() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [1, 0])
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        walk.hold(0, .partial(anchor: Walk.anchor(0), next: Cursor(account: Bytes32(1, 0, 0, 0), slot: .zero)))
        walk.sync.anchorAdvanced(to: Walk.anchor(1))
        walk.sync.crownStored(Walk.anchor(1))
        guard case .range(0, Walk.anchor(0), _, _, _)? = walk.sync.plan(at: walk.now).assignments.first?.task else {
            Issue.record("the partial section was not finished at its anchor")
            return
        }
    }

    /// A section of which a part is held at `anchor`, while everybody serves another.
    private func stranded(at anchor: UInt64, peersAt epochs: [UInt64]) -> Walk {
        var walk = Walk(lanes: 1)
        walk.peer(1, epochs)
        walk.sync.anchorAdvanced(to: Walk.anchor(epochs[0]))
        walk.sync.crownStored(Walk.anchor(epochs[0]))
        walk.hold(0, .partial(anchor: Walk.anchor(anchor), next: stop))
        return walk
    }

    private let stop = Cursor(account: Bytes32(1, 0, 0, 0), slot: Bytes32(0, 0, 0, 9))

    @Test func aPartialSectionWithoutHolderIsCarriedOnlyAfterAWhile() {
        var walk = stranded(at: 4, peersAt: [5])
        let early = walk.sync.plan(at: walk.now)
        #expect(early == SyncPlan())
        walk.now = walk.now + SyncLimits.fewRefuseGrace
        let late = walk.sync.plan(at: walk.now)
        #expect(late.drops.isEmpty)
        #expect(late.assignments.map(\.task) == [.carry(section: 0, from: Walk.anchor(4), to: Walk.anchor(5))])
    }

    @Test func aPartialSectionGoesOnAtTheAnchorItsDiffLeadsTo() throws {
        var walk = stranded(at: 3, peersAt: [5, 4])
        let carry = try #require(walk.sync.plan(at: walk.now).assignments.first)
        // At once: nobody can serve it any more.
        #expect(carry.task == .carry(section: 0, from: Walk.anchor(3), to: Walk.anchor(5)))
        let coverage = SectionStatus.Coverage.partial(anchor: Walk.anchor(3), next: stop)
        walk.sync.update(
            section: 0,
            SectionStatus(coverage: coverage, isLocked: false, hasGap: false, carriedTo: Walk.anchor(5)))
        walk.sync.finish(carry.id, .done(bytes: 100), at: walk.now)
        let range = try #require(walk.sync.plan(at: walk.now).assignments.first)
        guard case .range(0, Walk.anchor(5), stop, _, _) = range.task else {
            Issue.record("not the range that goes on: \(range.task)")
            return
        }
        walk.sync.finish(range.id, .refused, at: walk.now)
        // Before the range came, two more epochs have passed: another diff, from where the part still stands.
        walk.sync.anchorAdvanced(to: Walk.anchor(7))
        walk.sync.crownStored(Walk.anchor(7))
        walk.peer(1, [7, 6])
        walk.now = walk.now + .seconds(1)
        let again = walk.sync.plan(at: walk.now).assignments.map(\.task)
        #expect(again == [.carry(section: 0, from: Walk.anchor(3), to: Walk.anchor(7))])
    }

    @Test(arguments: [AssignmentOutcome.tooOld, .tooLarge])
    func aPartialSectionThatNobodyLeadsOnIsBegunAgain(outcome: AssignmentOutcome) throws {
        var walk = stranded(at: 3, peersAt: [5])
        walk.peer(2, [5])
        for _ in 0..<2 {
            let plan = walk.sync.plan(at: walk.now)
            #expect(plan.drops.isEmpty, "somebody has not been asked yet")
            walk.sync.finish(try #require(plan.assignments.first).id, outcome, at: walk.now)
            walk.now = walk.now + .seconds(1)
        }
        #expect(walk.sync.plan(at: walk.now).drops.isEmpty, "another may come to the anchor yet")
        walk.now = walk.now + SyncLimits.fewRefuseGrace
        #expect(walk.sync.plan(at: walk.now).drops == [0])
    }

    /// Whoever claims a new anchor before all others is its only holder, and refuses.
    @Test(arguments: [AssignmentOutcome.tooOld, .tooLarge], [true, false])
    func theFirstAtAnAnchorCannotMakeUsBeginAgain(outcome: AssignmentOutcome, isPartial: Bool) throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [6])
        walk.sync.anchorAdvanced(to: Walk.anchor(6))
        walk.sync.crownStored(Walk.anchor(6))
        if !isPartial { for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(6))) } }
        let behind = Walk.anchor(3)
        walk.hold(0, isPartial ? .partial(anchor: behind, next: stop) : .complete(anchor: behind))
        let asked = try #require(walk.sync.plan(at: walk.now).assignments.first)
        walk.sync.finish(asked.id, outcome, at: walk.now)
        walk.now = walk.now + .seconds(1)
        #expect(walk.sync.plan(at: walk.now).drops.isEmpty)
        let due = walk.now + SyncLimits.fewRefuseGrace
        #expect(try #require(walk.sync.nextDeadline(at: walk.now)) <= due, "the plan is made again by itself")
        walk.now = due
        walk.peer(2, [6])
        let plan = walk.sync.plan(at: walk.now)
        #expect(plan.drops.isEmpty)
        #expect(plan.assignments.map(\.peer) == [Bytes32(0, 0, 0, 2)])
        #expect(plan.assignments.map(\.task) == [asked.task])
    }

    /// One that answers at once, and is busy for no time at all, would have all requests for itself.
    @Test func whoIsBusyForNoTimeIsNotAskedAgainAtOnce() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        walk.sync.crownStored(Walk.anchor(0))
        let asked = try #require(walk.sync.plan(at: walk.now).assignments.first)
        walk.sync.finish(asked.id, .busy(.zero), at: walk.now)
        #expect(walk.sync.plan(at: walk.now).assignments.isEmpty)
        walk.peer(2, [0])
        #expect(walk.sync.plan(at: walk.now).assignments.map(\.peer) == [Bytes32(0, 0, 0, 2)])
    }

    @Test func carryingWaitsForTheCrownAndTheLimit() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [5])
        walk.sync.anchorAdvanced(to: Walk.anchor(5))
        walk.hold(0, .partial(anchor: Walk.anchor(3), next: stop))
        #expect(walk.sync.plan(at: walk.now).assignments.map(\.task) == [.crown(Walk.anchor(5))])
    }

    @Test func aSectionOlderThanAnyHistoryIsBegunAgain() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [9])
        walk.peer(2, [9])
        walk.sync.anchorAdvanced(to: Walk.anchor(9))
        walk.sync.crownStored(Walk.anchor(9))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        walk.hold(3, .complete(anchor: Walk.anchor(2)))
        for _ in 0..<2 {
            let plan = walk.sync.plan(at: walk.now)
            #expect(plan.drops.isEmpty, "somebody has not been asked yet")
            let asked = try #require(plan.assignments.first)
            #expect(asked.task == .diffs(sections: [3], from: Walk.anchor(2), to: .anchor(Walk.anchor(9))))
            walk.sync.finish(asked.id, .tooOld, at: walk.now)
        }
        #expect(walk.sync.plan(at: walk.now).drops.isEmpty, "another may come to the anchor yet")
        walk.now = walk.now + SyncLimits.fewRefuseGrace
        #expect(walk.sync.plan(at: walk.now).drops == [3])
        // Every holder leads on from the anchor before the newest: such a refusal is no reason.
        walk.hold(3, .complete(anchor: Walk.anchor(8)))
        for _ in 0..<2 {
            let asked = try #require(walk.sync.plan(at: walk.now).assignments.first)
            walk.sync.finish(asked.id, .tooOld, at: walk.now)
        }
        for _ in 0..<2 {
            #expect(walk.sync.plan(at: walk.now).drops.isEmpty)
            walk.now = walk.now + SyncLimits.fewRefuseGrace
        }
    }

    /// Otherwise it would be asked for again and again until the end of time.
    @Test func aSectionWhoseDiffFitsNoAnswerIsBegunAgainAndTheOthersAreNot() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [9, 8])
        walk.peer(2, [9, 8])
        walk.sync.anchorAdvanced(to: Walk.anchor(9))
        walk.sync.crownStored(Walk.anchor(9))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        for section in [3, 4] { walk.hold(section, .complete(anchor: Walk.anchor(8))) }
        let first = try #require(walk.sync.plan(at: walk.now).assignments.first)
        #expect(first.task == .diffs(sections: [3, 4], from: Walk.anchor(8), to: .anchor(Walk.anchor(9))))
        walk.sync.finish(first.id, .tooLarge, at: walk.now)
        walk.now = walk.now + .seconds(1)
        let second = walk.sync.plan(at: walk.now)
        #expect(second.drops.isEmpty, "the other has not said so")
        for assignment in second.assignments {
            let isOfThree = assignment.task.sections.contains(3)
            #expect(!isOfThree || assignment.peer != first.peer)
            walk.sync.finish(assignment.id, isOfThree ? .tooLarge : .failed, at: walk.now)
        }
        for assignment in walk.sync.plan(at: walk.now).assignments {
            walk.sync.finish(assignment.id, .aborted, at: walk.now)
        }
        walk.now = walk.now + SyncLimits.fewRefuseGrace
        let third = walk.sync.plan(at: walk.now)
        #expect(third.drops == [3])
        #expect(third.assignments.map(\.task.sections) == [[4]])
    }

    @Test func whenTheLimitCoversOneRangeTheOldestAnchorGoesFirst() {
        var walk = Walk(lanes: 4, rate: 1_000)
        walk.peer(1, [6, 5])
        walk.sync.anchorAdvanced(to: Walk.anchor(6))
        walk.sync.crownStored(Walk.anchor(6))
        let next = Cursor(account: Bytes32(1, 0, 0, 0), slot: .zero)
        walk.hold(0, .partial(anchor: Walk.anchor(6), next: next))
        walk.hold(4, .partial(anchor: Walk.anchor(5), next: next))
        let tasks = walk.sync.plan(at: walk.now).assignments.map(\.task)
        #expect(tasks.count == 1)
        #expect(tasks.first?.sections == [4])
    }

    @Test func diffsWaitWhileMoreCameThanTheLimitAllows() throws {
        var walk = Walk(lanes: 4, rate: 100_000)
        walk.peer(1, [1, 0])
        walk.sync.anchorAdvanced(to: Walk.anchor(1))
        walk.sync.crownStored(Walk.anchor(1))
        walk.hold(3, .complete(anchor: Walk.anchor(0)))
        let crossing = SyncTask.diffs(sections: [3], from: Walk.anchor(0), to: .anchor(Walk.anchor(1)))
        let first = try #require(walk.sync.plan(at: walk.now).assignments.first { $0.task == crossing })
        walk.sync.finish(first.id, .done(bytes: 1_200_000), at: walk.now)
        #expect(walk.sync.plan(at: walk.now).assignments.isEmpty)
        walk.now = walk.now + .seconds(13)
        let tasks = walk.sync.plan(at: walk.now).assignments.map(\.task)
        #expect(tasks.contains(crossing))
    }

    @Test func aWalkThatIsHeldBackTakesNoBlockDiffs() {
        #expect(Walk().sync.takesBlockDiffs)
        var walk = Walk(rate: 1_000)
        #expect(!walk.sync.takesBlockDiffs)
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(0))) }
        #expect(walk.sync.takesBlockDiffs)
    }

    @Test func gapsAreCaughtUpByDiffsToAProvenBlock() {
        var walk = Walk()
        let head = StatePoint(number: 77, hash: Bytes32(7, 7, 7, 7))
        walk.peer(1, [0], head: head)
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(0)), gap: section < 3) }
        walk.sync.crownStored(Walk.anchor(0))
        let tasks = walk.sync.plan(at: walk.now).assignments.map(\.task)
        #expect(tasks == [.diffs(sections: [0, 1, 2], from: Walk.anchor(0), to: .block(head))])
    }
}

@Suite("Peers and bounds") struct PeerTests {
    @Test func aFailingPeerIsLeftAloneForAWhileAndAnotherIsAsked() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        walk.sync.crownStored(Walk.anchor(0))
        let first = walk.sync.plan(at: walk.now).assignments
        walk.sync.finish(first[0].id, .invalid, at: walk.now)
        #expect(walk.sync.plan(at: walk.now).assignments.isEmpty, "the only peer lied")
        walk.peer(2, [0])
        #expect(walk.sync.plan(at: walk.now).assignments.first?.peer == Bytes32(0, 0, 0, 2))
        #expect(walk.sync.inFlightCount == 1)
    }

    @Test func everyEndGivesTheSlotBack() {
        let outcomes: [AssignmentOutcome] = [
            .done(bytes: 1), .busy(.zero), .refused, .tooLarge, .failed, .invalid, .aborted,
        ]
        for outcome in outcomes {
            var walk = Walk()
            walk.peer(1, [0])
            walk.sync.anchorAdvanced(to: Walk.anchor(0))
            for assignment in walk.sync.plan(at: walk.now).assignments {
                walk.sync.finish(assignment.id, outcome, at: walk.now)
            }
            #expect(walk.sync.inFlightCount == 0)
            walk.now = walk.now + .seconds(60)
            #expect(!walk.sync.plan(at: walk.now).assignments.isEmpty, "asked again after \(outcome)")
        }
    }

    @Test func aPeerHasAtMostItsShareOfRequests() {
        var walk = Walk(lanes: 16)
        walk.peer(1, [0])
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        walk.sync.crownStored(Walk.anchor(0))
        #expect(walk.sync.plan(at: walk.now).assignments.count == SyncLimits.requestsPerPeer)
    }

    @Test func theRateLimitHoldsRequestsBack() {
        var walk = Walk(lanes: 8, rate: 1_000)
        for number in 1...8 { walk.peer(UInt64(number), [0]) }
        walk.sync.anchorAdvanced(to: Walk.anchor(0))
        walk.sync.crownStored(Walk.anchor(0))
        var asked = 0
        for _ in 0..<100 {
            for assignment in walk.sync.plan(at: walk.now).assignments {
                asked += 1
                walk.sync.finish(assignment.id, .done(bytes: 1_000), at: walk.now)
            }
            walk.now = walk.now + .milliseconds(100)
        }
        #expect((9...12).contains(asked), "10 s at 1,000 bytes a second are about 10 ranges of 1,000, not \(asked)")
        #expect(walk.sync.nextDeadline(at: walk.now) != nil)
    }
}
