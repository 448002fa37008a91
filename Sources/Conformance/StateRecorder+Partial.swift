import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Records keys in the partial form (0x4C) and what answers them: all accounts, and the storage of those named.
struct PartialRecorder {
    var recorder: StateRecorder

    private var anchor: Anchor { recorder.anchor }
    private var before: MemoryState { recorder.before }

    /// Two accounts with storage, one of them with much; none; and one that is not there.
    private var kept: [(name: String, storage: KeptStorage)] {
        let stored = recorder.states.before.filter { !$0.slots.isEmpty }.map(\.key)
        let large = recorder.states.before.filter { $0.slots.count == 48 }.map(\.key)
        return [
            ("accounts-only", .only([])), ("two-contracts", .only(large + stored.suffix(1))),
            ("a-contract-that-is-not-there", .only([Bytes32(0x5555, 0, 0, 1)])),
        ]
    }

    // MARK: Keys

    mutating func recordKeys() {
        let most = KeptStorage.only((1...16).map { Bytes32(UInt64($0) << 56, 0, 0, 0) })
        for (name, storage) in kept + [("sixteen-contracts", most)] {
            if let key = RangeKey(
                anchor: anchor, origin: .first, limit: .last, maxBytes: 1 << 20, keeping: storage)
            {
                recorder.add("partial-range-\(name)", .range(key))
            }
        }
        let two = kept[1].storage
        if let key = DiffsKey(
            from: recorder.from, to: recorder.to, sections: [3, 9], maxBytes: 9, withProof: true, keeping: two)
        {
            recorder.add("partial-diffs", .diffs(key))
        }
        if let key = SectionsKey(anchor: anchor, sections: [5, 7], maxBytes: 4_096, keeping: two) {
            recorder.add("partial-sections", .sections(key))
        }
        if let key = BlockDiffsKey(point: recorder.to, first: 0, last: 4_095, keeping: two) {
            recorder.add("partial-block-diffs", .blockDiffs(key))
        }
        recordMalformedKeys(two)
    }

    private mutating func recordMalformedKeys(_ two: KeptStorage) {
        guard let plain = BlockDiffsKey(point: recorder.to, first: 1, last: 2), let accounts = two.accounts,
            let whole = BlockDiffsKey(
                trie: .storage(account: .max, placement: 1), point: recorder.to, first: 1, last: 2)
        else { return }
        let inner = StateContentKey.blockDiffs(plain).encoded
        func partial(_ accounts: [Bytes32], _ key: [UInt8]) -> [UInt8] {
            let offset = UInt8(8), next = UInt16(8 + 32 * accounts.count)
            return [0x4C, offset, 0, 0, 0, UInt8(next & 0xff), UInt8(next >> 8), 0, 0] + accounts.flatMap(\.bytes) + key
        }
        func refused(_ name: String, _ bytes: [UInt8]) {
            recorder.lists.add("keys", "partial-\(name)", bytes, valid: false)
        }
        refused("accounts-descending", partial(accounts.reversed(), inner))
        refused("account-twice", partial(accounts + [accounts[accounts.count - 1]], inner))
        refused("seventeen-accounts", partial((1...17).map { Bytes32($0, 0, 0, 0) }, inner))
        refused("no-key", partial(accounts, []))
        refused("key-cut", partial(accounts, inner.dropLast()))
        refused("key-a-byte-more", partial(accounts, inner + [0]))
        refused("cut", Array(partial([], inner).prefix(7)))
        refused("of-a-storage-trie", partial(accounts, StateContentKey.blockDiffs(whole).encoded))
        refused("of-itself", partial([], partial([], inner)))
        refused("of-a-crown", partial([], StateContentKey.crown(anchor).encoded))
        refused(
            "of-one-block-diff",
            partial([], StateContentKey.blockDiff(BlockDiffKey(point: recorder.to, section: 1)).encoded))
        refused("of-availability", partial([], StateContentKey.availability.encoded))
        refused("of-no-content", partial([], [0x49]))
    }

    // MARK: Ranges and sections

