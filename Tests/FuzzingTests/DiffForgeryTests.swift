import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore
import Testing

@testable import Fuzzing

/// Two small states and what leads from one to the other in one section, told truly or not, as a section diff and as a
/// block diff.
private struct Telling {
    let before: SampleState
    let after: SampleState
    let section: Section

    init(_ before: [SampleState.Account], _ after: [SampleState.Account], in section: Int, depth: Int = 1) throws {
        self.before = try SampleState(before, depth: depth)
        self.after = try SampleState(after, depth: depth)
        self.section = Section(depth: depth, index: section)
    }

    var truth: [LeafChange] { before.changes(to: after).filter { section.contains($0.key.account) } }
    var index: Int { section.index }

    private func proof() throws -> [[UInt8]] { try after.crown.proofNodes(forSection: index) }

    /// Why a section diff with these changes is refused; nil where it is accepted and applied. Written by the schema,
    /// so that what no honest server would send can be sent.
    func sectionDiff(_ changes: [LeafChange], proof: [[UInt8]]? = nil) throws -> DiffError? {
        let key = try #require(
            DiffsKey(
                from: StatePoint(number: 1, hash: before.root), to: StatePoint(number: 2, hash: after.root),
                sections: [index], maxBytes: 1 << 20, withProof: true))
        let value = SSZValue.fields([
            .elements([.integer(UInt32(index))]), .elements([WireChanges(changes).value]),
            .elements(try (proof ?? self.proof()).map { .bytes($0) }),
        ])
        let bytes = [0] + (try SSZ.encode(value, as: SectionDiffsValue.schema))
        return try refusal {
            for diff in try DiffsCheck.verify(bytes, key: key, depth: section.depth, stateRoot: after.root) {
                #expect(diff.changes == changes)
                var view = before.view
                let hash = try #require(diff.hashAfter)
                let update = try DiffsCheck.apply(diff.changes, to: section, expecting: hash, in: &view)
                #expect(update.subtreeAfter == after.sections[index])
            }
        }
    }

    /// The same of a block diff.
    func blockDiff(_ changes: [LeafChange], proof: [[UInt8]]? = nil) throws -> DiffError? {
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: .max, stateRoot: after.root, number: 2, timestamp: 9))
        let value = BlockDiffValue(
            header: header.rlp, certificate: [], sectionHashBefore: try before.crown.sectionHash(index),
            changes: changes, codes: [], pathProof: try proof ?? self.proof())
        return try refusal {
            // What has a wire form takes it.
            let read = try value.encoded.map { try BlockDiffValue(decoding: $0) } ?? value
            let key = BlockDiffKey(point: header.point, section: index)
            let claims = try BlockDiffCheck.verify(read, key: key, depth: section.depth)
            var view = before.view
            let applied = try BlockDiffCheck.apply(read, to: section, expecting: claims.sectionHashAfter, in: &view)
            #expect(applied.update.subtreeAfter == after.sections[index])
        }
    }

    /// The same of block diffs of a stretch that has this section alone.
    func stretchDiff(_ changes: [LeafChange], proof: [[UInt8]]? = nil) throws -> DiffError? {
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: .max, stateRoot: after.root, number: 2, timestamp: 9))
        let value = SSZValue.fields([
            .bytes(header.rlp), .bytes([]), .elements([.bytes32(try before.crown.sectionHash(index))]),
            WireChanges(changes).value, .elements([]), .elements(try (proof ?? self.proof()).map { .bytes($0) }),
        ])
        let bytes = [0] + (try SSZ.encode(value, as: BlockDiffsValue.schema))
        return try refusal {
            let key = try #require(BlockDiffsKey(point: header.point, first: index, last: index))
            let claims = try BlockDiffsCheck.verify(
                try BlockDiffsValue(decoding: bytes), key: key, depth: section.depth)
            let part = try #require(claims.parts.first)
            var view = before.view
            let applied = try BlockDiffCheck.apply(
                part.value, to: section, expecting: part.sectionHashAfter, in: &view)
            #expect(applied.update.subtreeAfter == after.sections[index])
        }
    }

    private func refusal(_ body: () throws -> Void) throws -> DiffError? {
        do {
            try body()
            return nil
        } catch let error as DiffError {
            return error
        }
    }

    /// The truth is accepted in all forms; a stretch of a section that did not change there is none.
    func expectTruth() throws {
        #expect(try sectionDiff(truth) == nil)
        #expect(try blockDiff(truth) == nil)
        #expect(try stretchDiff(truth) == (truth.isEmpty ? .wrongSections : nil))
    }

    /// These changes are refused in all forms with this error. What a stretch is of follows from the changes: those
    /// that begin or end in another section, or that there are none of, make another stretch than the key names.
    func expect(_ changes: [LeafChange], refusedAs error: DiffError) throws {
        #expect(changes != truth)
        #expect(try sectionDiff(changes) == error)
        #expect(try blockDiff(changes) == error)
        let isOtherStretch = [changes.first, changes.last].contains { change in
            change.map { !section.contains($0.key.account) } ?? true
        }
        #expect(try stretchDiff(changes) == (isOtherStretch ? .wrongSections : error))
    }

    /// The error that says that a change cannot be applied.
    func change(_ error: StateChangeError) -> DiffError { .change(section: index, error) }
    /// The error of a section that comes out as another than is proven.
    var mismatch: DiffError { .sectionHashMismatch(section: index) }
}

