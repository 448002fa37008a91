import MerklePatricia
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
            let cursor = ErasedCursor(try snapshot.cursor(.accountBranches))
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

    @Test("Leaps, seeks, steps and runs in any order stand where one who starts anew would")
    func mixed() throws {
        for seed in UInt64(40)..<44 {
            var generator = SeededGenerator(seed: seed)
            let snapshot = try CursorTests.snapshot(500, &generator)
            let sorted = try snapshot.contents(.accountBranches).keys.sorted { ByteOrder.isLess($0, $1) }
            let cursor = ErasedCursor(try snapshot.cursor(.accountBranches))
            var at: Int?
            for step in 0..<10_000 {
                let comment = Comment(rawValue: "seed \(seed) step \(step)")
                func key(_ entry: StoredEntry?) -> [UInt8]? { entry.map { Array($0.key) } }
                func expect(_ entry: StoredEntry?, _ index: Int?) {
                    #expect(key(entry) == index.flatMap { $0 < sorted.count ? sorted[$0] : nil }, comment)
                }
                var probe = sorted[Int.random(in: 0..<sorted.count, using: &generator)]
                if let at, Int.random(in: 0..<3, using: &generator) > 0 {
                    probe = sorted[min(sorted.count - 1, at + Int.random(in: 0..<4, using: &generator))]
                }
                if Int.random(in: 0..<3, using: &generator) == 0 { probe.append(7) }
                let low = sorted.firstIndex { !ByteOrder.isLess($0, probe) }
                switch (Int.random(in: 0..<7, using: &generator), at) {
                case (0...2, _):
                    expect(try cursor.leap(to: probe), low)
                    at = low
                    if let low { expect(try #require(cursor.following, comment), low + 1) }
                case (3, _), (_, nil):
                    let bound = Bool.random(using: &generator) ? sorted.randomElement(using: &generator) : nil
                    let count = Int.random(in: 1...40, using: &generator)
                    expect(try cursor.seek(probe, expecting: count, upTo: bound), low)
                    at = low
                    if let low, let following = cursor.following { expect(following, low + 1) }
                case (4, let here?):
                    expect(try cursor.next(), here + 1)
                    at = here + 1 < sorted.count ? here + 1 : nil
                case (let kind, let here?):
                    let bound = kind == 5 && here + 3 < sorted.count ? sorted[here + 3] : nil
                    let run =
                        bound.map { bound in bound.withUnsafeBytes { cursor.takeRun(before: $0) } }
                        ?? cursor.takeRun(before: nil)
                    #expect(!run.isEmpty && (bound == nil || run.count <= 3), comment)
                    for (offset, entry) in run.enumerated() { expect(entry, here + offset) }
                    at = here + run.count - 1
                    expect(cursor.current, at)
                }
            }
        }
    }

    @Test("A key is in a section exactly where it is between the section's bounds")
    func sections() {
        var generator = SeededGenerator(seed: 50)
        var inside = 0
        for _ in 0..<20_000 {
            let depth = Int.random(in: 0...4, using: &generator)
            let index = Int.random(in: 0..<Section.count(depth: depth), using: &generator)
            let owner = Bool.random(using: &generator) ? Bytes32(generator.next(), 1, 2, 3) : nil
            let section = Section(depth: depth, index: index, of: owner)
            let prefix = owner?.bytes ?? []
            for kind in StateTable.tables(of: section) {
                let (from, upTo) = kind.bounds(of: section)
                var key: [UInt8]
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: key = from
                case 1: key = upTo ?? from
                case 2: key = prefix + Section(depth: depth, index: max(0, index - 1)).path.storeKey
                default: key = from.map { _ in UInt8.random(in: 0..<16, using: &generator) }
                }
                let least = kind == .accountBranches || kind == .partBranches ? 0 : prefix.count + 32
                if key.count < least { key += [UInt8](repeating: 3, count: least - key.count) }
                for _ in 0..<Int.random(in: 0...3, using: &generator) { key.append(9) }
                let isBetween = !ByteOrder.isLess(key, from) && upTo.map { ByteOrder.isLess(key, $0) } ?? true
                #expect(key.withUnsafeBytes { kind.has($0, in: section) } == isBetween, "\(kind) \(section) \(key)")
                inside += isBetween ? 1 : 0
                #expect(
                    depth == 0 || !key.prefix(prefix.count + depth - 1).withUnsafeBytes { kind.has($0, in: section) },
                    "too short")
            }
        }
        #expect(inside > 10_000 && inside < 50_000)
    }

    @Test("A record that is not there is looked for in its own section and in no other", arguments: [1, 3])
    func absence(depth: Int) throws {
        var generator = SeededGenerator(seed: 60)
        let counted = CountingSnapshot(FaultyMap().snapshot())
        let view = StateView(counted, depth: depth)
        for _ in 0..<20 {
            let account = Bytes32(generator.next(), 0, 0, 1)
            var (accounts, slots) = (view.accountTrie, view.storageTrie(of: account))
            #expect(try accounts.branch(atOrBelow: Nibbles(account, count: depth)) == nil)
            #expect(try slots.branch(atOrBelow: .root) == nil)
        }
        #expect(counted.counter.seeks == 40, "one a question")
    }

    @Test("Who takes every entry of a table asks the store seldom")
    func runsGrow() throws {
        var generator = SeededGenerator(seed: 3)
        let snapshot = try CursorTests.snapshot(3_000, &generator)
        let sorted = try snapshot.contents(.accountBranches).keys.sorted { ByteOrder.isLess($0, $1) }
        let counted = CountingSnapshot(snapshot)
        let cursor = ErasedCursor(try counted.cursor(.accountBranches))
        let counter = counted.counter
        for key in sorted { #expect(try cursor.leap(to: key).map { Array($0.key) } == key) }
        #expect(counter.seeks * 50 < sorted.count, "\(counter.seeks) seeks for \(sorted.count) entries")
        // And who takes one here and there does not read many along.
        counter.moves = 0
        let few = Array(stride(from: 0, to: sorted.count, by: 200))
        for index in few { #expect(try cursor.leap(to: sorted[index]).map { Array($0.key) } == sorted[index]) }
        #expect(counter.moves < 40 * few.count, "\(counter.moves) entries")
    }
}
