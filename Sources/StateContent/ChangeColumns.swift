import MerklePatricia
import Primitives
import StateStore

/// The changed leaves of one section in columns, as diffs carry them: each account once, in order, with its changed
/// slots. A changed slot changes the storage root, so its account is always listed; the slots of a deleted account are
/// implied by it and never listed.
struct ChangeColumns: Hashable, Sendable {
    private(set) var accountKeys: [Bytes32] = []
    /// For each account its slim body, an RLP list, or an empty RLP string where the account is gone.
    private(set) var bodies = ByteColumn()
    /// For each account the number of slots listed.
    private(set) var slotCounts: [Int] = []
    private(set) var slotKeys: [Bytes32] = []
    /// RLP strings; empty where the slot is gone.
    private(set) var slotValues = ByteColumn()

    /// RLP of an empty string: the leaf is gone.
    private static let gone: [UInt8] = [0x80]
    static let columnCount = 5

    /// Changes in flat order; nil where a slot stands without its account, or beside an account that is gone.
    init?(_ changes: [LeafChange]) {
        var isGone = false
        for change in changes {
            guard let slot = change.key.slot else {
                accountKeys.append(change.key.account)
                bodies.append(change.value ?? Self.gone)
                slotCounts.append(0)
                isGone = change.value == nil
                continue
            }
            guard accountKeys.last == change.key.account, !isGone else { return nil }
            slotKeys.append(slot)
            slotValues.append(change.value.map(SlotValue.rlp) ?? Self.gone)
            slotCounts[slotCounts.count - 1] += 1
        }
        guard leafCount <= StateContentLimits.leaves else { return nil }
    }

    /// Nothing.
    init() {}

    /// How many of the first accounts of `other` stand here already: one where the last of these goes on there.
    func repeated(in other: ChangeColumns) -> Int {
        accountKeys.last == other.accountKeys.first && !accountKeys.isEmpty ? 1 : 0
    }

    /// Adds changes that come after all these. Where the last account goes on, with slots of another part of its
    /// storage, it stands once.
    mutating func append(_ other: ChangeColumns) {
        let repeated = repeated(in: other)
        if repeated > 0 { slotCounts[slotCounts.count - 1] += other.slotCounts[0] }
        accountKeys += other.accountKeys.dropFirst(repeated)
        bodies.append(other.bodies, without: repeated)
        slotCounts += other.slotCounts.dropFirst(repeated)
        slotKeys += other.slotKeys
        slotValues.append(other.slotValues)
    }

    var leafCount: Int { accountKeys.count + slotKeys.count }

    static let schema: SSZType = {
        let leaves = StateContentLimits.leaves
        return .container([
            ("account_keys", .list(.bytes32, limit: leaves)),
            ("bodies", .byteList(leaves * StateContentLimits.bodyBytes)),
            ("slot_counts", .list(.uint32, limit: leaves)), ("slot_keys", .list(.bytes32, limit: leaves)),
            ("slot_values", .byteList(leaves * StateContentLimits.slotValueBytes)),
        ])
    }()

    /// The container's bytes.
    var encoded: [UInt8] {
        ColumnWriter.container([
            ColumnWriter.hashes(accountKeys), bodies.bytes, ColumnWriter.counts(slotCounts),
            ColumnWriter.hashes(slotKeys), slotValues.bytes,
        ])
    }

    /// Bytes that `encoded` will have.
    var encodedCount: Int {
        4 * Self.columnCount + 36 * accountKeys.count + bodies.bytes.count + 32 * slotKeys.count
            + slotValues.bytes.count
    }

    /// Reads a container. Layout and order are checked: accounts ascend, slots ascend within each, and an account that
    /// is gone has none.
    init(_ reader: ColumnReader, _ range: Range<Int>) throws(SSZError) {
        let leaves = StateContentLimits.leaves
        let fields = try reader.container(range, fixed: 0, count: Self.columnCount)
        accountKeys = try reader.hashes(fields[0], limit: leaves)
        bodies = try ByteColumn(
            items: reader.bytes, in: fields[1], count: accountKeys.count, limit: StateContentLimits.bodyBytes
        ) { item, _ in item.isList || item.end == item.contentStart }
        slotCounts = try reader.counts(fields[2], limit: leaves)
        guard slotCounts.count == accountKeys.count else { throw .wrongSize }
        slotKeys = try reader.hashes(fields[3], limit: leaves - accountKeys.count)
        guard slotCounts.reduce(0, +) == slotKeys.count else { throw .wrongSize }
        slotValues = try ByteColumn(
            items: reader.bytes, in: fields[4], count: slotKeys.count, limit: StateContentLimits.slotValueBytes
        ) { item, buffer in
            ByteColumn.isSlotValue(item, buffer) || !item.isList && item.end == item.contentStart
        }
        guard isOrdered else { throw .wrongShape }
    }

    private var isOrdered: Bool {
        guard zip(accountKeys, accountKeys.dropFirst()).allSatisfy({ $0 < $1 }) else { return false }
        var slot = 0
        for (index, count) in slotCounts.enumerated() {
            if count > 0, bodies.bytes[bodies.range(at: index).lowerBound] == Self.gone[0] { return false }
            let keys = slotKeys[slot..<(slot + count)]
            guard zip(keys, keys.dropFirst()).allSatisfy({ $0 < $1 }) else { return false }
            slot += count
        }
        return true
    }

    /// The changes in flat order.
    var changes: [LeafChange] {
        var changes: [LeafChange] = []
        changes.reserveCapacity(leafCount)
        var slot = 0
        for (index, account) in accountKeys.enumerated() {
            let body = bodies.value(at: index)
            changes.append(LeafChange(key: FlatKey(account: account), value: body == Self.gone ? nil : body))
            for _ in 0..<slotCounts[index] {
                let value = slotValues.value(at: slot)
                changes.append(
                    LeafChange(
                        key: FlatKey(account: account, slot: slotKeys[slot]),
                        // A value below 0x80 is its own RLP; any other has one byte before it.
                        value: value == Self.gone ? nil : value.count == 1 ? value : Array(value.dropFirst())))
                slot += 1
            }
        }
        return changes
    }
}
