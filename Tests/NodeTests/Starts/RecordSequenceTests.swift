import Discovery
import Primitives
import StateStore
import Testing

@testable import Node
@testable import Overlay

@Suite("The record's sequence number") struct RecordSequenceTests {
    private static let year: UInt64 = 365 * 86_400
    private static let now: UInt64 = 1_800_000_000

    private func next(_ store: MemorySnapshot, published: UInt64? = nil, at unixSeconds: UInt64) throws -> UInt64 {
        try RecordSequence.next(in: store, published: published, unixSeconds: unixSeconds)
    }

    @Test func eachStartIsAboveAllThatWasUsed() throws {
        var store = MemorySnapshot()
        let first = try next(store, at: Self.now)
        #expect(first == Self.now * 1_000)
        store.apply(RecordSequence.writing(first))
        // Raised while it ran, and a crash before that was written; then the clock is a year back.
        let raised = first + 40
        #expect(try next(store, at: Self.now - Self.year) > raised)
        store.apply(RecordSequence.writing(raised))
        let second = try next(store, at: Self.now - Self.year)
        #expect(second > raised && second == raised + RecordSequence.reserve)
        // The store is lost, and the record file is there.
        #expect(try next(MemorySnapshot(), published: raised, at: Self.now - Self.year) > raised)
        #expect(try next(store, published: 5, at: Self.now - Self.year) == second)
        // The clock is what counts as soon as it is ahead.
        #expect(try next(store, at: Self.now + Self.year) == (Self.now + Self.year) * 1_000)
    }

    @Test func theEndOfTheNumbersIsNoTrap() throws {
        var store = MemorySnapshot()
        store.apply(RecordSequence.writing(.max - 1))
        #expect(try next(store, at: Self.now) == .max)
        #expect(try next(MemorySnapshot(), at: .max) == 1)
        store.apply(StateWrites.local("record-sequence", [1, 2]))
        #expect(throws: StoreError.corrupt(table: .local)) { try next(store, at: Self.now) }
    }

    @Test func aNumberThatIsRaisedWhileRunningIsWrittenDown() throws {
        var bench = try Bench(.holder)
        _ = bench.handle(.tick)
        let before = bench.node.record.sequence
        try bench.node.overlay.wire.discovery.updateLocalRecord { _ in }
        try bench.node.overlay.wire.discovery.updateLocalRecord { _ in }
        #expect(bench.node.record.sequence == before + 2)
        bench.now = bench.now + NodeLimits.reportInterval
        var store = MemorySnapshot()
        for case .commit(_, let batch) in bench.handle(.tick) { store.apply(batch) }
        #expect(try RecordSequence.kept(in: store) == before + 2)
        bench.now = bench.now + NodeLimits.reportInterval
        var later = MemorySnapshot()
        for case .commit(_, let batch) in bench.handle(.tick) { later.apply(batch) }
        #expect(try RecordSequence.kept(in: later) == nil, "once is enough")
    }
}
