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
        #expect(directory.open(holdings).map(\.account) == [state.owner] && holdings.spread.count == 0)
        let crown = try state.crown(0...15)
        holdings.spread.store(crown).apply(to: &holdings.book)
        #expect(directory.looked(into: crown).isEmpty && directory.open(holdings).isEmpty)
        #expect(holdings.spread.depth(of: state.owner) == 1 && holdings.book.parts.wanted.count == 16)
        // What is known is not looked into again.
        directory.came([entry], at: Self.anchor, from: Self.honest, holdings)
        #expect(directory.open(holdings).isEmpty)
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
        let key = try #require(directory.open(holdings).first)
        var nodes = ProofNodes()
        var accounts = state.view.accountTrie
        var prover = TrieProver()
        try prover.prove(other, upper: state.whole.crown, source: &accounts, into: &nodes)
        let crown = try StorageCrown(nodes.nodes, key: key, stateRoot: state.whole.root, rule: SpreadState.rule)
        holdings.spread.store(crown).apply(to: &holdings.book)
        #expect(directory.looked(into: crown) == [Self.liar])
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
        #expect(directory.open(narrow).isEmpty)
        directory.came(
            [WideEntry(account: account, placement: 1, storageRoot: .max)], at: Self.anchor, from: Self.liar, far)
        #expect(directory.open(far).count == 1)
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
