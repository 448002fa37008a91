import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Subtree hashes: a section is compared with another state of it, and ends as that.
@Suite struct SubtreesTests: ComparedStates {
    static let seed: UInt64 = 7_001

    private func key(_ places: [StatePlace], levels: Int, maxBytes: UInt32 = 1 << 18) throws -> SubtreesKey {
        try #require(SubtreesKey(anchor: TestState.anchor, places: places, levels: levels, maxBytes: maxBytes))
    }

    private func serve(_ key: SubtreesKey, _ state: TestState) throws -> [UInt8] {
        var view = state.view
        return try #require(try SubtreesValue.serve(key, view: &view))
    }

    @Test(arguments: [1, 2, 3]) func aComparisonLeadsToTheOtherState(levels: Int) throws {
        print("seed \(Self.seed + UInt64(levels))")
        var generator = SeededGenerator(seed: Self.seed + UInt64(levels))
        for round in 0..<6 {
            let pair = try StatePair(&generator, accounts: [60, 300, 900][round % 3])
            for section in try sections(of: pair.after) {
                var compared = ComparedSection(record(section, pair.before), in: pair.before.snapshot)
                compared.levels = levels
                try compared.lead(to: try goal(pair.after, section))
                try expect(compared, is: pair.after, "round \(round), section \(section)")
            }
        }
    }

    /// Answers of any size lead to the same end, in more steps.
    @Test func smallAnswersLeadThereToo() throws {
        var generator = SeededGenerator(seed: Self.seed + 10)
        let pair = try StatePair(&generator, accounts: 400)
        for section in try sections(of: pair.after) {
            var compared = ComparedSection(record(section, pair.before), in: pair.before.snapshot)
            (compared.maxBytes, compared.places) = (700, 3)
            try compared.lead(to: try goal(pair.after, section))
            try expect(compared, is: pair.after, "section \(section)")
        }
    }

    /// Of a partly fetched section what is held is led on, and nothing else is asked for: it ends where it did.
    @Test(arguments: [false, true], [ComparedSection.Means.nodes, .ranges])
    func aPartIsLedOnUpToItsEnd(crashes: Bool, means: ComparedSection.Means) throws {
        print("seed \(Self.seed + 20)")
        var generator = SeededGenerator(seed: Self.seed + 20)
        for _ in 0..<4 {
            let pair = try StatePair(&generator, accounts: 300)
            for section in try sections(of: pair.after) {
                let cut = pair.before.leaves.filter { section.contains($0.key.account) }
                    .randomElement(using: &generator)
                guard let cut else { continue }
                let next = Cursor(account: cut.key.account, slot: cut.key.slot ?? .zero)
                // Nothing from there on is stored.
                var snapshot = pair.before.snapshot
                var batch = WriteBatch()
                batch.deleteRange(.leaves, from: next.firstKey.bytes, upTo: nil)
                snapshot.apply(batch)
                var compared = ComparedSection(record(section, next: next, pair.before), in: snapshot)
                (compared.maxBytes, compared.places, compared.rangeBytes) = (2_000, 4, 8_000)
                let goal = try goal(pair.after, section)
                while try compared.ask(goal, for: means) {
                    if crashes, Int.random(in: 0..<3, using: &generator) == 0 { try compared.crash() }
                }
                #expect(compared.record.coverage == .partial(next: next))
                #expect(compared.record.working == goal.point)
                let held = try compared.view.leafList()
                // The body of the account that it ends in comes with the next range.
                let inside = FlatKey(account: next.account)
                let expected = pair.after.leaves.filter { section.contains($0.key.account) && $0.key < next.firstKey }
                #expect(held.filter { $0.key != inside } == expected.filter { $0.key != inside })
                #expect(held.contains { $0.key == inside } || !expected.contains { $0.key == inside })
            }
        }
    }

    /// What it costs follows what changed: of 4,000 accounts one is another.
    @Test func oneChangeCostsAPath() throws {
        var generator = SeededGenerator(seed: Self.seed + 30)
        let before = try TestState.random(&generator, accounts: 4_000)
        var accounts = before.accounts
        accounts[2_000].body.nonce += 1
        let pair = try StatePair(before, accounts)
        let section = Section(of: accounts[2_000].key, depth: StatePair.depth)
        var compared = ComparedSection(record(section, before), in: before.snapshot)
        try compared.lead(to: try goal(pair.after, section))
        #expect(compared.changes.count == 1)
        #expect(compared.bytes < 4 * 600, "a branch on each of a few levels: \(compared.bytes)")
    }

