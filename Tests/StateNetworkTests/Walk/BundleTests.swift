import Chain
import Overlay
import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// Small sections are asked for several at once.
@Suite("Bundles of sections") struct BundleTests {
    /// A walk that knows what a section has in an answer of 1,000 bytes.
    private func walk(lanes: Int = 1, sectionBytes: Int = 100, peers: Int = 1) -> Walk {
        var walk = Walk(lanes: lanes)
        for number in 1...peers { walk.peer(UInt64(number), [0]) }
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        walk.planner.came(taken([15]), bytes: sectionBytes, .sections([15], anchor: Walk.anchor(0), maxBytes: 1_000))
        return walk
    }

    private func taken(_ given: [Int]) -> SectionsTaken {
        SectionsTaken(records: [], given: given, batch: WriteBatch(), wantedCodes: [], leafBytes: 0)
    }

    private func sections(_ operations: [Operation]) -> [[Int]] {
        operations.compactMap { operation in
            if case .sections(let sections, _, _)? = operation.task { sections } else { nil }
        }
    }

    private func ranges(_ operations: [Operation]) -> [Int] {
        operations.compactMap { if case .range(let section, _, _, _, _)? = $0.task { section } else { nil } }
    }

    @Test func beforeAnythingIsKnownOfTheirSizeARangeIsAskedFor() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        #expect(ranges(walk.plan().asked) == [0])
    }

    @Test func aRangeTellsHowMuchASectionHas() throws {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        let first = try #require(walk.plan().asked.first)
        let record = SectionRecord(
            section: Section(depth: 1, index: 0), working: walk.holdings.book.point(of: Walk.anchor(0)),
            coverage: .complete(.empty))
        let range = RangeTaken(
            record: record, batch: WriteBatch(), wantedCodes: [], leaves: 1, leafBytes: 70, isCarried: false)
        walk.planner.came(range, bytes: 180, first.task)
        walk.hold(0, .complete(anchor: Walk.anchor(0)))
        walk.finish(first, .done(bytes: 180))
        // Five of 180 bytes fit nine tenths of a thousand.
        #expect(sections(walk.plan().asked) == [[1, 2, 3, 4, 5]])
    }

    @Test func noTwoLanesAskForTheSame() {
        var walk = walk(lanes: 4, peers: 2)
        var seen: [Int] = []
        for _ in 0..<20 where walk.holdings.completeAnchor == nil {
            let asked = walk.completeAll()
            seen += asked.compactMap(\.task).flatMap(\.sections)
            #expect(Set(seen).count == seen.count)
        }
        #expect(walk.holdings.completeAnchor == Walk.anchor(0))
        #expect(Set(seen) == Set(0..<16))
    }

    @Test func largeSectionsAreAskedForAsRanges() {
        var walk = walk(sectionBytes: 700)
        #expect(ranges(walk.plan().asked) == [0])
    }

    @Test func onlyWhatThePeerHasIsAskedOfIt() {
        var walk = Walk(lanes: 1)
        walk.peer(1, [0], sections: 0..<3)
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        walk.planner.came(taken([15]), bytes: 100, .sections([15], anchor: Walk.anchor(0), maxBytes: 1_000))
        #expect(sections(walk.plan().asked) == [[0, 1, 2]])
    }

    /// Nodes of the former version answer with names.
    @Test func whoDoesNotKnowBundlesIsAskedForRanges() throws {
        var walk = walk()
        let first = try #require(walk.plan().asked.first)
        #expect(sections([first]) == [Array(0..<9)])
        walk.finish(first, .notKnown)
        walk.now = walk.now + .seconds(1)
        #expect(ranges(walk.plan().asked) == [0])
        // Another is asked as ever.
        walk.peer(2, [0])
        var chooser = Preferring(id: Walk.id(2))
        let second = try #require(walk.holdings.book.isLocked(0) ? nil : walk.operations.asks.first { $0.peer != nil })
        walk.finish(second, .failed)
        walk.now = walk.now + .seconds(5)
        #expect(sections(walk.plan(choosing: &chooser).asked) == [Array(0..<9)])
    }

    private struct Preferring: PeerChooser {
        let id: Bytes32
        func choose(among candidates: [AskCandidate], bytes: Int, at now: Instant) -> Bytes32? {
            candidates.first { $0.id == id }?.id ?? candidates.first?.id
        }
    }

    @Test func whatFitsNoAnswerIsAskedForAsRanges() throws {
        var walk = walk()
        let first = try #require(walk.plan().asked.first)
        walk.finish(first, .tooLarge)
        #expect(ranges(walk.plan().asked) == [0])
    }

    /// One in the middle did not fit: the others are here, and it is asked for as ranges.
    @Test func whatWasLeftOutIsAskedForAsARange() throws {
        var walk = walk()
        let first = try #require(walk.plan().asked.first)
        let given = (0..<8).filter { $0 != 3 }
        walk.planner.came(taken(given), bytes: 700, first.task)
        for section in given { walk.hold(section, .complete(anchor: Walk.anchor(0))) }
        walk.finish(first, .done(bytes: 700))
        let second = try #require(walk.plan().asked.first)
        #expect(ranges([second]) == [3])
        walk.hold(3, .complete(anchor: Walk.anchor(0)))
        walk.finish(second, .done(bytes: 900))
        // The ninth was only the last: it is asked for again with others.
        #expect(sections(walk.plan().asked).first?.first == 8)
    }

    /// The lane whose section was left out has it still; what others hold of the run is passed over.
    @Test func aBundleThatFailedIsAskedForAgain() throws {
        var walk = walk(peers: 2)
        let first = try #require(walk.plan().asked.first)
        walk.finish(first, .failed)
        let second = try #require(walk.plan().asked.first)
        #expect(second.task == first.task)
        #expect(second.peer != first.peer)
    }

    @Test func theLastOnesAreSharedOutAmongTheLanes() {
        var walk = walk(lanes: 4, peers: 4)
        // Sixteen sections and four lanes: four each, though nine would fit.
        #expect(sections(walk.plan().asked).map(\.count).max() ?? 0 <= 4)
    }

    /// At the end a second peer is asked for what takes long, bundles too.
    @Test func aSlowBundleIsAskedOfAnotherToo() throws {
        var walk = walk(lanes: 2, peers: 2)
        for section in 0..<14 { walk.hold(section, .complete(anchor: Walk.anchor(0))) }
        walk.planner.came(taken([15]), bytes: 100, .sections([15], anchor: Walk.anchor(0), maxBytes: 1_000))
        let asked = walk.plan().asked
        #expect(!asked.isEmpty)
        walk.now = walk.now + WalkLimits.doubledAfter
        let doubled = walk.plan().asked
        for operation in doubled { #expect(asked.contains { $0.task == operation.task && $0.peer != operation.peer }) }
    }

    @Test func aDownloadLimitHoldsForBundlesToo() {
        var walk = Walk(lanes: 4, rate: 1_000)
        walk.peer(1, [0])
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        walk.planner.came(taken([15]), bytes: 100, .sections([15], anchor: Walk.anchor(0), maxBytes: 1_000))
        let first = walk.plan().asked
        #expect(first.count == 1 && first[0].budgeted == 1_000)
        #expect(walk.plan().asked.isEmpty)
        walk.now = walk.now + .seconds(1)
        #expect(walk.plan().asked.count == 1)
    }
}
