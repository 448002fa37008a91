import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

@Suite struct DiffTests {
    static let seed: UInt64 = 6_001
    static let depth = StatePair.depth

    @Test func diffsLeadFromOneStateToTheOther() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for _ in 0..<15 {
            let pair = try StatePair(&generator)
            let key = try pair.key(Array(0..<16))
            let diffs = try DiffsCheck.verify(
                try pair.serve(key), key: key, depth: Self.depth, stateRoot: pair.after.root)
            #expect(diffs.map(\.section.index) == Array(0..<16))
            #expect(diffs.flatMap(\.changes) == pair.changes)
            var subtrees: [Subtree] = []
            for diff in diffs {
                var view = pair.before.view
                let hash = try #require(diff.hashAfter)
                #expect(hash == (try pair.after.crown.sectionHash(diff.section.index)))
                let update = try DiffsCheck.apply(diff.changes, to: diff.section, expecting: hash, in: &view)
                #expect(update.wireChanges == diff.changes)
                subtrees.append(update.subtreeAfter)
            }
            #expect(Crown(sections: subtrees, depth: Self.depth).root == pair.after.root)
        }
    }

    @Test func wholeSectionsAsFarAsTheyFit() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        let pair = try StatePair(&generator, accounts: 120)
        var given: [Int] = []
        var next = Array(0..<16)
        while !next.isEmpty {
            let key = try pair.key(next, maxBytes: 5_000)
            let value = try pair.serve(key)
            #expect(value.count <= 5_000)
            let diffs = try DiffsCheck.verify(value, key: key, depth: Self.depth, stateRoot: pair.after.root)
            given += diffs.map(\.section.index)
            next.removeFirst(diffs.count)
        }
        #expect(given == Array(0..<16))
        #expect(try pair.serve(try pair.key([0], maxBytes: 20)) == StateStatus.itemTooLarge.encoded)
    }

    @Test func statusesForWhatIsNotThere() throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        let pair = try StatePair(&generator)
        let key = try pair.key([1, 2])
        let nothing = DiffsServer.serve(key, depth: 1, path: { _ in [] }, changes: { _ in nil })
        #expect(nothing == StateStatus.historyTooShort.encoded)
        #expect(throws: DiffError.status(.status(.historyTooShort))) {
            try DiffsCheck.verify(nothing, key: key, depth: 1, stateRoot: .zero)
        }
        let storage = try #require(
            DiffsKey(
                trie: .storage(account: .zero, placement: 0), from: key.from, to: key.to, sections: [1], maxBytes: 1,
                withProof: false))
        let refused = DiffsServer.serve(storage, depth: 1, path: { _ in [] }, changes: { _ in nil })
        #expect(refused == StateStatus.placementNotSupported.encoded)
    }

    /// Each leaf of a diff in turn left out, changed, or given a neighbour: refused on one of the two levels.
    @Test func lieIsRefused() throws {
        var generator = SeededGenerator(seed: Self.seed + 3)
        let pair = try StatePair(&generator)
        for section in Section.all(depth: Self.depth) {
            let honest = pair.changes(in: section)
            let hash = try pair.after.crown.sectionHash(section.index)
            for place in honest.indices {
                for lie in 0..<4 {
                    var changes = honest
                    let change = honest[place]
                    switch lie {
                    case 0: changes.remove(at: place)
                    case 1 where change.value != nil: changes[place] = LeafChange(key: change.key, value: nil)
                    case 1: changes[place] = LeafChange(key: change.key, value: StateAccount(nonce: 99).slim)
                    case 2 where change.key.slot == nil:
                        changes[place] = LeafChange(key: change.key, value: StateAccount(nonce: 98).slim)
                    case 2: changes[place] = LeafChange(key: change.key, value: [0x77, 0x77])
                    default:
                        let slot = change.key.slot?.successor ?? .max
                        changes.insert(
                            LeafChange(key: FlatKey(account: change.key.account, slot: slot), value: [5]),
                            at: place + 1)
                    }
                    var view = pair.before.view
                    #expect(throws: DiffError.self, "seed \(Self.seed): \(change.key) \(lie)") {
                        try DiffsCheck.apply(changes, to: section, expecting: hash, in: &view)
                    }
                }
            }
            var view = pair.before.view
            #expect(throws: DiffError.sectionHashMismatch(section: section.index)) {
                try DiffsCheck.apply(honest, to: section, expecting: .max, in: &view)
            }
        }
    }

    @Test func bytesAreRefusedOrLeadNowhereElse() throws {
        var generator = SeededGenerator(seed: Self.seed + 4)
        let pair = try StatePair(&generator)
        let key = try pair.key([3, 4, 9])
        let honest = try pair.serve(key)
        let expected = try DiffsCheck.verify(honest, key: key, depth: 1, stateRoot: pair.after.root)
        var applied = 0
        for _ in 0..<1_500 {
            var value = honest
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: value.removeLast(Int.random(in: 1...value.count, using: &generator))
            case 1: value.append(UInt8.random(in: 0...255, using: &generator))
            default:
                let place = Int.random(in: 0..<value.count, using: &generator)
                value[place] ^= UInt8.random(in: 1...255, using: &generator)
            }
            let diffs = try? DiffsCheck.verify(value, key: key, depth: 1, stateRoot: pair.after.root)
            for diff in diffs ?? [] {
                var view = pair.before.view
                let hash = try #require(diff.hashAfter)
                let update = try? DiffsCheck.apply(diff.changes, to: diff.section, expecting: hash, in: &view)
                guard update != nil else { continue }
                #expect(expected.contains { $0.section == diff.section && $0.changes == diff.changes })
                applied += 1
            }
        }
        // Sections that the mutation left as they were.
        #expect(applied < 1_500 * 3)
    }

    @Test func columnsAreTheSchema() throws {
        var generator = SeededGenerator(seed: Self.seed + 5)
        for _ in 0..<10 {
            let pair = try StatePair(&generator)
            let value = try pair.serve(try pair.key(Array(0..<16)))
            let decoded = try SSZ.decode(value.dropFirst(), as: SectionDiffsValue.schema)
            #expect(try SSZ.encode(decoded, as: SectionDiffsValue.schema) == Array(value.dropFirst()))
            #expect(try SectionDiffsValue(decoding: value).encoded == value)
            let columns = try #require(ChangeColumns(pair.changes))
            #expect(columns.encoded.count == columns.encodedCount)
            #expect(columns.changes == pair.changes)
        }
    }

    @Test func changesOutOfFormHaveNoColumns() {
        let account = FlatKey(account: .zero)
        let slot = FlatKey(account: .zero, slot: .max)
        let body = StateAccount(nonce: 1).slim
        #expect(ChangeColumns([LeafChange(key: slot, value: [1])]) == nil)
        #expect(ChangeColumns([LeafChange(key: account, value: nil), LeafChange(key: slot, value: nil)]) == nil)
        #expect(ChangeColumns([LeafChange(key: account, value: body), LeafChange(key: slot, value: nil)]) != nil)
    }

    @Test func namesWhatIsWrong() throws {
        var generator = SeededGenerator(seed: Self.seed + 6)
        let pair = try StatePair(&generator)
        let key = try pair.key([3, 4])
        let value = try pair.serve(key)
        func failure(_ value: [UInt8], _ key: DiffsKey, root: Bytes32) -> DiffError? {
            do throws(DiffError) {
                _ = try DiffsCheck.verify(value, key: key, depth: 1, stateRoot: root)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure(value, try pair.key([3, 5]), root: pair.after.root) == .wrongSections)
        #expect(failure(value, try pair.key([3, 4], withProof: false), root: pair.after.root) == .unaskedProof)
        #expect(
            failure(value, try pair.key([3, 4], maxBytes: 10), root: pair.after.root) == .overMaxBytes(value.count))
        #expect(failure(value, key, root: pair.before.root) == .proof(.missingNode(.root)))
        #expect(failure([0], key, root: pair.after.root) == .malformed(.wrongSize))
        let unproven = try pair.key([3, 4], withProof: false)
        let short = try pair.serve(unproven)
        #expect(failure(short, unproven, root: pair.after.root) == nil)
        #expect(short.count < value.count)
    }
}
