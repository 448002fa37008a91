import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

/// A heavier line took the place of an anchor's block: what is held at that anchor is led to the new line.
@Suite struct LostAnchorTests {
    private static let section = 3

    /// Everything is held at anchor 9 but one section, which is at an anchor that is none any more.
    private func walk(at lost: Anchor) -> Walk {
        var walk = Walk(lanes: 1)
        walk.peer(1, [9])
        walk.peer(2, [9])
        walk.advance(to: Walk.anchor(9))
        walk.store(crownWithLeavesOf: Walk.anchor(9))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(9))) }
        walk.hold(Self.section, .complete(anchor: lost))
        walk.chain.lost = [lost]
        return walk
    }

    /// From the anchor before the newest everybody leads on, so that a refusal is a mistake there; but not from this
    /// one. Nor from a rival of the newest, of the same epoch.
    @Test(arguments: [Walk.anchor(8), Anchor(epoch: 9, hash: Bytes32(9, 0, 0, 2))])
    func whatNobodyLeadsOnIsCompared(lost: Anchor) throws {
        var walk = walk(at: lost)
        for _ in 0..<2 {
            let asked = try #require(walk.plan().asked.first)
            #expect(asked.task == .diffs(sections: [Self.section], from: lost, to: .anchor(Walk.anchor(9))))
            walk.finish(asked, .tooOld)
        }
        #expect(walk.plan().asked.isEmpty)
        walk.now = walk.now + WalkLimits.fewRefuseGrace
        let section = Section(depth: 1, index: Self.section)
        let plan = walk.plan()
        #expect(
            plan.asked.compactMap(\.task) == [
                .compare(
                    section: Self.section, from: lost, to: Walk.anchor(9),
                    by: .stretch(section.firstCursor, section.lastCursor, maxBytes: Walk.rangeBytes))
            ])
        #expect(plan.drops.isEmpty)
    }

    @Test func whoHasTheLostLineInItsHistoryLeadsOn() throws {
        var walk = walk(at: Walk.anchor(8))
        let asked = try #require(walk.plan().asked.first)
        walk.finish(asked, .done(bytes: 100))
        walk.hold(Self.section, .complete(anchor: Walk.anchor(9)))
        #expect(walk.plan().asked.isEmpty)
    }

    /// Nothing is served, announced or folded to at an anchor without its crown.
    @Test func itsCrownGoes() {
        var walk = walk(at: Walk.anchor(8))
        walk.store(crownWithLeavesOf: Walk.anchor(8))
        #expect(walk.holdings.servedAnchors().map(\.anchor) == [Walk.anchor(9), Walk.anchor(8)])
        let gone = walk.holdings.crowns.drop([Walk.anchor(8), Walk.anchor(7)])
        #expect(gone == [Walk.anchor(8)])
        #expect(walk.holdings.servedAnchors().map(\.anchor) == [Walk.anchor(9)])
        var batch = StateWrites.dropCrown(Walk.anchor(8))
        #expect(!batch.isEmpty)
        batch.append(StateWrites.crown(Walk.anchor(9), [1]))
        #expect(batch.count == 2)
    }

    @Test func whatWasCompleteThereIsNotAnyMore() {
        var completion = Completion(sections: 16, resumed: Walk.anchor(7))
        let isNew = completion.tells(Walk.anchor(8))
        #expect(isNew && completion.anchor == Walk.anchor(8))
        completion.forget([Walk.anchor(6)])
        #expect(completion.anchor == Walk.anchor(8))
        completion.forget([Walk.anchor(8)])
        #expect(completion.anchor == Walk.anchor(7))
        completion.forget([Walk.anchor(7), Walk.anchor(8)])
        #expect(completion.anchor == nil)
        let isToldAnew = completion.tells(Walk.anchor(8))
        #expect(isToldAnew)
    }
}
