import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Answers that must be refused: well-formed ones that say what is not so, and malformed ones.
extension StateRecorder {
    // MARK: Ranges

    /// Fields of a range's container.
    private enum Field {
        static let end = 0, keys = 1, kinds = 2, bodies = 3, counts = 4, slotKeys = 5, slotValues = 6, proof = 7
        static let storageProofs = 8
    }

    mutating func recordRangeLies() throws {
        let section = Section(depth: Self.depth, index: 11)
        var honest = StateRecorder(copyingStatesOf: self)
        guard
            let whole = try honest.range("", Cursor(account: section.firstKey), .end(of: section.lastKey)),
            let stored = states.before.first(where: { section.contains($0.key) && $0.slots.count == 7 })
        else { throw VectorError.malformed("the section of the lies is not as planned") }
        let slots = stored.slots.map(\.key).sorted()
        guard
            let part = try honest.range(
                "", Cursor(account: stored.key, slot: slots[2]), Cursor(account: stored.key, slot: slots[4]))
        else { throw VectorError.malformed("the storage of the lies is not as planned") }
        try recordColumnLies(whole)
        try recordEdgeLies(whole, part)
        try recordMalformedRanges(whole)
    }

    private init(copyingStatesOf other: StateRecorder) {
        self = other
        lists = RecordedLists()
    }

    private mutating func lie(
        _ name: String, _ base: (key: RangeKey, value: [UInt8]), _ change: (inout [SSZValue]) throws -> Void
    ) throws {
        let bytes = try WireSchemas.changing(base.value.dropFirst(), WireSchemas.range, change)
        refused(name, base.key, [0] + bytes)
    }

    private mutating func refused(_ name: String, _ key: RangeKey, _ value: [UInt8], root: Bytes32? = nil) {
        lists.add(
            "ranges", "lie-\(name)", value, valid: false,
            [
                "key": WireFields.hex(StateContentKey.range(key).encoded),
                "stateRoot": WireFields.hash(root ?? before.root),
            ])
    }

    /// RLP items that stand in a row.
    private static func items(_ value: SSZValue) throws -> [[UInt8]] {
        let bytes = try value.bytes
        var items: [[UInt8]] = []
        var offset = 0
        while offset < bytes.count {
            let end = try bytes.withUnsafeBytes { try RLPItem(in: $0, at: offset, limit: $0.count).end }
            items.append(Array(bytes[offset..<end]))
            offset = end
        }
        return items
    }

    private mutating func recordColumnLies(_ whole: (key: RangeKey, value: [UInt8])) throws {
        func replacing(_ value: SSZValue, _ change: (inout [[UInt8]]) -> Void) throws -> SSZValue {
            var items = try Self.items(value)
            change(&items)
            return .bytes(items.flatMap { $0 })
        }
        func elements(_ value: SSZValue, _ change: (inout [SSZValue]) -> Void) throws -> SSZValue {
            var elements = try value.elements
            change(&elements)
            return .elements(elements)
        }
        let kinds = try SSZ.decode(
            whole.value.dropFirst(), as: try SSZSchemaParser.parse(WireSchemas.range)
        ).fields[Field.kinds].bytes
        guard let plain = kinds.firstIndex(of: 0), let full = kinds.firstIndex(of: 1) else { return }
        try lie("account-left-out", whole) { fields in
            fields[Field.keys] = try elements(fields[Field.keys]) { $0.remove(at: plain) }
            fields[Field.kinds] = .bytes(kinds.enumerated().filter { $0.offset != plain }.map(\.element))
            fields[Field.bodies] = try replacing(fields[Field.bodies]) { $0.remove(at: plain) }
        }
        let extra = StateAccount(nonce: 1).slim
        try lie("account-added", whole) { fields in
            let last = try fields[Field.keys].elements.last?.bytes32 ?? .zero
            fields[Field.keys] = try elements(fields[Field.keys]) { $0.append(.bytes32(last.successor ?? .max)) }
            fields[Field.kinds] = .bytes(kinds + [0])
            fields[Field.bodies] = try replacing(fields[Field.bodies]) { $0.append(extra) }
        }
        try lie("account-key-changed", whole) { fields in
            let key = try fields[Field.keys].elements[plain].bytes32
            fields[Field.keys] = try elements(fields[Field.keys]) { $0[plain] = .bytes32(key.successor ?? .zero) }
        }
        try lie("body-changed", whole) { fields in
            fields[Field.bodies] = try replacing(fields[Field.bodies]) { $0[plain] = extra }
        }
        try lie("accounts-out-of-order", whole) { fields in
            fields[Field.keys] = try elements(fields[Field.keys]) { $0.swapAt(0, 1) }
        }
        try lie("slot-left-out", whole) { fields in
            let count = try fields[Field.counts].elements[0].uint64
            fields[Field.counts] = try elements(fields[Field.counts]) { $0[0] = .integer(count - 1) }
            fields[Field.slotKeys] = try elements(fields[Field.slotKeys]) { $0.removeFirst() }
            fields[Field.slotValues] = try replacing(fields[Field.slotValues]) { $0.removeFirst() }
        }
        try lie("slot-value-changed", whole) { fields in
            fields[Field.slotValues] = try replacing(fields[Field.slotValues]) { $0[0] = [0x55] }
        }
        try lie("slots-out-of-order", whole) { fields in
            fields[Field.slotKeys] = try elements(fields[Field.slotKeys]) { $0.swapAt(0, 1) }
            fields[Field.slotValues] = try replacing(fields[Field.slotValues]) { $0.swapAt(0, 1) }
        }
        try lie("slot-moved-to-the-next-account", whole) { fields in
            let counts = try fields[Field.counts].elements.map { try $0.uint64 }
            fields[Field.counts] = .elements([.integer(counts[0] - 1), .integer(counts[1] + 1)])
        }
        let values: [(String, [UInt8])] = [("empty", [0x80]), ("zero", [0x00]), ("leading-zero", [0x82, 0, 1])]
        for (name, value) in values {
            try lie("slot-value-\(name)", whole) { fields in
                fields[Field.slotValues] = try replacing(fields[Field.slotValues]) { $0[0] = value }
            }
        }
        try recordKindLies(whole, kinds, plain: plain, full: full)
    }

