import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// What a block changed in parts of spread storage: part by part, and in a stretch of them.
@Suite("Block diffs of parts") struct SpreadBlockDiffTests {
    typealias Step = SpreadContentTests.Step

    @Test func blockDiffsOfPartsLeadThroughTheirAccount() throws {
        var generator = SeededGenerator(seed: 15)
        let step = try Step(&generator)
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: .max, stateRoot: step.after.whole.root, number: 7, timestamp: 1_000))
        let part = Section(depth: 1, index: 6, of: step.before.owner)
        let key = BlockDiffKey(trie: step.before.trie, point: header.point, section: 6)
        func value(_ changes: [LeafChange], _ proof: [[UInt8]]) -> BlockDiffValue {
            BlockDiffValue(
                header: header.rlp, certificate: [], sectionHashBefore: step.before.parts[6].sectionHash ?? .zero,
                changes: changes, codes: [], pathProof: proof)
        }
        let (changes, proof) = (step.changes(in: part), try step.after.crown(6...6).accountAndWay)
        let diff = value(changes, proof)
        let claims = try BlockDiffCheck.verify(diff, key: key, depth: 1)
        #expect(claims.sectionHashAfter == step.after.parts[6].sectionHash)
        #expect(claims.owner == step.after.account?.body.slim)
        var view = step.before.view(of: [6])
        let (update, codes) = try BlockDiffCheck.apply(diff, to: part, expecting: claims.sectionHashAfter, in: &view)
        #expect(update.subtreeAfter == step.after.parts[6].subtree && codes.isEmpty)
        // The account must be there, and be as it is.
        #expect(throws: DiffError.wrongOwner(account: step.before.owner)) {
            try BlockDiffCheck.verify(value(Array(changes.dropFirst()), proof), key: key, depth: 1)
        }
        let other = LeafChange(key: changes[0].key, value: step.before.account?.body.slim)
        #expect(throws: DiffError.wrongOwner(account: step.before.owner)) {
            try BlockDiffCheck.verify(value([other] + changes.dropFirst(), proof), key: key, depth: 1)
        }
        for index in proof.indices {
            var fewer = proof
            fewer.remove(at: index)
            #expect(throws: DiffError.self) { try BlockDiffCheck.verify(value(changes, fewer), key: key, depth: 1) }
        }
        let wrong = BlockDiffKey(trie: step.before.trie, point: header.point, section: 16)
        #expect(throws: DiffError.wrongSections) { try BlockDiffCheck.verify(diff, key: wrong, depth: 1) }
    }

    // MARK: Stretches of parts

    /// A block that changes parts of one trie, with all that can be told of it.
    private struct Stretch {
        let step: Step
        let point: StatePoint
        let diffs: [(section: Int, value: BlockDiffValue)]
        let key: BlockDiffsKey
        let bytes: [UInt8]

        init(seed: UInt64) throws {
            var generator = SeededGenerator(seed: seed)
            let step = try Step(&generator)
            let header = try BlockHeader(
                BlockHeader.Fields(parentHash: .max, stateRoot: step.after.whole.root, number: 7, timestamp: 1_000))
            diffs = try (0..<16).compactMap { index in
                let changes = step.changes(in: Section(depth: 1, index: index, of: step.before.owner))
                guard !changes.isEmpty else { return nil }
                return (
                    index,
                    BlockDiffValue(
                        header: header.rlp, certificate: [],
                        sectionHashBefore: step.before.parts[index].sectionHash ?? .zero, changes: changes, codes: [],
                        pathProof: try step.after.crown(index...index).accountAndWay)
                )
            }
            point = header.point
            let joined = BlockDiffsServer.join(diffs, of: step.before.trie, at: header.point)
            try #require(joined.count == 1 && diffs.count > 2)
            (key, bytes) = joined[0]
            self.step = step
        }

        func claims(_ bytes: [UInt8], _ key: BlockDiffsKey) throws(DiffError) -> BlockDiffsCheck.Claims {
            try BlockDiffsCheck.verify(try BlockDiffsValue(decoding: bytes), key: key, depth: 1)
        }
    }

    @Test(arguments: [UInt64(16), 17])
    func aStretchOfPartsSaysWhatEachPartsDiffSays(seed: UInt64) throws {
        let stretch = try Stretch(seed: seed)
        #expect(stretch.key.trie == stretch.step.before.trie)
        #expect(stretch.key.first == stretch.diffs.first?.section && stretch.key.last == stretch.diffs.last?.section)
        let claims = try stretch.claims(stretch.bytes, stretch.key)
        #expect(claims.parts.map(\.section) == stretch.diffs.map(\.section))
        for (part, diff) in zip(claims.parts, stretch.diffs) {
            #expect(part.value == diff.value)
            #expect(part.sectionHashAfter == stretch.step.after.parts[part.section].sectionHash)
        }
        let value = try BlockDiffsValue(decoding: stretch.bytes)
        #expect(value.columns.accountKeys == [stretch.step.before.owner], "the account stands once")
        #expect(Set(value.proof).count == value.proof.count, "each node once")
        let apart = stretch.diffs.reduce(0) { $0 + ($1.value.encoded?.count ?? 0) }
        #expect(stretch.bytes.count < apart)
    }

    @Test func everyChangedByteOfAStretchOfPartsIsRefused() throws {
        let stretch = try Stretch(seed: 16)
        func take(_ bytes: [UInt8]) throws {
            let claims = try stretch.claims(bytes, stretch.key)
            for part in claims.parts {
                let section = Section(depth: 1, index: part.section, of: stretch.step.before.owner)
                var view = stretch.step.before.view(of: 0...15)
                // The hash of the state before is compared with what is held, not proven.
                guard part.value.sectionHashBefore == stretch.step.before.parts[part.section].sectionHash else {
                    throw DiffError.wrongSections
                }
                _ = try BlockDiffCheck.apply(part.value, to: section, expecting: part.sectionHashAfter, in: &view)
            }
        }
        #expect(throws: Never.self) { try take(stretch.bytes) }
        for place in stretch.bytes.indices {
            var lie = stretch.bytes
            lie[place] ^= 1
            #expect(throws: DiffError.self, "byte \(place)") { try take(lie) }
        }
    }

    @Test func aStretchOfPartsIsOfTheKeysTrieAndBounds() throws {
        let stretch = try Stretch(seed: 16)
        let (owner, point) = (stretch.step.before.owner, stretch.point)
        func failure(_ trie: StateTrie, _ first: Int, _ last: Int) throws -> DiffError? {
            let key = try #require(BlockDiffsKey(trie: trie, point: point, first: first, last: last))
            do throws(DiffError) {
                _ = try stretch.claims(stretch.bytes, key)
                return nil
            } catch {
                return error
            }
        }
        let (first, last) = (stretch.key.first, stretch.key.last)
        #expect(try failure(.storage(account: owner, placement: 1), first, last) == nil)
        #expect(try failure(.storage(account: owner, placement: 1), first, 16) == .wrongSections)
        #expect(try failure(.storage(account: owner, placement: 1), first + 1, last) == .wrongSections)
        #expect(try failure(.storage(account: owner, placement: 0), first, last) == .wrongSections)
        #expect(try failure(.storage(account: owner, placement: 2), first, last) == .wrongSections)
        #expect(try failure(.storage(account: owner, placement: 255), first, last) == .wrongSections)
        #expect(try failure(.accounts, first, last) == .wrongSections)
        let other = owner ^ Bytes32(0, 0, 0, 1)
        guard case .proof? = try failure(.storage(account: other, placement: 1), first, last) else {
            Issue.record("the proof leads to another account")
            return
        }
    }

    /// Where the account is gone no slot says which parts changed.
    @Test func whatIsGoneWithItsAccountIsToldPartByPart() throws {
        let stretch = try Stretch(seed: 16)
        let (section, diff) = stretch.diffs[0]
        let gone = BlockDiffValue(
            header: diff.header, certificate: [], sectionHashBefore: diff.sectionHashBefore,
            changes: [LeafChange(key: FlatKey(account: stretch.step.before.owner), value: nil)], codes: [],
            pathProof: diff.pathProof)
        let trie = stretch.step.before.trie
        #expect(!BlockDiffsServer.holds(gone, of: trie) && BlockDiffsServer.holds(gone, of: .accounts))
        #expect(BlockDiffsServer.join([(section, gone)], of: trie, at: stretch.point).isEmpty)
    }

    @Test func theLimitIsMetToTheByteByPartsToo() throws {
        let stretch = try Stretch(seed: 16)
        let (trie, size) = (stretch.step.before.trie, stretch.bytes.count)
        #expect(BlockDiffsServer.join(stretch.diffs, of: trie, at: stretch.point, limit: size).count == 1)
        #expect(BlockDiffsServer.join(stretch.diffs, of: trie, at: stretch.point, limit: size - 1).count == 2)
    }
}
