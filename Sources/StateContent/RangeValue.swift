// Ranges: a stretch of the state's one order of leaves, with the proof that nothing in it is left out.
//
// Terms. The flat order is account leaf, its slots, next account. A *cursor* (account key, slot key) is a position in
// it: as an origin (a, 0) means from a's own leaf on, (a, s) from its slot s on; as an end (a, ff…ff) means everything
// of the accounts up to a, (a, s) the storage of a up to slot s. A range asked for is [origin, limit], the one given
// [origin, end] with end ≤ limit, and the next one begins at end's successor.
//
//      a ────────── b ─ s1 s2 s3 … ─────── c ─ … ──────── d
//      │ none       │ partial: edge proof  │ complete     │ none      storage kinds, one an account
//      origin = (b, s2) means b's body again, then s2 …               edges: proofs of b and of d in the account trie
//
// Phases of a check. (1) Columns are split in place, every count against its limit. (2) Bodies are read, cursors and
// kinds compared with what they must be. (3) Each complete storage is built from its slots and must give the root in
// its account's body; a partial one is proven at its edges. (4) The accounts are proven at their edges under the state
// root.
//
// Invariants. The kind of an account is a function of its storage root and the two cursors, so it cannot be chosen. The
// whole account interval [origin.account, end.account] is proven, so an account that is missing there does not exist.
// An answer that stops early ends exactly at its last leaf, or, where its server holds no more, with a section.
//
// Why columns: hashing reads keys and values in runs, and the lengths that an item-wise encoding would add are spared:
// bodies and slot values are RLP, which delimits itself.

import Primitives
import StateStore

/// How an account's storage stands in a range.
public enum StorageKind: UInt8, Sendable, CaseIterable {
    /// The account has no storage.
    case none = 0
    /// All slots follow; they alone must give the storage root.
    case complete = 1
    /// The range starts or ends inside the storage; the slots are proven at the edges.
    case partial = 2
    /// The storage is spread round the ring: no slot follows, and the nodes that show the placement prove it. Refused
    /// in a network that spreads none.
    case elsewhere = 3
}

/// The content of a range answer, after the status byte.
public struct RangeValue: Sendable {
    /// Last position that the answer covers.
    public var end: Cursor
    /// Accounts in the range, ascending.
    public var accountKeys: [Bytes32] = []
    /// One for each account.
    public var kinds: [StorageKind] = []
    /// Slim bodies, one for each account: RLP lists.
    var bodies = ByteColumn()
    /// Number of slots of each account whose kind is complete or partial.
    var slotCounts: [Int] = []
    /// Slots of these accounts, ascending within each.
    var slotKeys: [Bytes32] = []
    /// Values as they stand in the trie, one for each slot: RLP strings.
    var slotValues = ByteColumn()
    /// Nodes of the account trie at the two edges, each once.
    var accountProof: [[UInt8]] = []
    /// Nodes of the storage trie of each account whose kind is partial or elsewhere, in the order of the accounts.
    var storageProofs: [[[UInt8]]] = []

    init(end: Cursor) { self.end = end }

    /// Accounts and slots.
    public var leafCount: Int { accountKeys.count + slotKeys.count }

    private static let cursorBytes = 64
    /// Fields of variable size.
    static let columnCount = 8
    /// Bytes before the first column: the end, and an offset for each column.
    static let headBytes = cursorBytes + 4 * columnCount

    /// The container: what `encoded` writes and `init(decoding:)` reads.
    public static let schema: SSZType = {
        let leaves = StateContentLimits.leaves
        let nodes = SSZType.list(
            .byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.rangeProofNodes)
        return .container([
            ("end", StateContentKey.cursorSchema), ("account_keys", .list(.bytes32, limit: leaves)),
            ("kinds", .byteList(leaves)), ("bodies", .byteList(leaves * StateContentLimits.bodyBytes)),
            ("slot_counts", .list(.uint32, limit: leaves)), ("slot_keys", .list(.bytes32, limit: leaves)),
            ("slot_values", .byteList(leaves * StateContentLimits.slotValueBytes)), ("account_proof", nodes),
            ("storage_proofs", .list(nodes, limit: StateContentLimits.provenStorages)),
        ])
    }()

    /// The container's bytes after a status byte of 0.
    package var encoded: [UInt8] {
        [0]
            + ColumnWriter.container(
                fixed: end.bytes,
                [
                    ColumnWriter.hashes(accountKeys), kinds.map(\.rawValue), bodies.bytes,
                    ColumnWriter.counts(slotCounts), ColumnWriter.hashes(slotKeys), slotValues.bytes,
                    ColumnWriter.items(accountProof),
                    ColumnWriter.items(storageProofs.map { ColumnWriter.items($0) }),
                ])
    }

    /// Reads a whole value, its status byte included, which must be 0. Only the layout is checked here: bodies are RLP
    /// lists, slot values RLP strings of 1 to 32 bytes without leading zeros, numbers of items agree.
    package init(decoding value: [UInt8]) throws(SSZError) {
        let reader = ColumnReader(bytes: value)
        let leaves = StateContentLimits.leaves
        let fields = try reader.container(
            min(1, value.count)..<value.count, fixed: Self.cursorBytes, count: Self.columnCount)
        end = Cursor(account: reader.bytes32(at: 1), slot: reader.bytes32(at: 33))
        accountKeys = try reader.hashes(fields[0], limit: leaves)
        guard fields[1].count == accountKeys.count else { throw .wrongSize }
        kinds.reserveCapacity(accountKeys.count)
        for index in fields[1] {
            guard let kind = StorageKind(rawValue: value[index]) else { throw .wrongShape }
            kinds.append(kind)
        }
        bodies = try ByteColumn(
            items: value, in: fields[2], count: accountKeys.count, limit: StateContentLimits.bodyBytes
        ) { item, _ in item.isList }
        slotCounts = try reader.counts(fields[3], limit: leaves)
        guard slotCounts.count == kinds.count(where: { $0 == .complete || $0 == .partial }) else { throw .wrongSize }
        slotKeys = try reader.hashes(fields[4], limit: leaves - accountKeys.count)
        // Each count is below 2^32 and there are at most 65,536 of them: the sum cannot overflow.
        guard slotCounts.reduce(0, +) == slotKeys.count else { throw .wrongSize }
        slotValues = try ByteColumn(
            items: value, in: fields[5], count: slotKeys.count, limit: StateContentLimits.slotValueBytes,
            check: ByteColumn.isSlotValue)
        accountProof = try reader.byteLists(
            fields[6], limit: StateContentLimits.rangeProofNodes, itemLimit: StateContentLimits.nodeBytes)
        for place in try reader.items(fields[7], limit: StateContentLimits.provenStorages) {
            storageProofs.append(
                try reader.byteLists(
                    place, limit: StateContentLimits.rangeProofNodes, itemLimit: StateContentLimits.nodeBytes))
        }
        guard storageProofs.count == kinds.count(where: { $0 == .partial || $0 == .elsewhere }) else {
            throw .wrongSize
        }
    }
}

extension ByteColumn {
    /// A slot's value in the trie: a string of 1…32 bytes that does not begin with zero. A slot of zero is not there.
    static func isSlotValue(_ item: RLPItem, _ buffer: UnsafeRawBufferPointer) -> Bool {
        let length = item.end - item.contentStart
        return !item.isList && (1...32).contains(length) && buffer[item.contentStart] != 0
    }
}
