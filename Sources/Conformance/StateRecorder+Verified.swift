import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Content that is proven: what a server of the recorded states says.
extension StateRecorder {
    /// Byte positions spread over a value, its first and last included.
    private func positions(_ bytes: [UInt8], _ count: Int) -> JSONValue {
        let step = max(1, (bytes.count - 1) / max(count, 1))
        let places = Set(stride(from: 0, to: bytes.count, by: step)).union([0, bytes.count - 1])
        return .array(places.sorted().map { WireFields.integer($0) })
    }

    // MARK: Proofs of sections

    /// Here `encoded` is SSZ: List[ByteList[1024], 69905], the nodes.
    mutating func recordSectionHashes() throws {
        let schema = try SSZSchemaParser.parse(WireSchemas.crown)
        for (name, state) in [("before", before), ("after", after)] {
            for index in [0, 1, 2, 3, 5, 7, 15] {
                let proof = try state.crown.proofNodes(forSection: index)
                let fields: [String: JSONValue] = [
                    "depth": WireFields.integer(Self.depth), "section": WireFields.integer(index),
                    "stateRoot": WireFields.hash(state.root),
                    "sectionHash": WireFields.hash(try state.crown.sectionHash(index)),
                ]
                let nodes = try SSZ.encode(.elements(proof.map { .bytes($0) }), as: schema)
                lists.add("sectionHashes", "\(name)-\(index)", nodes, fields)
                guard index == 2 else { continue }
                let none = try SSZ.encode(.elements([]), as: schema)
                lists.add("sectionHashes", "\(name)-\(index)-without-nodes", none, valid: false, fields)
                let more = try SSZ.encode(.elements((proof + [[0xc0]]).map { .bytes($0) }), as: schema)
                lists.add("sectionHashes", "\(name)-\(index)-node-too-many", more, valid: false, fields)
            }
        }
        // At depth 2 the long common path of section 2 is an extension that spans the boundary.
        let deep = try MemoryState(before.leaves, depth: 2)
        for index in [0x00, 0x10]
            + deep.leaves.filter({ $0.key.account.word0 >> 60 == 2 }).prefix(1).flatMap({
                [Int($0.key.account.word0 >> 56), Int($0.key.account.word0 >> 56) ^ 1]
            })
        {
            let nodes = try SSZ.encode(
                .elements(try deep.crown.proofNodes(forSection: index).map { .bytes($0) }), as: schema)
            lists.add(
                "sectionHashes", "depth-2-\(index)", nodes,
                [
                    "depth": .integer(2), "section": WireFields.integer(index), "stateRoot": WireFields.hash(deep.root),
                    "sectionHash": WireFields.hash(try deep.crown.sectionHash(index)),
                ])
        }
    }

    mutating func recordCrowns() throws {
        for (name, state) in [("before", before), ("after", after), ("before-depth-2", nil as MemoryState?)] {
            let state = try state ?? MemoryState(before.leaves, depth: 2)
            let value = CrownValue.serve(state.crown)
            let fields: [String: JSONValue] = [
                "depth": WireFields.integer(state.depth), "stateRoot": WireFields.hash(state.root),
                "state": .string(name == "after" ? "after" : "before"),
            ]
            lists.add("crowns", name, value, fields.merging(["flips": positions(value, 24)]) { $1 })
            guard name == "before" else { continue }
            lists.add("crowns", "bad-cut", Array(value.dropLast()), valid: false, fields)
            lists.add("crowns", "bad-of-another-root", CrownValue.serve(after.crown), valid: false, fields)
            lists.add("crowns", "bad-without-nodes", [0], valid: false, fields)
            lists.add("crowns", "bad-status", [1], valid: false, fields)
        }
        let empty = try MemoryState([], depth: Self.depth)
        lists.add(
            "crowns", "empty-state", CrownValue.serve(empty.crown),
            ["depth": WireFields.integer(Self.depth), "stateRoot": WireFields.hash(empty.root)])
    }

    mutating func recordCodes() throws {
        let codes: [[UInt8]] = [[0x60, 0x00], [0xfe], generator.bytes(120)]
        let hashes = codes.map { Keccak.hash($0) }
        guard let key = CodesKey(near: .zero, hashes: [hashes[2], .max, hashes[0], hashes[1]]) else { return }
        let field = ["key": WireFields.hex(StateContentKey.codes(key).encoded)]
        func value(_ known: [Int]) -> [UInt8] {
            CodesValue.serve(key) { hash in known.first { hashes[$0] == hash }.map { codes[$0] } }
        }
        func found(_ places: [Int]) -> [String: JSONValue] {
            field.merging(["codeHashes": .array(places.map { WireFields.hash(hashes[$0]) })]) { $1 }
        }
        lists.add("codes", "all-but-one", value([0, 1, 2]), found([2, 0, 1]))
        lists.add("codes", "one", value([0]), found([0]))
        lists.add("codes", "none", value([]), found([]))
        let bytes = value([0, 1, 2])
        lists.add("codes", "bad-byte", bytes.dropLast() + [bytes[bytes.count - 1] ^ 1], valid: false, field)
        lists.add("codes", "bad-cut", Array(bytes.dropLast(200)), valid: false, field)
        guard let other = CodesKey(near: .zero, hashes: [hashes[0], hashes[1], hashes[2]]) else { return }
        lists.add(
            "codes", "bad-order", bytes, valid: false, ["key": WireFields.hex(StateContentKey.codes(other).encoded)])
    }

