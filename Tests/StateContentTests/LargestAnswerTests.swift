import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Every limit of the wire from both sides: the largest answer that our own server gives passes our own reader, and has
/// no more bytes than an asker lets come. (0x45 and 0x47 have theirs with their own tests, 0x4A too.)
@Suite struct LargestAnswerTests {
    /// Accounts of 40 bytes each, spread evenly.
    private static func accounts(_ count: Int) -> [TestState.Account] {
        (0..<count).map { number in
            TestState.Account(
                key: Bytes32(UInt64(number) << 47, 0, 0, 7), nonce: 1, codeHash: StateAccount.emptyCodeHash, slots: [])
        }
    }

    private func fits(_ value: [UInt8], _ key: StateContentKey, depth: Int) -> Bool {
        value.count <= key.servedBytes(sectionDepth: depth) && value.count <= key.askedBytes(sectionDepth: depth)
    }

    // MARK: Ranges

    /// As many leaves as one may have, and not one more.
    @Test func theRangeOfMostLeaves() throws {
        let state = try TestState(Self.accounts(65_537), depth: 1)
        let key = try TestState.key(
            Cursor(account: .zero), Cursor.end(of: .max), maxBytes: UInt32(StateContentLimits.answerBytes))
        let value = try state.serve(key)
        #expect(fits(value, .range(key), depth: 1))
        let range = try RangeCheck.verify(value, key: key, stateRoot: state.root)
        #expect(range.leaves.count == StateContentLimits.leaves)
        #expect(state.has(range))
    }

    /// As many bytes as one may have: most of one account's slots, all of the longest kind.
    @Test func theRangeOfMostBytes() throws {
        let slots = (0..<65_000).map { number in
            (key: Bytes32(UInt64(number) << 40, 0, 0, 5), value: [UInt8](repeating: 0xff, count: 32))
        }
        let code = Keccak.hash([1])
        let state = try TestState(
            [TestState.Account(key: Bytes32(1, 0, 0, 0), nonce: .max, codeHash: code, slots: slots)], depth: 1)
        let key = try TestState.key(
            Cursor(account: .zero), Cursor.end(of: .max), maxBytes: UInt32(StateContentLimits.answerBytes))
        let value = try state.serve(key)
        #expect(fits(value, .range(key), depth: 1))
        #expect(value.count > StateContentLimits.servedRangeBytes - 4_096)
        let range = try RangeCheck.verify(value, key: key, stateRoot: state.root)
        #expect(range.leaves.count < slots.count && state.has(range))
    }

    /// Of accounts whose storage is elsewhere each brings a body with a storage root and two branches of twelve
    /// children at least: more than may be proven fit no answer.
    @Test func noRangeHasMoreProvenStoragesThanMayBe() {
        let branch = 2 + 12 * 33 + 5
        let least = 33 + 70 + 2 * (branch + 4) + 4
        #expect(StateContentLimits.servedRangeBytes / least < StateContentLimits.provenStorages)
    }

