import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Turns what a block changes of accounts into leaf changes of sections, with the storage roots that follow.
enum BlockChanges {
    /// What a block changes.
    struct Found {
        /// The changed leaves of every touched section, in flat order.
        var sections: [(section: Section, changes: [LeafChange])] = []
        /// New code.
        var codes: [Bytes32: [UInt8]] = [:]
        /// Storage that is spread.
        var spread: [SpreadChange] = []
    }

    /// What a block changes, as the views give the state before it. What ends as it began is left out.
    static func leafChanges<Snapshot: StoreSnapshot>(
        of block: ReplayedBlock, depth: Int, view: inout StateView<Snapshot>, spread: [Bytes32: SpreadParts],
        checking: Bool
    ) throws -> Found {
        var found = Found()
        for change in block.changes {
            let (leaves, codeHash): ([LeafChange], Bytes32)
            if let parts = spread[change.key] {
                let before = try view.account(change.key)
                let changed = try SpreadChange(change, before: before, parts, in: view.snapshot, checking: checking)
                codeHash = changed.after?.codeHash ?? StateAccount.emptyCodeHash
                leaves =
                    changed.after == before
                    ? [] : [LeafChange(key: FlatKey(account: change.key), value: changed.after?.slim)]
                if !leaves.isEmpty { found.spread.append(changed) }
            } else {
                (leaves, codeHash) = try leafChanges(of: change, view: &view, checking: checking)
            }
            if let expected = block.codeHashes[change.key], expected != codeHash {
                throw BridgeError.wrongCodeHash(
                    block: block.header.number, account: change.address, expected: expected, found: codeHash)
            }
            guard !leaves.isEmpty else { continue }
            let section = Section(of: change.key, depth: depth)
            if found.sections.last?.section == section {
                found.sections[found.sections.count - 1].changes += leaves
            } else {
                found.sections.append((section, leaves))
            }
            if let code = change.code, !code.isEmpty { found.codes[Keccak.hash(code)] = code }
        }
        return found
    }

    private static func leafChanges<Snapshot: StoreSnapshot>(
        of change: AccountChange, view: inout StateView<Snapshot>, checking: Bool
    ) throws -> (leaves: [LeafChange], codeHash: Bytes32) {
        let before = try view.account(change.key)
        var slots: [LeafChange] = []
        var trieChanges: [TrieUpdate.LeafChange] = []
        for slot in change.storage {
            let key = FlatKey(account: change.key, slot: slot.key)
            let value = SlotValue.stored(slot.value)
            guard try view.leaf(key) != value else { continue }
            slots.append(LeafChange(key: key, value: value))
            var writer = RLPWriter()
            writer.append(slot.value)
            trieChanges.append((key: slot.key, value: value == nil ? nil : writer.bytes))
        }
        var root = before?.storageRoot ?? StateAccount.emptyRoot
        if !trieChanges.isEmpty {
            var source = view.storageTrie(of: change.key)
            do {
                root = try TrieUpdate.apply(
                    trieChanges, under: .root, source: &source, checking: checking, from: root
                ).subtree.hash(at: 0)
            } catch let error as TrieError {
                // What is stored is no trie: that is not the chain's fault.
                throw StateChangeError.trie(error)
            }
        }
        let after = change.applied(to: before, storageRoot: root)
        let codeHash = after?.codeHash ?? StateAccount.emptyCodeHash
        guard after != before else { return ([], codeHash) }
        // A deleted account takes its slots with it: they are implied.
        guard let after else { return ([LeafChange(key: FlatKey(account: change.key), value: nil)], codeHash) }
        return ([LeafChange(key: FlatKey(account: change.key), value: after.slim)] + slots, codeHash)
    }
}

/// Builds the state of genesis from its allocation: storage tries, then the sections over the accounts, each from its
/// sorted leaves and without a look at the store, where nothing is yet. Genesis keeps even accounts that have nothing.
public struct BuildGenesis: Sendable {
    let block: ReplayedBlock
    let depth: Int
    /// How the network places storage.
    let rule: Placement?
    /// Whether addresses and slots are kept by their hashes.
    let keepsPreimages: Bool

    public init(block: ReplayedBlock, depth: Int, rule: Placement? = nil, keepsPreimages: Bool = false) {
        self.block = block
        self.depth = depth
        self.rule = rule
        self.keepsPreimages = keepsPreimages
    }

