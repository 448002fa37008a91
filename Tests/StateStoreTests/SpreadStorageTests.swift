import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// Storage in parts: how an account's slots leave it and come back, and what parts are like by themselves.
@Suite struct SpreadStorageTests {
    static let rule = Placement(sectionDepth: 1, wideDepth: 1)
    static let owner = Bytes32(0x3 << 60, 0, 0, 7)
    static let section = Section(of: owner, depth: 1)

    /// Many begin with zeros, so that few slots make a trie that is spread.
    private static func slot(_ generator: inout SeededGenerator) -> Bytes32 {
        let shift = UInt64(4 * Int.random(in: 0...2, using: &generator))
        return Bytes32(generator.next() >> shift, generator.next(), generator.next(), generator.next())
    }

    /// Some accounts, of which one has `slots` slots.
    private static func state(slots: Int, _ generator: inout SeededGenerator) -> ModelState {
        var state = ModelState()
        state.mutate(&generator, steps: 40)
        state.accounts[owner] = ModelState.Account(nonce: 1, code: 1)
        for _ in 0..<slots { state.accounts[owner]?.slots[slot(&generator)] = ModelState.slotValue(&generator) }
        return state
    }

    static func change(_ state: ModelState, slots: Int, _ generator: inout SeededGenerator) -> ModelState {
        var next = state
        next.accounts[owner]?.nonce += 1
        for _ in 0..<slots { next.accounts[owner]?.slots[slot(&generator)] = ModelState.slotValue(&generator) }
        for key in (state.accounts[owner]?.slots.keys.sorted() ?? []).prefix(slots) {
            next.accounts[owner]?.slots[key] = Bool.random(using: &generator) ? nil : ModelState.slotValue(&generator)
        }
        return next
    }

    /// A section whose account is spread at block 1: the store, and the records of the section and of the parts.
    struct Spread {
        var store: ModelStore
        var section: SectionRecord
        var parts: [SectionRecord]
        var before: ModelState
        var state: ModelState

        init(_ generator: inout SeededGenerator) throws {
            before = SpreadStorageTests.state(slots: 9, &generator)
            state = SpreadStorageTests.change(before, slots: 500, &generator)
            // Before it is spread it is as any account.
            store = try ModelStore(before)
            let index = SpreadStorageTests.section.index
            let update = try store.updates(from: before, to: state)[index]
            let view = StateView(store.map.snapshot(), SpreadStorageTests.section)
            let placed = try StoragePlacing.place(
                update, over: view, at: ModelStore.point(1), by: SpreadStorageTests.rule, shown: [:])
            let (batch, record) = StateWrites.fold(
                placed.update, record: store.records[index], to: ModelStore.point(1))
            try store.map.commit(batch + placed.batch)
            section = record
            parts = placed.spread.first?.parts ?? []
        }

        var partsView: StateView<MemorySnapshot> {
            StateView(
                store.map.snapshot(), depth: 1, of: SpreadStorageTests.owner,
                sections: parts.map { ($0.section, .base) })
        }

        var root: Bytes32 { Crown(sections: parts.map { $0.subtree ?? .empty }, depth: 1).root }

        /// Leads the parts to another state of the slots.
        mutating func lead(to next: ModelState, at number: UInt64) throws {
            let account = SpreadStorageTests.owner
            let changes = state.changes(to: next, in: SpreadStorageTests.section)
                .filter { $0.key.account == account && $0.key.slot != nil }
            for (place, record) in parts.enumerated() {
                var view = StateView(store.map.snapshot(), record.section)
                let own = changes.filter { record.section.contains($0.key.slot ?? .zero) }
                let update = try SectionChange.apply(own, to: record.section, in: &view, checking: true)
                let (batch, after) = StateWrites.fold(update, record: record, to: ModelStore.point(number))
                try store.map.commit(batch)
                parts[place] = after
            }
            state = next
        }
    }

    private func slots(of state: ModelState) -> [LeafChange] {
        state.flat.filter { $0.key.account == Self.owner && $0.key.slot != nil }
    }

