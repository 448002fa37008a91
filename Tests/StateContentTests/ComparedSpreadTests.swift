import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Sections with accounts whose storage is spread round the ring, and the parts themselves, compared with other states.
@Suite struct ComparedSpreadTests {
    private static let rule = SpreadState.rule

    /// Another storage of the spread account: of what it had, `kept` of 4, and some more.
    private static func changed(
        _ state: SpreadState, kept: Int, more: Int, _ generator: inout SeededGenerator
    ) throws -> TestState.Account {
        let slots = (state.account?.slots ?? []).filter { _ in Int.random(in: 0..<4, using: &generator) < kept }
        let fresh = (0..<more).map { _ in (key: SpreadState.slot(&generator), value: TestState.value(&generator)) }
        return TestState.Account(
            key: state.owner, nonce: generator.next() >> 40, codeHash: StateAccount.emptyCodeHash, slots: slots + fresh)
    }

    private static func record(_ state: SpreadState) throws -> SectionRecord {
        let section = Section(of: state.owner, depth: rule.sectionDepth)
        var view = state.view
        return SectionRecord(
            section: section, working: SpreadState.point,
            coverage: .complete(try SectionChange.subtree(of: section, in: &view)))
    }

    private static func goal(_ state: SpreadState, number: UInt64 = 99) throws -> ComparedSection.Goal {
        let section = Section(of: state.owner, depth: rule.sectionDepth)
        return ComparedSection.Goal(
            number: number, hash: try state.whole.crown.sectionHash(section.index), view: state.view)
    }

    /// The leaves and what shows the placement are those of the state, and hash to what they must.
    private static func expect(_ compared: ComparedSection, is state: SpreadState, _ comment: Comment) throws {
        let section = compared.record.section
        let own = StateView(state.snapshot, section)
        #expect(try compared.view.leafList() == own.leafList(), comment)
        #expect(try compared.view.isSpread(state.owner) == own.isSpread(state.owner), comment)
        if try own.isSpread(state.owner) {
            #expect(try compared.view.placementNodes(of: state.owner) == own.placementNodes(of: state.owner), comment)
        }
        var scrub = try #require(SectionScrub(compared.record, placing: rule))
        #expect(try scrub.step(limit: .max, in: compared.snapshot), comment)
    }

    /// Whether the storage was spread, and whether it is.
    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func anAccountIsLedToItsPlacement(was: Bool, isNow: Bool) throws {
        for seed in UInt64(1)...4 {
            print("seed \(seed)")
            var generator = SeededGenerator(seed: seed)
            let wide = try SpreadState(&generator)
            let small = try wide.replacing(try Self.changed(wide, kept: 0, more: 9, &generator))
            let before = was ? wide : small
            let after = try (isNow ? wide : small).replacing(
                try Self.changed(isNow ? wide : small, kept: 3, more: isNow ? 300 : 3, &generator))
            for (levels, crashes) in [(1, false), (3, false), (2, true)] {
                var compared = ComparedSection(try Self.record(before), in: before.snapshot, placing: Self.rule)
                compared.levels = levels
                let goal = try Self.goal(after)
                while try compared.ask(goal) {
                    if crashes, Int.random(in: 0..<3, using: &generator) == 0 { try compared.crash() }
                }
                try Self.expect(compared, is: after, "seed \(seed), levels \(levels)")
            }
        }
    }

    /// The goal changes in between, from one placement to the other and back.
    @Test func theGoalMayBeAnotherOneAtAnyTime() throws {
        print("seed 11")
        var generator = SeededGenerator(seed: 11)
        let wide = try SpreadState(&generator)
        let small = try wide.replacing(try Self.changed(wide, kept: 0, more: 12, &generator))
        let last = try wide.replacing(try Self.changed(wide, kept: 3, more: 200, &generator))
        for first in 0..<5 {
            var compared = ComparedSection(try Self.record(wide), in: wide.snapshot, placing: Self.rule)
            for (number, state) in [(UInt64(20), small), (21, wide), (22, small)] {
                let goal = try Self.goal(state, number: number)
                for _ in 0...first { _ = try compared.ask(goal) }
            }
            try compared.lead(to: try Self.goal(last, number: 23))
            try Self.expect(compared, is: last, "after \(first) answers each")
        }
    }

