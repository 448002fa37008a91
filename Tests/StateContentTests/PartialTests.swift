import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Keys in the partial form (0x4C): all accounts, and the storage of those that are named.
@Suite("Accounts and the storage of some") struct PartialTests {
    static let seed: UInt64 = 4_012

    private func rangeError(_ value: [UInt8], _ key: RangeKey, _ state: TestState) -> RangeError? {
        do throws(RangeError) { _ = try RangeCheck.verify(value, key: key, stateRoot: state.root) } catch {
            return error
        }
        return nil
    }

    // MARK: Keys

    @Test func aKeySaysWhoseStorageIsWantedAndNothingElseOfItChanges() throws {
        let kept = KeptStorage.only([Bytes32(3, 0, 0, 0), Bytes32(1, 0, 0, 0)])
        let range = try TestState.key(.first, .last, keeping: kept)
        let key = StateContentKey.range(range)
        #expect(key.selector == .partial)
        #expect(key.encoded.first == 0x4C)
        #expect(try StateContentKey(decoding: key.encoded) == key)
        #expect(key.position(sectionDepth: 2) == .zero)
        let plain = StateContentKey.range(try TestState.key(.first, .last))
        #expect(plain.encoded.first == 0x40)
        #expect(Array(key.encoded.suffix(plain.encoded.count)) == plain.encoded)
        // With none named it is still another key than that with all storage.
        let none = StateContentKey.range(try TestState.key(.first, .last, keeping: .only([])))
        #expect(none != plain && none.encoded.first == 0x4C)
    }

