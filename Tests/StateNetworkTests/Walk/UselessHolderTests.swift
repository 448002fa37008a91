import Chain
import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// Holders that announce a section at the newest anchor and do not lead it there from where it is held.
@Suite("Holders that do not lead on") struct UselessHolderTests {
    private static func id(_ number: UInt64) -> Bytes32 { Walk.id(number) }

    /// Everything is at anchor 9 but section 3, which was away; peers 1… announce all of it. Without leaves at anchor 9
    /// nothing of the section is of use there.
    private func returning(peers: UInt64, hasLeaves: Bool = false) -> Walk {
        var walk = Walk(lanes: 1)
        for peer in 1...peers { walk.peer(peer, [9]) }
        walk.advance(to: Walk.anchor(9))
        if hasLeaves { walk.store(crownWithLeavesOf: Walk.anchor(9)) } else { walk.store(crownOf: Walk.anchor(9)) }
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        walk.hold(3, .complete(anchor: Walk.anchor(2)))
        return walk
    }

    /// Plays on for so long in steps of a second: each request to peer 1 ends as `useless` says after its time, each to
    /// another one is refused for want of history. The drops of that time, with the second.
    private func play(
        _ walk: inout Walk, seconds: UInt64, useless: (outcome: AskOutcome, after: Interval),
        others: AskOutcome = .tooOld
    ) -> [UInt64: [Int]] {
        var open: [(assignment: Operation, due: Instant)] = []
        defer { for (assignment, _) in open { walk.finish(assignment, .aborted) } }
        var drops: [UInt64: [Int]] = [:]
        for second in 0..<seconds {
            for (assignment, due) in open where due <= walk.now {
                let isUseless = assignment.peer == Self.id(1)
                walk.finish(assignment, isUseless ? useless.outcome : others)
            }
            open.removeAll { $0.due <= walk.now }
            let plan = walk.plan()
            if !plan.drops.isEmpty { drops[second] = plan.drops }
            for assignment in plan.asked {
                let delay = assignment.peer == Self.id(1) ? useless.after : .milliseconds(20)
                open.append((assignment, walk.now + delay))
            }
            walk.now = walk.now + .seconds(1)
        }
        return drops
    }

    /// Busy for ten minutes, busy again and again, silent: the honest others lack the history, and the section is begun
    /// again within a stated time. None of the others is.
    @Test(arguments: [(AskOutcome.busy(.seconds(600)), 0), (.busy(.seconds(2)), 0), (.failed, 32)])
    func oneThatNeverHelpsDoesNotKeepASectionForEver(outcome: AskOutcome, seconds: Int) throws {
        var walk = returning(peers: 2)
        let drops = play(&walk, seconds: 150, useless: (outcome, .seconds(seconds)))
        let first = try #require(drops.keys.min())
        let bound = WalkLimits.uselessAfter + WalkLimits.fewRefuseGrace + WalkLimits.requestTimeout
        #expect(UInt64(first) >= 60 && Interval.seconds(Int(first)) <= bound, "after \(first) s")
        #expect(drops.values.allSatisfy { $0 == [3] })
    }

    /// Nobody says that it cannot be done: beginning again would be asked of the same ones.
    @Test func whereAllAreSilentNothingIsThrownAway() {
        var walk = returning(peers: 1, hasLeaves: true)
        #expect(play(&walk, seconds: 400, useless: (.failed, .seconds(32))).isEmpty)
    }

    /// The only holder says "too old" for a moment; then another comes.
    @Test func aSoleHoldersWordIsNotEnoughAtOnce() {
        var walk = returning(peers: 1)
        #expect(play(&walk, seconds: 25, useless: (.tooOld, .zero)).isEmpty)
        walk.peer(2, [9])
        let asked = walk.plan().asked.filter { $0.peer == Self.id(2) }
        #expect(asked.compactMap(\.task) == [.diffs(sections: [3], from: Walk.anchor(2), to: .anchor(Walk.anchor(9)))])
    }

    @Test func threeThatSayItAreEnoughSoon() throws {
        var walk = returning(peers: 3)
        let drops = play(&walk, seconds: 25, useless: (.tooOld, .zero))
        #expect(try #require(drops.keys.min()) <= 15 && drops.values.allSatisfy { $0 == [3] })
    }

    /// Epochs shorter than the bounds: a new anchor does not make them begin anew.
    @Test func shortEpochsDoNotPutItOffForEver() throws {
        var walk = returning(peers: 2)
        var first: UInt64?
        for round in UInt64(0)..<10 where first == nil {
            let anchor = 10 + round
            for peer in UInt64(1)...2 { walk.peer(peer, [anchor]) }
            walk.advance(to: Walk.anchor(anchor))
            walk.store(crownOf: Walk.anchor(anchor))
            for section in 0..<16 where section != 3 { walk.hold(section, .complete(anchor: Walk.anchor(anchor))) }
            first = play(&walk, seconds: 16, useless: (.busy(.seconds(2)), .zero)).keys.min().map { 16 * round + $0 }
        }
        #expect(try #require(first) <= 110)
    }

    /// Two anchors behind the newest: a holder that folded both at once, after a crash, cannot lead on from there.
    @Test func aSectionTwoAnchorsBehindIsBegunAgainToo() {
        var walk = returning(peers: 3)
        walk.hold(3, .complete(anchor: Walk.anchor(7)))
        let drops = play(&walk, seconds: 25, useless: (.tooOld, .zero))
        #expect(!drops.isEmpty && drops.values.allSatisfy { $0 == [3] })
        walk.hold(3, .complete(anchor: Walk.anchor(8)))
        #expect(play(&walk, seconds: 25, useless: (.tooOld, .zero)).isEmpty, "from the one before everybody leads on")
    }

    /// One answer in between that helps takes the reproach away.
    @Test func whoHelpsInTheEndIsWaitedFor() {
        var walk = returning(peers: 2)
        #expect(play(&walk, seconds: 50, useless: (.busy(.seconds(2)), .zero)).isEmpty)
        walk.hold(3, .complete(anchor: Walk.anchor(5)))
        #expect(play(&walk, seconds: 50, useless: (.busy(.seconds(2)), .zero)).isEmpty)
    }
}
