import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Checks and applies an answer with section diffs. Led to an anchor, the sections are folded: base, undo and history
/// move on. Led to a block above the working anchor, the whole way becomes one layer.
public struct TakeDiffs: Sendable {
    let value: [UInt8]
    let key: DiffsKey
    /// Those of the key that are changed; the others are checked only.
    let sections: [Int]
    let depth: Int
    /// The state root at the key's `to`.
    let stateRoot: Bytes32
    /// What sections hash to at `to`, by index, as far as that is known; otherwise the answer has to bring the proof.
    let hashes: [Int: Bytes32]
    /// How the network places storage.
    let rule: Placement?
    /// Whether `to` is an anchor.
    let folds: Bool
    /// History before this block is dropped.
    let keepHistoryFrom: UInt64

    public init(
        value: [UInt8], key: DiffsKey, sections: [Int], depth: Int, stateRoot: Bytes32, hashes: [Int: Bytes32],
        rule: Placement? = nil, folds: Bool, keepHistoryFrom: UInt64
    ) {
        self.value = value
        self.key = key
        self.sections = sections
        self.depth = depth
        self.stateRoot = stateRoot
        self.hashes = hashes
        self.rule = rule
        self.folds = folds
        self.keepHistoryFrom = keepHistoryFrom
    }

    func run(on snapshot: some StoreSnapshot) throws -> DiffsTaken {
        let diffs = try DiffsCheck.verify(
            value, key: key, depth: key.trie.depth(depth), stateRoot: stateRoot, placedBy: rule)
        var taken = DiffsTaken()
        if key.withProof { taken.proof = try SectionDiffsValue(decoding: value).proof }
        for diff in diffs where sections.contains(diff.section.index) {
            guard let record = try SectionRecord.read(diff.section, in: snapshot), record.isComplete,
                record.working == key.from
            else { throw StateJobError.outdated }
            guard let proven = diff.hashAfter ?? hashes[diff.section.index] else {
                throw DiffError.wrongSections
            }
            if diff.changes.isEmpty {
                guard record.sectionHash == proven else {
                    throw DiffError.sectionHashMismatch(section: diff.section.index)
                }
                if !folds {
                    let layers = try BlockLayer.all(of: diff.section, in: snapshot)
                    let above = layers.filter { $0.point.number > record.working.number }
                    let stand = above.last.map { $0.sectionHashAfter == proven } ?? true
                    if !stand { taken.batch.append(StateWrites.dropLayers(above)) }
                    taken.sections.append(.unchanged(diff.section, layersStand: stand))
                    continue
                }
            }
            var view = StateView(snapshot, diff.section)
            // A layer has its slots where the base has them: who is beyond the next anchor, where a storage is spread
            // for the first time, tells its body alone, and the fold to that anchor would have no slots to spread.
            let elsewhere = folds ? Set(diff.shown.keys) : []
            let update: SectionUpdate
            do {
                update =
                    diff.changes.isEmpty
                    ? SectionUpdate.unchanged(diff.section, subtree: record.subtree ?? .empty)
                    : try DiffsCheck.apply(
                        DiffsCheck.changes(diff.changes, of: diff.section, in: view), to: diff.section,
                        expecting: proven, from: record.sectionHash, elsewhere: elsewhere, keeping: key.kept, in: &view)
            } catch DiffError.change(_, let error) where !folds && rule != nil && error.isAboutSlots {
                // As with block diffs, the block may lie beyond the next anchor.
                throw StateJobError.replaced
            }
            if folds {
                let placing = rule.map { Placing(rule: $0, shown: diff.shown) }
                try taken.fold(
                    update, record: record, to: key.to, placing: placing, keepingHistoryFrom: keepHistoryFrom,
                    in: snapshot)
            } else {
                try layer(update, record: record, proven: proven, into: &taken, snapshot)
            }
        }
        return taken
    }

