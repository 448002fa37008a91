import Chain
import Primitives
import StateStore

extension StateContentKey {
    static let anchorSchema = SSZType.container([("epoch", .uint64), ("hash", .bytes32)])
    static let pointSchema = SSZType.container([("number", .uint64), ("hash", .bytes32)])
    static let cursorSchema = SSZType.container([("account", .bytes32), ("slot", .bytes32)])

    /// The container after each selector; nil where nothing follows.
    public static func schema(_ selector: Selector) -> SSZType? {
        switch selector {
        case .range:
            .container([
                ("trie", StateTrie.schema), ("anchor", anchorSchema), ("origin", cursorSchema),
                ("limit", cursorSchema), ("max_bytes", .uint32),
            ])
        case .diffs:
            .container([
                ("trie", StateTrie.schema), ("from", pointSchema), ("to", pointSchema), ("first_section", .uint32),
                ("sections", .bitlist(StateContentLimits.maskBits)), ("max_bytes", .uint32), ("with_proof", .boolean),
            ])
        case .codes:
            .container([("near", .bytes32), ("hashes", .list(.bytes32, limit: StateContentLimits.codeHashes))])
        case .blockDiff: .container([("trie", StateTrie.schema), ("block", pointSchema), ("section", .uint32)])
        case .crown: .container([("trie", StateTrie.schema), ("anchor", anchorSchema)])
        case .sections: SectionsKey.schema
        case .subtrees: SubtreesKey.schema
        case .availability: nil
        case .wideDirectory: WideDirectoryKey.schema
        case .storageCrown: StorageCrownKey.schema
        case .partial: PartialForm.schema
        case .blockDiffs:
            .container([
                ("trie", StateTrie.schema), ("block", pointSchema), ("first_section", .uint32),
                ("last_section", .uint32),
            ])
        }
    }

    /// Reads exactly one key.
    public init(decoding bytes: [UInt8]) throws(StateContentError) {
        guard let first = bytes.first else { throw .empty }
        guard bytes.count <= StateContentLimits.keyBytes else { throw .keyTooLong(bytes: bytes.count) }
        guard let selector = Selector(rawValue: first) else { throw .unknownContent(first) }
        guard selector != .partial else {
            self = try PartialForm.key(bytes)
            return
        }
        self = try Self.key(selector, bytes, keeping: .all)
    }

    /// Reads a key of this selector, which has no other form in it.
    static func key(
        _ selector: Selector, _ bytes: [UInt8], keeping kept: KeptStorage
    ) throws(StateContentError) -> StateContentKey {
        guard let schema = Self.schema(selector) else {
            guard bytes.count == 1 else { throw .malformed(.wrongSize) }
            return .availability
        }
        let key: StateContentKey?
        do throws(SSZError) {
            key = try Self.key(selector, try SSZ.decode(bytes.dropFirst(), as: schema).fields, keeping: kept)
        } catch {
            throw .malformed(error)
        }
        guard let key else { throw .invalid("the bounds, sections, hashes or trie of a \(selector) key") }
        return key
    }