    /// Kinds that contradict the bodies, in values whose columns agree with the kinds.
    private mutating func recordKindLies(
        _ whole: (key: RangeKey, value: [UInt8]), _ kinds: [UInt8], plain: Int, full: Int
    ) throws {
        func changed(_ place: Int, _ kind: UInt8) -> SSZValue {
            .bytes(kinds.enumerated().map { $0.offset == place ? kind : $0.element })
        }
        try lie("kind-4", whole) { $0[Field.kinds] = changed(plain, 4) }
        try lie("storage-where-there-is-none", whole) { fields in
            fields[Field.kinds] = changed(plain, 1)
            var counts = try fields[Field.counts].elements
            counts.insert(.integer(UInt32(0)), at: kinds[..<plain].count { $0 != 0 })
            fields[Field.counts] = .elements(counts)
        }
        try lie("storage-said-to-be-partial", whole) { fields in
            fields[Field.kinds] = changed(full, 2)
            fields[Field.storageProofs] = .elements([.elements([])])
        }
        for (name, kind) in [("none", UInt8(0)), ("elsewhere", 3)] {
            try lie("storage-said-to-be-\(name)", whole) { fields in
                fields[Field.kinds] = changed(full, kind)
                let counts = try fields[Field.counts].elements
                let hidden = Int(truncatingIfNeeded: try counts[0].uint64)
                fields[Field.counts] = .elements(Array(counts.dropFirst()))
                fields[Field.slotKeys] = .elements(Array(try fields[Field.slotKeys].elements.dropFirst(hidden)))
                fields[Field.slotValues] = .bytes(
                    try Self.items(fields[Field.slotValues]).dropFirst(hidden).flatMap { $0 })
            }
        }
    }