    private func layer(
        _ update: SectionUpdate, record: SectionRecord, proven: Bytes32, into taken: inout DiffsTaken,
        _ snapshot: some StoreSnapshot
    ) throws {
        let layer = BlockLayer(
            section: update.section, point: key.to, parent: record.working,
            sectionHashBefore: record.sectionHash ?? Subtree.emptyRoot, sectionHashAfter: proven, update: update,
            pathProof: [])
        let missing = try CodeRecords.missing(of: update.newCodeHashes, in: snapshot)
        taken.wantedCodes += missing.map { WantedCode(hash: $0, section: update.section.index) }
        taken.batch.append(StateWrites.dropLayers(try BlockLayer.all(of: update.section, in: snapshot)))
        taken.batch.append(StateWrites.layer(layer, missingCodes: missing))
        taken.sections.append(.layered(layer))
    }
}

/// What an answer with section diffs brought.
public struct DiffsTaken: Sendable {
    /// One section's outcome.
    public enum Section: Sendable {
        case folded(SectionRecord)
        case layered(BlockLayer)
        /// Its base is at the goal as it is. `layersStand` is false where stored layers said otherwise: they are
        /// dropped.
        case unchanged(StateStore.Section, layersStand: Bool)
    }

    public internal(set) var sections: [Section] = []
    public internal(set) var batch = WriteBatch()
    /// Nodes above the sections in the trie at the goal, where the answer brought them: they prove other sections too.
    public internal(set) var proof: [[UInt8]] = []
    /// Code that changed accounts name and the store lacks.
    public internal(set) var wantedCodes: [WantedCode] = []
    /// What became of the places of storage in folded sections.
    public internal(set) var replaced = Replaced()

    /// Takes a section in that is folded to an anchor.
    mutating func fold(
        _ update: SectionUpdate, record: SectionRecord, to goal: StatePoint, placing: Placing?,
        keepingHistoryFrom oldest: UInt64, in snapshot: some StoreSnapshot
    ) throws {
        let folded = try Folding.fold(
            update, record: record, to: goal, placing: placing, keepingHistoryFrom: oldest, in: snapshot)
        replaced.add(folded.replaced)
        wantedCodes += folded.wantedCodes
        batch.append(folded.batch)
        // Layers above the anchor that do not go on from its state go in the same transaction, as they do in memory.
        let above = try BlockLayer.all(of: update.section, in: snapshot).filter { $0.point.number > goal.number }
        if let first = above.first, first.sectionHashBefore != folded.record.sectionHash {
            batch.append(StateWrites.dropLayers(above))
        }
        sections.append(.folded(folded.record))
    }
}

/// Checks one block's diff of one section against the block's attested state root.
public struct CheckBlockDiff: Sendable {
    let key: BlockDiffKey
    let value: BlockDiffValue
    /// Where the path proof was checked against the header that came with it: what it proves.
    let sectionHashAfter: Bytes32?
    let depth: Int
    /// Of the block, from its attested header.
    let stateRoot: Bytes32
    /// The section's layers so far, rising.
    let layers: [BlockLayer]
    /// The same, as they are looked through.
    let index: LayerIndex
    /// Whether storage may have another place after the block than where the section stands.
    let mayBeReplaced: Bool
    /// Whose storage and code is kept.
    let kept: KeptStorage

    public init(
        key: BlockDiffKey, value: BlockDiffValue, sectionHashAfter: Bytes32? = nil, depth: Int, stateRoot: Bytes32,
        layers: [BlockLayer], index: LayerIndex = LayerIndex(), mayBeReplaced: Bool = false,
        keeping kept: KeptStorage = .all
    ) {
        self.kept = kept
        self.mayBeReplaced = mayBeReplaced
        self.key = key
        self.value = value
        self.sectionHashAfter = sectionHashAfter
        self.depth = depth
        self.stateRoot = stateRoot
        self.layers = layers
        self.index = index
    }