    /// The goal is another one again and again, and memory is lost: what was taken over is of use all the same.
    @Test(arguments: [UInt64(70), 71, 72]) func whateverComesBetweenNothingIsBegunAgain(offset: UInt64) throws {
        print("seed \(Self.seed + offset)")
        var generator = SeededGenerator(seed: Self.seed + offset)
        var state = try TestState.random(&generator, accounts: 800)
        let before = state
        let section = Section(depth: StatePair.depth, index: 3)
        var compared = ComparedSection(record(section, before), in: before.snapshot)
        (compared.maxBytes, compared.places) = (6_000, 8)
        // Half of all accounts differ; then a few with every anchor.
        var accounts = before.accounts
        for index in accounts.indices where index % 2 == 0 { accounts[index].body.nonce += 1 }
        state = try TestState(accounts, depth: StatePair.depth)
        var alone = ComparedSection(record(section, before), in: before.snapshot)
        (alone.maxBytes, alone.places) = (6_000, 8)
        try alone.lead(to: try goal(state, section))
        var number: UInt64 = 100
        var isGoingOn = true
        while isGoingOn, number < 160 {
            // What is left needs an anchor that lives for as many answers as the trie is deep.
            let goal = try goal(state, section, number: number)
            for _ in 0..<Int.random(in: 3...24, using: &generator) where isGoingOn {
                isGoingOn = try compared.ask(goal)
                if isGoingOn, Int.random(in: 0..<12, using: &generator) == 0 { try compared.crash() }
            }
            guard isGoingOn else { break }
            number += 1
            let index = Int.random(in: 0..<accounts.count, using: &generator)
            accounts[index].body.nonce += 1
            state = try TestState(accounts, depth: StatePair.depth)
        }
        try expect(compared, is: state, "after \(number - 99) anchors")
        print("\(number - 99) anchors, \(compared.bytes) bytes; alone \(alone.bytes)")
        #expect(number < 160)
        // What comes on top with each anchor and each crash is the way down to where it was.
        #expect(compared.bytes < 10 * alone.bytes)
    }

    /// A storage of very many slots that is gone goes in pieces, each a transaction of bounded size.
    @Test func whatIsGoneGoesInPieces() throws {
        var generator = SeededGenerator(seed: Self.seed + 80)
        let owner = Bytes32(0x3 << 60, 1, 2, 3)
        let slots = (0..<40_000).map { (key: Bytes32(generator.next(), UInt64($0), 0, 0), value: [UInt8(1)]) }
        let other = TestState.Account(
            key: Bytes32(0x3f << 56, 0, 0, 0), nonce: 1, codeHash: StateAccount.emptyCodeHash, slots: [])
        let wide = TestState.Account(key: owner, nonce: 1, codeHash: StateAccount.emptyCodeHash, slots: slots)
        let before = try TestState([wide, other], depth: StatePair.depth)
        let section = Section(of: owner, depth: StatePair.depth)
        for after in [
            [other], [other, TestState.Account(key: owner, nonce: 2, codeHash: wide.body.codeHash, slots: [])],
        ] {
            let state = try TestState(after, depth: StatePair.depth)
            var compared = ComparedSection(record(section, before), in: before.snapshot)
            try compared.lead(to: try goal(state, section))
            try expect(compared, is: state, "\(after.count) accounts")
            #expect((3...5).contains(compared.answers), "\(compared.answers)")
        }
    }

    // MARK: Must-reject