    // MARK: Parts

    @Test(arguments: [false, true]) func aPartIsLedToAnotherState(crashes: Bool) throws {
        print("seed 21")
        var generator = SeededGenerator(seed: 21)
        let before = try SpreadState(&generator, slots: 3_000)
        let after = try before.replacing(try Self.changed(before, kept: 3, more: 500, &generator))
        for (record, part) in zip(before.parts, after.parts) {
            var compared = ComparedSection(record, in: before.snapshot)
            (compared.maxBytes, compared.places) = (4_000, 5)
            let goal = ComparedSection.Goal(
                number: 99, hash: try #require(part.sectionHash), view: after.view(of: [part.section.index]))
            while try compared.ask(goal) {
                if crashes, Int.random(in: 0..<3, using: &generator) == 0 { try compared.crash() }
            }
            #expect(compared.record.sectionHash == part.sectionHash)
            #expect(try compared.view.leafList() == after.view(of: [part.section.index]).leafList())
            var scrub = try #require(SectionScrub(compared.record))
            #expect(try scrub.step(limit: .max, in: compared.snapshot))
        }
    }

    /// Of a part that was fetched up to some slot what is held is led on.
    @Test func aPartThatIsHeldUpToASlotIsLedOn() throws {
        print("seed 22")
        var generator = SeededGenerator(seed: 22)
        let before = try SpreadState(&generator, slots: 3_000)
        let after = try before.replacing(try Self.changed(before, kept: 3, more: 500, &generator))
        for (record, part) in zip(before.parts, after.parts) {
            let slots = try before.view(of: [record.section.index]).leafList()
            let cut = try #require(slots.randomElement(using: &generator)?.key.slot)
            let next = Cursor(account: before.owner, slot: cut)
            var snapshot = before.snapshot
            var batch = WriteBatch()
            batch.deleteRange(.partLeaves, from: next.firstKey.bytes, upTo: nil)
            snapshot.apply(batch)
            var held = record
            held.coverage = .partial(next: next)
            var compared = ComparedSection(held, in: snapshot)
            (compared.maxBytes, compared.places) = (4_000, 5)
            try compared.lead(
                to: ComparedSection.Goal(
                    number: 99, hash: try #require(part.sectionHash), view: after.view(of: [part.section.index])))
            #expect(compared.record.coverage == .partial(next: next))
            let expected = try after.view(of: [part.section.index]).leafList().filter { $0.key < next.firstKey }
            #expect(try compared.view.leafList() == expected)
        }
    }

    /// A place of a part has no account path, and no other is served.
    @Test func whatIsNoPlaceOfAPartIsNotServed() throws {
        var generator = SeededGenerator(seed: 31)
        let state = try SpreadState(&generator)
        let path = Section(depth: 1, index: 4).path
        func serve(_ place: StatePlace, _ trie: StateTrie) throws -> [UInt8]? {
            let key = SubtreesKey(
                trie: trie, anchor: TestState.anchor, places: [place], levels: 1, maxBytes: 1 << 16)
            var view = state.view(of: [4])
            return try SubtreesValue.serve(try #require(key), view: &view)
        }
        #expect(try serve(StatePlace(account: .root, storage: path), state.trie) != nil)
        #expect(try serve(StatePlace(account: path), state.trie) == nil)
        #expect(try serve(StatePlace(account: Nibbles(state.owner), storage: path), state.trie) == nil)
        #expect(try serve(StatePlace(account: .root, storage: .root), state.trie) == nil)
        let other = Section(depth: 1, index: 5).path
        #expect(try serve(StatePlace(account: .root, storage: other), state.trie) == nil, "another part")
        // Below what shows the placement nothing is with the account.
        let deep = SubtreesKey(
            anchor: TestState.anchor, places: [StatePlace(account: Nibbles(state.owner), storage: .root)], levels: 2,
            maxBytes: 1 << 16)
        var view = state.view
        #expect(
            try SubtreesValue.serve(try #require(deep), view: &view) == StateStatus.placementNotSupported.encoded)
    }
}
