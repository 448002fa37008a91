import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Sections that are compared by ranges of the other state, or now by ranges and now by subtree hashes.
@Suite struct ComparedByRangesTests: ComparedStates {
    static let seed: UInt64 = 9_301

    /// Ranges of every size, from such as hold few leaves to one for all; nodes in between; memory lost in between.
    @Test(arguments: [UInt32(6_000), 20_000, 1 << 20]) func rangesLeadToTheOtherState(rangeBytes: UInt32) throws {
        print("seed \(Self.seed + UInt64(rangeBytes))")
        var generator = SeededGenerator(seed: Self.seed + UInt64(rangeBytes))
        for round in 0..<6 {
            let pair = try StatePair(&generator, accounts: [60, 300, 900][round % 3])
            for section in try sections(of: pair.after) {
                for isMixed in [false, true] {
                    var compared = ComparedSection(record(section, pair.before), in: pair.before.snapshot)
                    compared.rangeBytes = rangeBytes
                    (compared.maxBytes, compared.places) = (4_000, 6)
                    let goal = try goal(pair.after, section)
                    var isOpen = true
                    while isOpen {
                        let byNodes = isMixed && Bool.random(using: &generator)
                        isOpen = try compared.ask(goal, for: byNodes ? .nodes : .ranges)
                        if isMixed, Int.random(in: 0..<4, using: &generator) == 0 { try compared.crash() }
                    }
                    try expect(compared, is: pair.after, "round \(round), section \(section), mixed \(isMixed)")
                }
            }
        }
    }

    /// Whether the storage was spread, and whether it is.
    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func anAccountIsLedToItsPlacement(was: Bool, isNow: Bool) throws {
        for seed in UInt64(1)...4 {
            print("seed \(seed)")
            var generator = SeededGenerator(seed: seed)
            let wide = try SpreadState(&generator)
            func with(_ slots: Int, of state: SpreadState) throws -> SpreadState {
                let fresh = (0..<slots).map { _ in
                    (key: SpreadState.slot(&generator), value: TestState.value(&generator))
                }
                return try state.replacing(
                    TestState.Account(
                        key: state.owner, nonce: generator.next() >> 40, codeHash: StateAccount.emptyCodeHash,
                        slots: fresh))
            }
            let before = was ? wide : try with(9, of: wide)
            let after = try with(isNow ? wide.account?.slots.count ?? 0 : 12, of: wide)
            let section = Section(of: before.owner, depth: SpreadState.rule.sectionDepth)
            var view = before.view
            let record = SectionRecord(
                section: section, working: SpreadState.point,
                coverage: .complete(try SectionChange.subtree(of: section, in: &view)))
            var compared = ComparedSection(record, in: before.snapshot, placing: SpreadState.rule)
            let goal = ComparedSection.Goal(
                number: 99, hash: try after.whole.crown.sectionHash(section.index), view: after.view,
                proof: .sections(after.whole.crown))
            while try compared.ask(goal, for: Bool.random(using: &generator) ? .ranges : .nodes) {}
            let own = StateView(after.snapshot, section)
            #expect(try compared.view.leafList() == own.leafList(), "seed \(seed)")
            #expect(try compared.view.isSpread(after.owner) == own.isSpread(after.owner), "seed \(seed)")
            var scrub = try #require(SectionScrub(compared.record, placing: SpreadState.rule))
            #expect(try scrub.step(limit: .max, in: compared.snapshot))
        }
    }

    @Test func aPartIsLedToAnotherState() throws {
        print("seed 21")
        var generator = SeededGenerator(seed: 21)
        let before = try SpreadState(&generator, slots: 3_000)
        let slots = (before.account?.slots ?? []).filter { _ in Int.random(in: 0..<4, using: &generator) > 0 }
        let fresh = (0..<500).map { _ in (key: SpreadState.slot(&generator), value: TestState.value(&generator)) }
        let after = try before.replacing(
            TestState.Account(
                key: before.owner, nonce: 7, codeHash: StateAccount.emptyCodeHash, slots: slots + fresh))
        for (record, part) in zip(before.parts, after.parts) {
            let index = part.section.index
            var compared = ComparedSection(record, in: before.snapshot)
            compared.rangeBytes = 6_000
            let goal = ComparedSection.Goal(
                number: 99, hash: try #require(part.sectionHash), view: after.view(of: [index]),
                proof: .part(try after.crown(index...index), root: after.whole.root))
            try compared.lead(to: goal, by: .ranges)
            #expect(compared.record.sectionHash == part.sectionHash)
            #expect(try compared.view.leafList() == after.view(of: [index]).leafList())
            var scrub = try #require(SectionScrub(compared.record))
            #expect(try scrub.step(limit: .max, in: compared.snapshot))
        }
    }

    /// Storage that is left out does not come with the ranges either.
    @Test func aRangeHasNoStorageThatIsLeftOut() throws {
        print("seed \(Self.seed + 30)")
        var generator = SeededGenerator(seed: Self.seed + 30)
        for _ in 0..<8 {
            let pair = try StatePair(&generator)
            let kept = pair.before.someKept(&generator)
            for section in try sections(of: pair.after) {
                let held = record(section, pair.before)
                var snapshot = try pair.before.snapshot(keeping: kept)
                snapshot.apply(StateWrites.record(held))
                var compared = ComparedSection(held, in: snapshot, keeping: kept)
                try compared.lead(to: try goal(pair.after, section), by: .ranges)
                let expected = pair.after.leaves(keeping: kept).filter { section.contains($0.key.account) }
                #expect(try compared.view.leafList() == expected)
            }
        }
    }

    /// Where every leaf is another one, ranges take well under the bytes of the nodes.
    @Test func rangesAreTheShorterWayWhereMuchHasChanged() throws {
        var generator = SeededGenerator(seed: Self.seed + 40)
        var accounts = try TestState.random(&generator, accounts: 4_000).accounts.map { account in
            TestState.Account(
                key: account.key, nonce: account.body.nonce, codeHash: StateAccount.emptyCodeHash, slots: [])
        }
        let before = try TestState(accounts, depth: StatePair.depth)
        for index in accounts.indices { accounts[index].body.nonce += 1 }
        let pair = try StatePair(before, accounts)
        let section = Section(depth: StatePair.depth, index: 3)
        var bytes: [Int] = []
        for means in [ComparedSection.Means.nodes, .ranges] {
            var compared = ComparedSection(record(section, before), in: before.snapshot)
            compared.rangeBytes = 1 << 18
            try compared.lead(to: try goal(pair.after, section), by: means)
            try expect(compared, is: pair.after, "\(means)")
            bytes.append(compared.bytes)
        }
        print("\(bytes[0]) bytes of nodes, \(bytes[1]) of ranges")
        #expect(bytes[1] * 2 < bytes[0])
    }
}
