import Primitives
import Simulation
@testable import StateStore
import Testing

/// The cursor that reads entries along: whatever it has at hand, it stands where a fresh one would.
@Suite struct CursorTests {
    /// Short keys over few values, so that many probes meet an entry, one in between, or the end.
    private static func key(_ generator: inout SeededGenerator) -> [UInt8] {
        (0..<Int.random(in: 1...3, using: &generator)).map { _ in UInt8.random(in: 0...20, using: &generator) }
    }

    private static func snapshot(_ count: Int, _ generator: inout SeededGenerator) throws -> MemorySnapshot {
        let map = FaultyMap()
        var batch = WriteBatch()
        for _ in 0..<count { batch.put(.accountBranches, key(&generator), [7]) }
        try map.commit(batch)
        return map.snapshot()
    }

    @Test("A leap ends where a seek does, and what it says of the next entry is so", arguments: [0, 1, 30, 600])
    func leaps(count: Int) throws {
        for seed in UInt64(0)..<20 {
            var generator = SeededGenerator(seed: seed)
            let snapshot = try CursorTests.snapshot(count, &generator)
            let sorted = try snapshot.contents(.accountBranches).keys.sorted { ByteOrder.isLess($0, $1) }
            let cursor = CursorBox(try snapshot.cursor(.accountBranches))
            var probe = CursorTests.key(&generator)
            for step in 0..<400 {
                // Mostly on, a little at a time, so that runs grow; now and then anywhere, or the same again.
                switch Int.random(in: 0..<12, using: &generator) {
                case 0: probe = CursorTests.key(&generator)
                case 1: break
                case 2: _ = try cursor.next()
                default:
                    let near = sorted.firstIndex { ByteOrder.isLess(probe, $0) } ?? 0
                    probe = sorted.isEmpty ? [1] : sorted[min(sorted.count - 1, near + step % 3)]
                    if step % 5 == 0 { probe.append(0) }
                }
                let found = try cursor.leap(to: probe)
                let expected = sorted.firstIndex { !ByteOrder.isLess($0, probe) }
                #expect(found.map { Array($0.key) } == expected.map { sorted[$0] }, "seed \(seed) step \(step)")
                #expect(cursor.current.map { Array($0.key) } == expected.map { sorted[$0] }, "seed \(seed)")
                guard let expected else { continue }
                let following = try #require(cursor.following, "a leap knows what follows; seed \(seed) step \(step)")
                let after = expected + 1 < sorted.count ? sorted[expected + 1] : nil
                #expect(following.map { Array($0.key) } == after, "seed \(seed) step \(step)")
            }
        }
    }

    @Test("Who takes every entry of a table asks the store seldom")
    func runsGrow() throws {
        var generator = SeededGenerator(seed: 3)
        let snapshot = try CursorTests.snapshot(3_000, &generator)
        let sorted = try snapshot.contents(.accountBranches).keys.sorted { ByteOrder.isLess($0, $1) }
        let counter = SeekCounter()
        let cursor = CursorBox(CountedSeeks(inner: try snapshot.cursor(.accountBranches), counter: counter))
        for key in sorted { #expect(try cursor.leap(to: key).map { Array($0.key) } == key) }
        #expect(counter.seeks * 50 < sorted.count, "\(counter.seeks) seeks for \(sorted.count) entries")
        // And who takes one here and there does not read many along.
        counter.entries = 0
        counter.seeks = 0
        let few = stride(from: 0, to: sorted.count, by: 200)
        for index in few { #expect(try cursor.leap(to: sorted[index]).map { Array($0.key) } == sorted[index]) }
        #expect(counter.entries < 40 * few.underestimatedCount, "\(counter.entries) entries")
    }
}

private final class SeekCounter {
    var seeks = 0
    var entries = 0
}

/// Counts what is asked of it.
private struct CountedSeeks: StoreCursor {
    var inner: MemoryCursor
    let counter: SeekCounter

    mutating func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
        counter.seeks += 1
        return try inner.seek(key)
    }

    mutating func next() throws(StoreError) -> Bool { try inner.next() }

    mutating func previous() throws(StoreError) -> Bool { try inner.previous() }

    mutating func last() throws(StoreError) -> Bool { try inner.last() }

    func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R? { try inner.withEntry(body) }

    mutating func read(
        into run: UnsafeMutableBufferPointer<StoredEntry>, upTo bound: UnsafeRawBufferPointer?
    ) throws(StoreError) -> Int {
        let count = try inner.read(into: run, upTo: bound)
        counter.entries += count
        return count
    }
}
