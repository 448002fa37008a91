import Chain
import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// What goes by the arc where that moves, and what is told of sections that few hold.
@Suite("An arc that moves") struct MovedArcTests {
    private static func point(_ number: UInt64) -> StatePoint {
        StatePoint(number: number, hash: Bytes32(number, 0, 0, 0))
    }

    private static func record(_ index: Int, at number: UInt64 = 8) -> SectionRecord {
        SectionRecord(
            section: Section(depth: 1, index: index), working: point(number), coverage: .complete(.empty))
    }

    private static func book(arc: Range<Int>, complete: Range<Int>) -> SectionBook {
        SectionBook(depth: 1, epochLength: 8, arc: arc, records: complete.map { record($0) }, layers: [])
    }

    @Test func theHeadGoesByWhatIsAnnounced() {
        var book = Self.book(arc: 4..<8, complete: 4..<8)
        #expect(book.isAllComplete && book.isWholeArcComplete && !book.isWidening)
        book.move(to: 0..<8, announced: 4..<8)
        #expect(book.isWidening && book.isAllComplete && !book.isWholeArcComplete)
        #expect(book.completeAnchor == Anchor(epoch: 1, hash: Self.point(8).hash))
        // The new half stands at another anchor, and lacks blocks: nobody waits for it.
        for index in 0..<4 {
            book.change(index) { _ = $0.take(Self.record(index, at: 16)) }
            #expect(!book.hasGap(index, at: .zero))
        }
        #expect(book.completeCount == 8 && book.isAllComplete && !book.isWholeArcComplete)
        #expect(book.gaps(at: .zero) == [4, 5, 6, 7])
        #expect(book.completeAnchor == Anchor(epoch: 1, hash: Self.point(8).hash))
        book.move(to: 0..<8, announced: 0..<8)
        #expect(book.gaps(at: .zero) == Array(0..<8), "now it does")
        #expect(book.unverified.isSuperset(of: 0..<4))
        #expect(book.completeAnchor == nil, "two anchors")
    }

    /// The half that is filled stands at another anchor for a while: both together are the state of no block.
    @Test func aRootIsMadeOfSectionsOfOneAnchor() {
        let halves = [(0..<8, Ring.point(16)), (8..<16, Ring.point(8))]
        let records = halves.flatMap { half, point in half.map { Ring.record($0, at: point) } }
        var holdings = Ring.holdings(records: records)
        #expect(holdings.completeAnchor == nil && holdings.rootOfSections(at: Ring.anchor(2)) == nil)
        holdings.move(to: 0..<16, announced: 0..<8)
        #expect(holdings.completeAnchor == Ring.anchor(2) && holdings.rootOfSections(at: Ring.anchor(2)) == nil)
        for index in 8..<16 {
            _ = holdings.committed(Ring.record(index, at: Ring.point(16), version: 1), section: index)
        }
        let crown = Ring.crown(Dictionary(uniqueKeysWithValues: (8..<16).map { ($0, 1) }))
        #expect(holdings.rootOfSections(at: Ring.anchor(2)) == crown.root)
        #expect(holdings.rootOfSections(at: Ring.anchor(1)) == nil)
    }

    @Test func whatLeavesTheArcIsForgotten() {
        var book = Self.book(arc: 0..<8, complete: 2..<8)
        let isLocked = book.lock([5, 6])
        #expect(isLocked)
        book.move(to: 4..<8, announced: 4..<8)
        #expect(book.completeCount == 4 && book.isWholeArcComplete)
        #expect(book.held(3) == nil && book.held(4)?.record == Self.record(4))
        let begins = book.lock([3])
        #expect(book.isLocked(5) && !begins, "nothing begins outside")
        let (moved, foldable) = (book.takeMoved(), book.takeFoldable())
        #expect((moved + foldable).allSatisfy { (4..<8).contains($0) })
        book.unlock([5, 6])
        let areLocked = book.lockAll()
        #expect(areLocked, "no lock is left over")
        book.unlockAll()
        book.move(to: 0..<8, announced: 4..<8)
        #expect(book.held(2)?.record == nil, "what it was is not known any more")
    }

    @Test func aDamagedSectionIsNeitherCompleteNorServed() {
        var book = Self.book(arc: 0..<8, complete: 0..<8)
        book.change(3) { $0.isDamaged = true }
        #expect(!book.isComplete(3) && book.completeCount == 7)
        #expect(book.served(at: Anchor(epoch: 1, hash: Self.point(8).hash)) == [0..<3, 4..<8])
        book.change(3) { _ = $0.take(nil) }
        book.change(3) { _ = $0.take(Self.record(3)) }
        #expect(book.isComplete(3) && book.isWholeArcComplete)
    }

    @Test func theDirectoryNeedsTheNewArcAndTheOneBeside() throws {
        var bench = DirectoryBench(.holder, arc: Arc(around: 4, bits: 4, depth: 1))
        #expect(bench.directory.needed == 4..<6)
        bench.directory.arc = Arc(around: 4, bits: 3, depth: 1)
        #expect(bench.directory.needed == 4..<8)
        bench.tell(try bench.node(near: 9, radius: 256), .walker)
        #expect(Set(bench.advance().lookups.map(\.section)) == [4, 5, 6, 7])
        bench.directory.arc = Arc(around: 4, bits: 4, depth: 1)
        #expect(bench.directory.needed == 4..<6)
        _ = bench.advance(by: .seconds(300))
    }

    @Test func sectionsOfFewHoldersAreCounted() throws {
        var bench = DirectoryBench(.holder, arc: Arc(around: 3, bits: 2, depth: 1))
        let book = Self.book(arc: 0..<4, complete: 0..<4)
        for place in 0..<2 {
            bench.tell(
                try bench.node(near: 0, radius: 255, host: [10, 1, UInt8(place), 1]), providing: [0..<8])
        }
        // Two others and this node have its own arc; the one beside has the two alone.
        #expect(UnderHeld(bench.directory, book)?.count == 4)
        #expect(UnderHeld(bench.directory, book)?.first == Section(depth: 1, index: 4))
        bench.tell(try bench.node(near: 6, radius: 254, host: [10, 1, 9, 1]), providing: [4..<8])
        #expect(UnderHeld(bench.directory, book) == nil)
    }
}