    @Test(arguments: [UInt64(1), 2])
    func slotsLeaveTheirAccountAtAnAnchor(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let spread = try Spread(&generator)
        let snapshot = spread.store.map.snapshot()
        #expect(spread.parts.count == 16)
        #expect(spread.root == spread.state.storageRoot(Self.owner))
        #expect(try spread.partsView.flat() == slots(of: spread.state))
        #expect(try SectionRecord.all(in: snapshot).suffix(16) == spread.parts[...])
        // The body is there, the slots are not, and the section hashes to what it would with them.
        let now = StateView(snapshot, Self.section)
        let held = try now.flat()
        #expect(held == spread.state.flat.filter { Self.section.contains($0.key.account) && !isSlot($0.key) })
        #expect(try now.isSpread(Self.owner))
        let nodes = try now.placementNodes(of: Self.owner)
        #expect(try Self.rule.depth(root: spread.state.storageRoot(Self.owner), shownBy: nodes) == 1)
        // At the anchor before, all is as it was.
        let before = StateView(snapshot, Self.section, layering: .previous)
        #expect(try before.flat() == spread.before.flat.filter { Self.section.contains($0.key.account) })
        #expect(try !before.isSpread(Self.owner))
        // Reading all back finds no fault, and finds one where a slot was lost.
        let check = try StateCheck(snapshot, depth: 1)
        for record in [spread.section] + spread.parts { #expect(try Self.faults(check.check(record)).isEmpty) }
        var broken = WriteBatch()
        broken.delete(.partLeaves, slots(of: spread.state)[0].key.bytes)
        try spread.store.map.commit(broken)
        let faults = try StateCheck(spread.store.map.snapshot(), depth: 1).check(spread.parts[0]).faults
        #expect(faults.count == 1)
    }

    /// All but that code is missing, of which these stores have none.
    private static func faults(_ tally: StateCheck<MemorySnapshot>.Tally) -> [StateFault] {
        tally.faults.filter { if case .missingCode = $0 { false } else { true } }
    }

    private func isSlot(_ key: FlatKey) -> Bool { key.account == Self.owner && key.slot != nil }

    @Test(arguments: [UInt64(3), 4])
    func partsAreLedOnByThemselves(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var spread = try Spread(&generator)
        let first = spread.state
        for number in 2...6 {
            let before = spread.state
            try spread.lead(to: Self.change(before, slots: 20, &generator), at: UInt64(number))
            #expect(spread.root == spread.state.storageRoot(Self.owner))
            #expect(try spread.partsView.flat() == slots(of: spread.state))
            let previous = StateView(
                spread.store.map.snapshot(), depth: 1, of: Self.owner,
                sections: spread.parts.map { ($0.section, .previous) })
            #expect(try previous.flat() == slots(of: before))
        }
        // History and stored layers are found by the part.
        let part = spread.parts[3].section
        let composed = try History.compose(
            part, from: ModelStore.point(1), to: ModelStore.point(6), in: spread.store.map.snapshot())
        let expected = first.changes(to: spread.state, in: Self.section)
            .filter { isSlot($0.key) && part.contains($0.key.slot ?? .zero) }
        #expect(composed == expected && !composed.isEmpty)
        var view = StateView(spread.store.map.snapshot(), part)
        let next = Self.change(spread.state, slots: 50, &generator)
        let changes = spread.state.changes(to: next, in: Self.section)
            .filter { isSlot($0.key) && part.contains($0.key.slot ?? .zero) }
        let update = try SectionChange.apply(changes, to: part, in: &view)
        let layer = BlockLayer(
            section: part, point: ModelStore.point(7), parent: ModelStore.point(6),
            sectionHashBefore: spread.parts[3].sectionHash ?? .zero,
            sectionHashAfter: update.subtreeAfter.hash(at: 1), update: update, pathProof: [])
        try spread.store.map.commit(StateWrites.layer(layer))
        let snapshot = spread.store.map.snapshot()
        #expect(try BlockLayer.all(of: part, in: snapshot) == [layer])
        let through = StateView(snapshot, part, layering: SectionLayering(overlays: [StateOverlay(update)]))
        #expect(try through.flat() == slots(of: next).filter { part.contains($0.key.slot ?? .zero) })
    }

    /// A change that is not of the part, changes nothing, or is an account's.
    @Test func partsRefuseWhatIsNotTheirs() throws {
        var generator = SeededGenerator(seed: 5)
        let spread = try Spread(&generator)
        let part = spread.parts[2].section
        var view = StateView(spread.store.map.snapshot(), part)
        func apply(_ key: FlatKey, _ value: [UInt8]?) throws {
            _ = try SectionChange.apply([LeafChange(key: key, value: value)], to: part, in: &view)
        }
        let own = FlatKey(account: Self.owner, slot: part.firstKey)
        let foreign = [
            FlatKey(account: Self.owner, slot: spread.parts[3].section.firstKey), FlatKey(account: Self.owner),
            FlatKey(account: .zero, slot: part.firstKey),
        ]
        for key in foreign { #expect(throws: StateChangeError.foreignKey(key)) { try apply(key, [1]) } }
        #expect(throws: StateChangeError.noChange(own)) { try apply(own, nil) }
        #expect(throws: StateChangeError.malformedSlot(own)) { try apply(own, [0, 1]) }
        #expect(throws: Never.self) { try apply(own, [1]) }
    }

    /// A step that was taken for one of spread storage is none where the slots stand with the account.
    @Test func aStepWithoutSlotsIsRefusedWhereTheyAreWithTheAccount() throws {
        var generator = SeededGenerator(seed: 12)
        let before = Self.state(slots: 9, &generator)
        let next = Self.change(before, slots: 5, &generator)
        let store = try ModelStore(before)
        var view = StateView(store.map.snapshot(), Self.section)
        let body = LeafChange(key: FlatKey(account: Self.owner), value: next.stateAccount(Self.owner)?.slim)
        let update = try SectionChange.apply([body], to: Self.section, in: &view, elsewhere: [Self.owner])
        #expect(throws: StoragePlacing.Failure.placementUnknown(account: Self.owner)) {
            try StoragePlacing.place(update, over: view, at: ModelStore.point(1), by: Self.rule, shown: [:])
        }
    }

    /// Where the account is, the body changes as it likes; at an anchor the placement must be shown.
    @Test func theAccountOfSpreadStorageGoesOnWithoutItsSlots() throws {
        var generator = SeededGenerator(seed: 6)
        let spread = try Spread(&generator)
        let next = Self.change(spread.state, slots: 30, &generator)
        var view = StateView(spread.store.map.snapshot(), Self.section)
        let body = LeafChange(key: FlatKey(account: Self.owner), value: next.stateAccount(Self.owner)?.slim)
        let update = try SectionChange.apply([body], to: Self.section, in: &view)
        let fresh = try ModelStore(next)
        #expect(update.subtreeAfter == fresh.records[Self.section.index].subtree)
        func place(_ nodes: [[UInt8]]?) throws -> SectionUpdate {
            try StoragePlacing.place(
                update, over: view, at: ModelStore.point(2), by: Self.rule, shown: nodes.map { [Self.owner: $0] } ?? [:]
            ).update
        }
        #expect(throws: StoragePlacing.Failure.placementUnknown(account: Self.owner)) { try place(nil) }
        let stale = try view.placementNodes(of: Self.owner)
        #expect(throws: ProofError.missingNode(.root)) { try place(stale) }
        let placed = try place(Self.way(next, by: Self.rule))
        let (batch, _) = StateWrites.fold(placed, record: spread.section, to: ModelStore.point(2))
        try spread.store.map.commit(batch)
        let after = StateView(spread.store.map.snapshot(), Self.section)
        #expect(try after.placementNodes(of: Self.owner) == Self.way(next, by: Self.rule))
        // A root that its slots do not give is not taken for an account whose storage is here.
        let other = FlatKey(account: Bytes32(0x3 << 60, 0, 0, 9))
        #expect(throws: StateChangeError.storageRootMismatch(account: other.account)) {
            let body = LeafChange(key: other, value: next.stateAccount(Self.owner)?.slim)
            _ = try SectionChange.apply([body], to: Self.section, in: &view)
        }
    }

