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

    /// Leaves in columns: accounts by their slim bodies; how many slots each has; the slots of all, in the order of the
    /// accounts, their values as they stand in the trie.
    public mutating func leaves(accounts: LeafColumns, slotCounts: [Int], slots: LeafColumns) {
        leaves(accounts: accounts, slotCounts: slotCounts, slots: slots, of: 0..<accounts.count, firstSlot: 0)
    }

    /// The same of some of the accounts; `firstSlot` is the place of the first slot of the first of them.
    public mutating func leaves(
        accounts: LeafColumns, slotCounts: [Int], slots: LeafColumns, of range: Range<Int>, firstSlot: Int
    ) {
        precondition(slotCounts.count == accounts.count, "a count for each account")
        var slot = firstSlot
        var bodyStart = range.isEmpty ? 0 : accounts.valueRange(at: range.lowerBound).lowerBound
        var slotStart = slot == 0 ? 0 : slots.valueEnds[slot - 1]
        accounts.valueBytes.withUnsafeBytes { bodies in
            slots.valueBytes.withUnsafeBytes { values in
                for index in range {
                    let account = accounts.keys[index]
                    let end = accounts.valueEnds[index]
                    batch.put(leaf: account, slot: nil, UnsafeRawBufferPointer(rebasing: bodies[bodyStart..<end]))
                    bodyStart = end
                    for _ in 0..<slotCounts[index] {
                        let end = slots.valueEnds[slot]
                        // A value below 0x80 is its own RLP; any other of at most 32 bytes has one byte before it.
                        let start = end - slotStart == 1 ? slotStart : slotStart + 1
                        let value = UnsafeRawBufferPointer(rebasing: values[start..<end])
                        batch.put(leaf: account, slot: slots.keys[slot], value)
                        slotStart = end
                        slot += 1
                    }
                }
            }
        }
    }

    /// Branches of the account trie, wherever they are; those of the crown are left out.
    public mutating func accountBranches(_ branches: BranchColumns) {
        branches.forEach { path, node in
            if path.count >= depth { batch.put(branch: path, of: nil, node) }
        }
    }

    /// Branches of one account's storage trie.
    public mutating func storageBranches(of account: Bytes32, _ branches: BranchColumns) {
        branches.forEach { path, node in batch.put(branch: path, of: account, node) }
    }

    /// An account whose storage is spread round the ring: what shows it stands in the place of branches.
    public mutating func spread(_ account: Bytes32, depth: Int, shownBy nodes: [[UInt8]]) {
        for (level, node) in nodes.enumerated() {
            batch.put(
                .storageBranches, StorageBranchKey(account: account, path: Nibbles(.zero, count: level)).bytes, node)
        }
        batch.append(SpreadRecords.writing(account, depth))
    }

    /// Slots of parts of a storage trie, their values as they stand in the trie, and the branches over them.
    public mutating func part(of account: Bytes32, slots: LeafColumns, branches: BranchColumns?, depth: Int) {
        for place in slots.keys.indices {
            let range = slots.valueRange(at: place)
            // A value below 0x80 is its own RLP; any other of at most 32 bytes has one byte before it.
            let value = slots.valueBytes[range.count == 1 ? range : range.dropFirst()]
            batch.put(.partLeaves, FlatKey(account: account, slot: slots.keys[place]).bytes, value)
        }
        branches?.forEach { path, node in
            guard path.count >= depth else { return }
            batch.put(.partBranches, StorageBranchKey(account: account, path: path).bytes, node)
        }
    }

    /// The section as it is once the range is in, and the code it wants that is not here yet. Where a range touches
    /// several sections each may be given the codes of all: wanting too much does no harm.
    public mutating func section(_ record: SectionRecord, missingCodes: [Bytes32] = []) {
        batch.put(.sections, record.section.storeKey, record.encoded)
        batch.append(StateWrites.wantedCodes(missingCodes, of: record.section))
    }

    /// What is written beside it.
    public mutating func append(_ other: WriteBatch) { batch.append(other) }

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
        base(update.leaves, update.accountBranches, update.storageBranches)
    }

    /// These changes put into the base alone: no undo, no history, no record.
    static func base(
        _ leaves: [EntryChange<FlatKey>], _ accountBranches: [EntryChange<Nibbles>],
        _ storageBranches: [EntryChange<StorageBranchKey>], ofPart isPart: Bool = false
    ) -> WriteBatch {
        let leafTable = StateTable.leaves(ofPart: isPart).base
        let branchTable = StateTable.storageBranches(ofPart: isPart).base
        var batch = WriteBatch()
        for change in leaves { set(change.key.bytes, to: change.after, in: leafTable, &batch) }
        for change in accountBranches { set(change.key.storeKey, to: change.after, in: .accountBranches, &batch) }
        for change in storageBranches { set(change.key.bytes, to: change.after, in: branchTable, &batch) }
        return batch
    }

    /// Takes a complete section from its working point to `to`: the base becomes the state at `to`, the undo layer
    /// (replaced) leads back to the point before, and history gets the leaves. `update` must be the effect of exactly
    /// that step. Layers above `to` stay: those that do not go on from the new state are the caller's to drop.
    ///
    /// - Parameter keepingLayers: whether the block layers since the working point are all of the step, and stay, so
    ///   that diffs from blocks of this epoch can be served until the next fold. Otherwise layers up to `to` go.
    public static func fold(
        _ update: SectionUpdate, record: SectionRecord, to: StatePoint, missingCodes: [Bytes32] = [],
        keepingLayers: Bool = false
    ) -> (batch: WriteBatch, record: SectionRecord) {
        let section = record.section
        var after = record
        after.working = to
        after.previous = record.working
        after.coverage = .complete(update.subtreeAfter)
        after.historyStart = record.historyStart ?? record.working
        var batch = WriteBatch()
        deleteUndo(of: section, in: &batch)
        let isPart = section.owner != nil
        for change in update.leaves { fold(change.key.bytes, change, .leaves(ofPart: isPart), in: &batch) }
        for change in update.accountBranches { fold(change.key.storeKey, change, .accountBranches, in: &batch) }
        for change in update.storageBranches {
            fold(change.key.bytes, change, .storageBranches(ofPart: isPart), in: &batch)
        }
        let history = HistoryFold(section: section, from: record.working, to: to, leaves: update.leaves)
        batch.put(.history, history.storeKey, history.encoded)
        let dropped = keepingLayers ? record.working.number : to.number
        batch.deleteRange(.layers, from: section.storeKey, upTo: section.storeKey + StatePoint.key(after: dropped))
        batch.append(wantedCodes(missingCodes, of: section))
        batch.put(.sections, section.storeKey, after.encoded)
        return (batch, after)
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

    static func deleteUndo(of section: Section, in batch: inout WriteBatch) {
        for kind in StateTable.tables(of: section) {
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
        batch.append(wantedCodes(missingCodes, of: layer.section))
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
    /// block layers and record. Code stays, and so do wishes for it: other sections may name it too.
    public static func dropSection(_ section: Section) -> WriteBatch {
        var batch = WriteBatch()
        for kind in StateTable.tables(of: section) {
            let bounds = kind.bounds(of: section)
            batch.deleteRange(kind.base, from: bounds.from, upTo: bounds.upTo)
        }
        deleteUndo(of: section, in: &batch)
        if section.owner == nil {
            let bounds = section.leafBounds
            batch.deleteRange(.spreadAccounts, from: bounds.from, upTo: bounds.upTo)
        }
        for table in [Table.history, .layers, .sections] { batch.deletePrefix(table, section.storeKey) }
        return batch
    }

    /// Takes back the last `leaves` leaves of a section, or all it has where they are no more: a bounded step towards
    /// dropping it whole. Until the last step, which drops the rest, it is a section that was fetched up to some key;
    /// the first takes the undo layer, history and block layers with it. Accounts go with all their slots, so a step
    /// may take more than `leaves`.
    ///
    /// - Returns: the step, and the record after it; nil when nothing is left.
    public static func takeBack(
        _ record: SectionRecord, leaves: Int, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> (batch: WriteBatch, record: SectionRecord?) {
        let section = record.section
        let bounds = section.leafBounds
        let table = StateTable.leaves(ofPart: section.owner != nil).base
        var cursor = try snapshot.cursor(table)
        var found = try bounds.upTo.map { (end) throws(StoreError) in try cursor.seek(end) } ?? false
        found = found ? try cursor.previous() : try cursor.last()
        var first: Cursor?
        var count = 0
        while found, count < leaves, let key = cursor.key, !ByteOrder.isLess(key, bounds.from) {
            guard let leaf = FlatKey(key) else { throw .corrupt(table: table) }
            first = Cursor(account: leaf.account, slot: section.owner == nil ? .zero : leaf.slot ?? .zero)
            count += 1
            found = try cursor.previous()
        }
        guard count == leaves, found, let first, first > section.firstCursor, let key = cursor.key,
            !ByteOrder.isLess(key, bounds.from)
        else { return (dropSection(section), nil) }
        var after = SectionRecord(starting: section, at: record.working)
        after.coverage = .partial(next: first)
        var batch = WriteBatch()
        if case .mixed = record.coverage {
            // What was of several anchors still is, and has no branches across its end.
            after.coverage = .mixed(next: first)
            deleteBranches(across: first, of: section, in: &batch)
        }
        if record.isComplete {
            deleteUndo(of: section, in: &batch)
            for table in [Table.history, .layers] { batch.deletePrefix(table, section.storeKey) }
        }
        // Branches wholly behind the cut; those across it are part of what is left, as after any fetched range.
        batch.deleteRange(table, from: first.firstKey.bytes, upTo: bounds.upTo)
        if section.owner == nil {
            batch.deleteRange(.storageBranches, from: first.account.bytes, upTo: bounds.upTo)
            batch.deleteRange(.spreadAccounts, from: first.account.bytes, upTo: bounds.upTo)
            let path = Nibbles(first.account)
            batch.deleteRange(.accountBranches, from: path.storeKey, upTo: section.branchBounds.upTo)
        } else {
            let path = StorageBranchKey(account: first.account, path: Nibbles(first.slot))
            batch.deleteRange(.partBranches, from: path.bytes, upTo: section.branchBounds.upTo)
        }
        batch.put(.sections, section.storeKey, after.encoded)
        return (batch, after)
    }

    /// Bytecode that arrived. What `sections` wanted of it they want no more; nil: what anybody did, which also costs
    /// least.
    public static func codes(
        _ codes: [(hash: Bytes32, code: [UInt8])], for sections: [Section]? = nil
    ) -> WriteBatch {
        var batch = WriteBatch()
        for (hash, code) in codes {
            batch.put(.codes, hash.bytes, code)
            guard let sections else {
                batch.deletePrefix(.wantedCodes, hash.bytes)
                continue
            }
            for section in sections { batch.delete(.wantedCodes, CodeRecords.wantedKey(section, hash)) }
        }
        return batch
    }

    /// Code that a section names is damaged: it goes, and is wanted again.
    public static func wantAgain(_ hashes: [Bytes32], of section: Section) -> WriteBatch {
        var batch = WriteBatch()
        for hash in hashes { batch.delete(.codes, hash.bytes) }
        batch.append(wantedCodes(hashes, of: section))
        return batch
    }

    /// Notes code that leaves of a section name and that is not here.
    public static func wantedCodes(_ hashes: [Bytes32], of section: Section) -> WriteBatch {
        var batch = WriteBatch()
        for hash in hashes { batch.put(.wantedCodes, CodeRecords.wantedKey(section, hash), []) }
        return batch
    }

    /// The encoded crown of an anchor.
    public static func crown(_ anchor: Anchor, _ bytes: [UInt8]) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.crowns, anchor.storeKey, bytes)
        return batch
    }

    /// Forgets the crown of an anchor.
    public static func dropCrown(_ anchor: Anchor) -> WriteBatch {
        var batch = WriteBatch()
        batch.delete(.crowns, anchor.storeKey)
        return batch
    }

    /// Forgets the crowns of all epochs before `epoch`.
    public static func dropCrowns(before epoch: UInt64) -> WriteBatch {
        var batch = WriteBatch()
        // An empty end would mean the end of the table; epoch 0 is eight zeros, before every key.
        batch.deleteRange(.crowns, from: [], upTo: withUnsafeBytes(of: epoch.bigEndian) { Array($0) })
        return batch
    }

    /// A small thing of this node's own, by name (at most `StateStoreLimits.localNameBytes` bytes of UTF-8).
    public static func local(_ name: String, _ value: [UInt8]) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.local, LocalValues.key(name), value)
        return batch
    }

    /// Forgets it.
    public static func dropLocal(_ name: String) -> WriteBatch {
        var batch = WriteBatch()
        batch.delete(.local, LocalValues.key(name))
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