    private static func key(
        _ selector: Selector, _ fields: [SSZValue], keeping kept: KeptStorage
    ) throws(SSZError) -> StateContentKey? {
        switch selector {
        case .range:
            let key = RangeKey(
                trie: try StateTrie(fields[0]), anchor: try anchor(fields[1]), origin: try cursor(fields[2]),
                limit: try cursor(fields[3]), maxBytes: UInt32(truncatingIfNeeded: try fields[4].uint64),
                keeping: kept)
            return key.map { .range($0) }
        case .diffs:
            let first = Int(truncatingIfNeeded: try fields[3].uint64)
            guard let sections = SectionMask.sections(try fields[4].bits, from: first) else { return nil }
            let key = DiffsKey(
                trie: try StateTrie(fields[0]), from: try point(fields[1]), to: try point(fields[2]),
                sections: sections,
                maxBytes: UInt32(truncatingIfNeeded: try fields[5].uint64), withProof: try fields[6].boolean,
                keeping: kept)
            return key.map { .diffs($0) }
        case .codes:
            var hashes: [Bytes32] = []
            for element in try fields[1].elements { hashes.append(try element.bytes32) }
            return CodesKey(near: try fields[0].bytes32, hashes: hashes).map { .codes($0) }
        case .blockDiff:
            return .blockDiff(
                BlockDiffKey(
                    trie: try StateTrie(fields[0]), point: try point(fields[1]),
                    section: Int(truncatingIfNeeded: try fields[2].uint64)))
        case .crown:
            // A crown is the accounts' alone.
            guard try StateTrie(fields[0]) == .accounts else { return nil }
            return .crown(try anchor(fields[1]))
        case .sections: return try SectionsKey(fields, keeping: kept).map { .sections($0) }
        case .subtrees: return try SubtreesKey(fields).map { .subtrees($0) }
        case .availability: return .availability
        case .wideDirectory: return try WideDirectoryKey(fields).map { .wideDirectory($0) }
        case .storageCrown: return try StorageCrownKey(fields).map { .storageCrown($0) }
        case .blockDiffs:
            let key = BlockDiffsKey(
                trie: try StateTrie(fields[0]), point: try point(fields[1]),
                first: Int(truncatingIfNeeded: try fields[2].uint64),
                last: Int(truncatingIfNeeded: try fields[3].uint64), keeping: kept)
            return key.map { .blockDiffs($0) }
        // It has a key of another kind in it.
        case .partial: return nil
        }
    }

    /// The encoding that `init(decoding:)` reads.
    public var encoded: [UInt8] {
        let plain = [contentSelector.rawValue] + ColumnWriter.container(fields)
        return kept.isAll ? plain : PartialForm.encoded(plain, keeping: kept)
    }

    private var fields: [ColumnWriter.Field] {
        switch self {
        case .range(let key):
            return [
                .variable(key.trie.encoded), .inPlace(Self.bytes(key.anchor)), .inPlace(key.origin.bytes),
                .inPlace(key.limit.bytes), .inPlace(ColumnWriter.integer(key.maxBytes)),
            ]
        case .diffs(let key):
            let first = key.sections.first ?? 0
            let mask = SectionMask.bytes(key.sections, from: first)
            return [
                .variable(key.trie.encoded), .inPlace(Self.bytes(key.from)), .inPlace(Self.bytes(key.to)),
                .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: first))), .variable(mask),
                .inPlace(ColumnWriter.integer(key.maxBytes)), .inPlace([key.withProof ? 1 : 0]),
            ]
        case .codes(let key): return [.inPlace(key.near.bytes), .variable(ColumnWriter.hashes(key.hashes))]
        case .blockDiff(let key):
            return [
                .variable(key.trie.encoded), .inPlace(Self.bytes(key.point)),
                .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: key.section))),
            ]
        case .crown(let anchor): return [.variable(StateTrie.accounts.encoded), .inPlace(Self.bytes(anchor))]
        case .sections(let key): return key.fields
        case .subtrees(let key): return key.fields
        case .availability: return []
        case .wideDirectory(let key): return key.fields
        case .storageCrown(let key): return key.fields
        case .blockDiffs(let key):
            return [
                .variable(key.trie.encoded), .inPlace(Self.bytes(key.point)),
                .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: key.first))),
                .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: key.last))),
            ]
        }
    }

    static func bytes(_ anchor: Anchor) -> [UInt8] { ColumnWriter.integer(anchor.epoch) + anchor.hash.bytes }
    static func bytes(_ point: StatePoint) -> [UInt8] { ColumnWriter.integer(point.number) + point.hash.bytes }

    static func anchor(_ value: SSZValue) throws(SSZError) -> Anchor {
        let fields = try value.fields
        return Anchor(epoch: try fields[0].uint64, hash: try fields[1].bytes32)
    }

    static func point(_ value: SSZValue) throws(SSZError) -> StatePoint {
        let fields = try value.fields
        return StatePoint(number: try fields[0].uint64, hash: try fields[1].bytes32)
    }

    static func cursor(_ value: SSZValue) throws(SSZError) -> Cursor {
        let fields = try value.fields
        return Cursor(account: try fields[0].bytes32, slot: try fields[1].bytes32)
    }
}