    func run(on snapshot: some StoreSnapshot) throws -> GenesisTaken {
        var replaced = Replaced()
        var writer = RangeWriter(depth: depth)
        var codes: [Bytes32: [UInt8]] = [:]
        var accounts = LeafColumns()
        for change in block.changes {
            if let last = accounts.keys.last, last >= change.key {
                throw StateChangeError.unsorted(FlatKey(account: change.key))
            }
            let spread = try rule.flatMap {
                try GenesisTaken.spread(change, depth: depth, at: block.header.point, $0, snapshot)
            }
            if let spread {
                replaced.add(spread.replaced)
                writer.append(spread.batch)
            }
            let account = spread?.account ?? GenesisTaken.write(change, to: &writer)
            accounts.append(key: change.key, value: account.rlp)
            if let code = change.code, !code.isEmpty { codes[Keccak.hash(code)] = code }
        }
        let point = block.header.point
        var records: [SectionRecord] = []
        var start = 0
        for section in Section.all(depth: depth) {
            let end = accounts.keys[start...].firstIndex { !section.contains($0) } ?? accounts.count
            var branches = BranchColumns()
            let subtree = TrieBuilder.build(accounts, in: start..<end, under: section.path, emitting: &branches)
            writer.accountBranches(branches)
            records.append(SectionRecord(section: section, working: point, coverage: .complete(subtree)))
            start = end
        }
        let crown = Crown(sections: records.map { $0.subtree ?? .empty }, depth: depth)
        guard crown.root == block.header.stateRoot else {
            throw BridgeError.wrongRoot(block: 0, expected: block.header.stateRoot, found: crown.root)
        }
        var batch = writer.finished
        for record in records { batch.append(StateWrites.record(record)) }
        let sorted = codes.sorted { $0.key < $1.key }.map { (hash: $0.key, code: $0.value) }
        batch.append(StateWrites.codes(sorted, for: []))
        batch.append(StateWrites.crown(Anchor(epoch: 0, hash: point.hash), CrownValue.serve(crown)))
        batch.append(ReplayMark.writing(point))
        if keepsPreimages { batch.append(PreimageRecords.writing(of: block, after: nil)) }
        return GenesisTaken(records: records, crown: crown, batch: batch, replaced: replaced)
    }
}

/// The newest block that a node has applied, kept in its store: a bridge's, or that of one that goes block by block.
public enum ReplayMark {
    private static let name = "replayed"

    static func writing(_ point: StatePoint) -> WriteBatch {
        var writer = ByteWriter()
        writer.append(bigEndian: point.number)
        writer.append(point.hash)
        return StateWrites.local(name, writer.bytes)
    }

    /// Forgets it: the state of this store is brought forward in another way from now on.
    public static var deleting: WriteBatch { StateWrites.dropLocal(name) }

    /// nil before genesis was built.
    public static func read(from snapshot: some StoreSnapshot) throws(StoreError) -> StatePoint? {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            return StatePoint(number: try reader.uint64BigEndian(), hash: try reader.bytes32())
        } catch {
            throw .corrupt(table: .local)
        }
    }
}

/// The state of genesis.
public struct GenesisTaken: Sendable {
    public let records: [SectionRecord]
    public let crown: Crown
    public let batch: WriteBatch
    /// Storage that is spread.
    public internal(set) var replaced = Replaced()

    /// Writes one account of the allocation: its leaf, its slots, the branches over them. Gives the account.
    static func write(_ change: AccountChange, to writer: inout RangeWriter) -> StateAccount {
        var slots = LeafColumns()
        var values: [[UInt8]] = []
        for slot in change.storage where slot.value != .zero {
            let value = slot.value.minimalBytes
            slots.append(key: slot.key, value: SlotValue.rlp(value))
            values.append(value)
        }
        var branches = BranchColumns()
        let storage = TrieBuilder.build(slots, in: 0..<slots.count, under: .root, emitting: &branches)
        let account = StateAccount(
            nonce: change.nonce ?? 0, balance: change.balance ?? .zero, storageRoot: storage.hash(at: 0),
            codeHash: change.codeHash ?? StateAccount.emptyCodeHash)
        writer.leaf(FlatKey(account: change.key), account.slim)
        for (key, value) in zip(slots.keys, values) { writer.leaf(FlatKey(account: change.key, slot: key), value) }
        writer.storageBranches(of: change.key, branches)
        return account
    }
}

/// Why a bridge's chain does not hold.
public enum BridgeError: Error, Equatable, Sendable {
    /// The access list does not lead to the state root of the header.
    case wrongRoot(block: UInt64, expected: Bytes32, found: Bytes32)
    /// The chain's files say that an account has this code after the block, do not bring it, and it has another.
    case wrongCodeHash(block: UInt64, account: Address, expected: Bytes32, found: Bytes32)
    case noChanges(section: Int)
    /// A bridge applies blocks to the whole state, and holds this many sections only.
    case notWhole(sections: Int)
}

/// Applies a block to the whole state and compares the root with the header's.
public struct ReplayBlock: Sendable {
    private(set) var block: ReplayedBlock
    let depth: Int
    /// Every section of the ring, in order.
    let sections: [SectionEntry]
    /// The spread storage of accounts that the block names.
    let spread: [Bytes32: SpreadParts]
    /// Whether addresses and slots are kept by their hashes.
    let keepsPreimages: Bool
    /// Which blocks are kept as they are.
    let blocks: BlockPlan
    /// Blocks up to this one have no header here, and are not kept.
    let checkpoint: UInt64

