import Chain
import MerklePatricia
import Primitives
import StateContent
import StateLab
import StateStore
import Testing

/// Storage that is spread round the ring, as it travels: ranges of parts, accounts without their slots, storage crowns,
/// the wide directory, diffs of parts. What is true passes, everything else is refused.
@Suite struct SpreadContentTests {
    private let rule = SpreadState.rule

    private func serve(_ key: RangeKey, _ state: SpreadState, parts: ClosedRange<Int> = 0...15) throws -> [UInt8]? {
        var view = state.view(of: parts)
        return try RangeServer.serve(key, view: &view, crown: try state.crown(parts))
    }

    // MARK: Parts

    @Test(arguments: [UInt64(1), 2])
    func partsAreWalkedAsARingOfTheirOwn(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let state = try SpreadState(&generator)
        var answers = 0
        for index in 0...15 {
            let part = Section(depth: 1, index: index, of: state.owner)
            var next = part.firstKey
            var slots: [(Bytes32, [UInt8])] = []
            while true {
                let key = try state.key(next, part.lastKey, maxBytes: 6_000)
                // Whoever keeps one part serves it without the others.
                let value = try #require(try serve(key, state, parts: index...index))
                #expect(value.count <= 6_000)
                let range = try RangeCheck.verify(value, key: key, stateRoot: state.whole.root, placedBy: rule)
                for place in 0..<range.slots.count {
                    slots.append((range.slots.keys[place], range.slots.value(at: place)))
                }
                answers += 1
                guard range.end != key.limit else { break }
                next = try #require(range.end.slot.successor)
            }
            let expected = state.account?.slots.filter { part.contains($0.key) } ?? []
            #expect(slots.map(\.0) == expected.map(\.key))
            #expect(slots.map(\.1) == expected.map { SlotValue.rlp($0.value) })
        }
        // The part that has most of the slots took several.
        #expect(answers > 17)
    }

