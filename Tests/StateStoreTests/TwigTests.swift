import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// States wide enough that sections and storage tries have stored branches and twigs below them, grown and shrunk
/// through both: folded, undone, looked through layers, and held against a plain model after each step.
@Suite struct TwigTests {
    /// Section 3 has stored branches on two levels, 8 on one, 0xa now and then behind an extension, 0xf none.
    private static func key(_ generator: inout SeededGenerator) -> Bytes32 {
        let tops: [UInt64] = [0x3, 0x3, 0x3, 0x8, 0xa, 0xf]
        let top = tops.randomElement(using: &generator) ?? 3
        let seconds: [UInt64] = top == 0x8 ? [0, 1, 2] : top == 0x3 ? [0, 0, 1] : [0]
        let second = seconds.randomElement(using: &generator) ?? 0
        let third = UInt64.random(in: 0..<(top == 0xf ? 4 : 12), using: &generator)
        let last = UInt64.random(in: 0..<6, using: &generator)
        return Bytes32(top << 60 | second << 56 | third << 52 | last << 48, 0, 0, 7)
    }

    private static func slotKey(_ generator: inout SeededGenerator) -> Bytes32 {
        let firsts: [UInt64] = [0, 0, 5, 9]
        let first = firsts.randomElement(using: &generator) ?? 0
        let second = UInt64.random(in: 0..<16, using: &generator)
        return Bytes32(first << 60 | second << 52, 0, 0, UInt64.random(in: 0..<3, using: &generator))
    }

    private static func change(
        _ account: inout ModelState.Account, slots count: Int, deleting share: Int, _ generator: inout SeededGenerator
    ) {
        account.nonce += 1
        for _ in 0..<count {
            let known = account.slots.keys.sorted().randomElement(using: &generator)
            let deletes = Int.random(in: 0..<10, using: &generator) < share
            let slot = (deletes ? known : nil) ?? slotKey(&generator)
            account.slots[slot] = deletes ? nil : ModelState.slotValue(&generator)
        }
    }

    /// Some steps in which `share` of ten delete.
    private static func mutate(
        _ state: ModelState, steps: Int, deleting share: Int, _ generator: inout SeededGenerator
    ) -> ModelState {
        var state = state
        for step in 0..<steps {
            let known = state.accounts.keys.sorted().randomElement(using: &generator)
            if Int.random(in: 0..<10, using: &generator) < share {
                if let known { state.accounts[known] = nil }
                continue
            }
            let key = step % 3 == 0 ? known ?? key(&generator) : key(&generator)
            var account = state.accounts[key] ?? ModelState.Account(nonce: 0, code: 0)
            // Few have much storage: the model computes all of it again and again.
            let isWide = key.nibble(1) == 0 && key.nibble(2) < 2
            change(&account, slots: isWide ? 24 : step % 2, deleting: share, &generator)
            if step % 11 == 10 { account.slots = [:] }
            state.accounts[key] = account
        }
        return state
    }

    /// The leaves that differ, with what they were and what they become.
    private static func difference(
        _ before: [LeafChange], _ after: [LeafChange]
    ) -> [EntryChange<FlatKey>] {
        let old = Dictionary(uniqueKeysWithValues: before.map { ($0.key, $0.value) })
        let new = Dictionary(uniqueKeysWithValues: after.map { ($0.key, $0.value) })
        return Set(old.keys).union(new.keys).sorted().compactMap { key in
            let (was, becomes) = (old[key] ?? nil, new[key] ?? nil)
            return was == becomes ? nil : EntryChange(key: key, before: was, after: becomes)
        }
    }

    private static func wire(_ changes: [EntryChange<FlatKey>], in section: Section) -> [LeafChange] {
        var gone: Bytes32?
        return changes.filter { section.contains($0.key.account) }.compactMap { change in
            if change.key.slot == nil { gone = change.after == nil ? change.key.account : nil }
            return change.key.slot != nil && change.key.account == gone
                ? nil : LeafChange(key: change.key, value: change.after)
        }
    }

