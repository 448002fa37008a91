import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// Changes applied to a section against rebuilding everything.
@Suite struct SectionChangeTests {
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func foldsEqualRebuilding(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var state = ModelState()
        state.mutate(&generator, steps: 30)
        var store = try ModelStore(state)
        for round in 1...40 {
            var next = state
            next.mutate(&generator, steps: Int.random(in: 1...12, using: &generator))
            let updates = try store.updates(from: state, to: next)
            let crown = Crown(sections: updates.map(\.subtreeAfter), depth: 1)
            #expect(crown.root == next.referenceTrie.root, "seed \(seed), round \(round)")
            for update in updates {
                #expect(update.wireChanges == state.changes(to: next, in: update.section))
            }
            try store.fold(updates, to: UInt64(round))
            let snapshot = store.map.snapshot()
            for (table, expected) in next.tables(depth: 1) { #expect(try snapshot.contents(table) == expected) }
            var view = StateView(snapshot, depth: 1)
            for update in updates {
                #expect(try SectionChange.subtree(of: update.section, in: &view) == update.subtreeAfter)
            }
            state = next
        }
    }

    @Test func sectionHashIsThatOfTheStrippedLeaves() throws {
        var generator = SeededGenerator(seed: 9)
        var state = ModelState()
        state.mutate(&generator, steps: 60)
        let store = try ModelStore(state, depth: 2)
        for record in store.records {
            // Two nibbles are one byte: the naive trie can strip it.
            var trie = ReferenceTrie()
            for key in state.accounts.keys where record.section.contains(key) {
                trie[Array(key.bytes.dropFirst())] = state.stateAccount(key)?.rlp
            }
            #expect(record.sectionHash == trie.root)
        }
    }

    @Test func emptyChangesChangeNothing() throws {
        var generator = SeededGenerator(seed: 3)
        var state = ModelState()
        state.mutate(&generator, steps: 30)
        let store = try ModelStore(state)
        var view = StateView(store.map.snapshot(), depth: 1)
        for record in store.records {
            let update = try SectionChange.apply([], to: record.section, in: &view)
            #expect(update == SectionUpdate.unchanged(record.section, subtree: record.subtree ?? .empty))
            #expect(update.isEmpty)
        }
    }

    @Test func mergedUpdatesAreTheDirectOne() throws {
        for seed in UInt64(1)...6 {
            var generator = SeededGenerator(seed: seed)
            var states = [ModelState()]
            states[0].mutate(&generator, steps: 30)
            let store = try ModelStore(states[0])
            var layers: [[SectionUpdate]] = []
            for _ in 0..<5 {
                var next = states[states.count - 1]
                next.mutate(&generator, steps: 6)
                var updates: [SectionUpdate] = []
                for section in Section.all(depth: 1) {
                    let overlays = layers.reversed().map { StateOverlay($0[section.index]) }
                    var view = StateView(
                        store.map.snapshot(), depth: 1, layering: SectionLayering(overlays: Array(overlays)))
                    let changes = states[states.count - 1].changes(to: next, in: section)
                    updates.append(try SectionChange.apply(changes, to: section, in: &view))
                }
                layers.append(updates)
                states.append(next)
            }
            let direct = try store.updates(from: states[0], to: states[5])
            for section in Section.all(depth: 1) {
                #expect(SectionUpdate.merged(layers.map { $0[section.index] }) == direct[section.index])
            }
        }
        #expect(SectionUpdate.merged([]) == nil)
    }

    // What must be refused.

    private let account = Bytes32(0x1000_0000_0000_0000, 0, 0, 1)
    private let slot = Bytes32(5, 0, 0, 0)

    private func heldStore() throws -> ModelStore {
        var state = ModelState()
        state.accounts[account] = ModelState.Account(nonce: 1, code: 0, slots: [slot: [7]])
        return try ModelStore(state)
    }

    private func refusal(_ changes: [LeafChange], section: Int = 1) throws -> StateChangeError? {
        var view = StateView(try heldStore().map.snapshot(), depth: 1)
        do throws(StateChangeError) {
            _ = try SectionChange.apply(changes, to: Section(depth: 1, index: section), in: &view)
            return nil
        } catch {
            return error
        }
    }

    private func body(nonce: UInt64, root: Bytes32 = StateAccount.emptyRoot) -> [UInt8] {
        StateAccount(nonce: nonce, balance: UInt256(5), storageRoot: root).slim
    }

    private func root(_ value: [UInt8]) -> Bytes32 {
        var state = ModelState()
        state.accounts[account] = ModelState.Account(nonce: 0, code: 0, slots: [slot: value])
        return state.storageRoot(account)
    }

    @Test func aChangeThatHoldsIsTaken() throws {
        #expect(
            try refusal([
                LeafChange(key: FlatKey(account: account), value: body(nonce: 2, root: root([9]))),
                LeafChange(key: FlatKey(account: account, slot: slot), value: [9]),
            ]) == nil)
        #expect(try refusal([LeafChange(key: FlatKey(account: account), value: nil)]) == nil)
        #expect(
            try refusal([LeafChange(key: FlatKey(account: account), value: body(nonce: 2, root: root([7])))]) == nil)
    }

    @Test func orderAndPlace() throws {
        let other = FlatKey(account: Bytes32(0x1000_0000_0000_0000, 0, 0, 0))
        let key = FlatKey(account: account)
        let gone = LeafChange(key: key, value: nil)
        #expect(try refusal([gone, LeafChange(key: other, value: body(nonce: 1))]) == .unsorted(other))
        #expect(try refusal([gone, gone]) == .unsorted(key))
        #expect(try refusal([gone], section: 2) == .foreignKey(key))
        let next = FlatKey(account: Bytes32(0x2000_0000_0000_0000, 0, 0, 0))
        #expect(try refusal([gone, LeafChange(key: next, value: body(nonce: 1))]) == .foreignKey(next))
    }

    @Test func changesThatAreNone() throws {
        let key = FlatKey(account: account)
        let slotKey = FlatKey(account: account, slot: slot)
        let absent = FlatKey(account: Bytes32(0x1000_0000_0000_0000, 0, 0, 2))
        #expect(try refusal([LeafChange(key: key, value: body(nonce: 1, root: root([7])))]) == .noChange(key))
        #expect(try refusal([LeafChange(key: absent, value: nil)]) == .noChange(absent))
        let newBody = LeafChange(key: key, value: body(nonce: 2, root: root([7])))
        #expect(try refusal([newBody, LeafChange(key: slotKey, value: [7])]) == .noChange(slotKey))
        let absentSlot = FlatKey(account: account, slot: Bytes32(6, 0, 0, 0))
        #expect(try refusal([newBody, LeafChange(key: absentSlot, value: nil)]) == .noChange(absentSlot))
    }

    @Test func storageThatDoesNotFit() throws {
        let key = FlatKey(account: account)
        let slotKey = FlatKey(account: account, slot: slot)
        #expect(try refusal([LeafChange(key: slotKey, value: [9])]) == .bodyMissing(account: account))
        // A root that the slots do not give; a wipe without its slots; a new account with a root out of nothing.
        let wrong = StateChangeError.storageRootMismatch(account: account)
        #expect(try refusal([LeafChange(key: key, value: body(nonce: 2, root: root([9])))]) == wrong)
        #expect(try refusal([LeafChange(key: key, value: body(nonce: 2))]) == wrong)
        #expect(
            try refusal([
                LeafChange(key: key, value: body(nonce: 2, root: root([7]))), LeafChange(key: slotKey, value: [9]),
            ]) == wrong)
        let new = Bytes32(0x1000_0000_0000_0000, 0, 0, 2)
        #expect(
            try refusal([LeafChange(key: FlatKey(account: new), value: body(nonce: 2, root: root([7])))])
                == .storageRootMismatch(account: new))
        #expect(
            try refusal([LeafChange(key: key, value: nil), LeafChange(key: slotKey, value: nil)])
                == .impliedSlot(slotKey))
    }

    @Test func malformedValues() throws {
        let key = FlatKey(account: account)
        let slotKey = FlatKey(account: account, slot: slot)
        let full = StateAccount(nonce: 2).rlp
        for bytes in [[], [0xc0], full, body(nonce: 2) + [0]] {
            #expect(try refusal([LeafChange(key: key, value: bytes)]) == .malformedBody(account))
        }
        for value in [[], [0], [0, 1], [UInt8](repeating: 1, count: 33)] {
            let changes = [
                LeafChange(key: key, value: body(nonce: 2, root: root([9]))), LeafChange(key: slotKey, value: value),
            ]
            #expect(try refusal(changes) == .malformedSlot(slotKey))
        }
    }

    @Test func aSectionThatIsNotHeld() throws {
        let section = Section(depth: 1, index: 1)
        var view = StateView(try heldStore().map.snapshot(), depth: 1, sections: [])
        #expect(throws: StateChangeError.sectionNotHeld(section)) {
            _ = try SectionChange.apply([], to: section, in: &view)
        }
    }
}
