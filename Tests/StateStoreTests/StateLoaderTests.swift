import Chain
import MerklePatricia
import Primitives
import Simulation
import Testing

@testable import StateStore

/// A store that is made out of leaves in their order: it is what any other store of that state is, branches included,
/// and nothing but the whole state in order makes one.
@Suite struct StateLoaderTests {
    private struct Account {
        let key: Bytes32
        var body: StateAccount
        var code: [UInt8]?
        var slots: [(key: Bytes32, value: [UInt8])] = []
    }

    private static let point = StatePoint(number: 32, hash: .max)

    /// Accounts of which `wide` have that many slots; with `narrow` all in the first of 16 sections.
    private static func accounts(
        _ count: Int, wide: [Int] = [], narrow: Bool = false, seed: UInt64
    ) -> [Account] {
        var generator = SeededGenerator(seed: seed)
        func key() -> Bytes32 {
            Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        }
        var accounts: [Account] = []
        for index in 0..<count {
            var account = key()
            if narrow { account.word0 &= UInt64.max >> 4 }
            var made = Account(key: account, body: StateAccount(nonce: UInt64(index), balance: UInt256(7)))
            let slots = index < wide.count ? wide[index] : index % 4 == 0 ? index % 3 : 0
            made.slots = (0..<slots).map { (key(), [UInt8(1 + $0 % 255)]) }.sorted { $0.key < $1.key }
            var columns = LeafColumns()
            for slot in made.slots { columns.append(key: slot.key, value: SlotValue.rlp(slot.value)) }
            made.body.storageRoot = TrieBuilder.root(of: columns)
            if index % 5 == 0 {
                made.code = [0x60, UInt8(index % 7)]
                made.body.codeHash = Keccak.hash(made.code ?? [])
            }
            accounts.append(made)
        }
        return accounts.sorted { $0.key < $1.key }
    }

    private static func root(of accounts: [Account]) -> Bytes32 {
        var columns = LeafColumns()
        for account in accounts { columns.append(key: account.key, value: account.body.rlp) }
        return TrieBuilder.root(of: columns)
    }

    /// Loads them into a store, in steps of some kilobytes.
    private static func load(
        _ accounts: [Account], keeping kept: KeptStorage = .all, root: Bytes32? = nil
    ) throws -> MemorySnapshot {
        let map = FaultyMap()
        var loader = StateLoader(depth: 1, at: point, keeping: kept)
        for account in accounts {
            try loader.add(account.key, account.body, code: kept.keeps(account.key) ? account.code : nil)
            for slot in account.slots where kept.keeps(account.key) { try loader.add(slot: slot.key, slot.value) }
            if loader.byteCount > 20_000 { try map.commit(loader.takeBatch()) }
        }
        let (batch, crown) = try loader.finish(root ?? Self.root(of: accounts))
        try map.commit(batch)
        #expect(crown.root == Self.root(of: accounts))
        return map.snapshot()
    }

    private static let shapes: [(count: Int, wide: [Int], narrow: Bool)] = [
        (300, [400, 33], false), (0, [], false), (1, [1], false), (40_000, [], true), (60, [40_000], false),
    ]

    @Test(arguments: StateLoaderTests.shapes)
    func theStoreIsWhatAnyStoreOfThatStateIs(count: Int, wide: [Int], narrow: Bool) throws {
        print("seed 5")
        let accounts = Self.accounts(count, wide: wide, narrow: narrow, seed: 5)
        let snapshot = try Self.load(accounts)
        let records = try SectionRecord.all(in: snapshot)
        #expect(records.count == 16 && records.allSatisfy { $0.isComplete && $0.working == Self.point })
        // Every leaf and every branch is what the one above it says.
        for record in records {
            var scrub = try #require(SectionScrub(record))
            while try !scrub.step(limit: 100_000, in: snapshot) {}
            #expect(scrub.takeDamagedCodes().isEmpty)
        }
        // And enough branches are there to change anything.
        for place in Set([0, count / 2, count - 1]) where accounts.indices.contains(place) {
            try change(place, of: accounts, in: snapshot)
        }
    }

