import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// A state of which one account's storage is spread round the ring: as it is, whole, and as it stands in a store.
public struct SpreadState: Sendable {
    /// How the network of these states places storage.
    public static let rule = Placement(sectionDepth: 1, wideDepth: 1)
    public static let point = StatePoint(number: 5, hash: Bytes32(5, 5, 5, 5))
    /// Whose storage it is.
    public let owner: Bytes32
    /// The state with that storage beside its account.
    public let whole: TestState
    /// What a store has of it.
    public let snapshot: MemorySnapshot
    /// Of the parts, all 16 of them.
    public let parts: [SectionRecord]

    /// Some accounts, of which one has so many slots.
    public init(_ generator: inout SeededGenerator, accounts: Int = 30, slots: Int = 600) throws {
        let others = try TestState.random(&generator, accounts: accounts)
        let owner = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        let spread = TestState.Account(
            key: owner, nonce: 1, codeHash: StateAccount.emptyCodeHash,
            slots: (0..<slots).map { _ in (SpreadState.slot(&generator), TestState.value(&generator)) })
        try self.init(others.accounts, spread)
    }

    /// This state with `spread` in the place of its spread account.
    public func replacing(_ spread: TestState.Account) throws -> SpreadState {
        try SpreadState(whole.accounts.filter { $0.key != owner }, spread)
    }

    private init(_ others: [TestState.Account], _ spread: TestState.Account) throws {
        owner = spread.key
        whole = try TestState(others + [spread], depth: SpreadState.rule.sectionDepth)
        let before = try TestState(others, depth: SpreadState.rule.sectionDepth)
        let section = Section(of: owner, depth: SpreadState.rule.sectionDepth)
        var view = before.view
        let update = try SectionChange.apply(
            before.changes(to: whole).filter { section.contains($0.key.account) }, to: section, in: &view)
        let placed = try StoragePlacing.place(
            update, over: view, at: SpreadState.point, by: SpreadState.rule, shown: [:])
        parts = placed.spread.first?.parts ?? []
        var snapshot = before.snapshot
        snapshot.apply(StateWrites.base(placed.update))
        snapshot.apply(placed.batch)
        self.snapshot = snapshot
    }

    /// A slot's key. Many begin with zeros, so that few slots make a trie that is spread.
    public static func slot(_ generator: inout SeededGenerator) -> Bytes32 {
        let shift = UInt64(4 * Int.random(in: 0...2, using: &generator))
        return Bytes32(generator.next() >> shift, generator.next(), generator.next(), generator.next())
    }

    /// The account whose storage is spread.
    public var account: TestState.Account? { whole.accounts.first { $0.key == owner } }

    /// The accounts as a node has them that keeps them.
    public var view: StateView<MemorySnapshot> { StateView(snapshot, depth: SpreadState.rule.sectionDepth) }

    /// These parts as a node has them that keeps them.
    public func view(of parts: some Sequence<Int>) -> StateView<MemorySnapshot> {
        StateView(
            snapshot, depth: 1, of: owner,
            sections: parts.map { (Section(depth: 1, index: $0, of: owner), .base) })
    }

    public var trie: StateTrie { .storage(account: owner, placement: 1) }

    /// What asks for the crown of a stretch of parts.
    public func crownKey(_ parts: ClosedRange<Int>) throws -> StorageCrownKey {
        let key = StorageCrownKey(
            anchor: TestState.anchor, account: owner, placement: 1, first: parts.lowerBound, last: parts.upperBound)
        guard let key else { throw StateLabError.noSuchKey }
        return key
    }

    /// That crown, by the program's own server.
    public func crown(_ parts: ClosedRange<Int>) throws -> StorageCrown {
        var view = view
        let crown = try StorageCrownServer.make(
            try crownKey(parts), view: &view, crown: whole.crown, parts: self.parts.map { $0.subtree ?? .empty },
            rule: SpreadState.rule)
        guard let crown else { throw StateLabError.notServed }
        return crown
    }

    /// What asks for a range of the parts' slots.
    public func key(_ first: Bytes32, _ last: Bytes32, maxBytes: UInt32 = 1 << 20) throws -> RangeKey {
        let key = RangeKey(
            trie: trie, anchor: TestState.anchor, origin: Cursor(account: owner, slot: first),
            limit: Cursor(account: owner, slot: last), maxBytes: maxBytes)
        guard let key else { throw StateLabError.noSuchKey }
        return key
    }
}