    func run(on snapshot: some StoreSnapshot) throws -> CheckedDiff {
        let section = Section(depth: key.trie.depth(depth), index: key.section, of: key.trie.owner)
        guard let record = try SectionRecord.read(section, in: snapshot), record.isComplete else {
            throw StateJobError.outdated
        }
        let proven = try provenHash()
        let top = layers.last { $0.point.number > record.working.number }
        let parent = top?.point ?? record.working
        var view = view(of: record, at: parent, in: snapshot)
        guard view.holds(section) else { throw StateJobError.outdated }
        let (update, codes): (SectionUpdate, [(hash: Bytes32, code: [UInt8])])
        do {
            (update, codes) = try BlockDiffCheck.apply(
                value, to: section, expecting: proven, from: top?.sectionHashAfter ?? record.sectionHash,
                leavingKnownCodes: sectionHashAfter != nil, keeping: kept, in: &view)
        } catch DiffError.change(_, let error) where mayBeReplaced && error.isAboutSlots {
            // Beyond the next anchor the account's storage may have another place. That is seen when the section has
            // gone there, and nobody is to blame.
            throw StateJobError.replaced
        }
        let layer = BlockLayer(
            section: section, point: key.point, parent: parent, sectionHashBefore: value.sectionHashBefore,
            sectionHashAfter: proven, update: update, pathProof: value.pathProof)
        let brought = Set(codes.map(\.hash))
        let wanted = try CodeRecords.missing(of: update.newCodeHashes.filter { !brought.contains($0) }, in: snapshot)
        var batch = StateWrites.layer(layer, missingCodes: wanted)
        batch.append(StateWrites.codes(codes, for: [section]))
        return CheckedDiff(
            layer: layer, batch: batch, codeHashes: codes.map(\.hash),
            wantedCodes: wanted.map { WantedCode(hash: $0, section: key.section) })
    }

    /// The section hash after the block. A proof that came for several sections was checked as it came, against the
    /// header whose hash is in the key.
    private func provenHash() throws(DiffError) -> Bytes32 {
        if let sectionHashAfter { return sectionHashAfter }
        let claims = try BlockDiffCheck.verify(value, key: key, depth: depth)
        guard claims.header.header.stateRoot == stateRoot else { throw .wrongHeader }
        return claims.sectionHashAfter
    }

    /// The section at the newest layer: by the index where it fits the record as it is stored now.
    private func view<Snapshot: StoreSnapshot>(
        of record: SectionRecord, at parent: StatePoint, in snapshot: Snapshot
    ) -> StateView<Snapshot> {
        if index.top == parent, let layering = index.layering(over: record) {
            return StateView(snapshot, record.section, layering: layering)
        }
        return StateView(
            snapshot, depth: record.section.depth, of: record.section.owner, at: parent, records: [record],
            layers: layers)
    }
}

/// Checks diffs of one block, one a section, that came from one sender.
public struct CheckBlockDiffs: Sendable {
    let diffs: [CheckBlockDiff]

    public init(diffs: [CheckBlockDiff]) { self.diffs = diffs }

    /// One section's falsehood does not take the others with it: each holds or does not by itself.
    func run(on snapshot: some StoreSnapshot) throws -> CheckedDiffs {
        var checked = CheckedDiffs()
        for diff in diffs {
            switch StateJobError.result({ try diff.run(on: snapshot) }) {
            case .success(let outcome):
                checked.batch.append(outcome.batch)
                checked.diffs.append(outcome)
            case .failure(.lie(let what)), .failure(.falseDiff(let what)):
                checked.lies.append((diff.key, what))
            case .failure(.replaced): checked.replaced.append(diff.key)
            case .failure(.outdated): continue
            case .failure(.store(let error)): throw error
            }
        }
        return checked
    }
}

/// What came of the diffs of one block and sender.
public struct CheckedDiffs: Sendable {
    /// Those that hold.
    public internal(set) var diffs: [CheckedDiff] = []
    /// All that they write.
    public internal(set) var batch = WriteBatch()
    /// Sections whose diff is the sender's lie, and what of it.
    public internal(set) var lies: [(key: BlockDiffKey, what: String)] = []
    /// Sections that have to go to the next anchor first.
    public internal(set) var replaced: [BlockDiffKey] = []
}

/// A block diff that holds.
public struct CheckedDiff: Sendable {
    public let layer: BlockLayer
    public let batch: WriteBatch
    /// Codes that came with it.
    public let codeHashes: [Bytes32]
    /// Codes it names and did not bring.
    public let wantedCodes: [WantedCode]
}