    @Test func everyMutationFails() throws {
        var generator = SeededGenerator(seed: Self.seed + 40)
        let state = try TestState.random(&generator, accounts: 400)
        let section = Section(depth: StatePair.depth, index: 3)
        let hash = try state.crown.sectionHash(3)
        for levels in 1...3 {
            let key = try key([StatePlace(account: section.path)], levels: levels)
            let value = try serve(key, state)
            let good = try SubtreesValue.verify(value, key: key, hashes: [hash])
            #expect(good.placeCount == 1)
            for position in value.indices {
                var bad = value
                bad[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                #expect(throws: SubtreesError.self) { try SubtreesValue.verify(bad, key: key, hashes: [hash]) }
            }
            let nodes = try SSZ.decode(value.dropFirst(), as: SubtreesValue.schema).elements
            func encoded(_ nodes: [SSZValue]) throws -> [UInt8] {
                [0] + (try SSZ.encode(.elements(nodes), as: SubtreesValue.schema))
            }
            let more = try encoded(nodes + [nodes[0]])
            #expect(throws: SubtreesError.wrongCount) { try SubtreesValue.verify(more, key: key, hashes: [hash]) }
            let less = try encoded(Array(nodes.dropLast()))
            #expect(throws: SubtreesError.wrongCount) { try SubtreesValue.verify(less, key: key, hashes: [hash]) }
            let none = try encoded([])
            #expect(throws: SubtreesError.wrongCount) { try SubtreesValue.verify(none, key: key, hashes: [hash]) }
        }
    }

    @Test func answersThatAreNoneAreNamed() throws {
        var generator = SeededGenerator(seed: Self.seed + 50)
        let state = try TestState.random(&generator, accounts: 40)
        let place = StatePlace(account: Section(depth: StatePair.depth, index: 3).path)
        let hash = try state.crown.sectionHash(3)
        let key = try key([place], levels: 1)
        let value = try serve(key, state)
        #expect(throws: SubtreesError.wrongNode(place: 0, 0)) {
            try SubtreesValue.verify(value, key: key, hashes: [state.root])
        }
        #expect(throws: SubtreesError.overMaxBytes(value.count)) {
            let small = try self.key([place], levels: 1, maxBytes: UInt32(value.count - 1))
            _ = try SubtreesValue.verify(value, key: small, hashes: [hash])
        }
        #expect(throws: SubtreesError.status(.status(.busy(seconds: 3)))) {
            try SubtreesValue.verify(StateStatus.busy(seconds: 3).encoded, key: key, hashes: [hash])
        }
        let list: [UInt8] = [0x83, 1, 2, 3]
        let node = [0] + (try SSZ.encode(.elements([.bytes(list)]), as: SubtreesValue.schema))
        #expect(throws: SubtreesError.malformedNode(place: 0, .itemCount)) {
            try SubtreesValue.verify(node, key: key, hashes: [Keccak.hash(list)])
        }
    }

    /// A place where nothing stands is answered by a node that nobody believes; one of several sections not at all.
    @Test func whatIsNotThereIsNotServed() throws {
        var generator = SeededGenerator(seed: Self.seed + 60)
        let state = try TestState.random(&generator, accounts: 40)
        let nowhere = StatePlace(account: Nibbles(Bytes32(0x3fff_0000_1234_0000, 1, 2, 3)))
        let value = try serve(try key([nowhere], levels: 1), state)
        #expect(value == [0] + (try SSZ.encode(.elements([.bytes([])]), as: SubtreesValue.schema)))
        var view = state.view
        let two = try key(
            [StatePlace(account: Nibbles(section: 3, depth: 1)), StatePlace(account: Nibbles(section: 4, depth: 1))],
            levels: 1)
        #expect(try SubtreesValue.serve(two, view: &view) == nil)
        let above = try key([StatePlace(account: .root)], levels: 1)
        #expect(try SubtreesValue.serve(above, view: &view) == nil)
    }

    @Test func keysHaveOneForm() throws {
        let places = (0..<3).map { StatePlace(account: Nibbles(section: $0, depth: 2)) }
        #expect(SubtreesKey(anchor: TestState.anchor, places: [], levels: 1, maxBytes: 9) == nil)
        #expect(SubtreesKey(anchor: TestState.anchor, places: places.reversed(), levels: 1, maxBytes: 9) == nil)
        #expect(SubtreesKey(anchor: TestState.anchor, places: [places[0], places[0]], levels: 1, maxBytes: 9) == nil)
        for levels in [0, 4] {
            #expect(SubtreesKey(anchor: TestState.anchor, places: places, levels: levels, maxBytes: 9) == nil)
        }
        let many = (0..<129).map { StatePlace(account: Nibbles(section: $0, depth: 3)) }
        #expect(SubtreesKey(anchor: TestState.anchor, places: many, levels: 1, maxBytes: 9) == nil)
        let key = StateContentKey.subtrees(try key(places, levels: 3))
        #expect(try StateContentKey(decoding: key.encoded) == key)
        #expect(key.position(sectionDepth: 1) == .zero)
    }
}

extension StateView {
    /// Every leaf of what it has, in order.
    func leafList() throws -> [MemoryState.Leaf] {
        var leaves: [MemoryState.Leaf] = []
        for section in heldSections {
            var walk = try walk(from: section.firstCursor)
            while let key = try walk.next(), section.contains(Cursor(account: key.account, slot: key.slot ?? .zero)) {
                leaves.append(MemoryState.Leaf(key: key, value: walk.value ?? []))
            }
        }
        return leaves
    }
}
