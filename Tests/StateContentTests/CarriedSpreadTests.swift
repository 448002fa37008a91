import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// What is held in part is led on by a diff where storage is spread: sections with such accounts, and parts.
@Suite struct CarriedSpreadTests {
    private static let rule = SpreadState.rule

    private static func changed(
        _ state: SpreadState, kept: Int, more: Int, _ generator: inout SeededGenerator
    ) throws -> SpreadState {
        let slots = (state.account?.slots ?? []).filter { _ in Int.random(in: 0..<4, using: &generator) < kept }
        let fresh = (0..<more).map { _ in (key: SpreadState.slot(&generator), value: TestState.value(&generator)) }
        return try state.replacing(
            TestState.Account(
                key: state.owner, nonce: generator.next() >> 40, codeHash: StateAccount.emptyCodeHash,
                slots: slots + fresh))
    }

    /// The diff of a section as it travels: of storage that was spread and is, there are no slots; all of them where it
    /// is with its account again.
    private static func changes(_ before: SpreadState, _ after: SpreadState) throws -> [LeafChange] {
        let owner = before.owner
        let section = Section(of: owner, depth: rule.sectionDepth)
        let all = before.whole.changes(to: after.whole).filter { section.contains($0.key.account) }
        guard try before.view.isSpread(owner) else { return all }
        let slots = try after.view.isSpread(owner) ? [] : after.account?.slots ?? []
        return all.flatMap { change -> [LeafChange] in
            guard change.key.account == owner else { return [change] }
            guard change.key.slot == nil else { return [] }
            return [change]
                + slots.map { LeafChange(key: FlatKey(account: owner, slot: $0.key), value: $0.value) }
        }
    }

    private static func accountTrie(_ state: SpreadState) -> ReferenceTrie {
        var trie = ReferenceTrie()
        for account in state.whole.accounts { trie[account.key.bytes] = account.body.rlp }
        return trie
    }

    private static func storageTrie(_ state: SpreadState) -> ReferenceTrie {
        var trie = ReferenceTrie()
        for slot in state.account?.slots ?? [] { trie[slot.key.bytes] = SlotValue.rlp(slot.value) }
        return trie
    }

