import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Records `state-wire.json` and `state-ranges.json`: keys, statuses, ping payloads and availability here; verified
/// content beside it.
struct StateRecorder {
    var lists = RecordedLists()
    var generator = SeededGenerator(seed: 0x0a11)
    let states: RecordedStates
    let before: MemoryState
    let after: MemoryState
    /// The anchor of `before`, and the block and anchor of `after`.
    let anchor: Anchor
    let from: StatePoint
    let to: StatePoint

    /// The section depth of all content recorded here.
    static let depth = 1

    init() throws {
        states = RecordedStates()
        before = try MemoryState(states.leaves(states.before), depth: Self.depth)
        after = try MemoryState(states.leaves(states.after), depth: Self.depth)
        from = StatePoint(number: 512, hash: generator.hash())
        to = StatePoint(number: 768, hash: generator.hash())
        anchor = Anchor(epoch: 2, hash: from.hash)
    }

    /// `state-wire.json`: all but ranges.
    func document() throws -> JSONValue {
        var recorder = self
        recorder.recordKeys()
        recorder.recordMalformedKeys()
        recorder.recordStatuses()
        recorder.recordPings()
        recorder.recordAvailability()
        recorder.recordSubtreeKeys()
        var sections = SectionsRecorder(recorder: recorder)
        sections.recordKeys()
        recorder = sections.recorder
        var spread = SpreadRecorder(recorder: recorder)
        spread.recordKeys()
        spread.recordDirectories()
        recorder = spread.recorder
        try recorder.recordSectionHashes()
        try recorder.recordCrowns()
        try recorder.recordCodes()
        try recorder.recordDiffs()
        try recorder.recordDiffLies()
        try recorder.recordBlockDiffs()
        try recorder.recordSubtrees()
        sections.recorder = recorder
        try sections.record()
        recorder = sections.recorder
        spread.recorder = recorder
        try spread.recordStorageCrowns()
        recorder = spread.recorder
        var partial = PartialRecorder(recorder: recorder)
        partial.recordKeys()
        try partial.recordRanges()
        try partial.recordDiffs()
        recorder = partial.recorder
        return recorder.lists.document(["states": .array([Self.named("before", before), Self.named("after", after)])])
    }

    /// `state-ranges.json`.
    func rangesDocument() throws -> JSONValue {
        var recorder = self
        try recorder.recordRanges()
        try recorder.recordRangeLies()
        return recorder.lists.document(["states": .array([Self.named("before", before)])])
    }

    private static func named(_ name: String, _ state: MemoryState) -> JSONValue {
        .object([
            "name": .string(name),
            "leaves": .array(
                state.leaves.map { .array([WireFields.hex($0.key.bytes), WireFields.hex($0.value)]) }),
        ])
    }

    // MARK: Keys

    mutating func add(_ name: String, _ key: StateContentKey) {
        var fields = ["decoded": WireFields.object(key)]
        if let position = key.position(sectionDepth: 3) {
            fields["position"] = WireFields.hash(position)
            fields["sectionDepth"] = .integer(3)
        }
        lists.add("keys", name, key.encoded, fields)
    }

    private mutating func recordKeys() {
        let account = generator.hash()
        let storage = StateTrie.storage(account: account, placement: 2)
        if let key = RangeKey(anchor: anchor, origin: .first, limit: .last, maxBytes: 1 << 20) {
            add("range-whole-ring", .range(key))
        }
        let inside = Cursor(account: account, slot: generator.hash())
        if let key = RangeKey(anchor: anchor, origin: inside, limit: .end(of: account), maxBytes: 65_536) {
            add("range-inside-one-account", .range(key))
        }
        if let key = RangeKey(trie: storage, anchor: anchor, origin: inside, limit: inside, maxBytes: .max) {
            add("range-of-a-storage-trie", .range(key))
        }
        for (name, sections, proof) in [
            ("diffs-one-section", [5], true), ("diffs-eight-sections", [0, 1, 2, 3, 4, 5, 6, 7], false),
            ("diffs-nine-sections", [8, 9, 10, 11, 12, 13, 14, 15, 16], true), ("diffs-sparse", [3, 9, 258], true),
            ("diffs-high-indices", [65_000, 65_255], false),
        ] {
            let key = DiffsKey(from: from, to: to, sections: sections, maxBytes: 8 << 20, withProof: proof)
            if let key { add(name, .diffs(key)) }
        }
        for count in [1, 20] {
            let hashes = (0..<count).map { _ in generator.hash() }
            if let key = CodesKey(near: account, hashes: hashes) { add("codes-\(count)", .codes(key)) }
        }
        add("block-diff", .blockDiff(BlockDiffKey(point: to, section: 4_095)))
        add("block-diff-of-a-storage-trie", .blockDiff(BlockDiffKey(trie: storage, point: to, section: 0)))
        add("crown", .crown(anchor))
        add("crown-genesis", .crown(Anchor(epoch: 0, hash: account)))
        add("availability", .availability)
        for (name, trie, first, last) in [
            ("block-diffs", StateTrie.accounts, 0, 4_095), ("block-diffs-of-one-section", .accounts, 7, 7),
            ("block-diffs-of-a-storage-trie", storage, 1, 2),
        ] {
            let key = BlockDiffsKey(trie: trie, point: to, first: first, last: last)
            if let key { add(name, .blockDiffs(key)) }
        }
    }

