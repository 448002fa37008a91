import Chain
import MerklePatricia
import Primitives
import Testing

@testable import StateStore

/// What is read back beside a section's base: the undo layer, spread storage and its parts, and code.
@Suite("Undo layers, parts and code read back") struct ScrubUndoTests {
    /// One thing to read back, with what it hashed to at the point before.
    private struct Held {
        let record: SectionRecord
        let previousHash: Bytes32?
    }

    /// The first damage that is found; nil where all is right. Reads in pieces of `limit` leaves.
    private static func damage(
        _ held: Held, limit: Int = 50, placing rule: Placement? = nil, in snapshot: some StoreSnapshot
    ) throws -> StateFault? {
        var scrub = try #require(SectionScrub(held.record, previousHash: held.previousHash, placing: rule))
        do {
            while try !scrub.step(limit: limit, in: snapshot) {}
        } catch let fault as StateFault {
            return fault
        }
        return nil
    }

    /// Sections at block 1, with undo layers that lead back to block 0.
    private static func folded(seed: UInt64) throws -> (store: ModelStore, held: [Held]) {
        var generator = SeededGenerator(seed: seed)
        var before = ModelState()
        before.mutate(&generator, steps: 150)
        // Storage enough for branches.
        for key in before.accounts.keys.sorted().prefix(3) {
            for _ in 0..<60 {
                let slot = Bytes32(generator.next(), generator.next(), 0, 0)
                before.accounts[key]?.slots[slot] = ModelState.slotValue(&generator)
            }
        }
        // Accounts enough for branches.
        for number in 0..<900 {
            before.accounts[Bytes32(generator.next(), 0, 0, 1)] = ModelState.Account(nonce: UInt64(number), code: 0)
        }
        var store = try ModelStore(before)
        let first = store.records
        var after = before
        for key in before.accounts.keys.sorted().prefix(3) {
            for slot in (before.accounts[key]?.slots.keys.sorted() ?? []).prefix(30) {
                after.accounts[key]?.slots[slot] = Bool.random(using: &generator) ? nil : [9]
            }
            after.accounts[key]?.nonce += 1
        }
        after.mutate(&generator, steps: 60)
        try store.fold(try store.updates(from: before, to: after), to: 1)
        let held = zip(first, store.records).map { Held(record: $1, previousHash: $0.sectionHash) }
        return (store, held)
    }