    /// What a view gives must be this state: its walk, its tries, proofs out of them, and that each record is one of
    /// the trie's branches, no large one missing, with all above it.
    private func expect(
        _ view: StateView<MemorySnapshot>, is state: ModelState, flat: [LeafChange], _ comment: Comment,
        _ generator: inout SeededGenerator
    ) throws {
        #expect(try view.flat() == flat, comment)
        var columns = LeafColumns()
        for key in state.accounts.keys.sorted() {
            columns.append(key: key, value: state.stateAccount(key)?.rlp ?? [])
        }
        var reading = view
        let subtrees = try Section.all(depth: 1).map { try SectionChange.subtree(of: $0, in: &reading) }
        let crown = Crown(sections: subtrees, depth: 1)
        #expect(crown.root == TrieBuilder.root(of: columns), comment)
        var accounts = view.accountTrie
        for index in [3, 8, 10, 15] {
            try expectRecords(&accounts, under: Nibbles(section: index, depth: 1), columns, comment)
        }
        let trie = state.referenceTrie
        var prover = TrieProver()
        for _ in 0..<3 {
            let key = TwigTests.key(&generator)
            var proof = ProofNodes()
            try prover.prove(key, upper: crown, source: &accounts, into: &proof)
            #expect(Set(proof.nodes) == Set(trie.proof(for: key.bytes)), comment)
        }
        let widest = state.accounts.max { ($0.value.slots.count, $0.key) < ($1.value.slots.count, $1.key) }
        guard let widest else { return }
        var slots = LeafColumns()
        for (slot, value) in widest.value.slots.sorted(by: { $0.key < $1.key }) {
            slots.append(key: slot, value: SlotValue.rlp(value))
        }
        var storage = view.storageTrie(of: widest.key)
        try expectRecords(&storage, under: .root, slots, comment)
        var plain = ReferenceTrie()
        for (slot, value) in widest.value.slots { plain[slot.bytes] = SlotValue.rlp(value) }
        for _ in 0..<3 where !slots.isEmpty {
            let slot = TwigTests.slotKey(&generator)
            var proof = ProofNodes()
            try prover.prove(slot, upper: nil, source: &storage, into: &proof)
            #expect(Set(proof.nodes) == Set(plain.proof(for: slot.bytes)), comment)
        }
    }

    private func expectRecords(
        _ source: inout some TrieSource, under prefix: Nibbles, _ leaves: LeafColumns, _ comment: Comment
    ) throws {
        var all = BranchColumns()
        _ = TrieBuilder.build(
            leaves, in: leaves.slice(under: prefix), under: prefix, emitting: &all, twigLeaves: 0)
        var missing: [Nibbles] = []
        for index in 0..<all.count {
            let path = all.paths[index]
            let found = try source.branch(atOrBelow: path)
            if let found, found.path == path {
                #expect(found.node == all.node(at: index), comment)
                #expect(!missing.contains { path.hasPrefix($0) }, comment)
                let isLowest = try (0..<16).allSatisfy { try source.branch(atOrBelow: path.appending($0)) == nil }
                #expect(isLowest || !found.isLowest, comment)
            } else {
                #expect(found == nil, "nothing is stored below what is not")
                #expect(leaves.slice(under: path).count <= MerklePatriciaLimits.twigLeaves, comment)
                missing.append(path)
            }
        }
        // Records that are no branch of the trie would stand at or below one, or alone.
        var stored: [Nibbles] = []
        try collect(&source, under: prefix, into: &stored)
        #expect(Set(stored).isSubset(of: Set(all.paths)), comment)
    }

    private func collect(
        _ source: inout some TrieSource, under prefix: Nibbles, into paths: inout [Nibbles]
    ) throws {
        guard let found = try source.branch(atOrBelow: prefix) else { return }
        paths.append(found.path)
        for nibble in 0..<16 { try collect(&source, under: found.path.appending(nibble), into: &paths) }
    }

    private func updates(
        _ difference: [EntryChange<FlatKey>], over layering: [SectionLayering], in map: FaultyMap, checking: Bool
    ) throws -> [SectionUpdate] {
        var view = StateView(
            map.snapshot(), depth: 1,
            sections: Section.all(depth: 1).map { (section: $0, layering: layering[$0.index]) })
        return try Section.all(depth: 1).map { section in
            let before = try SectionChange.subtree(of: section, in: &view).hash(at: 1)
            let update = try SectionChange.apply(
                TwigTests.wire(difference, in: section), to: section, in: &view, checking: checking, from: before)
            #expect(update.leaves == difference.filter { section.contains($0.key.account) })
            return update
        }
    }

