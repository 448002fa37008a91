import Chain
import MerklePatricia
import Primitives
import Testing

@testable import StateStore

/// A section that is read back a piece at a time: right as it is, and wrong with any byte changed.
@Suite("Sections read back") struct ScrubTests {
    private static func state(seed: UInt64) throws -> (map: FaultlessMap, records: [SectionRecord]) {
        var generator = SeededGenerator(seed: seed)
        var state = ModelState()
        for number in 0..<1_200 {
            let key = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
            var account = ModelState.Account(nonce: UInt64(number), code: 0)
            // Some have storage enough for branches.
            for slot in 0..<(number % 60 == 0 ? 70 : number % 3) {
                let place = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
                account.slots[place] = [UInt8(1 + slot)]
            }
            state.accounts[key] = account
        }
        let store = try ModelStore(state)
        return (FaultlessMap(store.map.snapshot()), store.records.sorted { $0.section < $1.section })
    }

    /// A snapshot that tests change as they like.
    private struct FaultlessMap {
        var snapshot: MemorySnapshot
        init(_ snapshot: MemorySnapshot) { self.snapshot = snapshot }
    }

    /// Reads a section in pieces of `limit` leaves; how many pieces it took.
    @discardableResult
    private static func read(_ record: SectionRecord, limit: Int, in snapshot: MemorySnapshot) throws -> Int {
        var scrub = try #require(SectionScrub(record))
        var pieces = 1
        while try !scrub.step(limit: limit, in: snapshot) { pieces += 1 }
        return pieces
    }

    @Test(arguments: [UInt64(1), 2]) func whatIsStoredIsRight(seed: UInt64) throws {
        print("seed \(seed)")
        let (map, records) = try Self.state(seed: seed)
        #expect(records.count == 16)
        var pieces = 0
        for record in records { pieces += try Self.read(record, limit: 7, in: map.snapshot) }
        #expect(pieces > 64)
        for record in records { #expect(try Self.read(record, limit: .max, in: map.snapshot) == 1) }
    }

    @Test(arguments: [Table.leaves, .accountBranches, .storageBranches, .sections])
    func anyChangedByteIsFound(table: Table) throws {
        print("seed 3")
        let (map, records) = try Self.state(seed: 3)
        var generator = SeededGenerator(seed: 4)
        var entries: [(key: [UInt8], value: [UInt8])] = []
        try map.snapshot.forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
            entries.append((Array(key), Array(value)))
            return true
        }
        #expect(entries.count > 8)
        for _ in 0..<60 {
            let (key, right) = try #require(entries.randomElement(using: &generator))
            var value = right
            let place = Int.random(in: 0..<value.count, using: &generator)
            value[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            var batch = WriteBatch()
            batch.put(table, key, value)
            var snapshot = map.snapshot
            snapshot.apply(batch)
            var damaged: [Int] = []
            for record in records {
                do {
                    try Self.read(record, limit: 50, in: snapshot)
                } catch {
                    #expect(error is StateFault, "\(error)")
                    damaged.append(record.section.index)
                }
            }
            // How far history reaches back is the one thing in a record that may differ.
            let isHistory = table == .sections && (try? SectionRecord(decoding: value))?.historyStart != nil
            #expect(damaged.count == 1 || isHistory, "\(table) \(key) byte \(place): \(damaged)")
        }
    }

    @Test func aBranchAtAnotherPlaceIsFound() throws {
        let (map, records) = try Self.state(seed: 5)
        var first: (key: [UInt8], value: [UInt8])?
        try map.snapshot.forEach(.accountBranches, from: [], upTo: nil) { (key, value) throws(StoreError) in
            first = (Array(key), Array(value))
            return first == nil
        }
        let (key, value) = try #require(first)
        var batch = WriteBatch()
        batch.put(.accountBranches, key + [5], value)
        var snapshot = map.snapshot
        snapshot.apply(batch)
        let record = records[Int(key[0])]
        #expect(throws: StateFault.record(table: "\(Table.accountBranches)")) {
            try Self.read(record, limit: .max, in: snapshot)
        }
    }

    @Test func whatIsHeldInPartIsNotRead() throws {
        let (_, records) = try Self.state(seed: 6)
        let section = records[3].section
        #expect(SectionScrub(SectionRecord(starting: section, at: records[3].working)) == nil)
    }
}
