import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore

/// A state as plain dictionaries, everything about it computed anew from all of it.
struct ModelState: Equatable {
    struct Account: Equatable {
        var nonce: UInt64
        var code: UInt8
        var slots: [Bytes32: [UInt8]] = [:]
    }

    var accounts: [Bytes32: Account] = [:]

    /// Few leading nibbles differ, so that paths are shared, split and merged.
    static func key(_ generator: inout SeededGenerator) -> Bytes32 {
        let tops: [UInt64] = [0x0, 0x3, 0x3, 0x8, 0xf]
        let first = tops.randomElement(using: &generator) ?? 0
        let second = UInt64.random(in: 0...2, using: &generator)
        let third = UInt64.random(in: 0...1, using: &generator) * 0xf
        return Bytes32(first << 60 | second << 56 | third << 52 | UInt64.random(in: 0...1, using: &generator), 0, 0, 7)
    }

    static func slotKey(_ generator: inout SeededGenerator) -> Bytes32 {
        Bytes32(UInt64.random(in: 0...3, using: &generator) << 60, 0, 0, UInt64.random(in: 0...3, using: &generator))
    }

    static func slotValue(_ generator: inout SeededGenerator) -> [UInt8] {
        (0..<Int.random(in: 1...32, using: &generator)).map { _ in UInt8.random(in: 1...255, using: &generator) }
    }

    /// Some accounts made, changed, wiped, deleted, or deleted and made again.
    mutating func mutate(_ generator: inout SeededGenerator, steps: Int) {
        for _ in 0..<steps {
            let key = ModelState.key(&generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0...1: accounts[key] = nil
            case 2: accounts[key]?.slots = [:]
            case 3: accounts[key] = fresh(&generator)
            case 4: accounts = accounts.filter { $0.key.nibble(0) != key.nibble(0) }
            default:
                var account = accounts[key] ?? fresh(&generator)
                account.nonce += 1
                for _ in 0..<Int.random(in: 0...4, using: &generator) {
                    let slot = ModelState.slotKey(&generator)
                    account.slots[slot] =
                        Bool.random(using: &generator) ? ModelState.slotValue(&generator) : nil
                }
                accounts[key] = account
            }
        }
    }

    private func fresh(_ generator: inout SeededGenerator) -> Account {
        var account = Account(
            nonce: UInt64.random(in: 1...9, using: &generator), code: UInt8.random(in: 0...2, using: &generator))
        for _ in 0..<Int.random(in: 0...3, using: &generator) {
            account.slots[ModelState.slotKey(&generator)] = ModelState.slotValue(&generator)
        }
        return account
    }

    static func codeHash(_ code: UInt8) -> Bytes32 {
        code == 0 ? StateAccount.emptyCodeHash : Keccak.hash([code])
    }

    func stateAccount(_ key: Bytes32) -> StateAccount? {
        accounts[key].map {
            StateAccount(
                nonce: $0.nonce, balance: UInt256(5), storageRoot: storageRoot(key),
                codeHash: ModelState.codeHash($0.code))
        }
    }

    /// The storage root by the reference trie.
    func storageRoot(_ key: Bytes32) -> Bytes32 {
        var trie = ReferenceTrie()
        for (slot, value) in accounts[key]?.slots ?? [:] {
            var writer = RLPWriter()
            writer.append(value)
            trie[slot.bytes] = writer.bytes
        }
        return trie.root
    }

    var referenceTrie: ReferenceTrie {
        var trie = ReferenceTrie()
        for key in accounts.keys { trie[key.bytes] = stateAccount(key)?.rlp }
        return trie
    }

    /// All leaves in the flat order.
    var flat: [LeafChange] {
        accounts.keys.sorted().flatMap { key -> [LeafChange] in
            let slots = accounts[key]?.slots.sorted { $0.key < $1.key } ?? []
            return [LeafChange(key: FlatKey(account: key), value: stateAccount(key)?.slim)]
                + slots.map { LeafChange(key: FlatKey(account: key, slot: $0.key), value: $0.value) }
        }
    }

    /// The difference of two states as it travels.
    func changes(to other: ModelState, in section: Section) -> [LeafChange] {
        let before = Dictionary(uniqueKeysWithValues: flat.map { ($0.key, $0.value) })
        let after = Dictionary(uniqueKeysWithValues: other.flat.map { ($0.key, $0.value) })
        return Set(before.keys).union(after.keys).sorted().compactMap { key in
            guard section.contains(key.account), before[key] != after[key] else { return nil }
            if key.slot != nil && other.accounts[key.account] == nil { return nil }
            return LeafChange(key: key, value: after[key] ?? nil)
        }
    }

