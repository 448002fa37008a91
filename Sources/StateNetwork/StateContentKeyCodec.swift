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
                ("sections", .bitlist(StateNetworkLimits.maskBits)), ("max_bytes", .uint32), ("with_proof", .boolean),
            ])
        case .codes:
            .container([("near", .bytes32), ("hashes", .list(.bytes32, limit: StateNetworkLimits.codeHashes))])
        case .blockDiff: .container([("trie", StateTrie.schema), ("block", pointSchema), ("section", .uint32)])
        case .crown: .container([("trie", StateTrie.schema), ("anchor", anchorSchema)])
        case .availability: nil
        }
    }

    /// Reads exactly one key.
    public init(decoding bytes: [UInt8]) throws(StateContentError) {
        guard let first = bytes.first else { throw .empty }
        guard bytes.count <= StateNetworkLimits.keyBytes else { throw .keyTooLong(bytes: bytes.count) }
        guard let selector = Selector(rawValue: first) else { throw .unknownContent(first) }
        guard let schema = Self.schema(selector) else {
            guard bytes.count == 1 else { throw .malformed(.wrongSize) }
            self = .availability
            return
        }
        let key: StateContentKey?
        do throws(SSZError) {
            key = try Self.key(selector, try SSZ.decode(bytes.dropFirst(), as: schema).fields)
        } catch {
            throw .malformed(error)
        }
        guard let key else { throw .invalid("the bounds, sections, hashes or trie of a \(selector) key") }
        self = key
    }

    private static func key(_ selector: Selector, _ fields: [SSZValue]) throws(SSZError) -> StateContentKey? {
        switch selector {
        case .range:
            let key = RangeKey(
                trie: try StateTrie(fields[0]), anchor: try anchor(fields[1]), origin: try cursor(fields[2]),
                limit: try cursor(fields[3]), maxBytes: UInt32(truncatingIfNeeded: try fields[4].uint64))
            return key.map { .range($0) }
        case .diffs:
            let first = Int(truncatingIfNeeded: try fields[3].uint64)
            let mask = try fields[4].bits
            // One set of sections has one key: the first and the last bit are set.
            guard mask.first == true, mask.last == true else { return nil }
            let key = DiffsKey(
                trie: try StateTrie(fields[0]), from: try point(fields[1]), to: try point(fields[2]),
                sections: mask.indices.filter { mask[$0] }.map { first + $0 },
                maxBytes: UInt32(truncatingIfNeeded: try fields[5].uint64), withProof: try fields[6].boolean)
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
        case .availability: return .availability
        }
    }

    /// The encoding that `init(decoding:)` reads.
    public var encoded: [UInt8] {
        guard let schema = Self.schema(selector) else { return [selector.rawValue] }
        do throws(SSZError) {
            return [selector.rawValue] + (try SSZ.encode(.fields(fields), as: schema))
        } catch {
            // The fields are built from the types above, whose initialisers keep the schema's limits.
            preconditionFailure("a key outside its own schema: \(error)")
        }
    }

    private var fields: [SSZValue] {
        switch self {
        case .range(let key):
            return [
                key.trie.value, Self.value(key.anchor), Self.value(key.origin), Self.value(key.limit),
                .integer(key.maxBytes),
            ]
        case .diffs(let key):
            let first = key.sections.first ?? 0
            var mask = [Bool](repeating: false, count: (key.sections.last ?? 0) - first + 1)
            for section in key.sections { mask[section - first] = true }
            return [
                key.trie.value, Self.value(key.from), Self.value(key.to), .integer(UInt32(truncatingIfNeeded: first)),
                .bits(mask), .integer(key.maxBytes), .boolean(key.withProof),
            ]
        case .codes(let key): return [.bytes32(key.near), .elements(key.hashes.map { .bytes32($0) })]
        case .blockDiff(let key):
            return [key.trie.value, Self.value(key.point), .integer(UInt32(truncatingIfNeeded: key.section))]
        case .crown(let anchor): return [StateTrie.accounts.value, Self.value(anchor)]
        case .availability: return []
        }
    }

    static func value(_ anchor: Anchor) -> SSZValue { .fields([.integer(anchor.epoch), .bytes32(anchor.hash)]) }
    static func value(_ point: StatePoint) -> SSZValue { .fields([.integer(point.number), .bytes32(point.hash)]) }
    static func value(_ cursor: Cursor) -> SSZValue { .fields([.bytes32(cursor.account), .bytes32(cursor.slot)]) }

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