    static func way(_ state: ModelState, by rule: Placement) throws -> [[UInt8]] {
        var trie = ReferenceTrie()
        for (slot, value) in state.accounts[owner]?.slots ?? [:] { trie[slot.bytes] = SlotValue.rlp(value) }
        return try rule.show(root: trie.root, in: trie.proof(for: Bytes32.zero.bytes)).nodes
    }

    /// Too small to be spread, the storage is with its account again, and all of it has to come.
    @Test func slotsComeBack() throws {
        var generator = SeededGenerator(seed: 7)
        let spread = try Spread(&generator)
        var next = spread.state
        next.accounts[Self.owner]?.slots = [:]
        for _ in 0..<9 { next.accounts[Self.owner]?.slots[Self.slot(&generator)] = [7] }
        var view = StateView(spread.store.map.snapshot(), Self.section)
        let body = LeafChange(key: FlatKey(account: Self.owner), value: next.stateAccount(Self.owner)?.slim)
        let small = try SectionChange.apply([body], to: Self.section, in: &view)
        #expect(throws: StoragePlacing.Failure.slotsMissing(account: Self.owner)) {
            try StoragePlacing.place(
                small, over: view, at: ModelStore.point(2), by: Self.rule,
                shown: [Self.owner: Self.way(next, by: Self.rule)])
        }
        let slots = slots(of: next)
        #expect(throws: StateChangeError.storageRootMismatch(account: Self.owner)) {
            try SectionChange.apply([body] + slots.dropLast(), to: Self.section, in: &view)
        }
        let update = try SectionChange.apply([body] + slots, to: Self.section, in: &view)
        let placed = try StoragePlacing.place(
            update, over: view, at: ModelStore.point(2), by: Self.rule, shown: [:])
        #expect(placed.spread.isEmpty)
        let (batch, _) = StateWrites.fold(placed.update, record: spread.section, to: ModelStore.point(2))
        try spread.store.map.commit(batch)
        let after = StateView(spread.store.map.snapshot(), Self.section)
        #expect(try after.flat() == next.flat.filter { Self.section.contains($0.key.account) })
        #expect(try !after.isSpread(Self.owner))
        let rows = try spread.store.map.snapshot().contents(.storageBranches).filter {
            $0.key.starts(with: Self.owner.bytes)
        }
        #expect(rows.isEmpty == next.storageBranches(Self.owner).paths.isEmpty)
    }

    /// Parts are dropped at once or in steps, and leave nothing.
    @Test func partsAreDropped() throws {
        var generator = SeededGenerator(seed: 8)
        var spread = try Spread(&generator)
        try spread.lead(to: Self.change(spread.state, slots: 60, &generator), at: 2)
        let map = spread.store.map
        for record in spread.parts.dropLast() { try map.commit(StateWrites.dropSection(record.section)) }
        let last = try #require(spread.parts.last)
        #expect(
            try spread.partsView.flat()
                == slots(of: spread.state).filter { last.section.contains($0.key.slot ?? .zero) })
        var record: SectionRecord? = last
        var steps = 0
        while let current = record {
            let step = try StateWrites.takeBack(current, leaves: 2, in: map.snapshot())
            try map.commit(step.batch)
            record = step.record
            steps += 1
            guard let record, case .partial(let next) = record.coverage else { continue }
            #expect(record.section.contains(next))
            let left = try StateView(map.snapshot(), record.section).flat()
            #expect(left.allSatisfy { $0.key < next.firstKey } && !left.isEmpty)
        }
        #expect(steps > 2)
        let snapshot = map.snapshot()
        for table in [Table.partLeaves, .partBranches, .undoPartLeaves, .undoPartBranches] {
            #expect(try snapshot.count(table) == 0)
        }
        #expect(try SectionRecord.all(in: snapshot).allSatisfy { $0.section.owner == nil })
    }

    /// What a part's record says is read back as it was, and nothing else is read.
    @Test func recordsOfPartsAreReadBack() throws {
        let part = Section(depth: 2, index: 0x1f, of: Self.owner)
        let record = SectionRecord(starting: part, at: ModelStore.point(3))
        #expect(try SectionRecord(decoding: record.encoded) == record)
        #expect(record.coverage == .partial(next: Cursor(account: Self.owner, slot: part.firstKey)))
        #expect(part.storeKey != Section(depth: 2, index: 0x1f, of: .zero).storeKey)
        for place in record.encoded.indices {
            let cut = Array(record.encoded[..<place])
            #expect(throws: StoreError.corrupt(table: .sections)) { try SectionRecord(decoding: cut) }
        }
    }
}