/// Folds a section's layers into its base at an anchor whose section hash they already give.
public struct FoldSection: Sendable {
    let record: SectionRecord
    /// Up to the anchor's block, rising; none where the section did not change.
    let layers: [BlockLayer]
    let target: StatePoint
    let keepHistoryFrom: UInt64
    /// nil in a network that spreads no storage.
    let placing: Placing?
    /// Storage that was spread and stands with its account from the target on, with all its parts.
    let gathered: [SpreadParts]
    /// Whose storage and code is kept.
    let kept: KeptStorage

    public init(
        record: SectionRecord, layers: [BlockLayer], target: StatePoint, keepHistoryFrom: UInt64,
        placing: Placing? = nil, gathered: [SpreadParts] = [], keeping kept: KeptStorage = .all
    ) {
        self.kept = kept
        self.placing = placing
        self.gathered = gathered
        self.record = record
        self.layers = layers
        self.target = target
        self.keepHistoryFrom = keepHistoryFrom
    }

    func run(on snapshot: some StoreSnapshot) throws -> SectionFolded {
        let above = layers.filter { $0.point.number > record.working.number }
        var update =
            SectionUpdate.merged(above.map(\.update))
            ?? SectionUpdate.unchanged(record.section, subtree: record.subtree ?? .empty)
        if !gathered.isEmpty { update = try gather(into: update, in: snapshot) }
        return try Folding.fold(
            update, record: record, to: target, placing: placing, keepingHistoryFrom: keepHistoryFrom, in: snapshot)
    }

    /// The same step with the slots of accounts whose storage stands with them from the target on.
    private func gather(into update: SectionUpdate, in snapshot: some StoreSnapshot) throws -> SectionUpdate {
        var slots: [Bytes32: [LeafChange]] = [:]
        for trie in gathered { slots[trie.account] = try trie.slots(at: target, in: snapshot) }
        let changes = update.wireChanges.flatMap { change in
            change.key.slot == nil && change.value != nil ? [change] + (slots[change.key.account] ?? []) : [change]
        }
        var view = StateView(snapshot, record.section)
        return try SectionChange.apply(
            changes, to: record.section, in: &view, from: record.sectionHash, keeping: kept)
    }
}

/// The step of one section to its next anchor, history kept within its bound.
enum Folding {
    static func fold(
        _ update: SectionUpdate, record: SectionRecord, to target: StatePoint, placing: Placing?,
        keepingHistoryFrom oldest: UInt64, in snapshot: some StoreSnapshot
    ) throws -> SectionFolded {
        let missing = try CodeRecords.missing(of: update.newCodeHashes, in: snapshot)
        var update = update
        var replaced = Replaced()
        var placed = WriteBatch()
        if let placing, record.section.owner == nil {
            let result = try StoragePlacing.place(
                update, over: StateView(snapshot, record.section), at: target, by: placing.rule, shown: placing.shown)
            (update, placed) = (result.update, result.batch)
            replaced = Replaced(placements: result.placements, parts: result.spread.flatMap(\.parts), at: target)
        }
        var folded = StateWrites.fold(update, record: record, to: target, missingCodes: missing)
        folded.batch.append(placed)
        let wanted = missing.map { WantedCode(hash: $0, section: record.section.index) }
        guard let start = folded.record.historyStart, start.number < oldest,
            let kept = try History.points(of: record.section, in: snapshot).first(where: { $0.number >= oldest })
        else {
            return SectionFolded(
                record: folded.record, batch: folded.batch, wantedCodes: wanted, replaced: replaced)
        }
        let pruned = StateWrites.pruneHistory(folded.record, keepingFrom: kept)
        var batch = folded.batch
        batch.append(pruned.batch)
        return SectionFolded(record: pruned.record, batch: batch, wantedCodes: wanted, replaced: replaced)
    }
}

/// A section at its next anchor.
public struct SectionFolded: Sendable {
    public let record: SectionRecord
    public let batch: WriteBatch
    public let wantedCodes: [WantedCode]
    /// What became of the places of storage.
    public internal(set) var replaced = Replaced()
}