/// The list of forgeries of diffs that other projects met, each on section diffs, block diffs and stretches of them.
@Suite struct DiffForgeryTests {
    /// The key that begins with these hex digits, then zeros, and ends with `tail`.
    private func key(_ digits: String, _ tail: UInt64 = 1) -> Bytes32 {
        let padded = digits + String(repeating: "0", count: 64 - digits.count)
        let key = Bytes32(hex: padded) ?? .zero
        return Bytes32(key.word0, key.word1, key.word2, key.word3 ^ tail)
    }

    private func account(_ key: Bytes32, _ nonce: UInt64, slots: [Row] = []) -> SampleState.Account {
        SampleState.Account(key: key, nonce: nonce, codeHash: StateAccount.emptyCodeHash, slots: slots)
    }

    private func put(_ account: SampleState.Account) -> LeafChange {
        LeafChange(key: FlatKey(account: account.key), value: account.body.slim)
    }

    private func put(_ account: Bytes32, _ slot: Bytes32, _ value: [UInt8]?) -> LeafChange {
        LeafChange(key: FlatKey(account: account, slot: slot), value: value)
    }

    private func delete(_ account: Bytes32) -> LeafChange {
        LeafChange(key: FlatKey(account: account), value: nil)
    }

    /// Section 3: a stays, b changes, c goes, d comes, e has storage in which a slot stays, one changes, one goes and
    /// one comes. Other sections have something too.
    private func general() throws -> (Telling, keys: [String: Bytes32], slots: [Bytes32]) {
        let keys = [
            "a": key("30"), "b": key("31"), "c": key("32"), "d": key("33"), "e": key("3456"), "other": key("70"),
        ]
        let slots = [key("10"), key("20"), key("30"), key("31")]
        func at(_ name: String) -> Bytes32 { keys[name] ?? .zero }
        let common = [account(at("a"), 1), account(at("other"), 2)]
        let rows = [[1], [2], [3], [4]].enumerated().map { Row(key: slots[$0.offset], value: $0.element) }
        var changed = rows[1]
        changed.value = [0x99, 0x99]
        let before =
            common + [
                account(at("b"), 3), account(at("c"), 4), account(at("e"), 5, slots: Array(rows[..<3])),
            ]
        let after =
            common + [
                account(at("b"), 30), account(at("d"), 6), account(at("e"), 5, slots: [rows[0], changed, rows[3]]),
            ]
        return (try Telling(before, after, in: 3), keys, slots)
    }