    @Test(arguments: 1...24) func anUndoLayerThatIsRightIsFoundRight(seed: Int) throws {
        print("seed \(seed)")
        let (store, held) = try Self.folded(seed: UInt64(seed))
        let snapshot = store.map.snapshot()
        for held in held { #expect(try Self.damage(held, in: snapshot) == nil) }
    }

    /// Branches that lost leaves stay, and so the same state may be stored with more or fewer of them.
    @Test(arguments: 1...12) func oneFoldAfterTheOtherIsFoundRight(seed: Int) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: UInt64(seed))
        var state = ModelState()
        state.mutate(&generator, steps: 120)
        var store = try ModelStore(state)
        for number in 1...8 {
            let before = store.records
            var next = state
            if number % 2 == 0 {
                next.accounts = next.accounts.filter { _ in Int.random(in: 0..<3, using: &generator) > 0 }
            }
            next.mutate(&generator, steps: 50)
            try store.fold(try store.updates(from: state, to: next), to: UInt64(number))
            state = next
            let snapshot = store.map.snapshot()
            for (first, record) in zip(before, store.records) {
                let held = Held(record: record, previousHash: first.sectionHash)
                #expect(try Self.damage(held, in: snapshot) == nil, "fold \(number)")
            }
        }
    }

    @Test func anUndoLayerOfAnotherStateIsFound() throws {
        let (store, held) = try Self.folded(seed: 31)
        let snapshot = store.map.snapshot()
        for held in held {
            let other = Held(record: held.record, previousHash: Bytes32(1, 2, 3, 4))
            let fault = StateFault.undo(section: held.record.section.index, block: 0)
            #expect(try Self.damage(other, in: snapshot) == fault)
            // Where nobody knows what it has to lead to, nobody is served it, and it is not read.
            #expect(try Self.damage(Held(record: held.record, previousHash: nil), in: snapshot) == nil)
        }
    }

    /// Changes some bytes of a table, one at a time. `loses`: entries of it that go are found too.
    private static func spoil(
        _ table: Table, of snapshot: some StoreSnapshot, seed: UInt64, loses: Bool,
        _ check: (WriteBatch, _ what: String) throws -> Void
    ) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let entries = try snapshot.contents(table).sorted { ByteOrder.isLess($0.key, $1.key) }
        #expect(entries.count > 1, "\(table)")
        for round in 0..<60 {
            let (key, right) = try #require(entries.randomElement(using: &generator))
            var batch = WriteBatch()
            if loses, round % 4 == 0 {
                batch.delete(table, key)
                try check(batch, "\(table) \(key) lost")
                continue
            }
            var value = right
            let place = Int.random(in: 0..<value.count, using: &generator)
            value[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            batch.put(table, key, value)
            try check(batch, "\(table) \(key) byte \(place)")
        }
    }

    @Test(arguments: [Table.undoLeaves, .undoAccountBranches, .undoStorageBranches])
    func anyChangedByteOfAnUndoLayerIsFound(table: Table) throws {
        let (store, held) = try Self.folded(seed: 32)
        let snapshot = store.map.snapshot()
        try Self.spoil(table, of: snapshot, seed: 33, loses: true) { batch, what in
            var damaged = snapshot
            damaged.apply(batch)
            let faults = try held.compactMap { try Self.damage($0, in: damaged) }
            #expect(faults.count == 1, "\(what): \(faults)")
            #expect(faults.allSatisfy { if case .undo(_, block: 0) = $0 { true } else { false } }, "\(what): \(faults)")
        }
    }

    // MARK: Spread storage

    /// A section whose account is spread at block 1, and its parts, which were led on to block 2.
    private static func spread(seed: UInt64) throws -> (store: SpreadStorageTests.Spread, held: [Held]) {
        var generator = SeededGenerator(seed: seed)
        var spread = try SpreadStorageTests.Spread(&generator)
        let before = try ModelStore(spread.before).records
        let first = spread.parts
        try spread.lead(to: SpreadStorageTests.change(spread.state, slots: 120, &generator), at: 2)
        var held = zip(first, spread.parts).map { Held(record: $1, previousHash: $0.sectionHash) }
        held.append(Held(record: spread.section, previousHash: before[spread.section.section.index].sectionHash))
        return (spread, held)
    }

    @Test(arguments: 41...48) func spreadStorageAndItsPartsAreReadBack(seed: Int) throws {
        print("seed \(seed)")
        let (spread, held) = try Self.spread(seed: UInt64(seed))
        let snapshot = spread.store.map.snapshot()
        #expect(held.count == 17)
        for held in held {
            for limit in [3, Int.max] {
                #expect(try Self.damage(held, limit: limit, placing: SpreadStorageTests.rule, in: snapshot) == nil)
            }
        }
        // In a network that spreads nothing an account without its slots is damage.
        let section = try #require(held.last)
        guard case .storageRoot(SpreadStorageTests.owner, _, _) = try Self.damage(section, in: snapshot) else {
            Issue.record("an account lacks its slots")
            return
        }
    }

    @Test(arguments: [
        Table.leaves, .storageBranches, .undoLeaves, .undoStorageBranches, .partLeaves, .partBranches, .undoPartLeaves,
        .undoPartBranches,
    ])
    func anyChangedByteOfSpreadStorageIsFound(table: Table) throws {
        let (spread, held) = try Self.spread(seed: 51)
        let snapshot = spread.store.map.snapshot()
        let section = SpreadStorageTests.section
        try Self.spoil(table, of: snapshot, seed: 52, loses: table != .partBranches) { batch, what in
            var (damaged, isOther) = (snapshot, false)
            damaged.apply(batch)
            batch.forEach { operation in
                // Other sections are not read here.
                if case .put(let table, let key, _) = operation, table == .leaves {
                    isOther = Bytes32(key.prefix(32)).map { !section.contains($0) } ?? true
                }
                if case .delete(let table, let key) = operation, table == .leaves {
                    isOther = Bytes32(key.prefix(32)).map { !section.contains($0) } ?? true
                }
            }
            let faults = try held.compactMap { try Self.damage($0, placing: SpreadStorageTests.rule, in: damaged) }
            #expect(faults.count == (isOther ? 0 : 1), "\(what): \(faults)")
        }
    }

    /// The step back over an anchor at which slots came back to their account, and over one at which what shows the
    /// placement changed.
    @Test(arguments: 61...66) func anUndoLayerLeadsBackToSpreadStorage(seed: Int) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: UInt64(seed))
        for isBack in [true, false] {
            let spread = try SpreadStorageTests.Spread(&generator)
            let owner = SpreadStorageTests.owner
            var next = SpreadStorageTests.change(spread.state, slots: isBack ? 0 : 40, &generator)
            if isBack {
                let few = next.accounts[owner]?.slots.sorted { $0.key < $1.key }.prefix(7) ?? []
                next.accounts[owner]?.slots = Dictionary(uniqueKeysWithValues: few.map { ($0.key, $0.value) })
            }
            var view = StateView(spread.store.map.snapshot(), SpreadStorageTests.section)
            let body = LeafChange(key: FlatKey(account: owner), value: next.stateAccount(owner)?.slim)
            let slots = next.flat.filter { $0.key.account == owner && $0.key.slot != nil }
            let update = try SectionChange.apply(
                [body] + (isBack ? slots : []), to: SpreadStorageTests.section, in: &view)
            let placed = try StoragePlacing.place(
                update, over: view, at: ModelStore.point(2), by: SpreadStorageTests.rule,
                shown: [owner: SpreadStorageTests.way(next, by: SpreadStorageTests.rule)])
            let (batch, record) = StateWrites.fold(placed.update, record: spread.section, to: ModelStore.point(2))
            try spread.store.map.commit(batch)
            let snapshot = spread.store.map.snapshot()
            let held = Held(record: record, previousHash: spread.section.sectionHash)
            #expect(try Self.damage(held, placing: SpreadStorageTests.rule, in: snapshot) == nil)
            // One of the nodes that showed the placement then is another.
            let rows = try snapshot.contents(.undoStorageBranches).filter { $0.value.count > 1 }
            for (key, value) in rows {
                var spoiled = snapshot
                var batch = WriteBatch()
                batch.put(.undoStorageBranches, key, value.dropLast() + [value[value.count - 1] ^ 1])
                spoiled.apply(batch)
                let fault = try Self.damage(held, placing: SpreadStorageTests.rule, in: spoiled)
                #expect(fault == .undo(section: record.section.index, block: 1))
            }
        }
    }

    // MARK: Code

    @Test func codeIsReadOnceASectionAndToldOfByItself() throws {
        var generator = SeededGenerator(seed: 71)
        var state = ModelState()
        for number in 0..<400 {
            let key = Bytes32(generator.next(), 0, 0, 1)
            state.accounts[key] = ModelState.Account(nonce: UInt64(number), code: UInt8(number % 3))
        }
        let store = try ModelStore(state)
        var snapshot = store.map.snapshot()
        let codes = [UInt8(1), 2].map { (hash: Keccak.hash([$0]), code: [$0]) }
        func damaged(_ snapshot: MemorySnapshot) throws -> [[Bytes32]] {
            try store.records.map { record in
                var scrub = try #require(SectionScrub(record))
                var found: [Bytes32] = []
                while try !scrub.step(limit: 5, in: snapshot) { found += scrub.takeDamagedCodes() }
                return found + scrub.takeDamagedCodes()
            }
        }
        // Gone, and not known to be: each section tells of each once.
        let none = try damaged(snapshot)
        #expect(none.allSatisfy { $0.count == 2 && Set($0) == Set(codes.map(\.hash)) })
        snapshot.apply(StateWrites.codes(codes))
        #expect(try damaged(snapshot).allSatisfy(\.isEmpty))
        // A changed byte.
        var batch = WriteBatch()
        batch.put(.codes, codes[0].hash.bytes, [7])
        var spoiled = snapshot
        spoiled.apply(batch)
        #expect(try damaged(spoiled).allSatisfy { $0 == [codes[0].hash] })
        // What is wanted again is no damage any more.
        spoiled.apply(StateWrites.wantAgain([codes[0].hash], of: store.records[2].section))
        #expect(try damaged(spoiled).allSatisfy(\.isEmpty))
        #expect(try CodeRecords.wanted(by: store.records[2].section, in: spoiled) == [codes[0].hash])
    }
}