    /// A part of a spread storage, of as many slots as fit.
    @Test func theRangeOfAPart() throws {
        var generator = SeededGenerator(seed: 61)
        let state = try SpreadState(&generator, accounts: 4, slots: 120_000)
        let key = try state.key(.zero, .max, maxBytes: UInt32(StateContentLimits.answerBytes))
        var view = state.view(of: 0...15)
        let value = try #require(try RangeServer.serve(key, view: &view, crown: try state.crown(0...15)))
        #expect(fits(value, .range(key), depth: 1))
        let range = try RangeCheck.verify(value, key: key, stateRoot: state.whole.root, placedBy: SpreadState.rule)
        #expect(range.leaves.count <= StateContentLimits.leaves)
        #expect(
            range.leaves.count == StateContentLimits.leaves
                || value.count > StateContentLimits.servedRangeBytes - 4_096)
    }

    // MARK: Diffs

    /// All sections that a key names, with as many leaves as there may be in all; of one more the last section is left
    /// out.
    @Test func theSectionDiffsOfMostLeaves() throws {
        let state = try TestState(Self.accounts(131_072), depth: 2)
        let bySection = Dictionary(grouping: state.accounts) { Section(of: $0.key, depth: 2).index }
        let point = StatePoint(number: 9, hash: state.root)
        let key = try #require(
            DiffsKey(
                from: .init(number: 1, hash: .zero), to: point, sections: Array(0..<256),
                maxBytes: UInt32(StateContentLimits.answerBytes), withProof: true))
        for extra in 0...1 {
            let value = try DiffsServer.serve(
                key, depth: 2, path: { try state.crown.proofNodes(forSection: $0.index) },
                changes: { section in
                    let count = section.index == 255 ? 256 + extra : 256
                    return (bySection[section.index] ?? []).prefix(count).map {
                        LeafChange(key: FlatKey(account: $0.key), value: $0.body.slim)
                    }
                })
            #expect(fits(value, .diffs(key), depth: 2))
            let diffs = try DiffsCheck.verify(value, key: key, depth: 2, stateRoot: state.root)
            #expect(diffs.count == 256 - extra)
            #expect(diffs.reduce(0) { $0 + $1.changes.count } == StateContentLimits.leaves - extra * 256)
        }
    }

    /// The diff of a section by a block, of as many leaves, codes and nodes as there may be.
    @Test func theLargestBlockDiff() throws {
        func value(leaves: Int, codes: Int, nodes: Int) -> BlockDiffValue {
            BlockDiffValue(
                header: [UInt8](repeating: 1, count: ChainLimits.headerBytes),
                certificate: [UInt8](
                    repeating: 1, count: ChainLimits.certificateClaims * SignedClaim.byteCount),
                sectionHashBefore: .max,
                changes: (0..<leaves).map { number in
                    LeafChange(key: FlatKey(account: Bytes32(UInt64(number), 0, 0, 0)), value: [0xc0])
                },
                codes: Array(repeating: [0x60, 0x00], count: codes),
                pathProof: Array(
                    repeating: [UInt8](repeating: 1, count: StateContentLimits.nodeBytes), count: nodes))
        }
        let (leaves, codes, nodes) = (
            StateContentLimits.leaves, StateContentLimits.blockCodes, StateContentLimits.pathProofNodes
        )
        let most = value(leaves: leaves, codes: codes, nodes: nodes)
        let encoded = try #require(most.encoded)
        #expect(most.encodedCount == encoded.count)
        #expect(encoded.count <= StateContentLimits.blockDiffsBytes)
        let key = BlockDiffKey(point: StatePoint(number: 1, hash: .zero), section: 0)
        #expect(fits(encoded, .blockDiff(key), depth: 1))
        #expect(try BlockDiffValue(decoding: encoded) == most)
        #expect(value(leaves: leaves + 1, codes: 0, nodes: 0).encoded == nil)
        #expect(value(leaves: 1, codes: codes + 1, nodes: 0).encoded == nil)
        #expect(value(leaves: 1, codes: 0, nodes: nodes + 1).encoded == nil)
    }

    // MARK: Codes, crowns, hashes, availability

    /// As many codes as a key names, as long as they may be; a longer one is left out.
    @Test func theMostAndLongestCodes() throws {
        let codes = (0..<StateContentLimits.codeHashes).map { number in
            [UInt8](repeating: UInt8(number), count: ChainLimits.codeBytes)
        }
        let hashes = codes.map { Keccak.hash($0) }
        let key = try #require(CodesKey(near: .zero, hashes: hashes))
        let value = CodesValue.serve(key) { hash in hashes.firstIndex(of: hash).map { codes[$0] } }
        #expect(fits(value, .codes(key), depth: 1))
        #expect(try CodesValue.verify(value, key: key).count == codes.count)
        let longer = CodesValue.serve(key) { hash in hashes.firstIndex(of: hash).map { codes[$0] + [0] } }
        #expect(try CodesValue.verify(longer, key: key).isEmpty)
        let tooLong = [0] + ColumnWriter.items([codes[0] + [0]])
        #expect(throws: ContentError.malformed(.overLimit)) { try CodesValue.verify(tooLong, key: key) }
    }

    /// The crown of the deepest network with an account in every section: there is no larger one, since a node that
    /// spans stands in the place of a branch. What is read has room for more.
    @Test func theLargestCrown() throws {
        let accounts = (0..<65_536).map { number in
            TestState.Account(
                key: Bytes32(UInt64(number) << 48, 0, 0, 7), nonce: .max - UInt64(number), codeHash: Keccak.hash([1]),
                slots: [])
        }
        let state = try TestState(accounts, depth: ChainLimits.sectionDepth)
        let value = CrownValue.serve(state.crown)
        #expect(state.crown.nodes.count == 1 + 16 + 256 + 4_096)
        #expect(fits(value, .crown(TestState.anchor), depth: ChainLimits.sectionDepth))
        let crown = try CrownValue.verify(value, stateRoot: state.root, depth: ChainLimits.sectionDepth)
        #expect(crown.root == state.root)
        let more = [0] + ColumnWriter.items(Array(repeating: [0x80], count: StateContentLimits.crownNodes + 1))
        #expect(throws: ContentError.malformed(.overLimit)) {
            try CrownValue.verify(more, stateRoot: state.root, depth: ChainLimits.sectionDepth)
        }
    }

    /// Places of a storage trie under which there are as many nodes on three levels as there can be, most of them
    /// leaves: as many places are given as fit the number of nodes.
    @Test func theMostSubtreeHashes() throws {
        let places = 0..<64
        let slots = places.flatMap { place in
            (0..<256).map { number in
                (key: Bytes32(UInt64(place) << 56 | UInt64(number) << 48, 0, 0, 7), value: [UInt8(1)])
            }
        }
        let owner = Bytes32(0x3 << 60, 0, 0, 7)
        let state = try TestState(
            [TestState.Account(key: owner, nonce: 1, codeHash: StateAccount.emptyCodeHash, slots: slots)], depth: 1)
        let named = places.map { place in
            StatePlace(account: Nibbles(owner), storage: Nibbles.root.appending(place >> 4).appending(place & 15))
        }
        func key(_ places: [StatePlace], levels: Int) throws -> SubtreesKey {
            try #require(
                SubtreesKey(
                    anchor: TestState.anchor, places: places, levels: levels,
                    maxBytes: UInt32(StateContentLimits.answerBytes)))
        }
        func serve(_ key: SubtreesKey) throws -> [UInt8] {
            var view = state.view
            return try #require(try SubtreesValue.serve(key, view: &view))
        }
        let hashes = try named.map { place in
            let value = try serve(try key([place], levels: 1))
            let node = try #require(
                try ColumnReader(bytes: value).byteLists(
                    1..<value.count, limit: 1, itemLimit: StateContentLimits.nodeBytes
                ).first)
            return Keccak.hash(node)
        }
        let asked = try key(named, levels: StateContentLimits.subtreeLevels)
        let value = try serve(asked)
        #expect(fits(value, .subtrees(asked), depth: 1))
        let found = try SubtreesValue.verify(value, key: asked, hashes: hashes)
        #expect(found.placeCount == StateContentLimits.subtreeNodes / 273)
    }

    /// Every second section of the deepest network at as many anchors as may be listed; of more the newest are.
    @Test func theLongestAvailability() throws {
        let runs = (0..<StateContentLimits.availabilityRuns).map { 2 * $0..<2 * $0 + 1 }
        let served = (0...StateContentLimits.servedAnchors).map { number in
            AnchorSections(anchor: Anchor(epoch: UInt64(number), hash: .zero), runs: runs)
        }
        let value = AvailabilityValue(served: served)
        #expect(value.served.map(\.anchor.epoch) == [1, 2, 3, 4])
        #expect(fits(value.encoded, .availability, depth: ChainLimits.sectionDepth))
        #expect(try AvailabilityValue(decoding: value.encoded) == value)
    }

    /// The crown of as many parts as a key names, into each of which the storage trie goes.
    @Test func theLargestStorageCrown() throws {
        var generator = SeededGenerator(seed: 62)
        let state = try SpreadState(&generator, accounts: 300, slots: 6_000)
        let columns = try #require(state.account).storageColumns
        var branches = BranchColumns()
        let parts = (0..<256).map { index in
            let part = Section(depth: 2, index: index, of: state.owner)
            let first = columns.keys.firstIndex { $0 >= part.firstKey } ?? columns.count
            let end = columns.keys.firstIndex { $0 > part.lastKey } ?? columns.count
            return TrieBuilder.build(columns, in: first..<end, under: part.path, emitting: &branches)
        }
        let key = try #require(
            StorageCrownKey(
                anchor: TestState.anchor, account: state.owner, placement: 2, first: 0, last: 255))
        var view = state.view
        let crown = try #require(
            try StorageCrownServer.make(
                key, view: &view, crown: state.whole.crown, parts: parts, rule: SpreadState.rule))
        let value = crown.encoded
        #expect(fits(value, .storageCrown(key), depth: 1))
        let read = try StorageCrown.verify(
            value, key: key, stateRoot: state.whole.root, rule: SpreadState.rule)
        #expect(read.hash(ofPart: 255) == parts[255].hash(at: 2))
        #expect(crown.storageNodes.count + crown.accountNodes.count < StateContentLimits.storageCrownNodes)
    }
}