    /// What the base tables hold of this state, built from all leaves.
    func tables(depth: Int) -> [Table: [[UInt8]: [UInt8]]] {
        var tables: [Table: [[UInt8]: [UInt8]]] = [.leaves: [:], .accountBranches: [:], .storageBranches: [:]]
        for leaf in flat { tables[.leaves]?[leaf.key.bytes] = leaf.value }
        var columns = LeafColumns()
        for key in accounts.keys.sorted() { columns.append(key: key, value: stateAccount(key)?.rlp ?? []) }
        var branches = BranchColumns()
        _ = TrieBuilder.build(columns, in: 0..<columns.count, under: .root, emitting: &branches)
        for (index, path) in branches.paths.enumerated() where path.count >= depth {
            tables[.accountBranches]?[path.storeKey] = branches.node(at: index)
        }
        for key in accounts.keys {
            let storage = storageBranches(key)
            for (index, path) in storage.paths.enumerated() {
                tables[.storageBranches]?[key.bytes + path.storeKey] = storage.node(at: index)
            }
        }
        return tables
    }

    func storageBranches(_ key: Bytes32) -> BranchColumns {
        var columns = LeafColumns()
        for (slot, value) in (accounts[key]?.slots ?? [:]).sorted(by: { $0.key < $1.key }) {
            columns.append(key: slot, value: SlotValue.rlp(value))
        }
        var branches = BranchColumns()
        _ = TrieBuilder.build(columns, in: 0..<columns.count, under: .root, emitting: &branches)
        return branches
    }
}

/// A store that a model state is written to and led on from.
struct ModelStore {
    let map: FaultyMap
    let depth: Int
    var records: [SectionRecord]

    static func point(_ number: UInt64) -> StatePoint { StatePoint(number: number, hash: Bytes32(number, 1, 1, 1)) }

    /// Every section complete, at `number`, from an empty state.
    init(_ state: ModelState, depth: Int = 1, at number: UInt64 = 0, map: FaultyMap = FaultyMap()) throws {
        self.map = map
        self.depth = depth
        records = []
        var view = StateView(map.snapshot(), depth: depth)
        for section in Section.all(depth: depth) {
            let update = try SectionChange.apply(ModelState().changes(to: state, in: section), to: section, in: &view)
            var batch = StateWrites.base(update)
            let record = SectionRecord(
                section: section, working: ModelStore.point(number), coverage: .complete(update.subtreeAfter))
            batch.append(StateWrites.record(record))
            try map.commit(batch)
            records.append(record)
        }
    }

    /// The effect of going from one state to another, on every section.
    func updates(from before: ModelState, to after: ModelState, layering: SectionLayering = .base) throws
        -> [SectionUpdate]
    {
        var view = StateView(map.snapshot(), depth: depth, layering: layering)
        return try Section.all(depth: depth).map { section in
            try SectionChange.apply(before.changes(to: after, in: section), to: section, in: &view)
        }
    }

    mutating func fold(_ updates: [SectionUpdate], to number: UInt64, keepingHistoryFrom oldest: UInt64? = nil) throws {
        for update in updates {
            let index = update.section.index
            let (batch, record) = StateWrites.fold(update, record: records[index], to: ModelStore.point(number))
            try map.commit(batch)
            records[index] = record
            guard let oldest else { continue }
            let pruned = StateWrites.pruneHistory(record, keepingFrom: ModelStore.point(oldest))
            try map.commit(pruned.batch)
            records[index] = pruned.record
        }
    }
}

extension StoreSnapshot {
    /// A table as a dictionary.
    func contents(_ table: Table) throws -> [[UInt8]: [UInt8]] {
        var found: [[UInt8]: [UInt8]] = [:]
        try forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
            found[Array(key)] = Array(value)
            return true
        }
        return found
    }
}

extension StateView {
    /// Everything a walk gives.
    func flat(from origin: Cursor = .first) throws -> [LeafChange] {
        var walk = try walk(from: origin)
        var leaves: [LeafChange] = []
        while let key = try walk.next() { leaves.append(LeafChange(key: key, value: walk.value)) }
        return leaves
    }
}