    @Test(
        "Growing and shrinking through twigs, each state read at its anchor, before it and between",
        arguments: [UInt64(1), 2, 3])
    func through(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var state = TwigTests.mutate(ModelState(), steps: 400, deleting: 0, &generator)
        var flat = state.flat
        var store = try ModelStore(state)
        let base = [SectionLayering](repeating: .base, count: 16)
        var seen = (stored: 0, storage: 0)
        for round in 1...9 {
            let comment: Comment = "seed \(seed), round \(round)"
            let share = [1, 5, 3, 8, 0, 4][(round + Int(seed)) % 6]
            let middle = TwigTests.mutate(state, steps: 35, deleting: share, &generator)
            let next = TwigTests.mutate(middle, steps: 35, deleting: share, &generator)
            let (middleFlat, nextFlat) = (middle.flat, next.flat)
            let first = try updates(
                TwigTests.difference(flat, middleFlat), over: base, in: store.map, checking: round % 2 == 0)
            let over = first.map { SectionLayering(overlays: [StateOverlay($0)]) }
            let between = StateView(
                store.map.snapshot(), depth: 1,
                sections: Section.all(depth: 1).map { (section: $0, layering: over[$0.index]) })
            try expect(between, is: middle, flat: middleFlat, comment, &generator)
            let second = try updates(
                TwigTests.difference(middleFlat, nextFlat), over: over, in: store.map, checking: round % 2 == 1)
            let both = try zip(first, second).map { try #require(SectionUpdate.merged([$0, $1])) }
            for (table, changes) in [
                (Table.accountBranches, both.flatMap { $0.accountBranches.map { ($0.key.storeKey, $0.before) } }),
                (.storageBranches, both.flatMap { $0.storageBranches.map { ($0.key.bytes, $0.before) } }),
            ] {
                for (key, before) in changes { #expect(try store.map.snapshot().get(table, key) == before, comment) }
            }
            try store.fold(both, to: UInt64(round))
            let snapshot = store.map.snapshot()
            try expect(StateView(snapshot, depth: 1), is: next, flat: nextFlat, comment, &generator)
            let previous = StateView(snapshot, depth: 1, layering: .previous)
            try expect(previous, is: state, flat: flat, comment, &generator)
            // The point in the middle again, now from the one before.
            let fromUndo = StateView(
                snapshot, depth: 1,
                sections: first.map {
                    (section: $0.section, layering: SectionLayering(readsUndo: true, overlays: [StateOverlay($0)]))
                })
            try expect(fromUndo, is: middle, flat: middleFlat, comment, &generator)
            seen.stored += both.reduce(0) { $0 + $1.accountBranches.count }
            seen.storage += both.reduce(0) { $0 + $1.storageBranches.count }
            (state, flat) = (next, nextFlat)
        }
        #expect(seen.stored > 20 && seen.storage > 20, "records of both kinds changed: \(seen)")
    }

    /// The neighbours of an account in its twig are found whatever slots lie between them.
    @Test func slotsBetweenAccountsAreJumpedOver() throws {
        let map = FaultyMap()
        var batch = WriteBatch()
        let accounts = (0..<4).map { Bytes32(0x3000_0000_0000_0000 | UInt64($0), 0, 0, 0) }
        let body = StateAccount(nonce: 1, balance: .zero).slim
        let slots = 2_000
        for account in accounts {
            batch.put(.leaves, account.bytes, body)
            for slot in 0..<slots {
                batch.put(.leaves, FlatKey(account: account, slot: Bytes32(UInt64(slot), 0, 0, 1)).bytes, [1])
            }
        }
        try map.commit(batch)
        // Over it: the second account is gone with its slots, of the third all slots.
        let gone = [accounts[1], accounts[2]].flatMap { account in
            (0..<slots).map { FlatKey(account: account, slot: Bytes32(UInt64($0), 0, 0, 1)) }
        }
        let leaves = ([FlatKey(account: accounts[1])] + gone).sorted().map {
            EntryChange<FlatKey>(key: $0, before: nil, after: nil)
        }
        let section = Section(depth: 1, index: 3)
        let overlay = StateOverlay(
            SectionUpdate(
                section: section, subtreeAfter: .empty, leaves: leaves, accountBranches: [], storageBranches: [],
                newCodeHashes: []))
        for (layering, expected) in [
            (SectionLayering.base, accounts), (SectionLayering(overlays: [overlay]), [accounts[0]] + accounts[2...]),
        ] {
            let counted = CountingSnapshot(map.snapshot())
            let view = StateView(counted, depth: 1, sections: [(section: section, layering: layering)])
            var trie = view.accountTrie
            var found = TwigLeaves()
            try trie.leaves(under: section.path, limit: 10, into: &found)
            #expect(found.keys == Array(expected))
            // One look ahead an account, not one a slot.
            #expect(counted.counter.moves < 400, "\(counted.counter.moves) entries were looked at")
        }
    }
}