    private mutating func recordEdgeLies(
        _ whole: (key: RangeKey, value: [UInt8]), _ part: (key: RangeKey, value: [UInt8])
    ) throws {
        func end(_ cursor: Cursor) -> SSZValue { .fields([.bytes32(cursor.account), .bytes32(cursor.slot)]) }
        if let cursor = whole.key.origin.predecessor {
            try lie("end-before-origin", whole) { $0[Field.end] = end(cursor) }
        }
        if let cursor = whole.key.limit.successor {
            try lie("end-after-limit", whole) { $0[Field.end] = end(cursor) }
        }
        if let cursor = whole.key.limit.predecessor {
            try lie("end-not-at-a-leaf", whole) { $0[Field.end] = end(cursor) }
        }
        try lie("end-at-an-account-that-is-not-the-last", whole) { fields in
            fields[Field.end] = end(.end(of: try fields[Field.keys].elements[0].bytes32))
        }
        for (name, base, field) in [("account", whole, Field.proof), ("partial-account", part, Field.proof)] {
            try lie("\(name)-proof-without-a-node", base) { fields in
                fields[field] = .elements(Array(try fields[field].elements.dropFirst()))
            }
            try lie("\(name)-proof-with-another-node", base) { fields in
                fields[field] = .elements(try fields[field].elements + [.bytes(Array(repeating: 0x11, count: 40))])
            }
            try lie("\(name)-proof-with-a-node-twice", base) { fields in
                let nodes = try fields[field].elements
                fields[field] = .elements(nodes + nodes.prefix(1))
            }
        }
        try lie("no-proof", whole) { $0[Field.proof] = .elements([]) }
        try lie("storage-proof-without-a-node", part) { fields in
            let nodes = try fields[Field.storageProofs].elements[0].elements
            fields[Field.storageProofs] = .elements([.elements(Array(nodes.dropFirst()))])
        }
        try lie("no-storage-proof", part) { $0[Field.storageProofs] = .elements([]) }
        try lie("storage-proof-too-many", whole) { $0[Field.storageProofs] = .elements([.elements([])]) }
        try lie("partial-slot-left-out", part) { fields in
            let count = try fields[Field.counts].elements[0].uint64
            fields[Field.counts] = .elements([.integer(count - 1)])
            var keys = try fields[Field.slotKeys].elements
            var values = try Self.items(fields[Field.slotValues])
            keys.remove(at: 1)
            values.remove(at: 1)
            fields[Field.slotKeys] = .elements(keys)
            fields[Field.slotValues] = .bytes(values.flatMap { $0 })
        }
        refused("of-another-root", whole.key, whole.value, root: after.root)
        refused("for-another-key", part.key, whole.value)
    }

    private mutating func recordMalformedRanges(_ whole: (key: RangeKey, value: [UInt8])) throws {
        let (key, value) = whole
        refused("cut", key, Array(value.dropLast()))
        refused("a-byte-more", key, value + [0])
        refused("empty", key, [])
        refused("status-alone", key, [0])
        refused("status-3", key, [3])
        refused("status-6", key, [6] + value.dropFirst())
        var offset = value
        offset[65] &+= 1
        refused("first-offset", key, offset)
        try lie("body-byte-more", whole) { fields in
            fields[Field.bodies] = .bytes(try fields[Field.bodies].bytes + [0xc0])
        }
        try lie("kind-missing", whole) { fields in
            fields[Field.kinds] = .bytes(Array(try fields[Field.kinds].bytes.dropLast()))
        }
        try lie("count-missing", whole) { fields in
            fields[Field.counts] = .elements(Array(try fields[Field.counts].elements.dropLast()))
        }
        try lie("count-too-high", whole) { $0[Field.counts] = .elements([.integer(UInt32.max), .integer(UInt32.max)]) }
        guard
            let small = RangeKey(
                anchor: key.anchor, origin: key.origin, limit: key.limit, maxBytes: UInt32(value.count - 1))
        else { return }
        refused("over-max-bytes", small, value)
    }

    // MARK: Diffs

    mutating func recordDiffLies() throws {
        guard let key = DiffsKey(from: from, to: to, sections: [9], maxBytes: 1 << 16, withProof: true) else { return }
        let honest = changes(in: Section(depth: Self.depth, index: 9))
        let fields = fields(key)
        for (place, change) in honest.enumerated() {
            var without = honest
            without.remove(at: place)
            // A slot without its account has no encoding.
            let encodes = change.key.slot != nil || place + 1 == honest.count || honest[place + 1].key.slot == nil
            if encodes {
                lists.add("diffs", "lie-\(place)-left-out", try served(key) { _ in without }, valid: false, fields)
            }
            var other = honest
            let value = change.key.slot == nil ? StateAccount(nonce: 4_711).slim : [0x47, 0x11]
            other[place] = LeafChange(key: change.key, value: value)
            lists.add("diffs", "lie-\(place)-changed", try served(key) { _ in other }, valid: false, fields)
        }
        let free = LeafChange(key: FlatKey(account: Section(depth: Self.depth, index: 9).firstKey), value: nil)
        lists.add(
            "diffs", "lie-deletion-of-nothing", try served(key) { _ in [free] + honest }, valid: false, fields)
        let unchanged = before.leaves.first { leaf in
            leaf.key.slot == nil && leaf.key.account.word0 >> 60 == 11
        }
        if let unchanged,
            let eleven = DiffsKey(from: from, to: to, sections: [11], maxBytes: 1 << 16, withProof: true)
        {
            let change = LeafChange(key: unchanged.key, value: unchanged.value)
            lists.add(
                "diffs", "lie-change-that-changes-nothing", try served(eleven) { _ in [change] }, valid: false,
                self.fields(eleven))
        }
        try recordMalformedDiffs(key, try served(key) { _ in honest })
    }