    /// Changes an account, and takes a slot away where it has any: the section hash must be that of the leaves.
    private func change(_ place: Int, of accounts: [Account], in snapshot: MemorySnapshot) throws {
        let account = accounts[place]
        let section = Section(of: account.key, depth: 1)
        var changed = account.body
        changed.nonce += 1
        var changes: [LeafChange] = []
        if let slot = account.slots.last {
            var columns = LeafColumns()
            for other in account.slots.dropLast() {
                columns.append(key: other.key, value: SlotValue.rlp(other.value))
            }
            changed.storageRoot = TrieBuilder.root(of: columns)
            changes.append(LeafChange(key: FlatKey(account: account.key, slot: slot.key), value: nil))
        }
        changes.insert(LeafChange(key: FlatKey(account: account.key), value: changed.slim), at: 0)
        var view = StateView(snapshot, depth: 1)
        let update = try SectionChange.apply(changes, to: section, in: &view)
        var columns = LeafColumns()
        for (index, other) in accounts.enumerated() where section.contains(other.key) {
            columns.append(key: other.key, value: index == place ? changed.rlp : other.body.rlp)
        }
        #expect(update.subtreeAfter == TrieBuilder.subtree(of: columns, in: 0..<columns.count))
    }

    @Test func whatIsLeftOutIsNotThere() throws {
        print("seed 6")
        let accounts = Self.accounts(200, wide: [50], seed: 6)
        let kept = KeptStorage.only(accounts.filter { $0.slots.count == 50 }.map(\.key))
        let snapshot = try Self.load(accounts, keeping: kept)
        #expect(try snapshot.count(.leaves) == 250)
        let named = accounts.first { kept.keeps($0.key) }?.code == nil ? 0 : 1
        #expect(try snapshot.count(.codes) == named)
        var loader = StateLoader(depth: 1, at: Self.point, keeping: .only([]))
        let other = try #require(accounts.first { $0.code != nil })
        #expect(throws: LoadError.leftOut(account: other.key)) {
            try loader.add(other.key, other.body, code: other.code)
        }
        try loader.add(other.key, other.body, code: nil)
        #expect(throws: LoadError.leftOut(account: other.key)) { try loader.add(slot: .max, [1]) }
    }

    @Test func nothingButTheWholeStateInOrderIsOne() throws {
        print("seed 7")
        let accounts = Self.accounts(200, wide: [40], seed: 7)
        let root = Self.root(of: accounts)
        func fault(_ change: (inout [Account]) -> Void) -> LoadError? {
            var changed = accounts
            change(&changed)
            do {
                _ = try Self.load(changed, root: root)
                return nil
            } catch {
                return error as? LoadError
            }
        }
        #expect(fault { _ in } == nil)
        let wide = try #require(accounts.firstIndex { $0.slots.count == 40 })
        let coded = try #require(accounts.firstIndex { $0.code != nil && $0.slots.isEmpty })
        let key = accounts[wide].key
        func isRoot(_ error: LoadError?) -> Bool { if case .stateRoot(root, _)? = error { true } else { false } }
        func isStorage(_ error: LoadError?) -> Bool {
            if case .fault(.storageRoot(key, _, _))? = error { true } else { false }
        }
        #expect(isRoot(fault { $0.removeLast() }) && isRoot(fault { $0.remove(at: coded) }))
        #expect(isRoot(fault { $0[coded].body.balance = UInt256(8) }))
        #expect(isStorage(fault { $0[wide].slots.removeLast() }) && isStorage(fault { $0[wide].slots[3].value = [9] }))
        #expect(fault { $0.swapAt(4, 5) } == .order(FlatKey(account: accounts[4].key)))
        #expect(fault { $0.insert($0[8], at: 8) } == .order(FlatKey(account: accounts[8].key)))
        let slots = accounts[wide].slots
        #expect(fault { $0[wide].slots.swapAt(0, 1) } == .order(FlatKey(account: key, slot: slots[0].key)))
        #expect(
            fault { $0[wide].slots.insert(slots[2], at: 2) } == .order(FlatKey(account: key, slot: slots[2].key)))
        let hash = accounts[coded].body.codeHash
        #expect(
            fault { $0[coded].code = [1] }
                == .code(account: accounts[coded].key, expected: hash, found: Keccak.hash([1])))
        let zero = fault { $0[wide].slots[0].value = [0, 1] }
        #expect(zero == .fault(.malformedSlot(account: key, slot: slots[0].key)))
        var loader = StateLoader(depth: 1, at: Self.point)
        #expect(throws: LoadError.slotWithoutAccount(slot: .max)) { try loader.add(slot: .max, [1]) }
    }

    /// Where code that no other account has is missing.
    @Test func codeMustComeWithTheAccount() throws {
        var loader = StateLoader(depth: 1, at: Self.point)
        let account = StateAccount(nonce: 1, codeHash: Keccak.hash([0x60]))
        let expected = LoadError.code(account: .zero, expected: account.codeHash, found: nil)
        #expect(throws: expected) { try loader.add(.zero, account, code: nil) }
    }
}
