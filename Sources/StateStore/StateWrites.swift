import Chain
import MerklePatricia
import Primitives

/// Collects one verified range into a batch: leaves and branches in any order, then the records of the sections it
/// touches. Data, coverage and watermark are one batch, so one commit.
public struct RangeWriter: Sendable {
    private let depth: Int
    private var batch = WriteBatch()

    /// - Parameter depth: the sections' depth; branches above it belong to the crown and are left out.
    public init(depth: Int) { self.depth = depth }

    /// Makes room at once.
    public mutating func reserve(leaves: Int, bytes: Int) { batch.reserve(operations: leaves, bytes: bytes) }

    /// A leaf: slim body, or slot value without leading zeros.
    public mutating func leaf(_ key: FlatKey, _ value: some Collection<UInt8>) {
        batch.put(.leaves, key.bytes, value)
    }

    /// Branches of the account trie, wherever they are; those of the crown are left out.
    public mutating func accountBranches(_ branches: BranchColumns) {
        for (index, path) in branches.paths.enumerated() where path.count >= depth {
            batch.put(.accountBranches, path.storeKey, branches.node(at: index))
        }
    }

    /// Branches of one account's storage trie.
    public mutating func storageBranches(of account: Bytes32, _ branches: BranchColumns) {
        for (index, path) in branches.paths.enumerated() {
            batch.put(.storageBranches, StorageBranchKey(account: account, path: path).bytes, branches.node(at: index))
        }
    }

    /// The section as it is once the range is in, and the code it wants that is not here yet. Where a range touches
    /// several sections each may be given the codes of all: wanting too much does no harm.
    public mutating func section(_ record: SectionRecord, missingCodes: [Bytes32] = []) {
        batch.put(.sections, record.section.storeKey, record.encoded)
        for hash in missingCodes { batch.put(.wantedCodes, CodeRecords.wantedKey(record.section, hash), []) }
    }

    /// All of it.
    public var finished: WriteBatch { batch }
}

/// What each step of a node's life writes. Every function gives one batch to be committed as a whole.
public enum StateWrites {
    /// A verified range; `records` are those of the sections it touches, as they are afterwards.
    public static func range(
        leaves: [(key: FlatKey, value: [UInt8])], accountBranches: BranchColumns,
        storageBranches: [(account: Bytes32, branches: BranchColumns)], records: [SectionRecord], depth: Int,
        missingCodes: [Bytes32] = []
    ) -> WriteBatch {
        var writer = RangeWriter(depth: depth)
        writer.reserve(leaves: leaves.count + accountBranches.count, bytes: leaves.count * 128)
        for (key, value) in leaves { writer.leaf(key, value) }
        writer.accountBranches(accountBranches)
        for (account, branches) in storageBranches { writer.storageBranches(of: account, branches) }
        for record in records { writer.section(record, missingCodes: missingCodes) }
        return writer.finished
    }

    /// Takes a complete section from its working point to `to`: the base becomes the state at `to`, the undo layer
    /// (replaced) leads back to the point before, history gets the leaves, and block layers that no served anchor needs
    /// any more go. `update` must be the effect of exactly that step.
    public static func fold(
        _ update: SectionUpdate, record: SectionRecord, to: StatePoint, missingCodes: [Bytes32] = []
    ) -> (batch: WriteBatch, record: SectionRecord) {
        let section = record.section
        var after = record
        after.working = to
        after.previous = record.working
        after.coverage = .complete(update.subtreeAfter)
        after.historyStart = record.historyStart ?? record.working
        var batch = WriteBatch()
        deleteUndo(of: section, in: &batch)
        for change in update.leaves { fold(change.key.bytes, change, .leaves, in: &batch) }
        for change in update.accountBranches { fold(change.key.storeKey, change, .accountBranches, in: &batch) }
        for change in update.storageBranches { fold(change.key.bytes, change, .storageBranches, in: &batch) }
        let history = HistoryFold(section: section, from: record.working, to: to, leaves: update.leaves)
        batch.put(.history, history.storeKey, history.encoded)
        batch.deleteRange(
            .layers, from: section.storeKey, upTo: section.storeKey + StatePoint.key(after: record.working.number))
        for hash in missingCodes { batch.put(.wantedCodes, CodeRecords.wantedKey(section, hash), []) }
        batch.put(.sections, section.storeKey, after.encoded)
        return (batch, after)
    }

    private static func fold<Key>(
        _ key: [UInt8], _ change: EntryChange<Key>, _ kind: StateTable, in batch: inout WriteBatch
    ) {
        if let value = change.after { batch.put(kind.base, key, value) } else { batch.delete(kind.base, key) }
        batch.put(kind.undo, key, UndoValue.encode(change.before))
    }

