import Chain
import MerklePatricia
import Primitives
import StateContent
import StateLab
import StateStore
import Testing

@testable import StateNetwork

/// What others say of spread storage, and what becomes of it.
@Suite struct SpreadDirectoryTests {
    private static let anchor = TestState.anchor
    private static let (honest, liar) = (Bytes32(0, 0, 0, 1), Bytes32(0, 0, 0, 2))

    private func holdings(arc: Range<Int> = 0..<16) -> Holdings {
        Holdings(
            depth: 1, epochLength: 8, arc: arc, records: [], layers: [], crowns: [], rule: SpreadState.rule)
    }

    private func state(_ seed: UInt64) throws -> SpreadState {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        return try SpreadState(&generator, accounts: 6, slots: 300)
    }

    @Test func anEntryIsLookedIntoAndNoMore() throws {
        let state = try state(1)
        var directory = SpreadDirectory()
        var holdings = holdings()
        directory.follow(Self.anchor, at: .zero)
        let entry = WideEntry(account: state.owner, placement: 1, storageRoot: .max)
        directory.came([entry], at: Self.anchor, from: Self.honest, holdings)
        let open = directory.open(holdings)
        #expect(open.map(\.account) == [state.owner] && holdings.spread.count == 0)
        let crown = try state.crown(0...15)
        holdings.spread.store(crown).apply(to: &holdings.book)
        let liars = directory.looked(into: crown)
        let left = directory.open(holdings)
        #expect(liars.isEmpty && left.isEmpty)
        #expect(holdings.spread.depth(of: state.owner) == 1 && holdings.book.parts.wanted.count == 16)
        // What is known is not looked into again.
        directory.came([entry], at: Self.anchor, from: Self.honest, holdings)
        let again = directory.open(holdings)
        #expect(again.isEmpty)
    }

