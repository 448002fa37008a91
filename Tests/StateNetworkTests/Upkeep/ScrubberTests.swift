import Chain
import MerklePatricia
import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// When which section is read back.
@Suite("The pace of reading back") struct ScrubberTests {
    private static let point = StatePoint(number: 8, hash: Bytes32(8, 0, 0, 0))

    private static func record(_ index: Int) -> SectionRecord {
        SectionRecord(section: Section(depth: 1, index: index), working: point, coverage: .complete(.empty))
    }

    private static func book(_ complete: Range<Int> = 0..<16) -> SectionBook {
        SectionBook(depth: 1, epochLength: 8, arc: 0..<16, records: complete.map { record($0) }, layers: [])
    }

    /// Reads what is due until `end`, each section in one piece; the sections in order, with the times.
    private static func read(
        _ scrubber: inout Scrubber, _ book: SectionBook, until end: Instant
    ) -> [(section: Int, at: Instant)] {
        var read: [(section: Int, at: Instant)] = []
        while let now = scrubber.deadline, now <= end {
            guard let piece = scrubber.piece(of: book, at: now) else { continue }
            #expect(scrubber.deadline == nil, "one at a time")
            let another = scrubber.piece(of: book, at: now)
            #expect(another == nil)
            read.append((piece.record.section.index, now))
            scrubber.read(piece, isDone: true, at: now)
        }
        return read
    }

    @Test func aRoundHasEverySectionOnceAndADayIsOneRound() {
        let book = Self.book()
        var scrubber = Scrubber(book, from: 21, at: .zero)
        let first = Self.read(&scrubber, book, until: Instant.zero + .seconds(86_000))
        #expect(first.map(\.section) == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4])
        #expect(first.first?.at == Instant.zero + UpkeepLimits.firstScrub)
        let second = Self.read(&scrubber, book, until: Instant.zero + .seconds(2 * 86_000))
        #expect(second.count == 16)
        #expect((second.first?.at ?? .zero) - (first.first?.at ?? .zero) >= UpkeepLimits.scrubRound)
    }

    @Test func leavesArePausedForByTheirNumber() throws {
        let book = Self.book()
        var scrubber = Scrubber(book, from: 0, at: .zero)
        let now = Instant.zero + UpkeepLimits.firstScrub
        let first = scrubber.piece(of: book, at: now)
        let piece = try #require(first)
        // As one that has read 16,384 leaves: what took some 20 ms is paused for 2 s.
        scrubber.read(piece, isDone: false, at: now)
        #expect(scrubber.deadline == now + UpkeepLimits.shortestScrubPause)
        #expect(UpkeepLimits.scrubPause * UpkeepLimits.leavesScrubbed >= .seconds(2))
    }

    @Test func whatIsNotCompleteOrLockedIsNotRead() {
        var book = Self.book(4..<7)
        var scrubber = Scrubber(book, from: 0, at: .zero)
        _ = book.lock([5])
        let read = Self.read(&scrubber, book, until: Instant.zero + .seconds(600))
        #expect(read.map(\.section) == [4], "the locked one is waited for")
        book.unlock([5])
        let rest = Self.read(&scrubber, book, until: Instant.zero + .seconds(1_200))
        #expect(rest.map(\.section) == [5, 6])
    }

    @Test func aSectionThatChangedIsBegunAgain() throws {
        var book = Self.book()
        var scrubber = Scrubber(book, from: 3, at: .zero)
        var now = Instant.zero + UpkeepLimits.firstScrub
        let first = scrubber.piece(of: book, at: now)
        let piece = try #require(first)
        scrubber.read(piece, isDone: false, at: now)
        var after = Self.record(3)
        after.working = StatePoint(number: 16, hash: Bytes32(16, 0, 0, 0))
        book.change(3) { _ = $0.take(after) }
        now = try #require(scrubber.deadline)
        let next = scrubber.piece(of: book, at: now)
        #expect(next?.record.section.index == 4, "and comes again in the next round")
    }

    /// An asker that got a range and is not heard of again may have refused it.
    @Test func theSectionOfASilentAskerIsReadNext() {
        let book = Self.book()
        var scrubber = Scrubber(book, from: 0, at: .zero)
        let start = Instant.zero + .seconds(200)
        _ = Self.read(&scrubber, book, until: start)
        scrubber.asked(9, by: Bytes32(1, 0, 0, 0), at: start)
        scrubber.asked(11, by: Bytes32(2, 0, 0, 0), at: start)
        // The second one goes on to something else.
        scrubber.asked(nil, by: Bytes32(2, 0, 0, 0), at: start + .seconds(30))
        let read = Self.read(&scrubber, book, until: start + .seconds(300))
        #expect(read.map(\.section) == [9])
        // Whoever asks and goes again and again does not make it read more often than once an hour.
        for minute in 0..<120 {
            scrubber.asked(9, by: Bytes32(3, 0, 0, UInt64(minute)), at: start + .seconds(300 + 60 * minute))
            let again = Self.read(&scrubber, book, until: start + .seconds(300 + 60 * minute))
            #expect(again.count <= 1)
        }
        let later = Self.read(&scrubber, book, until: start + .seconds(9_000))
        #expect(later.count <= 3)
    }

    @Test func whoAsksIsRememberedWithinBounds() {
        let book = Self.book()
        var scrubber = Scrubber(book, from: 0, at: .zero)
        let now = Instant.zero + .seconds(200)
        _ = Self.read(&scrubber, book, until: now)
        for number in 0..<(2 * UpkeepLimits.servedPeers) {
            scrubber.asked(number % 16, by: Bytes32(UInt64(number), 0, 0, 0), at: now)
        }
        let read = Self.read(&scrubber, book, until: now + .seconds(3_000))
        #expect(read.count == 16, "each section once")
    }
}
