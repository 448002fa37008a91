import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

/// Parts of spread storage in the book of sections: their numbers, which of them are wanted, and what follows.
@Suite struct PartTableTests {
    private static let account = Bytes32(0x7000_0000_0000_0000, 1, 2, 3)
    private static let anchors = (0..<4).map { Anchor(epoch: $0, hash: Bytes32(0, 0, 0, $0 + 1)) }

    private func book(arc: Range<Int> = 0..<256) -> SectionBook {
        SectionBook(depth: 2, epochLength: 8, arc: arc, records: [], layers: [])
    }

    private func hold(_ section: Section, at anchor: Anchor, previous: Anchor? = nil, in book: inout SectionBook) {
        let record = SectionRecord(
            section: section, working: book.point(of: anchor), previous: previous.map { book.point(of: $0) },
            coverage: .complete(.empty))
        book.change(book.take(section)) { _ = $0.take(record) }
    }

    @Test func everyPartHasANumberOfItsOwn() {
        var ids = PartIDs(sectionDepth: 2)
        let (first, second) = (PartIDs.Trie(account: Self.account, depth: 1), PartIDs.Trie(account: .max, depth: 2))
        #expect(ids.id(of: Section(depth: 1, index: 3, of: Self.account)) == nil)
        #expect(ids.ids(of: first) == 256..<272 && ids.ids(of: second) == 272..<528 && ids.ids(of: first) == 256..<272)
        for id in [0, 255, 256, 271, 272, 527] {
            #expect(ids.id(of: ids.section(id)) == id)
            #expect(ids.isPart(id) == (id > 255))
        }
        #expect(ids.section(271) == Section(depth: 1, index: 15, of: Self.account))
        // The account lies in section 0x70: part 3 of 16 lies in 0x70 ^ 0x30.
        #expect(ids.place(of: 259) == 0x40 && ids.homes(of: 259) == [0x40, 0x70])
        #expect(ids.place(of: 300) == 0xff ^ 28 && ids.place(of: 17) == 17)
        #expect(ids.areOfOneTrie(256, 271) && !ids.areOfOneTrie(271, 272) && ids.areOfOneTrie(1, 2))
    }

    @Test func whatLiesInTheArcIsWantedAndCounts() throws {
        var book = book(arc: 0x40..<0x80)
        for index in book.arc { hold(Section(depth: 2, index: index), at: Self.anchors[1], in: &book) }
        #expect(book.isAllComplete && book.completeAnchor == Self.anchors[1])
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
        // Parts 0 to 3 lie in 0x70, 0x60, 0x50 and 0x40.
        #expect(book.parts.wanted.map { book.section($0).index } == [0, 1, 2, 3])
        #expect(!book.isAllComplete && book.completeAnchor == nil)
        #expect(book.takeMoved().filter { book.isPart($0) } == book.parts.wanted)
        #expect(book.served(at: Self.anchors[1]).flatMap { $0 } == (0x40..<0x80).filter { $0 & 15 != 0 })
        for index in 0..<4 { hold(Section(depth: 1, index: index, of: Self.account), at: Self.anchors[1], in: &book) }
        #expect(book.isAllComplete && book.completeAnchor == Self.anchors[1])
        #expect(book.served(at: Self.anchors[1]) == [0x40..<0x80])
        #expect(book.behind(Self.anchors[2]).map(\.sections.count) == [64, 4])
    }

    /// Tries of which a smaller arc has neither the account nor a part are forgotten with the crowns of old anchors.
    @Test func triesThatAnArcHasLeftBehindAreForgotten() {
        var holdings = Holdings(
            depth: 2, epochLength: 8, arc: 0x40..<0x80, records: [], layers: [], crowns: [],
            rule: Placement(sectionDepth: 2, wideDepth: 1))
        // At depth 2 each part of the second account lies somewhere else; at depth 1 those of the first do so too.
        let tries = [(Self.account, 1), (Bytes32(0x0100_0000_0000_0000, 0, 0, 0), 1), (Bytes32.max, 2)]
        for (account, depth) in tries {
            holdings.spread.learn(account, depth: depth, at: Self.anchors[1]).apply(to: &holdings.book)
        }
        holdings.keepSpread(from: Self.anchors[2])
        #expect(holdings.spread.accounts == tries.map(\.0).sorted(), "all have something in the arc")
        holdings.book.move(to: 0x70..<0x71, announced: 0x70..<0x71)
        holdings.keepSpread(from: Self.anchors[2])
        #expect(holdings.spread.accounts == [Self.account, .max], "one has its account there, one a part")
        #expect(holdings.spread.accounts(in: [Section(depth: 2, index: 0x70)]) == [Self.account])
    }

