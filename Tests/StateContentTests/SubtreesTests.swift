import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Subtree hashes: a section is compared with another state of it, and ends as that.
@Suite struct SubtreesTests {
    static let seed: UInt64 = 7_001

    private func key(_ places: [StatePlace], levels: Int, maxBytes: UInt32 = 1 << 18) throws -> SubtreesKey {
        try #require(SubtreesKey(anchor: TestState.anchor, places: places, levels: levels, maxBytes: maxBytes))
    }

    private func serve(_ key: SubtreesKey, _ state: TestState) throws -> [UInt8] {
        var view = state.view
        return try #require(try SubtreesValue.serve(key, view: &view))
    }

    /// Compares a section of `before` with `after` until nothing is open. Gives what was found, and the bytes it took.
    private func compare(
        _ pair: StatePair, _ record: SectionRecord, levels: Int = 1, maxBytes: UInt32 = 1 << 18, batch: Int = 128
    ) throws -> (changes: [LeafChange], bytes: Int) {
        let goal = StatePoint(number: 99, hash: pair.after.root)
        let hash = try pair.after.crown.sectionHash(record.section.index)
        var comparison = SectionComparison(record, goal: goal, sectionHash: hash)
        var view = StateView(
            pair.before.snapshot, depth: StatePair.depth, sections: [(section: record.section, layering: .base)])
        var bytes = 0
        while !comparison.isFinished {
            let places = comparison.places(batch)
            let key = try key(Array(places.prefix(SubtreesKey.fitting(places))), levels: levels, maxBytes: maxBytes)
            #expect(StateContentKey.subtrees(key).encoded.count <= StateContentLimits.keyBytes)
            let value = try serve(key, pair.after)
            let hashes = try #require(comparison.hashes(of: key.places))
            let verified = try SubtreesValue.verify(value, key: key, hashes: hashes)
            try comparison.take(Array(key.places.prefix(verified.placeCount)), verified.nodes, in: &view)
            bytes += value.count
        }
        return (comparison.changes, bytes)
    }

    private func record(_ section: Section, next: Cursor? = nil, _ state: TestState) -> SectionRecord {
        let working = StatePoint(number: 1, hash: state.root)
        guard let next else {
            return SectionRecord(section: section, working: working, coverage: .complete(.empty))
        }
        return SectionRecord(section: section, working: working, coverage: .partial(next: next))
    }

    @Test(arguments: [1, 2, 3]) func aComparisonFindsTheDiff(levels: Int) throws {
        var generator = SeededGenerator(seed: Self.seed + UInt64(levels))
        for round in 0..<12 {
            let pair = try StatePair(&generator, accounts: [60, 300, 1_500][round % 3])
            for section in Section.all(depth: StatePair.depth) {
                guard try pair.after.crown.sectionHash(section.index) != Subtree.emptyRoot else { continue }
                let found = try compare(pair, record(section, pair.before), levels: levels)
                #expect(found.changes == pair.changes(in: section), "round \(round), section \(section)")
            }
        }
    }

    /// Answers of any size lead to the same end, in more steps.
    @Test func smallAnswersLeadThereToo() throws {
        var generator = SeededGenerator(seed: Self.seed + 10)
        let pair = try StatePair(&generator, accounts: 400)
        for section in Section.all(depth: StatePair.depth) {
            guard try pair.after.crown.sectionHash(section.index) != Subtree.emptyRoot else { continue }
            let found = try compare(pair, record(section, pair.before), maxBytes: 700, batch: 3)
            #expect(found.changes == pair.changes(in: section))
        }
    }

    /// Of a partly fetched section what is held is compared, and nothing else is asked for.
    @Test func aPartIsComparedUpToItsEnd() throws {
        var generator = SeededGenerator(seed: Self.seed + 20)
        for _ in 0..<6 {
            let pair = try StatePair(&generator, accounts: 300)
            for section in Section.all(depth: StatePair.depth) {
                guard try pair.after.crown.sectionHash(section.index) != Subtree.emptyRoot else { continue }
                let cut = pair.before.leaves.filter { section.contains($0.key.account) }
                    .randomElement(using: &generator)
                guard let cut else { continue }
                let next = Cursor(account: cut.key.account, slot: cut.key.slot ?? .zero)
                let found = try compare(pair, record(section, next: next, pair.before)).changes
                let expected = pair.changes(in: section).filter { change in
                    change.key < next.firstKey && change.key.account < next.account
                }
                #expect(found.filter { $0.key.account < next.account } == expected)
                // Inside an account the body comes with the next range, and only what lies before is known.
                let inside = found.filter { $0.key.account == next.account && $0.key.slot != nil }
                let own = pair.changes(in: section).filter {
                    $0.key.account == next.account && $0.key.slot != nil && $0.key < next.firstKey
                }
                #expect(inside == own)
                #expect(found.allSatisfy { $0.key.account <= next.account })
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
        let found = try compare(pair, record(section, before))
        #expect(found.changes.count == 1)
        #expect(found.bytes < 4 * 600, "a branch on each of a few levels: \(found.bytes)")
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