    // MARK: Ranges

    /// A request's answer as a valid case; nil where it is none.
    @discardableResult
    mutating func range(
        _ name: String, _ origin: Cursor, _ limit: Cursor, maxBytes: UInt32 = 1 << 20,
        held: [Int] = Array(0..<16), flips: Int = 0
    ) throws -> (key: RangeKey, value: [UInt8])? {
        guard let key = RangeKey(anchor: anchor, origin: origin, limit: limit, maxBytes: maxBytes) else { return nil }
        let sections = held.map { (section: Section(depth: Self.depth, index: $0), layering: SectionLayering.base) }
        var view = StateView(before.snapshot, depth: Self.depth, sections: sections)
        guard let value = try RangeServer.serve(key, view: &view, crown: before.crown) else { return nil }
        let range = try RangeCheck.verify(value, key: key, stateRoot: before.root)
        var fields: [String: JSONValue] = [
            "key": WireFields.hex(StateContentKey.range(key).encoded), "stateRoot": WireFields.hash(before.root),
            "state": .string("before"), "end": WireFields.object(range.end),
            "leafCount": WireFields.integer(range.leafCount),
        ]
        if flips > 0 { fields["flips"] = positions(value, flips) }
        lists.add("ranges", name, value, fields)
        return (key, value)
    }

    mutating func recordRanges() throws {
        func section(_ index: Int) -> (Cursor, Cursor) {
            let section = Section(depth: Self.depth, index: index)
            return (Cursor(account: section.firstKey), .end(of: section.lastKey))
        }
        try range("whole-ring", .first, .last)
        for index in [0, 2, 3, 11, 15] {
            let (first, last) = section(index)
            try range("section-\(index)", first, last, flips: 16)
        }
        let (first, last) = section(1)
        try range("empty-section", first, last, flips: 16)
        try range("one-position", Cursor(account: first.account), Cursor(account: first.account))
        try range("server-holds-no-more", section(4).0, .last, held: [4, 6, 7])
        // The whole of a large account in steps, and on.
        guard let big = states.before.first(where: { $0.slots.count == 48 }) else { return }
        let slots = big.slots.map(\.key).sorted()
        try range("cut-inside-storage", Cursor(account: big.key), .last, maxBytes: 3_000, flips: 16)
        try range(
            "from-inside-storage", Cursor(account: big.key, slot: slots[20]), .last, maxBytes: 4_096, flips: 16)
        try range(
            "inside-one-storage", Cursor(account: big.key, slot: slots[30]),
            Cursor(account: big.key, slot: slots[33]), flips: 16)
        let between = slots[10].successor ?? .max
        let inside = Cursor(account: big.key, slot: between)
        try range("empty-inside-storage", inside, inside)
        if let plain = states.before.first(where: { $0.slots.isEmpty && $0.key != .zero }) {
            try range(
                "from-inside-an-account-without-storage", Cursor(account: plain.key, slot: slots[0]),
                .end(of: plain.key))
        }
        if let missing = big.key.predecessor {
            try range(
                "origin-inside-an-account-that-is-not-there", Cursor(account: missing, slot: slots[0]), section(5).1,
                maxBytes: 2_500)
        }
        try range("to-inside-storage", section(5).0, Cursor(account: big.key, slot: slots[1]))
        for (name, state) in [("empty-state", try MemoryState([], depth: Self.depth))] {
            guard let key = RangeKey(anchor: anchor, origin: .first, limit: .last, maxBytes: 1_024) else { continue }
            var view = state.view
            guard let value = try RangeServer.serve(key, view: &view, crown: state.crown) else { continue }
            lists.add(
                "ranges", name, value,
                [
                    "key": WireFields.hex(StateContentKey.range(key).encoded), "stateRoot": WireFields.hash(state.root),
                    "leafCount": .integer(0),
                ])
        }
    }

    // MARK: Diffs

    func served(_ key: DiffsKey, _ changes: (Section) -> [LeafChange]) throws -> [UInt8] {
        try DiffsServer.serve(
            key, depth: Self.depth, path: { try after.crown.proofNodes(forSection: $0.index) }, changes: changes)
    }