    /// At an anchor before the storage was spread nothing is lacking.
    @Test func partsOfLaterAnchorsAreNotMissedAtEarlierOnes() {
        var book = book()
        for section in Section.all(depth: 2) {
            hold(section, at: Self.anchors[2], previous: Self.anchors[1], in: &book)
        }
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[2])
        #expect(book.served(at: Self.anchors[1]) == [0..<256])
        #expect(book.served(at: Self.anchors[2]).reduce(0) { $0 + $1.count } == 240)
    }

    @Test func partsOfAFormerPlacementMakeRoomFirst() throws {
        var book = book()
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
        let old = Section(depth: 1, index: 5, of: Self.account)
        hold(old, at: Self.anchors[1], in: &book)
        book.want(partsOf: Self.account, depth: 2, from: Self.anchors[2])
        #expect(book.parts.wanted.isEmpty && book.parts.held == [old])
        let id = try #require(book.id(of: old))
        #expect(book.parts.left { $0.number <= 8 } == [id] && book.parts.left { $0.number < 8 }.isEmpty)
        book.change(id) { _ = $0.take(nil) }
        book.want(partsOf: Self.account, depth: 2, from: Self.anchors[2])
        #expect(book.parts.wanted.count == 256 && book.held(id) == nil)
        book.want(partsOf: Self.account, depth: 0, from: Self.anchors[3])
        #expect(book.parts.wanted.isEmpty && !book.parts.areMissing)
    }

    /// Parts that lie in the half that is being filled keep nobody from following the head with the other half.
    @Test func partsOfAHalfThatIsBeingFilledAreNotWaitedFor() {
        var book = book(arc: 0x60..<0x80)
        for index in book.arc { hold(Section(depth: 2, index: index), at: Self.anchors[1], in: &book) }
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
        // Parts 0 and 1 lie in 0x70 and 0x60, those after them in 0x50 and 0x40.
        for index in 0..<2 { hold(Section(depth: 1, index: index, of: Self.account), at: Self.anchors[1], in: &book) }
        #expect(book.isAllComplete && book.completeAnchor == Self.anchors[1])
        book.move(to: 0x40..<0x80, announced: 0x60..<0x80)
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
        #expect(book.parts.wanted.count == 4 && book.parts.areMissing)
        #expect(book.isAllComplete && book.completeAnchor == Self.anchors[1])
        for index in 2..<4 { hold(Section(depth: 1, index: index, of: Self.account), at: Self.anchors[2], in: &book) }
        #expect(book.isAllComplete && book.completeAnchor == Self.anchors[1], "they stand at another anchor")
        hold(Section(depth: 1, index: 1, of: Self.account), at: Self.anchors[2], in: &book)
        #expect(book.isAllComplete && book.completeAnchor == nil, "so does one that is announced")
        if let id = book.id(of: Section(depth: 1, index: 0, of: Self.account)) { book.change(id) { _ = $0.take(nil) } }
        #expect(!book.isAllComplete, "one that is announced is missing")
    }

    /// What is counted as missing is what is wanted and not complete, whatever was done.
    @Test(arguments: [UInt64(1), 2, 3]) func theMissingAreCountedByPlace(seed: UInt64) {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var book = book()
        for _ in 0..<400 {
            let part = Section(depth: 1, index: Int.random(in: 0..<16, using: &generator), of: Self.account)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: book.want(partsOf: Self.account, depth: 0, from: Self.anchors[1])
            case 1: book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
            case 2, 3: if let id = book.id(of: part) { book.change(id) { _ = $0.take(nil) } }
            default: hold(part, at: Self.anchors[Int.random(in: 1..<3, using: &generator)], in: &book)
            }
            let missing = book.parts.wanted.filter { !book.isComplete($0) }.map { book.place(of: $0) }
            let first = Int.random(in: 0..<256, using: &generator)
            #expect(book.parts.areMissing == !missing.isEmpty)
            #expect(book.parts.areMissing(in: first..<256) == missing.contains { $0 >= first })
        }
    }

    @Test func aSmallerArcWantsLess() {
        var book = book()
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
        book.move(to: 0x40..<0x80, announced: 0x40..<0x80)
        #expect(book.parts.wanted.count == 4)
    }

    @Test func keysOfNoPartHaveNoNumber() {
        var book = book()
        book.want(partsOf: Self.account, depth: 1, from: Self.anchors[1])
        let point = StatePoint(number: 9, hash: .max)
        func id(_ account: Bytes32, _ placement: UInt8, _ section: Int) -> Int? {
            book.id(
                of: BlockDiffKey(trie: .storage(account: account, placement: placement), point: point, section: section)
            )
        }
        #expect(id(Self.account, 1, 15) == 271)
        #expect(id(Self.account, 1, 16) == nil && id(Self.account, 2, 3) == nil && id(.max, 1, 3) == nil)
        #expect(id(Self.account, 0, 0) == nil && id(Self.account, 200, 0) == nil)
    }
}