    @Test func everyChangedByteOfAPartIsRefused() throws {
        var generator = SeededGenerator(seed: 3)
        let state = try SpreadState(&generator, accounts: 6, slots: 300)
        let part = Section(depth: 1, index: 7, of: state.owner)
        let key = try state.key(part.firstKey, part.lastKey)
        let value = try #require(try serve(key, state))
        #expect(throws: Never.self) {
            try RangeCheck.verify(value, key: key, stateRoot: state.whole.root, placedBy: rule)
        }
        for place in value.indices {
            for bit in [0, 7] {
                var lie = value
                lie[place] ^= 1 << bit
                #expect(throws: RangeError.self) {
                    try RangeCheck.verify(lie, key: key, stateRoot: state.whole.root, placedBy: rule)
                }
            }
        }
    }

    @Test func whoHasNotAPartServesNone() throws {
        var generator = SeededGenerator(seed: 4)
        let state = try SpreadState(&generator, accounts: 6, slots: 300)
        let part = Section(depth: 1, index: 7, of: state.owner)
        let key = try state.key(part.firstKey, part.lastKey)
        #expect(try serve(key, state, parts: 8...9) == nil)
        // Held parts on, up to the last that follows without a gap.
        let long = try state.key(part.firstKey, .max)
        let value = try #require(try serve(long, state, parts: 7...8))
        let range = try RangeCheck.verify(value, key: long, stateRoot: state.whole.root, placedBy: rule)
        #expect(range.end == Section(depth: 1, index: 8, of: state.owner).lastCursor)
    }

    // MARK: The accounts

    @Test(arguments: [UInt64(5), 6])
    func accountsTravelWithoutTheirSpreadSlots(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let state = try SpreadState(&generator)
        let key = try TestState.key(.first, .last)
        var view = state.view
        let value = try #require(try RangeServer.serve(key, view: &view, crown: state.whole.crown))
        let range = try RangeCheck.verify(value, key: key, stateRoot: state.whole.root, placedBy: rule)
        #expect(range.spread.map(\.account) == [state.owner])
        let nodes = try #require(range.spread.first?.nodes)
        #expect(try rule.depth(root: try #require(state.account?.body.storageRoot), shownBy: nodes) == 1)
        let expected = state.whole.leaves.filter { $0.key.account != state.owner || $0.key.slot == nil }
        #expect(range.leaves.map { MemoryState.Leaf(key: $0.key, value: $0.value) } == expected)
        // In pieces, from and to wherever the answers end.
        var origin = Cursor.first
        var count = 0
        while true {
            let key = try TestState.key(origin, .last, maxBytes: 6_000)
            var view = state.view
            let value = try #require(try RangeServer.serve(key, view: &view, crown: state.whole.crown))
            let range = try RangeCheck.verify(value, key: key, stateRoot: state.whole.root, placedBy: rule)
            count += range.leafCount - (origin.slot == .zero || range.accounts.count == 0 ? 0 : 1)
            guard let next = range.end.successor else { break }
            origin = next
        }
        #expect(count == expected.count)
        // A network that spreads nothing takes no such answer.
        #expect(throws: RangeError.wrongKind(account: state.owner, .elsewhere)) {
            try RangeCheck.verify(value, key: key, stateRoot: state.whole.root)
        }
    }

    /// The kind is not the sender's choice.
    @Test func storageThatBelongsElsewhereIsNotTakenWithItsAccount() throws {
        var generator = SeededGenerator(seed: 7)
        let state = try SpreadState(&generator)
        let key = try TestState.key(.first, .last)
        #expect(throws: RangeError.wrongKind(account: state.owner, .complete)) {
            try RangeCheck.verify(state.whole.serve(key), key: key, stateRoot: state.whole.root, placedBy: rule)
        }
        // Nor is the beginning of it.
        let begun = try TestState.key(Cursor(account: state.owner), Cursor.end(of: state.owner), maxBytes: 6_000)
        let beginning = try state.whole.serve(begun)
        #expect(try RangeCheck.verify(beginning, key: begun, stateRoot: state.whole.root).end < begun.limit)
        #expect(throws: RangeError.wrongKind(account: state.owner, .partial)) {
            try RangeCheck.verify(beginning, key: begun, stateRoot: state.whole.root, placedBy: rule)
        }
        // Nor is storage left out that is too small: its nodes show that.
        let narrow = Placement(sectionDepth: 1, wideDepth: 3)
        var view = state.view
        let value = try #require(try RangeServer.serve(key, view: &view, crown: state.whole.crown))
        #expect(throws: RangeError.self) {
            try RangeCheck.verify(value, key: key, stateRoot: state.whole.root, placedBy: narrow)
        }
    }

    // MARK: Storage crowns

    @Test func crownsJoinPartsToTheState() throws {
        var generator = SeededGenerator(seed: 8)
        let state = try SpreadState(&generator)
        for stretch in [0...15, 3...3, 4...9] {
            let crown = try state.crown(stretch)
            let read = try StorageCrown.verify(
                crown.encoded, key: crown.key, stateRoot: state.whole.root, rule: rule)
            #expect(read.account == state.account?.body && read.placement == 1)
            for index in 0...15 {
                let expected = stretch.contains(index) ? state.parts[index].sectionHash : nil
                #expect(read.hash(ofPart: index) == expected)
            }
            let narrow = try state.crownKey(stretch.lowerBound...stretch.lowerBound)
            #expect(
                read.narrowed(to: narrow, rule: rule)?.hash(ofPart: stretch.lowerBound)
                    == state.parts[stretch.lowerBound].sectionHash)
        }
        #expect(try state.crown(4...9).narrowed(to: state.crownKey(3...4), rule: rule) == nil)
    }

    @Test func everyChangedByteOfACrownIsRefused() throws {
        var generator = SeededGenerator(seed: 9)
        let state = try SpreadState(&generator, accounts: 5)
        let crown = try state.crown(2...4)
        let value = crown.encoded
        for place in value.indices {
            var lie = value
            lie[place] ^= 1
            #expect(throws: ContentError.self) {
                try StorageCrown.verify(lie, key: crown.key, stateRoot: state.whole.root, rule: rule)
            }
        }
        for index in crown.nodes.indices {
            var fewer = crown.nodes
            fewer.remove(at: index)
            #expect(throws: ProofError.self) {
                try StorageCrown(fewer, key: crown.key, stateRoot: state.whole.root, rule: rule)
            }
        }
        #expect(throws: ProofError.repeatedNode) {
            try StorageCrown(crown.nodes + [crown.nodes[0]], key: crown.key, stateRoot: state.whole.root, rule: rule)
        }
        let other = try state.crown(5...5).nodes.filter { !crown.nodes.contains($0) }
        #expect(other.isEmpty)
        let foreign = TrieNode.leaf(suffix: Nibbles(.max), value: Array(repeating: 7, count: 40)).encoded
        #expect(throws: ProofError.unusedNode) {
            try StorageCrown(crown.nodes + [foreign], key: crown.key, stateRoot: state.whole.root, rule: rule)
        }
    }

    /// Of an account that is not there everything is empty, and that is proven too.
    @Test func theCrownOfNoAccountSaysThatThereIsNone() throws {
        var generator = SeededGenerator(seed: 10)
        let state = try SpreadState(&generator, accounts: 12)
        let absent = Bytes32(generator.next(), 1, 2, 3)
        var nodes = ProofNodes()
        var accounts = state.view.accountTrie
        var prover = TrieProver()
        try prover.prove(absent, upper: state.whole.crown, source: &accounts, into: &nodes)
        let key = try #require(
            StorageCrownKey(anchor: TestState.anchor, account: absent, placement: 1, first: 0, last: 15))
        let crown = try StorageCrown(nodes.nodes, key: key, stateRoot: state.whole.root, rule: rule)
        #expect(crown.account == nil && crown.placement == 0 && crown.hash(ofPart: 3) == Subtree.emptyRoot)
    }

    @Test func keysOfCrownsAreBounded() {
        func key(_ placement: Int, _ first: Int, _ last: Int) -> StorageCrownKey? {
            StorageCrownKey(anchor: TestState.anchor, account: .zero, placement: placement, first: first, last: last)
        }
        #expect(key(0, 0, 0) == nil && key(5, 0, 0) == nil && key(1, 0, 16) == nil && key(1, 3, 2) == nil)
        #expect(key(3, 0, 256) == nil && key(1, -1, 3) == nil)
        #expect(key(3, 0, 255) != nil && key(4, 65_280, 65_535) != nil)
    }

    // MARK: The directory

    @Test func theDirectoryIsReadStrictly() throws {
        var generator = SeededGenerator(seed: 11)
        let key = try #require(WideDirectoryKey(anchor: TestState.anchor, sections: Array(0..<256)))
        let entries = (0..<40).map { _ in
            WideEntry(
                account: Bytes32(generator.next(), generator.next(), 0, 0),
                placement: Int.random(in: 1...2, using: &generator), storageRoot: Bytes32(generator.next(), 1, 1, 1))
        }
        func read(_ bytes: [UInt8], depth: Int = 2) throws -> [WideEntry] {
            try WideDirectoryValue.verify(bytes, key: key, depth: depth)
        }
        let value = WideDirectoryValue.serve(entries)
        let found = try read(value)
        #expect(Set(found) == Set(entries) && found.map(\.placement) == found.map(\.placement).sorted(by: >))
        #expect(try read([0]).isEmpty)
        #expect(throws: WideDirectoryError.malformed(.wrongSize)) { try read(Array(value.dropLast())) }
        #expect(throws: WideDirectoryError.order(account: found[1].account)) {
            try read([0] + value[66..<131] + value[66..<131])
        }
        // The same account under two placements.
        var twice = WideDirectoryValue.serve([
            WideEntry(account: found[0].account, placement: 2, storageRoot: .zero),
            WideEntry(account: found[0].account, placement: 1, storageRoot: .zero),
        ])
        #expect(throws: WideDirectoryError.order(account: found[0].account)) { try read(twice) }
        for placement in [UInt8(0), 3, 255] {
            twice[33] = placement
            #expect(throws: WideDirectoryError.placement(account: found[0].account, Int(placement))) {
                try read(twice)
            }
        }
        let narrow = try #require(WideDirectoryKey(anchor: TestState.anchor, sections: [300]))
        #expect(throws: WideDirectoryError.unasked(account: found[0].account)) {
            try WideDirectoryValue.verify(value, key: narrow, depth: 3)
        }
        #expect(throws: WideDirectoryError.status(.status(.notAtThisAnchor(served: [])))) {
            try read(StateStatus.notAtThisAnchor(served: []).encoded)
        }
    }

    /// The largest answer that our server can give passes our reader, and one entry more does not.
    @Test func theLargestDirectoryIsReadAndNoLargerOne() throws {
        let key = try #require(WideDirectoryKey(anchor: TestState.anchor, sections: Array(0..<16)))
        let entries = (0..<65_537).map {
            WideEntry(account: Bytes32(UInt64($0) << 48, 0, 0, UInt64($0)), placement: 1, storageRoot: .zero)
        }
        let value = WideDirectoryValue.serve(entries)
        #expect(value.count == 1 + 65 * 65_536)
        #expect(value.count <= StateContentKey.wideDirectory(key).askedBytes(sectionDepth: 1))
        #expect(try WideDirectoryValue.verify(value, key: key, depth: 1).count == 65_536)
        #expect(throws: WideDirectoryError.malformed(.overLimit)) {
            try WideDirectoryValue.verify(value + value[1..<66], key: key, depth: 1)
        }
    }

    // MARK: Diffs

    /// Two states of the same spread storage, and the parts that differ.
    struct Step {
        let before: SpreadState
        let after: SpreadState

        init(_ generator: inout SeededGenerator, wiping: Bool = false) throws {
            before = try SpreadState(&generator, accounts: 8)
            guard let account = before.account else { throw StateLabError.notServed }
            var slots = account.slots.enumerated().filter { $0.offset % 7 != 0 }.map(\.element)
            for place in slots.indices where place % 5 == 0 { slots[place].value = TestState.value(&generator) }
            for _ in 0..<30 { slots.append((SpreadState.slot(&generator), TestState.value(&generator))) }
            after = try before.replacing(
                TestState.Account(key: account.key, nonce: 2, codeHash: account.body.codeHash, slots: slots))
        }

        /// As they travel: the account, and behind it the slots of the part.
        func changes(in part: Section) -> [LeafChange] {
            let all = before.whole.changes(to: after.whole)
            let slots = all.filter { change in
                change.key.account == before.owner && change.key.slot.map { part.contains($0) } ?? false
            }
            let body = LeafChange(key: FlatKey(account: before.owner), value: after.account?.body.slim)
            return slots.isEmpty ? [] : [body] + slots
        }

        func key(_ parts: [Int], withProof: Bool) throws -> DiffsKey {
            let key = DiffsKey(
                trie: before.trie, from: StatePoint(number: 1, hash: before.whole.root),
                to: StatePoint(number: 2, hash: after.whole.root), sections: parts, maxBytes: 1 << 20,
                withProof: withProof)
            guard let key else { throw StateLabError.noSuchKey }
            return key
        }

        func serve(_ key: DiffsKey) throws -> [UInt8] {
            try DiffsServer.serve(
                key, depth: 1, path: { try after.crown($0.index...$0.index).accountAndWay },
                changes: { changes(in: $0) })
        }
    }

    @Test(arguments: [UInt64(12), 13])
    func partsCrossByTheirDiffs(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let step = try Step(&generator)
        for withProof in [true, false] {
            let key = try step.key([0, 3, 4, 15], withProof: withProof)
            let value = try step.serve(key)
            let diffs = try DiffsCheck.verify(
                value, key: key, depth: 1, stateRoot: step.after.whole.root, placedBy: rule)
            #expect(diffs.map(\.section.index) == [0, 3, 4, 15])
            for diff in diffs {
                #expect(diff.section.owner == step.before.owner && diff.owner == step.after.account?.body.slim)
                let proven = step.after.parts[diff.section.index].sectionHash
                #expect(diff.hashAfter == (withProof ? proven : nil))
                var view = step.before.view(of: 0...15)
                let changes = try DiffsCheck.changes(diff.changes, of: diff.section, in: view)
                let update = try DiffsCheck.apply(
                    changes, to: diff.section, expecting: try #require(proven), in: &view)
                #expect(update.subtreeAfter == step.after.parts[diff.section.index].subtree)
            }
        }
    }

    @Test func everyChangedByteOfAPartsDiffIsRefused() throws {
        var generator = SeededGenerator(seed: 14)
        let step = try Step(&generator)
        let key = try step.key([3, 4], withProof: true)
        let value = try step.serve(key)
        func take(_ value: [UInt8]) throws {
            var view = step.before.view(of: 0...15)
            let diffs = try DiffsCheck.verify(
                value, key: key, depth: 1, stateRoot: step.after.whole.root, placedBy: rule)
            // A mask of fewer parts is an honest answer: what is left out is asked of another.
            guard diffs.count == 2 else { throw DiffError.wrongSections }
            for diff in diffs {
                let changes = try DiffsCheck.changes(diff.changes, of: diff.section, in: view)
                let hash = try #require(diff.hashAfter)
                _ = try DiffsCheck.apply(changes, to: diff.section, expecting: hash, in: &view)
            }
        }
        #expect(throws: Never.self) { try take(value) }
        for place in value.indices {
            var lie = value
            lie[place] ^= 1
            #expect(throws: DiffError.self) { try take(lie) }
        }
    }
}

extension StorageCrown {
    /// The nodes of a diff's proof: the way to the account, and from its storage root to the one part.
    var accountAndWay: [[UInt8]] {
        let way = (try? crownOfParts.proofNodes(forSection: key.first)) ?? []
        return accountNodes + way
    }

    private var crownOfParts: Crown {
        var nodes = ProofNodes()
        for node in storageNodes { nodes.insert(node) }
        return Crown(covering: nodes, root: storageRoot, depth: key.placement)
    }
}