    func changes(in section: Section) -> [LeafChange] {
        before.changes(to: after).filter { section.contains($0.key.account) }
    }

    /// What every case about this key says.
    func fields(_ key: DiffsKey) -> [String: JSONValue] {
        [
            "key": WireFields.hex(StateContentKey.diffs(key).encoded), "depth": WireFields.integer(Self.depth),
            "stateRoot": WireFields.hash(after.root), "before": .string("before"),
        ]
    }

    private mutating func diff(
        _ name: String, _ sections: [Int], maxBytes: UInt32 = 1 << 20, withProof: Bool = true, flips: Int = 0
    ) throws {
        guard
            let key = DiffsKey(from: from, to: to, sections: sections, maxBytes: maxBytes, withProof: withProof)
        else { return }
        let value = try served(key) { changes(in: $0) }
        let found = try DiffsCheck.verify(value, key: key, depth: Self.depth, stateRoot: after.root)
        var fields = fields(key)
        fields["sections"] = .array(found.map { WireFields.integer($0.section.index) })
        fields["changes"] = WireFields.array(found.flatMap(\.changes))
        if !withProof { fields["crown"] = WireFields.hex(CrownValue.serve(after.crown)) }
        if flips > 0 { fields["flips"] = positions(value, flips) }
        lists.add("diffs", name, value, fields)
    }

    mutating func recordDiffs() throws {
        try diff("every-section", Array(0..<16))
        try diff("section-that-changed-much", [5], flips: 24)
        try diff("section-that-became-empty", [3], flips: 16)
        try diff("section-that-was-empty", [7], flips: 16)
        try diff("section-without-a-change", [11], flips: 16)
        try diff("empty-section", [1])
        try diff("extension-that-became-a-leaf", [2], flips: 16)
        try diff("storage-wiped-and-begun", [9], flips: 24)
        try diff("cut-by-size", [2, 3, 5, 7, 8, 9], maxBytes: 2_600)
        try diff("with-the-askers-crown", [2, 9], withProof: false, flips: 16)
    }

    // MARK: Block diffs

    mutating func recordBlockDiffs() throws {
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: from.hash, stateRoot: after.root, number: 513, timestamp: 1_700_000_012))
        var certificate: [UInt8] = []
        if let key = AttestingKey(seed: generator.hash()) {
            let context = ClaimContext(chainID: 7, genesisHash: .zero)
            let claim = Claim(kind: .head, point: header.point, unixSeconds: 1_700_000_013)
            certificate = Certificate([key.sign(claim, in: context)])?.encoded ?? []
        }
        let known = Set(states.before.map(\.code))
        var all: [(section: Int, value: BlockDiffValue)] = []
        for index in 0..<Section.count(depth: Self.depth) {
            let diff = try blockDiff(of: index, header, certificate, known: known)
            if !diff.changes.isEmpty { all.append((index, diff)) }
        }
        for (index, certified) in [(2, true), (3, true), (5, true), (7, false), (9, true)] {
            let value = try blockDiff(of: index, header, certified ? certificate : [], known: known)
            guard let bytes = value.encoded else { continue }
            let key = BlockDiffKey(point: header.point, section: index)
            let request: [String: JSONValue] = [
                "key": WireFields.hex(StateContentKey.blockDiff(key).encoded),
                "depth": WireFields.integer(Self.depth), "before": .string("before"),
            ]
            lists.add(
                "blockDiffs", "section-\(index)", bytes,
                request.merging([
                    "sectionHashAfter": WireFields.hash(try after.crown.sectionHash(index)),
                    "codeHashes": .array(value.codes.map { WireFields.hash(Keccak.hash($0)) }),
                    "changes": WireFields.array(value.changes),
                ]) { $1 })
            if index == 9 { try recordBlockDiffLies(value, bytes, request) }
        }
        try recordStretches(of: all, at: header.point)
        var partial = PartialRecorder(recorder: self)
        try partial.recordStretches(of: all, at: header.point)
        self = partial.recorder
    }

    /// What the block changed in one section. `known`: codes that were there before.
    private func blockDiff(
        of index: Int, _ header: BlockHeader, _ certificate: [UInt8], known: Set<[UInt8]>
    ) throws -> BlockDiffValue {
        let section = Section(depth: Self.depth, index: index)
        let changes = changes(in: section)
        let mentioned = Set(changes.compactMap { $0.value.flatMap { try? StateAccount(slim: $0).codeHash } })
        let codes = states.after.filter { section.contains($0.key) && !$0.code.isEmpty && !known.contains($0.code) }
            .map(\.code).filter { mentioned.contains(Keccak.hash($0)) }
        return BlockDiffValue(
            header: header.rlp, certificate: certificate, sectionHashBefore: try before.crown.sectionHash(index),
            changes: changes, codes: codes, pathProof: try after.crown.proofNodes(forSection: index))
    }
}