    @Test func anHonestDiffIsAccepted() throws {
        let (telling, keys, slots) = try general()
        try telling.expectTruth()
        #expect(
            telling.truth.map(\.key) == [
                FlatKey(account: keys["b"] ?? .zero), FlatKey(account: keys["c"] ?? .zero),
                FlatKey(account: keys["d"] ?? .zero), FlatKey(account: keys["e"] ?? .zero),
                FlatKey(account: keys["e"] ?? .zero, slot: slots[1]),
                FlatKey(account: keys["e"] ?? .zero, slot: slots[2]),
                FlatKey(account: keys["e"] ?? .zero, slot: slots[3]),
            ])
    }

    @Test(arguments: 0..<7) func omittedPutOrDelete(place: Int) throws {
        let (telling, keys, _) = try general()
        var changes = telling.truth
        let omitted = changes.remove(at: place)
        let owner = try #require(keys["e"])
        if omitted.key.slot != nil {
            try telling.expect(changes, refusedAs: telling.change(.storageRootMismatch(account: owner)))
        } else if omitted.key.account == owner {
            // Its slots stand without it. On the wire they are the account before's, or nobody's.
            #expect(try telling.blockDiff(changes) == telling.change(.bodyMissing(account: owner)))
        } else {
            try telling.expect(changes, refusedAs: telling.mismatch)
        }
    }

    @Test func deleteTurnedIntoPut() throws {
        let (telling, keys, slots) = try general()
        let (gone, owner) = (try #require(keys["c"]), try #require(keys["e"]))
        func told(_ change: LeafChange) -> [LeafChange] {
            telling.truth.map { $0.key == change.key ? change : $0 }
        }
        try telling.expect(told(put(account(gone, 44))), refusedAs: telling.mismatch)
        // As it was before: nothing changes, which a diff never says.
        try telling.expect(
            told(put(account(gone, 4))), refusedAs: telling.change(.noChange(FlatKey(account: gone))))
        try telling.expect(
            told(put(owner, slots[2], [7])), refusedAs: telling.change(.storageRootMismatch(account: owner)))
        try telling.expect(
            told(put(owner, slots[2], [3])),
            refusedAs: telling.change(.noChange(FlatKey(account: owner, slot: slots[2]))))
    }

    @Test func putTurnedIntoDelete() throws {
        let (telling, keys, slots) = try general()
        let owner = try #require(keys["e"])
        func told(_ key: FlatKey) -> [LeafChange] {
            telling.truth.map { $0.key == key ? LeafChange(key: key, value: nil) : $0 }
        }
        try telling.expect(told(FlatKey(account: try #require(keys["b"]))), refusedAs: telling.mismatch)
        let new = FlatKey(account: try #require(keys["d"]))
        try telling.expect(told(new), refusedAs: telling.change(.noChange(new)))
        try telling.expect(
            told(FlatKey(account: owner, slot: slots[1])),
            refusedAs: telling.change(.storageRootMismatch(account: owner)))
        let newSlot = FlatKey(account: owner, slot: slots[3])
        try telling.expect(told(newSlot), refusedAs: telling.change(.noChange(newSlot)))
        // An account that is gone with slots beside it has no form on the wire; where it is said all the same, the
        // slots are implied.
        let withSlots = told(FlatKey(account: owner))
        #expect(try telling.sectionDiff(withSlots) == .malformed(.wrongShape))
        #expect(
            try telling.blockDiff(withSlots)
                == telling.change(.impliedSlot(FlatKey(account: owner, slot: slots[1]))))
        let alone = withSlots.filter { $0.key.slot == nil }
        try telling.expect(alone, refusedAs: telling.mismatch)
    }

    @Test func operationOutsideTheRange() throws {
        let (telling, keys, _) = try general()
        let foreign = account(try #require(keys["other"]), 99)
        let error = telling.change(.foreignKey(FlatKey(account: foreign.key)))
        try telling.expect(telling.truth + [put(foreign)], refusedAs: error)
        try telling.expect([put(foreign)], refusedAs: error)
        // Below the section; order is judged after place.
        let below = account(key("2fff"), 1)
        try telling.expect(
            [put(below)] + telling.truth, refusedAs: telling.change(.foreignKey(FlatKey(account: below.key))))
    }

    /// Keys at the very ends of a section, which differ from the next section's first by one; and keys of another
    /// length, of which the wire has none.
    @Test func operationAtThePrefixOfTheBoundary() throws {
        let section = Section(depth: 1, index: 3)
        let next = try #require(section.next)
        let ends = [account(section.firstKey, 1), account(section.lastKey, 2)]
        let common = [account(next.firstKey, 3), account(key("35"), 4)]
        let telling = try Telling(common, common + ends, in: 3)
        try telling.expectTruth()
        #expect(telling.truth == ends.map(put))
        try telling.expect([put(ends[0])], refusedAs: telling.mismatch)
        try telling.expect([put(ends[1])], refusedAs: telling.mismatch)
        let beyond = account(next.firstKey, 2)
        try telling.expect(
            [put(ends[0]), put(beyond)], refusedAs: telling.change(.foreignKey(FlatKey(account: next.firstKey))))
        let inner = account(section.lastKey.predecessor ?? .zero, 2)
        try telling.expect([put(ends[0]), put(inner)], refusedAs: telling.mismatch)
        let key = try #require(
            DiffsKey(
                from: StatePoint(number: 1, hash: .zero), to: StatePoint(number: 2, hash: .zero), sections: [3],
                maxBytes: 1_000, withProof: false))
        // A column of one key and its first 31 bytes once more.
        let keys = section.firstKey.bytes + section.firstKey.bytes.dropLast()
        let columns = [20, 20 + keys.count] + Array(repeating: 20 + keys.count, count: 3)
        func words(_ numbers: [Int]) -> [UInt8] {
            numbers.flatMap { number in withUnsafeBytes(of: UInt32(number).littleEndian) { Array($0) } }
        }
        let changes = words(columns) + keys
        let bytes = [0] + words([12, 16, 20 + changes.count, 3, 4]) + changes
        #expect(throws: DiffError.malformed(.wrongSize)) {
            try DiffsCheck.verify(bytes, key: key, depth: 1, stateRoot: .zero)
        }
    }

    @Test func emptyRange() throws {
        let common = [account(key("30"), 1), account(key("70"), 2)]
        // Nothing before, nothing after: nothing is the one true diff.
        let nothing = try Telling(common, common, in: 5)
        try nothing.expectTruth()
        #expect(nothing.truth.isEmpty)
        let invented = account(key("55"), 7)
        try nothing.expect([put(invented)], refusedAs: nothing.mismatch)
        try nothing.expect(
            [delete(invented.key)], refusedAs: nothing.change(.noChange(FlatKey(account: invented.key))))
        // Nothing before, something after: saying nothing is a lie.
        let filled = try Telling(common, common + [invented], in: 5)
        try filled.expectTruth()
        try filled.expect([], refusedAs: filled.mismatch)
    }

    @Test func allDeleted() throws {
        let common = [account(key("30"), 1), account(key("70"), 2)]
        let doomed = [account(key("51"), 3), account(key("52"), 4), account(key("5200", 9), 5)]
        let telling = try Telling(common + doomed, common, in: 5)
        try telling.expectTruth()
        #expect(telling.truth == doomed.map { delete($0.key) })
        for place in doomed.indices {
            var changes = telling.truth
            changes.remove(at: place)
            try telling.expect(changes, refusedAs: telling.mismatch)
        }
        // A section that lives on, said to be empty; and a whole state that is.
        let living = try Telling(common + doomed, common + [doomed[1]], in: 5)
        try living.expect(doomed.map { delete($0.key) }, refusedAs: living.mismatch)
        let all = try Telling(doomed, [], in: 5)
        try all.expectTruth()
        try all.expect([delete(doomed[0].key)], refusedAs: all.mismatch)
    }

    @Test func subtreeCollapsesToALeaf() throws {
        let common = [account(key("30"), 1), account(key("70"), 2)]
        let three = [account(key("511"), 3), account(key("512"), 4), account(key("58"), 5)]
        for survivor in three {
            let telling = try Telling(common + three, common + [survivor], in: 5)
            try telling.expectTruth()
            guard case .leaf = telling.after.sections[5] else {
                Issue.record("the section is one leaf")
                continue
            }
            // Another one is said to survive, or two.
            for other in three where other.key != survivor.key {
                let gone = three.filter { $0.key != other.key }
                try telling.expect(gone.map { delete($0.key) }, refusedAs: telling.mismatch)
            }
            try telling.expect(Array(telling.truth.prefix(1)), refusedAs: telling.mismatch)
        }
    }

    @Test func subtreeCollapsesToAnExtension() throws {
        let common = [account(key("30"), 1), account(key("70"), 2)]
        // Two that share five nibbles, and one beside them that holds the section's branch up.
        let kept = [account(key("51234a"), 3), account(key("51234b"), 4)]
        let support = account(key("58"), 5)
        let telling = try Telling(common + kept + [support], common + kept, in: 5)
        try telling.expectTruth()
        guard case .branch(let path, _) = telling.after.sections[5] else {
            Issue.record("the section is a branch behind an extension")
            return
        }
        #expect(path == Nibbles(key("51234"), count: 5))
        try telling.expect([], refusedAs: telling.mismatch)
        try telling.expect([delete(kept[0].key)], refusedAs: telling.mismatch)
        try telling.expect([delete(kept[1].key), delete(support.key)], refusedAs: telling.mismatch)
    }

    /// All keys lie in section 51 behind one extension that spans the depth; a key of section 5e splits it above the
    /// section's root. The old section's own hash stays, its path is another.
    @Test func addedKeySplitsAnExtensionAboveTheSection() throws {
        let settled = [account(key("51234a"), 3), account(key("51234b"), 4)]
        let added = account(key("5e"), 5)
        let old = try Telling(settled, settled + [added], in: 0x51, depth: 2)
        try old.expectTruth()
        #expect(old.truth.isEmpty)
        #expect(try old.before.crown.sectionHash(0x51) == old.after.crown.sectionHash(0x51))
        try old.expect([put(added)], refusedAs: old.change(.foreignKey(FlatKey(account: added.key))))
        try old.expect([delete(settled[0].key)], refusedAs: old.mismatch)
        // The path of before, under the root of after.
        let stale = try old.before.crown.proofNodes(forSection: 0x51)
        #expect(try old.sectionDiff([], proof: stale) == .proof(.missingNode(.root)))
        #expect(try old.blockDiff([], proof: stale) == .proof(.missingNode(.root)))
        #expect(try old.stretchDiff([delete(settled[0].key)], proof: stale) == .proof(.missingNode(.root)))
        let new = try Telling(settled, settled + [added], in: 0x5e, depth: 2)
        try new.expectTruth()
        try new.expect([], refusedAs: new.mismatch)
        try new.expect([put(account(key("5e", 2), 5))], refusedAs: new.mismatch)
        // Split below the section's root: the key is the section's own.
        let inner = account(key("5129"), 6)
        let below = try Telling(settled, settled + [inner], in: 0x51, depth: 2)
        try below.expectTruth()
        try below.expect([], refusedAs: below.mismatch)
        try below.expect([put(account(key("5128"), 6))], refusedAs: below.mismatch)
    }
}