    private mutating func recordMalformedDiffs(_ key: DiffsKey, _ value: [UInt8]) throws {
        let fields = fields(key)
        func refused(_ name: String, _ bytes: [UInt8], _ other: [String: JSONValue] = [:]) {
            lists.add("diffs", "lie-\(name)", bytes, valid: false, fields.merging(other) { $1 })
        }
        func changing(_ name: String, _ change: (inout [SSZValue]) throws -> Void) throws {
            refused(name, [0] + (try WireSchemas.changing(value.dropFirst(), WireSchemas.diffs, change)))
        }
        refused("cut", Array(value.dropLast()))
        refused("a-byte-more", value + [0])
        refused("status-3", [3])
        refused("of-another-root", value, ["stateRoot": WireFields.hash(before.root)])
        refused("onto-another-state", value, ["before": .string("after")])
        try changing("no-section") { fields in
            for index in fields.indices { fields[index] = .elements([]) }
        }
        try changing("section-not-asked-for") { $0[0] = .elements([.integer(UInt32(8))]) }
        try changing("section-that-is-none") { $0[0] = .elements([.integer(UInt32(16))]) }
        try changing("section-twice") { fields in
            for index in 0..<2 {
                let elements = try fields[index].elements
                fields[index] = .elements(elements + elements)
            }
        }
        try changing("changes-missing") { $0[1] = .elements([]) }
        try changing("no-proof") { $0[2] = .elements([]) }
        try changing("proof-node-too-many") { $0[2] = .elements(try $0[2].elements + [.bytes([0xc0])]) }
        try changing("slot-of-an-account-that-is-gone") { fields in
            var changes = try fields[1].elements[0].fields
            let counts = try changes[2].elements.map { try $0.uint64 }
            guard let place = counts.firstIndex(where: { $0 > 0 }) else { return }
            var bodies = try Self.items(changes[1])
            bodies[place] = [0x80]
            changes[1] = .bytes(bodies.flatMap { $0 })
            fields[1] = .elements([.fields(changes)])
        }
        if let bare = DiffsKey(from: from, to: to, sections: [9], maxBytes: 1 << 16, withProof: false) {
            refused(
                "proof-not-asked-for", value,
                self.fields(bare).merging(["crown": WireFields.hex(CrownValue.serve(after.crown))]) { $1 })
        }
        if let small = DiffsKey(
            from: from, to: to, sections: [9], maxBytes: UInt32(value.count - 1), withProof: true)
        {
            refused("over-max-bytes", value, self.fields(small))
        }
    }

    // MARK: Block diffs

    mutating func recordBlockDiffLies(
        _ value: BlockDiffValue, _ bytes: [UInt8], _ request: [String: JSONValue]
    ) throws {
        func refused(_ name: String, _ bytes: [UInt8]?, _ other: [String: JSONValue] = [:]) throws {
            guard let bytes else { throw VectorError.malformed("the block diff \(name) has no encoding") }
            lists.add("blockDiffs", "lie-\(name)", bytes, valid: false, request.merging(other) { $1 })
        }
        func changed(
            header: [UInt8]? = nil, certificate: [UInt8]? = nil, before: Bytes32? = nil, changes: [LeafChange]? = nil,
            codes: [[UInt8]]? = nil, proof: [[UInt8]]? = nil
        ) -> [UInt8]? {
            BlockDiffValue(
                header: header ?? value.header, certificate: certificate ?? value.certificate,
                sectionHashBefore: before ?? value.sectionHashBefore, changes: changes ?? value.changes,
                codes: codes ?? value.codes, pathProof: proof ?? value.pathProof
            ).encoded
        }
        try refused("cut", Array(bytes.dropLast()))
        try refused("a-byte-more", bytes + [0])
        try refused("no-header", changed(header: []))
        try refused("header-of-another-block", changed(header: value.header.dropLast() + [0x01]))
        try refused("certificate-cut", changed(certificate: Array(value.certificate.dropLast())))
        try refused("other-state-before", changed(before: .max))
        try refused("onto-another-state", bytes, ["before": .string("after")])
        try refused("last-change-left-out", changed(changes: Array(value.changes.dropLast())))
        try refused("no-change", changed(changes: []))
        try refused("code-nobody-names", changed(codes: value.codes + [[0xfd]]))
        if let code = value.codes.first { try refused("code-twice", changed(codes: [code, code])) }
        try refused("no-proof", changed(proof: []))
        try refused("proof-node-too-many", changed(proof: value.pathProof + [[0xc0]]))
        let other = try before.crown.proofNodes(forSection: 9)
        try refused("proof-of-another-root", changed(proof: other))
        try refused("status-1", StateStatus.notAtThisAnchor(served: [anchor]).encoded)
    }
}