    /// An account that is not spread: the crown shows it, whoever said so pays, and nothing is kept.
    @Test func aFalseEntryCostsItsSenderAlone() throws {
        let state = try state(2)
        // One without storage.
        let other = try #require(state.whole.accounts.first { $0.key != state.owner && $0.slots.isEmpty }).key
        var directory = SpreadDirectory()
        var holdings = holdings()
        directory.follow(Self.anchor, at: .zero)
        directory.came(
            [WideEntry(account: other, placement: 1, storageRoot: .max)], at: Self.anchor, from: Self.liar, holdings)
        let open = directory.open(holdings)
        let crown = try Self.narrow(try #require(open.first), in: state)
        holdings.spread.store(crown).apply(to: &holdings.book)
        let liars = directory.looked(into: crown)
        #expect(liars == [Self.liar])
        #expect(holdings.spread.count == 0 && holdings.book.parts.wanted.isEmpty)
    }

    @Test func whatLiesElsewhereIsPassedOver() throws {
        var directory = SpreadDirectory()
        let far = holdings(arc: 2..<4)
        directory.follow(Self.anchor, at: .zero)
        // Depth 1: the parts of every account lie all round the ring, at depth 2 of the ring they need not.
        let narrow = Holdings(
            depth: 2, epochLength: 8, arc: 0x21..<0x22, records: [], layers: [], crowns: [],
            rule: Placement(sectionDepth: 2, wideDepth: 1))
        let account = Bytes32(0x7000_0000_0000_0000, 0, 0, 0)
        directory.came(
            [WideEntry(account: account, placement: 1, storageRoot: .max)], at: Self.anchor, from: Self.liar, narrow)
        let nothing = directory.open(narrow)
        #expect(nothing.isEmpty)
        directory.came(
            [WideEntry(account: account, placement: 1, storageRoot: .max)], at: Self.anchor, from: Self.liar, far)
        let open = directory.open(far)
        #expect(open.count == 1)
    }

    /// The first part in an arc, by looking at all.
    @Test func thePartsOfAnArcAreFoundWithoutLookingAtAll() {
        var generator = SeededGenerator(seed: 5)
        print("seed 5")
        for depth in 1...3 {
            let ring = Section.count(depth: depth)
            for _ in 0..<60 {
                let account = Bytes32(generator.next(), 0, 0, 0)
                let count = 1 << Int(generator.next() % UInt64(4 * depth + 1))
                let lower = Int(generator.next() % UInt64(ring)) & ~(count - 1)
                let holdings = Holdings(
                    depth: depth, epochLength: 8, arc: lower..<(lower + count), records: [], layers: [], crowns: [],
                    rule: Placement(sectionDepth: depth, wideDepth: 1))
                for placement in 1...depth {
                    let first = (0..<Section.count(depth: placement)).first { part in
                        holdings.book.arc.contains(
                            Placement.section(of: part, depth: placement, account: account, sectionDepth: depth))
                    }
                    var directory = SpreadDirectory()
                    directory.follow(Self.anchor, at: .zero)
                    let entry = WideEntry(account: account, placement: placement, storageRoot: .max)
                    directory.came([entry], at: Self.anchor, from: Self.honest, holdings)
                    let open = directory.open(holdings)
                    #expect(open.map(\.first) == (first.map { [SpreadTries.stretch(of: $0)] } ?? []))
                }
            }
        }
    }

    /// A liar names thousands of accounts. Few are looked into at once, and the first that is shown ends all of it;
    /// what another said too is looked into still.
    @Test func oneFalseEntryEndsWhatItsSenderSaid() throws {
        let state = try state(3)
        var directory = SpreadDirectory()
        let holdings = holdings()
        directory.follow(Self.anchor, at: .zero)
        let lies = (0..<3 * WalkLimits.directoryHints).map { number in
            WideEntry(account: Bytes32(0, 0, 1, UInt64(number)), placement: 1, storageRoot: .max)
        }
        directory.came(lies, at: Self.anchor, from: Self.liar, holdings)
        directory.came(Array(lies[1...1]), at: Self.anchor, from: Self.honest, holdings)
        let open = directory.open(holdings)
        #expect(open.map(\.account) == lies.prefix(WalkLimits.hintsLookedInto).map(\.account))
        let liars = directory.looked(into: try Self.narrow(open[0], in: state))
        #expect(liars == [Self.liar])
        let left = directory.open(holdings)
        #expect(left.map(\.account) == [lies[1].account], "said by the other too")
    }

    /// A false placement does not stand in the way of the true one, whoever came first.
    @Test func placementsAreLookedIntoApart() throws {
        let state = try state(4)
        var directory = SpreadDirectory()
        let holdings = Holdings(
            depth: 2, epochLength: 8, arc: 0..<256, records: [], layers: [], crowns: [],
            rule: Placement(sectionDepth: 2, wideDepth: 1))
        directory.follow(Self.anchor, at: .zero)
        for (placement, peer) in [(2, Self.liar), (1, Self.honest)] {
            directory.came(
                [WideEntry(account: state.owner, placement: placement, storageRoot: .max)], at: Self.anchor,
                from: peer, holdings)
        }
        let open = directory.open(holdings)
        #expect(open.map(\.placement) == [2, 1])
        let liars = directory.looked(into: try state.crown(0...15))
        #expect(liars == [Self.liar])
        let left = directory.open(holdings)
        #expect(left.isEmpty)
    }

    @Test func whatNobodyShowsIsGivenUp() throws {
        var directory = SpreadDirectory()
        let holdings = holdings()
        directory.follow(Self.anchor, at: .zero)
        directory.came(
            [WideEntry(account: .max, placement: 1, storageRoot: .max)], at: Self.anchor, from: Self.liar, holdings)
        for _ in 0..<WalkLimits.hintFailures {
            let open = directory.open(holdings)
            directory.notShown(try #require(open.first))
        }
        let left = directory.open(holdings)
        #expect(left.isEmpty)
    }

    /// Crowns of accounts without spread storage, as whoever has the account makes them: of a large narrow trie, of a
    /// small one, of none, and of no account. Each is exact: it is read with no node missing and none left over.
    @Test func whoHasAnAccountShowsThatItsStorageIsNotSpread() throws {
        let state = try state(6)
        let narrow = state.whole.accounts.filter { $0.key != state.owner }
        let some = try #require(narrow.max { $0.slots.count < $1.slots.count })
        #expect(some.slots.count > 2 && narrow.contains { $0.slots.isEmpty })
        for account in narrow.map(\.key) + [Bytes32.max] {
            for (first, last) in [(0, 15), (3, 3)] {
                let key = try #require(
                    StorageCrownKey(anchor: Self.anchor, account: account, placement: 1, first: first, last: last))
                let made = try Self.narrow(key, in: state)
                let read = try StorageCrown.verify(
                    made.encoded, key: key, stateRoot: state.whole.root, rule: SpreadState.rule)
                #expect(read.placement == 0 && read.account == narrow.first { $0.key == account }?.body)
            }
        }
        let key = try #require(
            StorageCrownKey(anchor: Self.anchor, account: state.owner, placement: 1, first: 0, last: 15))
        var view = state.view
        let spread = try StorageCrownServer.showNarrow(
            key, view: &view, crown: state.whole.crown, rule: SpreadState.rule)
        #expect(spread == nil, "that takes the parts")
    }

    private static func narrow(_ key: StorageCrownKey, in state: SpreadState) throws -> StorageCrown {
        var view = state.view
        return try #require(
            try StorageCrownServer.showNarrow(key, view: &view, crown: state.whole.crown, rule: SpreadState.rule))
    }

    @Test func twoPeersAreAskedForEachSection() {
        var directory = SpreadDirectory()
        directory.follow(Self.anchor, at: .zero)
        #expect(directory.isOpen(3, to: Self.honest))
        directory.ended([3], of: Self.honest)
        #expect(!directory.isOpen(3, to: Self.honest) && directory.isOpen(3, to: Self.liar))
        directory.ended([3], of: Self.liar)
        #expect(!directory.isOpen(3, to: .max))
        directory.follow(Anchor(epoch: 99, hash: .max), at: .zero)
        #expect(directory.isOpen(3, to: Self.honest))
    }
}
