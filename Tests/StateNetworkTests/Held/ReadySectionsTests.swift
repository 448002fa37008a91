import Chain
import Primitives
import StateStore
import Testing

@testable import StateContent
@testable import StateNetwork

/// What is encoded ahead is bounded, goes with its anchor, and leaves workers for others.
@Suite("Sections encoded ahead") struct ReadySectionsTests {
    private func columns(_ bytes: Int) -> SectionColumns {
        SectionColumns(
            accounts: 1, slots: 0, accountKeys: [UInt8](repeating: 1, count: bytes), bodies: [], slotCounts: [],
            slotKeys: [], slotValues: [])
    }

    /// Holdings with all sections complete at each of these epochs' anchors, the last one the working one.
    private func holdings(_ epoch: UInt64) -> Holdings {
        var walk = Walk()
        walk.advance(to: Walk.anchor(epoch))
        for section in 0..<16 { walk.hold(section, .complete(anchor: Walk.anchor(epoch))) }
        walk.store(crownOf: Walk.anchor(epoch))
        return walk.holdings
    }

    @Test func withoutALimitNothingIsEncoded() {
        var ready = ReadySections(limit: 0, jobs: 4)
        let held = holdings(1)
        ready.keep(held.servedAnchors())
        let none = ready.next(held)
        #expect(none == nil)
    }

    @Test func everySectionOnceAndNotMoreJobsThanMayBe() throws {
        var ready = ReadySections(limit: 1 << 20, jobs: 1)
        let held = holdings(1)
        ready.keep(held.servedAnchors())
        let next = ready.next(held)
        let first = try #require(next)
        #expect(first.anchor == Walk.anchor(1))
        #expect(first.job.sections.map(\.index) == Array(0..<16))
        let another = ready.next(held)
        #expect(another == nil, "one job at once")
        ready.came(Dictionary(uniqueKeysWithValues: (0..<15).map { ($0, columns(100)) }), at: first.anchor)
        ready.ended()
        // One fitted no answer: it is not tried again.
        let last = ready.next(held)
        #expect(last == nil)
        #expect(ready.count == 15 && ready.byteCount == 1_500)
        #expect(Set(ready.ready([3, 15, 4], at: Walk.anchor(1)).keys) == [3, 4])
        #expect(ready.ready([3], at: Walk.anchor(2)).isEmpty)
    }

    @Test func theLimitHoldsAndOlderAnchorsMakeRoom() throws {
        var ready = ReadySections(limit: 1_000, jobs: 1)
        let held = holdings(1)
        ready.keep(held.servedAnchors())
        let first = ready.next(held)
        #expect(first != nil)
        ready.came(Dictionary(uniqueKeysWithValues: (0..<16).map { ($0, columns(300)) }), at: Walk.anchor(1))
        ready.ended()
        #expect(ready.count == 3 && ready.byteCount == 900)
        let more = ready.next(held)
        #expect(more == nil, "no room for more")
        // The next anchor is served beside it.
        let later = holdings(2)
        let both = later.servedAnchors() + held.servedAnchors()
        ready.keep(both)
        let second = ready.next(later)
        #expect(second?.anchor == Walk.anchor(2))
        ready.came([0: columns(300), 1: columns(300)], at: Walk.anchor(2))
        ready.ended()
        #expect(ready.ready([0, 1], at: Walk.anchor(2)).count == 2)
        #expect(ready.byteCount <= 1_000)
        // The older one is served no more.
        ready.keep(later.servedAnchors())
        #expect(ready.ready([0], at: Walk.anchor(1)).isEmpty)
    }
}