    mutating func recordRanges() throws {
        var whole: [UInt8]?
        for (name, storage) in kept {
            let range = RangeKey(anchor: anchor, origin: .first, limit: .last, maxBytes: 1 << 20, keeping: storage)
            let sections = SectionsKey(
                anchor: anchor, sections: Array(0..<16), maxBytes: 1 << 20, keeping: storage)
            guard let range, let sections else { return }
            var view = before.view
            guard let value = try RangeServer.serve(range, view: &view, crown: before.crown),
                let bundle = try SectionsServer.serve(sections, view: &view, crown: before.crown)
            else { return }
            let found = try RangeCheck.verify(value, key: range, stateRoot: before.root)
            var fields: [String: JSONValue] = [
                "key": WireFields.hex(StateContentKey.range(range).encoded), "stateRoot": WireFields.hash(before.root),
                "state": .string("before"), "end": WireFields.object(found.end),
                "leafCount": WireFields.integer(found.leafCount),
            ]
            recorder.lists.add(
                "ranges", "partial-\(name)", value, fields.merging(["flips": every(11, of: value)]) { $1 })
            let parts = try SectionsCheck.verify(
                bundle, key: sections, depth: StateRecorder.depth, stateRoot: before.root)
            let bundled: [String: JSONValue] = [
                "key": WireFields.hex(StateContentKey.sections(sections).encoded), "state": .string("before"),
                "depth": WireFields.integer(StateRecorder.depth), "stateRoot": WireFields.hash(before.root),
                "given": .array(parts.parts.map { WireFields.integer($0.section.index) }),
                "leafCount": WireFields.integer(parts.accounts.count + parts.slots.count),
            ]
            recorder.lists.add("sections", "partial-\(name)", bundle, bundled)
            // What is true of one question is not of another.
            if let whole, whole != value {
                fields["end"] = nil
                recorder.lists.add("ranges", "partial-lie-other-storage-\(name)", whole, valid: false, fields)
            }
            whole = value
        }
        let all = RangeKey(anchor: anchor, origin: .first, limit: .last, maxBytes: 1 << 20)
        guard let all, let whole else { return }
        recorder.lists.add(
            "ranges", "partial-lie-storage-left-out", whole, valid: false,
            ["key": WireFields.hex(StateContentKey.range(all).encoded), "stateRoot": WireFields.hash(before.root)])
    }

    private func every(_ step: Int, of value: [UInt8]) -> JSONValue {
        .array(stride(from: 0, to: value.count, by: step).map { WireFields.integer($0) })
    }

    // MARK: Diffs

    mutating func recordDiffs() throws {
        for (name, storage) in kept {
            guard
                let key = DiffsKey(
                    from: recorder.from, to: recorder.to, sections: Array(0..<16), maxBytes: 1 << 20, withProof: true,
                    keeping: storage)
            else { return }
            let value = try recorder.served(key) { section in
                recorder.changes(in: section).filter { $0.key.slot == nil || storage.keeps($0.key.account) }
            }
            let found = try DiffsCheck.verify(
                value, key: key, depth: StateRecorder.depth, stateRoot: recorder.after.root)
            var fields = recorder.fields(key)
            fields["sections"] = .array(found.map { WireFields.integer($0.section.index) })
            fields["changes"] = WireFields.array(found.flatMap(\.changes))
            recorder.lists.add(
                "diffs", "partial-\(name)", value, fields.merging(["flips": every(11, of: value)]) { $1 })
            let whole = try recorder.served(key) { recorder.changes(in: $0) }
            recorder.lists.add(
                "diffs", "partial-lie-with-all-storage-\(name)", whole, valid: false, recorder.fields(key))
        }
    }

    /// `diffs`: of every section that a block changed.
    mutating func recordStretches(
        of diffs: [(section: Int, value: BlockDiffValue)], at point: StatePoint
    ) throws {
        for (name, storage) in kept {
            guard let key = BlockDiffsKey(point: point, first: 0, last: 15, keeping: storage) else { return }
            let own = diffs.map { ($0.section, $0.value.keeping(storage)) }
            guard let bytes = BlockDiffsServer.join(own, at: point).first?.value,
                let whole = BlockDiffsServer.join(diffs, at: point).first?.value
            else { return }
            let claims = try BlockDiffsCheck.verify(
                try BlockDiffsValue(decoding: bytes), key: key, depth: StateRecorder.depth)
            let codes = Set(claims.parts.flatMap(\.value.codes).map { Keccak.hash($0) }).sorted()
            let request: [String: JSONValue] = [
                "key": WireFields.hex(StateContentKey.blockDiffs(key).encoded),
                "depth": WireFields.integer(StateRecorder.depth), "before": .string("before"),
            ]
            recorder.lists.add(
                "stretches", "partial-\(name)", bytes,
                request.merging([
                    "sections": .array(claims.parts.map { WireFields.integer($0.section) }),
                    "sectionHashesAfter": .array(claims.parts.map { WireFields.hash($0.sectionHashAfter) }),
                    "codeHashes": .array(codes.map { WireFields.hash($0) }),
                    "changes": WireFields.array(claims.parts.flatMap(\.value.changes)),
                ]) { $1 })
            recorder.lists.add("stretches", "partial-lie-with-all-storage-\(name)", whole, valid: false, request)
            // Of a part of the ring the sections outside are not asked for.
            guard let less = BlockDiffsKey(point: point, first: 3, last: 9, keeping: storage) else { continue }
            recorder.lists.add(
                "stretches", "partial-lie-beyond-what-was-asked-\(name)", bytes, valid: false,
                request.merging(["key": WireFields.hex(StateContentKey.blockDiffs(less).encoded)]) { $1 })
        }
    }
}