    private mutating func recordMalformedKeys() {
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("keys", name, bytes, valid: false) }
        func changed(_ key: [UInt8], _ edits: [Int: UInt8]) -> [UInt8] {
            var bytes = key
            for (place, byte) in edits { bytes[place] = byte }
            return bytes
        }
        refused("empty", [])
        for selector: UInt8 in [0x00, 0x3f, 0x45, 0x46, 0x47, 0x49, 0x50] {
            refused("selector-\(Hex.encode([selector]))", [selector])
        }
        refused("availability-and-a-byte", [0x48, 0])
        if let stretch = BlockDiffsKey(point: to, first: 2, last: 2) {
            let key = StateContentKey.blockDiffs(stretch).encoded
            refused("block-diffs-cut", Array(key.dropLast()))
            // The sections stand behind the selector, the trie's offset and the block; the last comes second.
            refused("block-diffs-last-before-first", changed(key, [1 + 4 + 40 + 4: 1]))
        }
        refused("longer-than-a-request", [0x40] + [UInt8](repeating: 0, count: 1_100))
        guard let range = RangeKey(anchor: anchor, origin: .first, limit: .last, maxBytes: 1 << 20),
            let diffs = DiffsKey(from: from, to: to, sections: [5, 7], maxBytes: 4_096, withProof: true),
            let codes = CodesKey(near: .zero, hashes: [.max])
        else { return }
        let key = StateContentKey.range(range).encoded
        refused("range-cut", Array(key.dropLast()))
        refused("range-and-a-byte", key + [0])
        refused("range-offset", changed(key, [1: key[1] &+ 1]))
        refused("range-trie-selector-2", Array(key.dropLast()) + [2])
        // Origin and limit each have 64 bytes after offset and anchor.
        let reversed = Array(key[..<45]) + Array(key[109..<173]) + Array(key[45..<109]) + Array(key[173...])
        refused("range-origin-after-limit", reversed)
        let diffKey = StateContentKey.diffs(diffs).encoded
        // Fields: 4, 40, 40, 4, 4, 4, 1; then trie (1 byte) and mask (1 byte).
        let mask = diffKey.count - 1
        refused("diffs-mask-without-end", changed(diffKey, [mask: 0]))
        refused("diffs-mask-empty", changed(diffKey, [mask: 0b1]))
        refused("diffs-mask-first-bit-clear", changed(diffKey, [mask: 0b1110]))
        refused("diffs-mask-last-bit-clear", changed(diffKey, [mask: 0b1001]))
        refused("diffs-mask-257-bits", Array(diffKey.dropLast()) + [1] + [UInt8](repeating: 0, count: 31) + [3])
        refused("diffs-with-proof-2", changed(diffKey, [mask - 2: 2]))
        refused("diffs-index-over-32-bits", changed(diffKey, [85: 0xff, 86: 0xff, 87: 0xff, 88: 0xff]))
        let codeKey = StateContentKey.codes(codes).encoded
        refused("codes-none", Array(codeKey.dropLast(32)))
        refused("codes-21", codeKey + [UInt8](repeating: 7, count: 640))
        refused("codes-cut-hash", Array(codeKey.dropLast()))
        let crown = StateContentKey.crown(anchor).encoded
        refused("crown-of-a-storage-trie", Array(crown.dropLast()) + [1] + [UInt8](repeating: 3, count: 33))
        refused("crown-cut", Array(crown.dropLast(2)))
    }

    // MARK: Statuses

    private mutating func recordStatuses() {
        func status(_ name: String, _ status: StateStatus) {
            lists.add("statuses", name, status.encoded, ["decoded": WireFields.object(status)])
        }
        let anchors = (1...4).map { Anchor(epoch: $0, hash: generator.hash()) }
        status("data", .data)
        status("no-anchor", .notAtThisAnchor(served: []))
        status("two-anchors", .notAtThisAnchor(served: Array(anchors[..<2])))
        status("four-anchors", .notAtThisAnchor(served: anchors))
        status("busy", .busy(seconds: 258))
        status("history-too-short", .historyTooShort)
        status("item-too-large", .itemTooLarge)
        status("placement-not-supported", .placementNotSupported)
        lists.add(
            "statuses", "busy-longer-than-read", [2, 0xff, 0xff],
            ["decoded": WireFields.object(StateStatus.busy(seconds: 600)), "reencodes": .bool(false)])
        let four = StateStatus.notAtThisAnchor(served: anchors).encoded
        for (name, bytes) in [
            ("empty", []), ("six", [6]), ("five-anchors", four + four[1..<41]), ("cut-anchor", Array(four.dropLast())),
            ("busy-without-seconds", [2]), ("busy-one-byte", [2, 1]), ("busy-three-bytes", [2, 1, 0, 0]),
            ("three-and-a-byte", [3, 0]), ("four-and-a-byte", [4, 0]), ("five-and-a-byte", [5, 0]),
        ] as [(String, [UInt8])] {
            lists.add("statuses", "bad-\(name)", bytes, valid: false)
        }
    }

    // MARK: What is announced

    private mutating func recordPings() {
        func ping(_ name: String, _ payload: StatePingPayload) {
            lists.add("pings", name, payload.encoded, ["decoded": WireFields.object(payload)])
        }
        let newest = Anchor(epoch: 3, hash: to.hash)
        let half = UInt256.mask(bits: 255)
        ping("nothing-yet", StatePingPayload(role: .walker, radius: .zero, head: nil, served: []))
        let two = StatePingPayload(
            role: .holder, radius: half, head: to,
            served: [
                AnchorSections(anchor: anchor, runs: [0..<8]), AnchorSections(anchor: newest, runs: [0..<3, 5..<8]),
            ])
        ping("half-the-ring-two-anchors", two)
        ping(
            "bridge",
            StatePingPayload(
                role: .bridge, radius: .max, head: to,
                served: [AnchorSections(anchor: newest, runs: [0..<65_536])]))
        // More runs than fit: the shortest are left out, the last of them first.
        let runs = (0..<200).map { $0 * 20..<($0 * 20 + 1 + $0 % 5) }
        ping(
            "runs-left-out",
            StatePingPayload(
                role: .holder, radius: half, head: to, served: [AnchorSections(anchor: newest, runs: runs)]))
        // A role of a later version is read, and its peer is asked for nothing.
        ping("role-3", StatePingPayload(role: Role(rawValue: 3), radius: half, head: to, served: two.served))
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("pings", "bad-\(name)", bytes, valid: false) }
        func changed(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var bytes = two.encoded
            change(&bytes)
            return bytes
        }
        refused("empty", [])
        refused("head-hash-zero-number-not", changed { for place in 41..<73 { $0[place] = 0 } })
        refused("cut", changed { $0.removeLast() })
        refused("a-byte-more", changed { $0.append(0) })
        // The last run is (5, 7), before it (0, 2).
        refused("run-reversed", changed { $0[$0.count - 4] = 8 })
        refused("runs-touch", changed { $0[$0.count - 4] = 3 })
        refused("runs-overlap", changed { $0[$0.count - 4] = 2 })
        // The anchors' epochs, at the beginning of each item.
        refused("anchors-out-of-order", changed { $0[85] = 4 })
        refused("over-700-bytes", two.encoded + [UInt8](repeating: 0, count: 700))
    }

    private mutating func recordAvailability() {
        func value(_ name: String, _ served: [AnchorSections]) {
            let value = AvailabilityValue(served: served)
            lists.add(
                "availability", name, value.encoded,
                ["decoded": .object(["served": WireFields.array(value.served)])])
        }
        let runs = (0..<60).map { $0 * 3..<($0 * 3 + 2) }
        let sections = AnchorSections(anchor: anchor, runs: runs)
        value("none", [])
        value("sixty-runs", [sections])
        value(
            "four-anchors",
            (1...4).map { AnchorSections(anchor: Anchor(epoch: $0, hash: generator.hash()), runs: [Int($0)..<16]) })
        let later = AnchorSections(anchor: Anchor(epoch: 9, hash: .max), runs: [])
        let whole = AvailabilityValue(served: [sections, later])
        let bytes = whole.encoded
        lists.add("availability", "bad-cut", Array(bytes.dropLast()), valid: false)
        lists.add("availability", "bad-a-byte-more", bytes + [0], valid: false)
        lists.add("availability", "bad-status", [1] + bytes.dropFirst(), valid: false)
        lists.add("availability", "bad-empty", [], valid: false)
        var swapped = bytes
        // The first anchor's epoch, after status and two offsets.
        swapped[9] = 10
        lists.add("availability", "bad-anchors-out-of-order", swapped, valid: false)
    }
}
