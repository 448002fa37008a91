import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Several sections in one answer: what is given is the state's, and nothing else is believed.
@Suite struct SectionsTests {
    static let seed: UInt64 = 7_045
    static let depth = 2

    private func key(_ sections: [Int], maxBytes: Int = 1 << 20) throws -> SectionsKey {
        try #require(
            SectionsKey(anchor: TestState.anchor, sections: sections, maxBytes: UInt32(truncatingIfNeeded: maxBytes)))
    }

    private func serve(
        _ key: SectionsKey, _ state: TestState, ready: [Int: SectionColumns] = [:]
    ) throws -> [UInt8] {
        var view = state.view
        return try #require(try SectionsServer.serve(key, view: &view, crown: state.crown, ready: ready))
    }

    private func verify(
        _ value: [UInt8], _ key: SectionsKey, _ state: TestState
    ) throws(SectionsError) -> VerifiedSections {
        try SectionsCheck.verify(value, key: key, depth: Self.depth, stateRoot: state.root)
    }

    private func columns(_ state: TestState, _ index: Int) throws -> SectionColumns {
        var view = state.view
        let section = Section(depth: Self.depth, index: index)
        return try #require(try SectionsServer.columns(of: section, from: &view, bytes: 1 << 20))
    }

    private func error(_ value: [UInt8], _ key: SectionsKey, _ state: TestState) -> SectionsError? {
        do throws(SectionsError) { _ = try verify(value, key, state) } catch { return error }
        return nil
    }

    // MARK: What is true passes

    @Test func everySectionComesAsItIs() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for round in 0..<12 {
            let state = try TestState.random(&generator, accounts: [3, 60, 900][round % 3], depth: Self.depth)
            let key = try key(Array(0..<256))
            let found = try verify(try serve(key, state), key, state)
            #expect(found.parts.map(\.section.index) == Array(0..<256))
            #expect(found.accounts.keys == state.accounts.map(\.key))
            #expect(found.slots.keys == state.accounts.flatMap { $0.slots.map(\.key) })
            for part in found.parts {
                #expect(try part.subtree.hash(at: Self.depth) == state.crown.sectionHash(part.section.index))
                let leaves = state.leaves.filter { part.section.contains($0.key.account) }
                #expect(leaves.count == part.accounts.count + part.slots.count, "round \(round), \(part.section)")
            }
        }
    }

    @Test func anySectionsOfAnyOrderOfReadinessAreTheSame() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        let state = try TestState.random(&generator, accounts: 500, depth: Self.depth)
        for _ in 0..<40 {
            let first = Int.random(in: 0..<200, using: &generator)
            let sections = (first..<256).filter { _ in Bool.random(using: &generator) }
            guard !sections.isEmpty else { continue }
            let key = try key(sections)
            let plain = try serve(key, state)
            var ready: [Int: SectionColumns] = [:]
            for index in sections where Bool.random(using: &generator) { ready[index] = try columns(state, index) }
            #expect(try serve(key, state, ready: ready) == plain)
            #expect(try verify(plain, key, state).parts.map(\.section.index) == sections)
        }
    }

    /// What is ready goes first: with room for half of all, it is the ready half.
    @Test func whatIsReadyGoesFirst() throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        let state = try TestState.random(&generator, accounts: 900, depth: Self.depth)
        let sections = Array(64..<128)
        let half = Array(sections.suffix(32))
        let ready = Dictionary(uniqueKeysWithValues: try half.map { ($0, try columns(state, $0)) })
        let size = try serve(try key(half), state).count
        let key = try key(sections, maxBytes: size + 40)
        let found = try verify(try serve(key, state, ready: ready), key, state)
        #expect(Set(found.parts.map(\.section.index)).isSuperset(of: half))
        #expect(found.parts.count < sections.count)
    }

    // MARK: Limits, from both sides

    /// With a byte less than an answer has, one section less is given; with less than any section has, none is.
    @Test func anAnswerFillsWhatItMayHave() throws {
        var generator = SeededGenerator(seed: Self.seed + 3)
        let state = try TestState.random(&generator, accounts: 700, depth: Self.depth)
        let all = Array(16..<48)
        let whole = try serve(try key(all), state)
        for maxBytes in [whole.count + 32, whole.count, whole.count - 1, whole.count / 2, 4_000, 700] {
            let key = try key(all, maxBytes: maxBytes)
            let value = try serve(key, state)
            #expect(value.count <= maxBytes)
            if value == StateStatus.itemTooLarge.encoded { continue }
            let found = try verify(value, key, state)
            #expect(!found.parts.isEmpty)
            #expect((found.parts.count == all.count) == (maxBytes >= whole.count + 32), "\(maxBytes)")
        }
        #expect(try serve(try key(all, maxBytes: 60), state) == StateStatus.itemTooLarge.encoded)
        let bounded = try key(all, maxBytes: whole.count - 1)
        #expect(error(whole, bounded, state) == .overMaxBytes(whole.count))
    }

    /// A section that fits no answer is left out, and those after it are given all the same.
    @Test func aSectionTooLargeIsSteppedOver() throws {
        var generator = SeededGenerator(seed: Self.seed + 4)
        var accounts = try TestState.random(&generator, accounts: 300, depth: Self.depth).accounts
        let crowd = (0..<400).map { number in
            TestState.Account(
                key: Bytes32(0x20 << 56 | UInt64(number) << 20, 1, 2, 3), nonce: 1,
                codeHash: StateAccount.emptyCodeHash, slots: [])
        }
        accounts.removeAll { $0.key.word0 >> 56 == 0x20 }
        let state = try TestState(accounts + crowd, depth: Self.depth)
        let key = try key([0x1f, 0x20, 0x21, 0x22], maxBytes: 12_000)
        let found = try verify(try serve(key, state), key, state)
        #expect(found.parts.map(\.section.index) == [0x1f, 0x21, 0x22])
        let alone = try self.key([0x20], maxBytes: 12_000)
        #expect(try serve(alone, state) == StateStatus.itemTooLarge.encoded)
    }

    /// The largest answer that is given passes: as many leaves as one may have, and not one more.
    @Test func theLargestAnswerPasses() throws {
        let one = (0..<256).map { section in
            (0..<(section == 255 ? 257 : 256)).map { number in
                TestState.Account(
                    key: Bytes32(UInt64(section) << 56 | UInt64(number) << 40, 0, 0, 7), nonce: 1,
                    codeHash: StateAccount.emptyCodeHash, slots: [])
            }
        }
        let state = try TestState(one.flatMap { $0 }, depth: Self.depth)
        let key = try key(Array(0..<256), maxBytes: StateContentLimits.answerBytes)
        let value = try serve(key, state)
        #expect(value.count <= StateContentLimits.servedRangeBytes)
        let found = try verify(value, key, state)
        // The last one has a leaf too many for an answer with all.
        #expect(found.parts.count == 255)
        let last = try self.key([255], maxBytes: StateContentLimits.answerBytes)
        #expect(try verify(try serve(last, state), last, state).accounts.count == 257)
        #expect(StateContentKey.sections(key).servedBytes(sectionDepth: 2) == StateContentLimits.servedRangeBytes)
    }

    @Test func whoHasNoneOfThemGivesNothing() throws {
        var generator = SeededGenerator(seed: Self.seed + 5)
        let state = try TestState.random(&generator, accounts: 60, depth: Self.depth)
        let record = SectionRecord(
            section: Section(depth: Self.depth, index: 3), working: StatePoint(number: 1, hash: state.root),
            coverage: .complete(.empty))
        var view = StateView(
            state.snapshot, depth: Self.depth, sections: [(section: record.section, layering: .base)])
        #expect(try SectionsServer.serve(try key([5, 6]), view: &view, crown: state.crown) == nil)
        let some = try key([2, 3, 4])
        let value = try #require(try SectionsServer.serve(some, view: &view, crown: state.crown))
        #expect(try verify(value, some, state).parts.map(\.section.index) == [3])
    }

    // MARK: What is not true does not

    @Test func everyByteCounts() throws {
        var generator = SeededGenerator(seed: Self.seed + 6)
        let state = try TestState.random(&generator, accounts: 40, depth: Self.depth)
        // Of an empty section it is as true that it is here as that it is left out: only such as have leaves are asked
        // for.
        let key = try key(Set(state.accounts.map { Int($0.key.word0 >> 56) }).sorted())
        let value = try serve(key, state)
        for place in value.indices {
            for bit in [0, 3, 7] {
                var lie = value
                lie[place] ^= 1 << UInt8(bit)
                #expect(error(lie, key, state) != nil, "byte \(place), bit \(bit)")
            }
        }
        for count in 0..<value.count where count % 7 == 0 || count > value.count - 40 {
            #expect(error(Array(value.prefix(count)), key, state) != nil, "\(count) bytes")
        }
        #expect(error(value + [0], key, state) != nil)
    }

    @Test func liesAreTold() throws {
        var generator = SeededGenerator(seed: Self.seed + 7)
        let state = try TestState.random(&generator, accounts: 600, depth: Self.depth)
        let key = try key([16, 17, 18, 19, 20])
        let value = try serve(key, state)
        func lie(_ change: (inout SectionsValue) -> Void) throws -> SectionsError? {
            var changed = try SectionsValue(decoding: value, from: 16)
            change(&changed)
            return error(changed.encoded(from: 16), key, state)
        }
        #expect(try lie { _ in } == nil)
        // Not asked for, and beyond what the network has.
        #expect(try lie { $0.given = [16, 17, 18, 19, 20, 21] } == .wrongSections)
        let sparse = try self.key([16, 18, 20])
        #expect(error(value, sparse, state) == .wrongSections)
        let beyond = try self.key([250, 260])
        #expect(try error(serve(self.key([250, 251]), state), beyond, state) == .wrongSections)
        // Given and not there; there and not given.
        #expect(try lie { $0.given = [16, 17, 18, 19] } != nil)
        let without = try serve(try self.key([16, 17, 19, 20]), state)
        var claimed = try SectionsValue(decoding: without, from: 16)
        let whole = try SectionsValue(decoding: value, from: 16)
        claimed.given = whole.given
        claimed.proof = whole.proof
        #expect(error(claimed.encoded(from: 16), key, state) == .sectionHashMismatch(section: 18))
        // Two sections in the wrong order.
        #expect(
            try lie { value in
                let last = value.accountKeys.removeLast()
                value.accountKeys.insert(last, at: 0)
            } != nil)
        let last = try #require(whole.accountKeys.last)
        #expect(
            try lie { value in
                value.given = [16, 17, 18, 19]
            } != nil)
        #expect(
            try lie { value in
                value.accountKeys[value.accountKeys.count - 1] = Bytes32(last.word0 | 0xff << 56, 0, 0, 0)
            } != nil)
        // Nodes.
        #expect(
            try lie { $0.proof.removeLast() } == .proof(.missingNode(.root)) || lie { $0.proof.removeLast() } != nil)
        #expect(try lie { $0.proof.append([0xc0]) } != nil)
        #expect(error(StateStatus.itemTooLarge.encoded, key, state) == .status(.status(.itemTooLarge)))
        #expect(error([9], key, state) == .status(.unknownStatus(9)))
        #expect(error([], key, state) == .status(.empty))
    }

    @Test func countsAndSlotsMustBeRight() throws {
        let slots = (1...3).map { (key: Bytes32(UInt64($0) << 60, 0, 0, 0), value: [UInt8($0)]) }
        let account = TestState.Account(
            key: Bytes32(0x42 << 56, 1, 1, 1), nonce: 1, codeHash: StateAccount.emptyCodeHash, slots: slots)
        let state = try TestState([account], depth: Self.depth)
        let key = try key([0x42])
        let value = try SectionsValue(decoding: try serve(key, state), from: 0x42)
        func lie(_ change: (inout SectionsValue) -> Void) -> SectionsError? {
            var changed = value
            change(&changed)
            return error(changed.encoded(from: 0x42), key, state)
        }
        #expect(lie { $0.slotKeys.swapAt(0, 1) } == .slotOrder(account: account.key))
        #expect(lie { $0.slotKeys[2] = .max } == .storageRootMismatch(account: account.key))
        #expect(lie { $0.slotCounts = [1, 2] } == .malformed(.overLimit))
        #expect(
            lie { value in
                value.slotCounts = []
                value.slotKeys = []
                value.slotValues = ByteColumn()
            } == .wrongCounts(accounts: 1, counts: 0))
        #expect(
            lie { value in
                value.accountKeys = []
                value.bodies = ByteColumn()
                value.slotCounts = []
                value.slotKeys = []
                value.slotValues = ByteColumn()
            } == .sectionHashMismatch(section: 0x42))
    }

    // MARK: Keys

    @Test func aKeyNamesItsSectionsInOneWay() throws {
        #expect(SectionsKey(anchor: TestState.anchor, sections: [], maxBytes: 1) == nil)
        #expect(SectionsKey(anchor: TestState.anchor, sections: [3, 3], maxBytes: 1) == nil)
        #expect(SectionsKey(anchor: TestState.anchor, sections: [4, 3], maxBytes: 1) == nil)
        #expect(SectionsKey(anchor: TestState.anchor, sections: [0, 256], maxBytes: 1) == nil)
        #expect(SectionsKey(anchor: TestState.anchor, sections: [-1], maxBytes: 1) == nil)
        let widest = try key([7, 262])
        let bytes = StateContentKey.sections(widest).encoded
        #expect(try StateContentKey(decoding: bytes) == .sections(widest))
        #expect(bytes.count <= StateContentLimits.keyBytes)
    }
}