    private static func deleteUndo(of section: Section, in batch: inout WriteBatch) {
        for kind in StateTable.allCases {
            let bounds = kind.bounds(of: section)
            batch.deleteRange(kind.undo, from: bounds.from, upTo: bounds.upTo)
        }
    }

    /// A section's record alone: a first one, or new coverage.
    public static func record(_ record: SectionRecord) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.sections, record.section.storeKey, record.encoded)
        return batch
    }

    /// A block layer, kept for the next start.
    public static func layer(_ layer: BlockLayer, missingCodes: [Bytes32] = []) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.layers, layer.storeKey, layer.encoded)
        for hash in missingCodes { batch.put(.wantedCodes, CodeRecords.wantedKey(layer.section, hash), []) }
        return batch
    }

    /// Forgets layers: of blocks that a reorganisation or a final block excludes.
    public static func dropLayers(_ layers: [BlockLayer]) -> WriteBatch {
        var batch = WriteBatch()
        for layer in layers { batch.delete(.layers, layer.storeKey) }
        return batch
    }

    /// Forgets the folds of a section that reached `point` or one before it: history then starts at `point`, which must
    /// be one of `History.points` or the working point.
    public static func pruneHistory(
        _ record: SectionRecord, keepingFrom point: StatePoint
    ) -> (batch: WriteBatch, record: SectionRecord) {
        let key = record.section.storeKey
        var after = record
        after.historyStart = point == record.working ? nil : point
        var batch = WriteBatch()
        batch.deleteRange(.history, from: key, upTo: key + StatePoint.key(after: point.number))
        batch.put(.sections, key, after.encoded)
        return (batch, after)
    }

    /// Forgets everything of a section, partly fetched or complete: its leaves, slots, branches, undo layer, history,
    /// block layers, wanted code and record. Code itself stays: other sections may use it.
    public static func dropSection(_ section: Section) -> WriteBatch {
        var batch = WriteBatch()
        for kind in StateTable.allCases {
            let bounds = kind.bounds(of: section)
            batch.deleteRange(kind.base, from: bounds.from, upTo: bounds.upTo)
        }
        deleteUndo(of: section, in: &batch)
        for table in [Table.history, .layers, .wantedCodes, .sections] {
            batch.deletePrefix(table, section.storeKey)
        }
        return batch
    }

    /// Bytecode that arrived, for these sections: what they wanted of it they want no more.
    public static func codes(_ codes: [(hash: Bytes32, code: [UInt8])], for sections: [Section]) -> WriteBatch {
        var batch = WriteBatch()
        for (hash, code) in codes {
            batch.put(.codes, hash.bytes, code)
            for section in sections { batch.delete(.wantedCodes, CodeRecords.wantedKey(section, hash)) }
        }
        return batch
    }

    /// The encoded crown of an anchor.
    public static func crown(_ anchor: Anchor, _ bytes: [UInt8]) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.crowns, anchor.storeKey, bytes)
        return batch
    }

    /// Forgets the crowns of all epochs before `epoch`.
    public static func dropCrowns(before epoch: UInt64) -> WriteBatch {
        var batch = WriteBatch()
        batch.deleteRange(.crowns, from: [], upTo: withUnsafeBytes(of: epoch.bigEndian) { Array($0) })
        return batch
    }

    /// A small thing of this node's own, by name (at most `StateStoreLimits.localNameBytes` bytes of UTF-8).
    public static func local(_ name: String, _ value: [UInt8]) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.local, LocalValues.key(name), value)
        return batch
    }
}

extension StatePoint {
    /// Above every key of a block of this number, at or below that of every later one.
    static func key(after number: UInt64) -> [UInt8] {
        guard number < .max else { return [UInt8](repeating: 0xff, count: 41) }
        return withUnsafeBytes(of: (number + 1).bigEndian) { Array($0) }
    }
}

/// Crowns of served anchors, as bytes.
public enum CrownRecords {
    /// The bytes kept for `anchor`; nil where there are none.
    public static func crown(_ anchor: Anchor, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.crowns, anchor.storeKey)
    }

    /// The anchors whose crown is kept, oldest first.
    public static func anchors(in snapshot: some StoreSnapshot) throws(StoreError) -> [Anchor] {
        var anchors: [Anchor] = []
        try snapshot.forEach(.crowns, from: [], upTo: nil) { (key, _) throws(StoreError) in
            do throws(ByteError) {
                var reader = ByteReader(Array(key))
                anchors.append(Anchor(epoch: try reader.uint64BigEndian(), hash: try reader.bytes32()))
            } catch {
                throw .corrupt(table: .crowns)
            }
            return true
        }
        return anchors
    }
}

/// Small things of this node alone, by name.
public enum LocalValues {
    /// What is kept under `name`; nil where nothing is.
    public static func value(_ name: String, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.local, key(name))
    }

    static func key(_ name: String) -> [UInt8] { Array(name.utf8.prefix(StateStoreLimits.localNameBytes)) }
}