    @Test(arguments: [(true, true), (true, false), (false, true)])
    func aSectionHeldInPartIsLedOn(was: Bool, isNow: Bool) throws {
        for seed in UInt64(1)...6 {
            print("seed \(seed)")
            var generator = SeededGenerator(seed: seed)
            let wide = try SpreadState(&generator, accounts: 60)
            let small = try Self.changed(wide, kept: 0, more: 9, &generator)
            let before = was ? wide : small
            let after = try Self.changed(isNow ? wide : small, kept: 3, more: isNow ? 300 : 3, &generator)
            let section = Section(of: before.owner, depth: Self.rule.sectionDepth)
            // Behind the account, and before it.
            for account in [section.lastKey, before.owner] {
                let next = Cursor(account: account)
                var snapshot = before.snapshot
                var batch = WriteBatch()
                batch.deleteRange(.leaves, from: next.firstKey.bytes, upTo: nil)
                snapshot.apply(batch)
                let goal = PartialSection.Goal(
                    stateRoot: after.whole.root,
                    accountProof: Self.accountTrie(after).proof(for: next.account.bytes), storageRoot: nil,
                    storageProof: [])
                let isShown = isNow && was
                let shown = isShown ? [before.owner: try after.view.placementNodes(of: before.owner)] : [:]
                var view = StateView(snapshot, section)
                let changes = try Self.changes(before, after)
                let advanced = try PartialSection.advance(
                    changes, of: section, below: next, to: goal,
                    placing: PartialSection.Places(at: SpreadState.point, by: Self.rule, shown: shown), in: &view)
                snapshot.apply(StateWrites.advance(advanced))
                let held = try StateView(snapshot, section).leafList()
                let expected = try StateView(after.snapshot, section).leafList().filter { $0.key < next.firstKey }
                #expect(held == expected, "seed \(seed)")
                guard account > before.owner else { continue }
                let now = StateView(snapshot, section)
                #expect(try now.isSpread(before.owner) == isNow)
                if isNow {
                    #expect(
                        try now.placementNodes(of: before.owner) == after.view.placementNodes(of: before.owner))
                }
                // What is spread from now on is written as parts.
                #expect(advanced.spread.count == (isNow && !was ? 1 : 0))
                for part in advanced.spread.flatMap(\.parts) {
                    #expect(
                        try StateView(snapshot, part.section).leafList()
                            == after.view(of: [part.section.index]).leafList())
                }
            }
        }
    }

    /// The account that the held part ends in is spread at the goal: its slots go.
    @Test func anAccountCutInTheMiddleMayBeSpread() throws {
        print("seed 11")
        var generator = SeededGenerator(seed: 11)
        let wide = try SpreadState(&generator)
        let small = try Self.changed(wide, kept: 0, more: 20, &generator)
        let section = Section(of: wide.owner, depth: Self.rule.sectionDepth)
        for slot in small.account?.slots.dropFirst() ?? [] {
            let next = Cursor(account: wide.owner, slot: slot.key)
            var snapshot = small.snapshot
            var batch = WriteBatch()
            batch.deleteRange(.leaves, from: next.firstKey.bytes, upTo: nil)
            snapshot.apply(batch)
            let goal = PartialSection.Goal(
                stateRoot: wide.whole.root,
                accountProof: Self.accountTrie(wide).proof(for: next.account.bytes),
                storageRoot: wide.account?.body.storageRoot,
                storageProof: try wide.view.placementNodes(of: wide.owner), isSpread: true)
            var view = StateView(snapshot, section)
            let advanced = try PartialSection.advance(
                try Self.changes(small, wide), of: section, below: next, to: goal,
                placing: PartialSection.Places(at: SpreadState.point, by: Self.rule, shown: [:]), in: &view)
            snapshot.apply(StateWrites.advance(advanced))
            let now = StateView(snapshot, section)
            let rows = try now.leafList()
            #expect(!rows.contains { $0.key.account == wide.owner && $0.key.slot != nil })
            #expect(try now.isSpread(wide.owner))
            #expect(try now.placementNodes(of: wide.owner) == wide.view.placementNodes(of: wide.owner))
        }
    }

    @Test func aPartHeldUpToASlotIsLedOn() throws {
        print("seed 21")
        var generator = SeededGenerator(seed: 21)
        let before = try SpreadState(&generator, slots: 3_000)
        let after = try Self.changed(before, kept: 3, more: 400, &generator)
        let trie = Self.storageTrie(after)
        let all = before.whole.changes(to: after.whole).filter { $0.key.account == before.owner && $0.key.slot != nil }
        for record in before.parts {
            let part = record.section
            let slots = try before.view(of: [part.index]).leafList()
            let cut = try #require(slots.randomElement(using: &generator)?.key.slot)
            let next = Cursor(account: before.owner, slot: cut)
            var snapshot = before.snapshot
            var batch = WriteBatch()
            batch.deleteRange(.partLeaves, from: next.firstKey.bytes, upTo: nil)
            snapshot.apply(batch)
            let changes = all.filter { part.contains($0.key.slot ?? .zero) }
            func advance(_ changes: [LeafChange], _ root: Bytes32?) throws -> PartialSection.Advanced {
                var view = StateView(snapshot, part)
                let proof = root == nil ? [] : trie.proof(for: cut.bytes)
                return try PartialSection.advance(
                    changes, of: part, below: next,
                    to: PartialSection.Goal(
                        stateRoot: after.whole.root, accountProof: [], storageRoot: root, storageProof: proof),
                    in: &view)
            }
            // One change less, or another value, is not the goal's.
            let own = changes.filter { $0.key < next.firstKey }
            for (index, change) in own.enumerated() {
                var other = own
                other.remove(at: index)
                #expect(throws: ProofError.self) { try advance(other, after.account?.body.storageRoot) }
                other.insert(LeafChange(key: change.key, value: [0x7f, 0x7e]), at: index)
                #expect(throws: ProofError.self) { try advance(other, after.account?.body.storageRoot) }
                if index > 6 { break }
            }
            // An account that is gone has no slots.
            let held = slots.filter { $0.key < next.firstKey }
            let wiped = try advance(held.map { LeafChange(key: $0.key, value: nil) }, nil)
            if !held.isEmpty { #expect(throws: ProofError.self) { try advance([], nil) } }
            var empty = snapshot
            empty.apply(StateWrites.advance(wiped))
            #expect(try StateView(empty, part).leafList().isEmpty)
            snapshot.apply(StateWrites.advance(try advance(changes, after.account?.body.storageRoot)))
            let expected = try after.view(of: [part.index]).leafList().filter { $0.key < next.firstKey }
            #expect(try StateView(snapshot, part).leafList() == expected)
        }
    }
}
