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
        batch.append(StateWrites.wantedCodes(missingCodes, of: record.section))
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

    /// A section's first state, put where nothing was: genesis.
    public static func base(_ update: SectionUpdate) -> WriteBatch {
        var batch = WriteBatch()
        for change in update.leaves { set(change.key.bytes, to: change.after, in: .leaves, &batch) }
        for change in update.accountBranches { set(change.key.storeKey, to: change.after, in: .accountBranches, &batch) }
        for change in update.storageBranches { set(change.key.bytes, to: change.after, in: .storageBranches, &batch) }
        return batch
    }

    /// Takes a complete section from its working point to `to`: the base becomes the state at `to`, the undo layer
    /// (replaced) leads back to the point before, history gets the leaves, and code not here yet is noted as wanted.
    /// `update` must be the effect of exactly that step.
    ///
    /// - Parameters:
    ///   - keepHistoryFrom: folds that reached this block or one before it are forgotten.
    ///   - keepingLayers: whether the block layers since the working point are all of the step, and stay, so that diffs
    ///     from blocks of this epoch can be served until the next fold. Otherwise layers up to `to` go. Layers above it
    ///     stay where they still fit.
    ///   - snapshot: of the store the batch is for, nothing that concerns the section being committed in between.
    public static func fold(
        _ update: SectionUpdate, record: SectionRecord, to: StatePoint, keepHistoryFrom: UInt64 = 0,
        keepingLayers: Bool = false, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> (batch: WriteBatch, record: SectionRecord) {
        let section = record.section
        var batch = WriteBatch()
        deleteUndo(of: section, in: &batch)
        for change in update.leaves { fold(change.key.bytes, change, .leaves, in: &batch) }
        for change in update.accountBranches { fold(change.key.storeKey, change, .accountBranches, in: &batch) }
        for change in update.storageBranches { fold(change.key.bytes, change, .storageBranches, in: &batch) }
        let history = HistoryFold(section: section, from: record.working, to: to, leaves: update.leaves)
        batch.put(.history, history.storeKey, history.encoded)
        var after = record
        after.working = to
        after.previous = record.working
        after.coverage = .complete(update.subtreeAfter)
        after.historyStart = try pruneHistory(of: section, from: keepHistoryFrom, in: snapshot, &batch) ?? record.working
        try dropLayers(
            of: section, upTo: keepingLayers ? record.working.number : to.number, folded: to.number,
            hash: update.subtreeAfter.hash(at: section.depth), in: snapshot, &batch)
        batch.append(wantedCodes(try CodeRecords.missing(of: update.newCodeHashes, in: snapshot), of: section))
        batch.put(.sections, section.storeKey, after.encoded)
        return (batch, after)
    }

    /// Deletes the section's folds up to block `number`. Gives the point the oldest one left starts from.
    private static func pruneHistory(
        of section: Section, from number: UInt64, in snapshot: some StoreSnapshot, _ batch: inout WriteBatch
    ) throws(StoreError) -> StatePoint? {
        let start = section.storeKey + StatePoint.key(after: number)
        if number > 0 { batch.deleteRange(.history, from: section.storeKey, upTo: start) }
        var oldest: StatePoint?
        let end = ByteOrder.end(ofPrefix: section.storeKey)
        try snapshot.forEach(.history, from: number > 0 ? start : section.storeKey, upTo: end) {
            (_, value) throws(StoreError) in
            oldest = try HistoryFold(decoding: Array(value), of: section).from
            return false
        }
        return oldest
    }

    /// Deletes the section's layers up to block `number`, and those above `folded` unless they go on from `hash`.
    private static func dropLayers(
        of section: Section, upTo number: UInt64, folded: UInt64, hash: Bytes32, in snapshot: some StoreSnapshot,
        _ batch: inout WriteBatch
    ) throws(StoreError) {
        let key = section.storeKey
        batch.deleteRange(.layers, from: key, upTo: key + StatePoint.key(after: number))
        let above = key + StatePoint.key(after: folded)
        var fits = true
        try snapshot.forEach(.layers, from: above, upTo: ByteOrder.end(ofPrefix: key)) { (_, value) throws(StoreError) in
            fits = try BlockLayer(decoding: Array(value)).sectionHashBefore == hash
            return false
        }
        if !fits { batch.deleteRange(.layers, from: above, upTo: ByteOrder.end(ofPrefix: key)) }
    }

    private static func set(_ key: [UInt8], to value: [UInt8]?, in table: Table, _ batch: inout WriteBatch) {
        if let value { batch.put(table, key, value) } else { batch.delete(table, key) }
    }

    private static func fold<Key>(
        _ key: [UInt8], _ change: EntryChange<Key>, _ kind: StateTable, in batch: inout WriteBatch
    ) {
        set(key, to: change.after, in: kind.base, &batch)
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

    /// A block layer, kept for the next start; code it names that is not here yet is noted as wanted.
    ///
    /// - Parameter replacing: whether it takes the place of all layers above its parent: the way of several blocks at
    ///   once.
    public static func layer(
        _ layer: BlockLayer, replacing: Bool = false, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> WriteBatch {
        var batch = WriteBatch()
        if replacing {
            let key = layer.section.storeKey
            let above = key + StatePoint.key(after: layer.parent.number)
            batch.deleteRange(.layers, from: above, upTo: ByteOrder.end(ofPrefix: key))
        }
        batch.put(.layers, layer.storeKey, layer.encoded)
        let missing = try CodeRecords.missing(of: layer.update.newCodeHashes, in: snapshot)
        batch.append(wantedCodes(missing, of: layer.section))
        return batch
    }

    /// Forgets layers: of blocks that a reorganisation or a final block excludes.
    public static func dropLayers(_ layers: [BlockLayer]) -> WriteBatch {
        var batch = WriteBatch()
        for layer in layers { batch.delete(.layers, layer.storeKey) }
        return batch
    }

    /// Forgets the folds of a section that reached block `number` or one before it.
    public static func pruneHistory(
        _ record: SectionRecord, keepFrom number: UInt64, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> (batch: WriteBatch, record: SectionRecord) {
        var batch = WriteBatch()
        var after = record
        after.historyStart = try pruneHistory(of: record.section, from: number, in: snapshot, &batch)
        batch.put(.sections, record.section.storeKey, after.encoded)
        return (batch, after)
    }

    /// Forgets everything of a section, partly fetched or complete: its leaves, slots, branches, undo layer, history,
    /// block layers and record. Code stays, and so do wishes for it: other sections may name it too.
    public static func dropSection(_ section: Section) -> WriteBatch {
        var batch = WriteBatch()
        for kind in StateTable.allCases {
            let bounds = kind.bounds(of: section)
            batch.deleteRange(kind.base, from: bounds.from, upTo: bounds.upTo)
        }
        deleteUndo(of: section, in: &batch)
        for table in [Table.history, .layers, .sections] { batch.deletePrefix(table, section.storeKey) }
        return batch
    }

    /// Bytecode that arrived: nobody wants it any more.
    public static func codes(_ codes: [(hash: Bytes32, code: [UInt8])]) -> WriteBatch {
        var batch = WriteBatch()
        for (hash, code) in codes {
            batch.put(.codes, hash.bytes, code)
            batch.deletePrefix(.wantedCodes, hash.bytes)
        }
        return batch
    }

    /// Notes code that leaves of a section name and that is not here.
    public static func wantedCodes(_ hashes: [Bytes32], of section: Section) -> WriteBatch {
        var batch = WriteBatch()
        for hash in hashes { batch.put(.wantedCodes, CodeRecords.wantedKey(section, hash), []) }
        return batch
    }

    /// The verified crown of an anchor.
    public static func crown(_ anchor: Anchor, _ crown: Crown) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.crowns, anchor.storeKey, CrownRecords.encode(crown))
        return batch
    }

    /// Forgets crowns.
    public static func dropCrowns(_ anchors: [Anchor]) -> WriteBatch {
        var batch = WriteBatch()
        for anchor in anchors { batch.delete(.crowns, anchor.storeKey) }
        return batch
    }

    /// Headers that are attested now, with their certificates.
    public static func headers(_ headers: [CertifiedHeader]) -> WriteBatch {
        var batch = WriteBatch()
        for header in headers {
            batch.append(
                HeaderRecords.writing(
                    header: header.header.rlp, at: header.point, certificate: header.certificate?.encoded))
        }
        return batch
    }

    /// The newest block that a bridge has applied.
    public static func replayed(_ point: StatePoint) -> WriteBatch {
        var writer = ByteWriter()
        writer.append(point: point)
        return local(LocalValues.replayedName, writer.bytes)
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