    @Test func aKeyWithAsManyAccountsAsItMayNameFitsAPacket() throws {
        let most = KeptStorage.only((0..<16).map { Bytes32(UInt64($0), 1, 1, 1) })
        let point = StatePoint(number: 1, hash: .max)
        let keys: [StateContentKey] = [
            .range(try TestState.key(.first, .last, keeping: most)),
            .diffs(
                try #require(
                    DiffsKey(
                        from: point, to: point, sections: [0, 255], maxBytes: 1, withProof: true, keeping: most))),
            .sections(
                try #require(
                    SectionsKey(anchor: TestState.anchor, sections: [0, 255], maxBytes: 1, keeping: most))),
            .blockDiffs(try #require(BlockDiffsKey(point: point, first: 0, last: 65_535, keeping: most))),
        ]
        for key in keys {
            #expect(key.encoded.count <= 700)
            #expect(try StateContentKey(decoding: key.encoded) == key)
        }
        let more = KeptStorage.only((0..<17).map { Bytes32(UInt64($0), 1, 1, 1) })
        #expect(RangeKey(anchor: TestState.anchor, origin: .first, limit: .last, maxBytes: 1, keeping: more) == nil)
        // Parts of storage have no accounts beside them.
        let trie = StateTrie.storage(account: .max, placement: 1)
        #expect(BlockDiffsKey(trie: trie, point: point, first: 0, last: 1, keeping: .only([])) == nil)
    }

    /// Every byte of a key counts: what is accepted after a change is another key, written in its one way.
    @Test func everyByteOfAKeyCounts() throws {
        let kept = KeptStorage.only([Bytes32(1, 2, 3, 4), Bytes32(5, 6, 7, 8)])
        let point = StatePoint(number: 9, hash: .max)
        let key = StateContentKey.blockDiffs(
            try #require(BlockDiffsKey(point: point, first: 3, last: 9, keeping: kept)))
        for place in key.encoded.indices {
            for bit in 0..<8 {
                var bytes = key.encoded
                bytes[place] ^= 1 << UInt8(bit)
                guard let other = try? StateContentKey(decoding: bytes) else { continue }
                #expect(other != key && other.encoded == bytes, "byte \(place), bit \(bit)")
            }
        }
        let inner = StateContentKey.crown(TestState.anchor).encoded
        let crown: [UInt8] = [0x4C, 8, 0, 0, 0, 8, 0, 0, 0] + inner
        #expect(throws: StateContentError.invalid("the key in a partial key")) {
            try StateContentKey(decoding: crown)
        }
        #expect(throws: StateContentError.malformed(.wrongSize)) { try StateContentKey(decoding: [0x4C]) }
    }

    // MARK: Ranges and sections

    @Test func rangesHaveAllAccountsAndTheStorageThatWasAskedFor() throws {
        print("seed \(Self.seed)")
        var generator = SeededGenerator(seed: Self.seed)
        for round in 0..<60 {
            let state = try TestState.random(&generator, accounts: [4, 40, 200][round % 3])
            let kept = state.someKept(&generator)
            var origin = Cursor.first
            while true {
                let key = try TestState.key(
                    origin, .last, maxBytes: [3_000, 20_000, 1 << 20].randomElement(using: &generator) ?? 0,
                    keeping: kept)
                let value = try state.serve(key)
                if value == StateStatus.itemTooLarge.encoded { break }
                let range = try RangeCheck.verify(value, key: key, stateRoot: state.root)
                let expected = state.leaves(from: origin, through: range.end)
                    .filter { $0.key.slot == nil || kept.keeps($0.key.account) }
                #expect(range.leaves.map { MemoryState.Leaf(key: $0.key, value: $0.value) } == expected)
                let codes = Set(
                    expected.filter { $0.key.slot == nil && kept.keeps($0.key.account) }
                        .compactMap { leaf in leaf.value.withUnsafeBytes { SlimBody($0)?.codeHash } })
                #expect(Set(range.codeHashes) == codes)
                guard range.end < .last, let next = range.end.successor else { break }
                origin = next
            }
        }
    }

    /// The slots of a large contract that is not asked for are stepped over, however many.
    @Test func manySlotsThatAreNotAskedForAreSteppedOver() throws {
        let slots = (0..<5_000).map { (key: Keccak.hash([UInt8($0 >> 8), UInt8($0 & 255)]), value: [UInt8(7)]) }
        let large = TestState.Account(key: Bytes32(2 << 60, 0, 0, 0), nonce: 1, codeHash: .max, slots: slots)
        let others = (0..<40).map {
            TestState.Account(
                key: Keccak.hash([$0]), nonce: 1, codeHash: StateAccount.emptyCodeHash, slots: [])
        }
        let state = try TestState([large] + others, depth: 1)
        let key = try TestState.key(.first, .last, keeping: .only([]))
        let range = try RangeCheck.verify(try state.serve(key), key: key, stateRoot: state.root)
        #expect(range.accounts.keys == state.accounts.map(\.key))
        #expect(range.slots.count == 0 && range.codeHashes.isEmpty)
        // From inside its storage there is nothing but its body and what follows.
        let inside = Cursor(account: large.key, slot: slots[9].key)
        let rest = try TestState.key(inside, .last, keeping: .only([]))
        let found = try RangeCheck.verify(try state.serve(rest), key: rest, stateRoot: state.root)
        #expect(found.slots.count == 0 && found.accounts.keys.first == large.key)
    }

    @Test func everyByteOfARangeCounts() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        let state = try TestState.random(&generator, accounts: 24)
        let kept = KeptStorage.only(state.accounts.filter { !$0.slots.isEmpty }.map(\.key).prefix(2))
        for key in [
            try TestState.key(.first, .last, keeping: kept), try TestState.key(.first, .last, keeping: .only([])),
        ] {
            let value = try state.serve(key)
            #expect(rangeError(value, key, state) == nil)
            for place in value.indices {
                for bit in [0, 3, 7] {
                    var lie = value
                    lie[place] ^= 1 << UInt8(bit)
                    #expect(rangeError(lie, key, state) != nil, "byte \(place), bit \(bit)")
                }
            }
            #expect(rangeError(Array(value.dropLast()), key, state) != nil)
            #expect(rangeError(value + [0], key, state) != nil)
        }
    }

    /// What is true of one question is a lie in answer to another.
    @Test func storageThatIsLeftOutOrTooMuchIsRefused() throws {
        let slots = [(key: Bytes32(1 << 60, 0, 0, 0), value: [UInt8(7)])]
        let one = TestState.Account(key: Bytes32(2 << 60, 0, 0, 0), nonce: 1, codeHash: .max, slots: slots)
        let state = try TestState([one], depth: 1)
        let (whole, accounts) = (
            try TestState.key(.first, .last), try TestState.key(.first, .last, keeping: .only([]))
        )
        #expect(rangeError(try state.serve(accounts), whole, state) == .wrongKind(account: one.key, .none))
        #expect(rangeError(try state.serve(whole), accounts, state) == .wrongKind(account: one.key, .complete))
        let section = try #require(SectionsKey(anchor: TestState.anchor, sections: [2], maxBytes: 1 << 20))
        let partial = try #require(
            SectionsKey(anchor: TestState.anchor, sections: [2], maxBytes: 1 << 20, keeping: .only([])))
        var view = state.view
        let all = try #require(try SectionsServer.serve(section, view: &view, crown: state.crown))
        let few = try #require(try SectionsServer.serve(partial, view: &view, crown: state.crown))
        func error(_ value: [UInt8], _ key: SectionsKey) -> SectionsError? {
            do throws(SectionsError) {
                _ = try SectionsCheck.verify(value, key: key, depth: 1, stateRoot: state.root)
            } catch {
                return error
            }
            return nil
        }
        #expect(error(all, section) == nil)
        #expect(error(few, partial) == nil)
        #expect(error(all, partial) == .wrongCounts(accounts: 0, counts: 1))
        #expect(error(few, section) == .wrongCounts(accounts: 1, counts: 0))
    }

    @Test func sectionsHaveAllAccountsAndTheStorageThatWasAskedFor() throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        for _ in 0..<30 {
            let state = try TestState.random(&generator, accounts: 120, depth: 2)
            let kept = state.someKept(&generator)
            let key = try #require(
                SectionsKey(
                    anchor: TestState.anchor, sections: Array(0..<256), maxBytes: 1 << 20, keeping: kept))
            var view = state.view
            let value = try #require(try SectionsServer.serve(key, view: &view, crown: state.crown))
            let found = try SectionsCheck.verify(value, key: key, depth: 2, stateRoot: state.root)
            #expect(found.parts.count == 256)
            #expect(found.accounts.keys == state.accounts.map(\.key))
            let slots = state.leaves(keeping: kept).compactMap(\.key.slot)
            #expect(found.slots.keys == slots)
        }
    }

    // MARK: Diffs

    private func partial(_ pair: StatePair, _ kept: KeptStorage) throws -> (key: DiffsKey, value: [UInt8]) {
        let key = DiffsKey(
            from: StatePoint(number: 1, hash: pair.before.root), to: StatePoint(number: 2, hash: pair.after.root),
            sections: Array(0..<16), maxBytes: 1 << 22, withProof: true, keeping: kept)
        let known = try #require(key)
        let value = try DiffsServer.serve(
            known, depth: 1, path: { try pair.after.crown.proofNodes(forSection: $0.index) },
            changes: { section in
                pair.changes(in: section).filter { $0.key.slot == nil || kept.keeps($0.key.account) }
            })
        return (known, value)
    }

    /// Whoever holds the accounts and the storage of some is led from one state to the other, and has the same of it
    /// then.
    @Test func diffsLeadWhoKeepsFewToTheOtherState() throws {
        print("seed \(Self.seed + 3)")
        var generator = SeededGenerator(seed: Self.seed + 3)
        for _ in 0..<60 {
            let pair = try StatePair(&generator)
            let kept = pair.before.someKept(&generator)
            let (key, value) = try partial(pair, kept)
            var held = try pair.before.snapshot(keeping: kept)
            for diff in try DiffsCheck.verify(value, key: key, depth: 1, stateRoot: pair.after.root) {
                let hash = try #require(diff.hashAfter)
                var view = StateView(held, diff.section)
                let update = try DiffsCheck.apply(
                    diff.changes, to: diff.section, expecting: hash, keeping: kept, in: &view)
                let code = Set(pair.after.accounts.filter { kept.keeps($0.key) }.map(\.body.codeHash))
                #expect(code.isSuperset(of: update.newCodeHashes))
                held.apply(StateWrites.base(update))
            }
            var walk = try StateView(held, depth: 1).walk(from: .first)
            var found: [MemoryState.Leaf] = []
            while let key = try walk.next() { found.append(MemoryState.Leaf(key: key, value: walk.value ?? [])) }
            #expect(found == pair.after.leaves(keeping: kept))
        }
    }

    @Test func slotsThatWereNotAskedForAreRefused() throws {
        var generator = SeededGenerator(seed: Self.seed + 4)
        let pair = try StatePair(&generator)
        let (key, _) = try partial(pair, .only([]))
        let whole = try DiffsServer.serve(
            key, depth: 1, path: { try pair.after.crown.proofNodes(forSection: $0.index) },
            changes: { pair.changes(in: $0) })
        let first = try #require(pair.changes.first { $0.key.slot != nil }).key.account
        #expect(throws: DiffError.unaskedStorage(account: first)) {
            try DiffsCheck.verify(whole, key: key, depth: 1, stateRoot: pair.after.root)
        }
        // Nor does the store take them.
        let section = Section(of: first, depth: 1)
        var view = StateView(try pair.before.snapshot(keeping: .only([])), section)
        let changes = pair.changes(in: section)
        let slot = try #require(changes.first { $0.key.slot != nil }).key
        #expect(throws: StateChangeError.slotNotKept(slot)) {
            try SectionChange.apply(changes, to: section, in: &view, keeping: .only([]))
        }
    }

    @Test func everyByteOfADiffCounts() throws {
        var generator = SeededGenerator(seed: Self.seed + 5)
        let pair = try StatePair(&generator, accounts: 24)
        let kept = KeptStorage.only(pair.before.accounts.filter { !$0.slots.isEmpty }.map(\.key).prefix(3))
        let (key, value) = try partial(pair, kept)
        let held = try pair.before.snapshot(keeping: kept)
        func isTrue(_ value: [UInt8]) throws -> Bool {
            guard
                let diffs = try? DiffsCheck.verify(value, key: key, depth: 1, stateRoot: pair.after.root),
                diffs.count == 16
            else { return false }
            return diffs.allSatisfy { diff in
                var view = StateView(held, diff.section)
                return diff.hashAfter.map { hash in
                    (try? DiffsCheck.apply(diff.changes, to: diff.section, expecting: hash, keeping: kept, in: &view))
                        != nil
                } ?? false
            }
        }
        #expect(try isTrue(value))
        for place in value.indices where place % 3 == 0 {
            var lie = value
            lie[place] ^= 1 << UInt8(place % 8)
            #expect(try !isTrue(lie), "byte \(place)")
        }
    }
}