    /// The block after those in `holdings`, which have the whole ring, locked.
    init(
        block: ReplayedBlock, _ holdings: Holdings, keeping: Keeping = Keeping(arcPlan: .fixed(256)),
        checkpoint: UInt64 = 0
    ) {
        self.block = block
        keepsPreimages = keeping.preimages
        blocks = keeping.blocks
        self.checkpoint = checkpoint
        depth = holdings.book.depth
        sections = holdings.book.all
        var spread: [Bytes32: SpreadParts] = [:]
        if holdings.spread.rule != nil {
            for change in block.changes { spread[change.key] = SpreadHeld.parts(of: change.key, holdings) }
        }
        self.spread = spread
    }

    func run(on snapshot: some StoreSnapshot) throws -> ReplayTaken {
        var job = self
        job.block = block.flattened
        do {
            return try job.replay(on: snapshot, checking: false)
        } catch let error where (error as? StateChangeError)?.blamesSender ?? (error is BridgeError) {
            // Before the chain is blamed: is what we hold what we think?
            return try job.replay(on: snapshot, checking: true)
        }
    }

    /// - Parameter checking: see `SectionChange.apply`.
    private func replay(on snapshot: some StoreSnapshot, checking: Bool) throws -> ReplayTaken {
        let records = sections.compactMap { $0.isComplete ? $0.record : nil }
        guard records.count == Section.count(depth: depth) else { throw BridgeError.notWhole(sections: records.count) }
        let tops = sections.map { $0.layers.last }
        // Only what the block touches is read, and no layer is merged for it that has been before: with an epoch of
        // blocks above the anchor most of a block's time would go into that.
        let changed = Set(block.changes.map { Section(of: $0.key, depth: depth) }).sorted { $0.index < $1.index }
        let layerings = changed.compactMap { section in
            let layered = sections[section.index].index.layering(over: records[section.index])
            return (tops[section.index] == nil ? .base : layered).map { (section: section, layering: $0) }
        }
        var view = StateView(snapshot, depth: depth, sections: layerings)
        let found = try BlockChanges.leafChanges(
            of: block, depth: depth, view: &view, spread: spread, checking: checking)
        var subtrees = zip(records, tops).map { $1?.update.subtreeAfter ?? $0.subtree ?? .empty }
        var updates: [(update: SectionUpdate, changes: [LeafChange], before: Bytes32)] = []
        for (section, changes) in found.sections {
            let before = subtrees[section.index].hash(at: depth)
            let update = try SectionChange.apply(changes, to: section, in: &view, checking: checking, from: before)
            updates.append((update, changes, before))
            subtrees[section.index] = update.subtreeAfter
        }
        let crown = Crown(sections: subtrees, depth: depth)
        guard crown.root == block.header.stateRoot else {
            throw BridgeError.wrongRoot(
                block: block.header.number, expected: block.header.stateRoot, found: crown.root)
        }
        var taken = ReplayTaken(crown: crown)
        for (update, changes, before) in updates {
            let layer = BlockLayer(
                section: update.section, point: block.header.point,
                parent: tops[update.section.index]?.point ?? records[update.section.index].working,
                sectionHashBefore: before, sectionHashAfter: update.subtreeAfter.hash(at: depth), update: update,
                pathProof: try crown.proofNodes(forSection: update.section.index))
            let new = try CodeRecords.missing(of: update.newCodeHashes, in: snapshot)
            let brought = new.compactMap { hash in found.codes[hash].map { (hash: hash, code: $0) } }
            taken.changes.append(ReplayTaken.Change(layer: layer, changes: changes, codes: brought.map(\.code)))
            taken.batch.append(StateWrites.layer(layer))
            taken.batch.append(StateWrites.codes(brought, for: []))
        }
        for change in found.spread {
            let section = Section(of: change.account, depth: depth)
            guard let update = updates.first(where: { $0.update.section == section })?.update else { continue }
            let before = layerings.first { $0.section == section }?.layering.overlays ?? []
            let after = StateView(
                snapshot, section, layering: SectionLayering(overlays: [StateOverlay(update)] + before))
            try taken.add(change, at: block.header.point, after, crown)
        }
        taken.batch.append(ReplayMark.writing(block.header.point))
        if keepsPreimages {
            let filled = try PreimageRecords.filled(in: snapshot)
            taken.batch.append(PreimageRecords.writing(of: block, after: filled))
        }
        taken.batch.append(try blocks.writing(block.bytes, above: checkpoint, in: snapshot))
        return taken
    }
}

extension PreimageRecords {
    /// The addresses and slots of a block's changes. `filled`: the block up to which they are here; where this is the
    /// next one it is so up to this one.
    static func writing(of block: ReplayedBlock, after filled: UInt64?) -> WriteBatch {
        var batch = writing(block.changes)
        if filled.map({ $0 + 1 }) ?? 0 == block.header.number {
            batch.append(writing(filledUpTo: block.header.number))
        }
        return batch
    }
}

/// A block applied.
public struct ReplayTaken: Sendable {
    /// One section it touched.
    public struct Change: Sendable {
        public let layer: BlockLayer
        /// As they travel.
        public let changes: [LeafChange]
        /// Codes that were not in the state before.
        public let codes: [[UInt8]]
    }

    public internal(set) var changes: [Change] = []
    public let crown: Crown
    public internal(set) var batch = WriteBatch()

    init(crown: Crown) { self.crown = crown }
}
