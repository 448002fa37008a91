// Section diffs: what changed in whole sections between two state points.
//
// A diff is the difference between two states, not a log: a deleted account implies all its slots, a re-created or
// wiped one lists each vanished slot, and a change that changes nothing is an error. It is believed on two levels: the
// slots of every changed account must give the storage root in its body, and the section must then hash to what the
// path proof at `to` (or the asker's own crown) says. Both are recomputed by the one who holds the section at `from`,
// at the cost of what changed.

import Chain
import MerklePatricia
import Primitives
import StateStore

/// Why a diffs answer or a block diff is not what was asked for. Everything but `status` is the sender's fault.
public enum DiffError: Error, Equatable, Sendable {
    /// The value carries no data, or no readable status.
    case status(StateContentError)
    case malformed(SSZError)
    /// Longer than was asked for.
    case overMaxBytes(Int)
    /// Sections that were not asked for, that do not ascend, or none at all.
    case wrongSections
    /// Block diffs that change so many sections, and come with so many hashes of the state before.
    case wrongHashCount(sections: Int, hashes: Int)
    /// Proof nodes where none were asked for.
    case unaskedProof
    /// A slot of an account whose storage was not asked for.
    case unaskedStorage(account: Bytes32)
    /// The changes of a part do not begin with its account, or have it otherwise than it is proven.
    case wrongOwner(account: Bytes32)
    /// The path proof does not lead from the state root to exactly these sections.
    case proof(ProofError)
    /// The changes cannot be applied to what is held.
    case change(section: Int, StateChangeError)
    /// The section, changed, does not hash to what is proven.
    case sectionHashMismatch(section: Int)
    /// A block diff's header is unreadable or not that of the block named by the key.
    case wrongHeader
    /// A block diff's certificate is unreadable.
    case malformedCertificate(ChainError)
    /// A block diff's code that no changed account names, that stands twice, or out of order.
    case unexpectedCode(Bytes32)
}

extension DiffError {
    /// Throws where slots are among the changes of accounts whose storage was not asked for.
    static func requireAsked(_ changes: [LeafChange], of kept: KeptStorage) throws(DiffError) {
        guard !kept.isAll else { return }
        for change in changes where change.key.slot != nil && !kept.keeps(change.key.account) {
            throw .unaskedStorage(account: change.key.account)
        }
    }
}

/// One section's changes out of an answer.
public struct SectionDiff: Hashable, Sendable {
    public let section: Section
    /// In flat order. Of a part the first is that of its account, where there is any.
    public let changes: [LeafChange]
    /// The section hash at `to` by the path proof in the answer; nil where none was asked for.
    public let hashAfter: Bytes32?
    /// Of changed accounts whose storage is elsewhere at `to`: by their key the nodes that show it, the storage root's
    /// first.
    public let shown: [Bytes32: [[UInt8]]]
    /// Of a part: its account at `to` as the answer has it, in slim form; nil where the part did not change. Empty
    /// where the account is gone, and all slots of the part with it.
    public let owner: [UInt8]?
}

/// The content of a diffs answer, after the status byte.
package struct SectionDiffsValue: Sendable {
    var sections: [Int] = []
    /// One for each section.
    var changes: [ChangeColumns] = []
    public var proof: [[UInt8]] = []

    /// The container: what `encoded` writes and `init(decoding:)` reads.
    package static let schema = SSZType.container([
        ("sections", .list(.uint32, limit: StateContentLimits.maskBits)),
        ("changes", .list(ChangeColumns.schema, limit: StateContentLimits.maskBits)),
        ("proof", .list(.byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.diffProofNodes)),
    ])

    init() {}

    /// The container after a status byte of 0.
    package var encoded: [UInt8] {
        [0]
            + ColumnWriter.container([
                ColumnWriter.counts(sections), ColumnWriter.items(changes.map(\.encoded)), ColumnWriter.items(proof),
            ])
    }

    /// Reads a whole value, its status byte included, which must be 0.
    package init(decoding value: [UInt8]) throws(SSZError) {
        let reader = ColumnReader(bytes: value)
        let fields = try reader.container(min(1, value.count)..<value.count, fixed: 0, count: 3)
        sections = try reader.counts(fields[0], limit: StateContentLimits.maskBits)
        var leaves = 0
        for place in try reader.items(fields[1], limit: StateContentLimits.maskBits) {
            let columns = try ChangeColumns(reader, place)
            leaves += columns.leafCount
            guard leaves <= StateContentLimits.leaves else { throw .overLimit }
            changes.append(columns)
        }
        guard changes.count == sections.count else { throw .wrongSize }
        proof = try reader.byteLists(
            fields[2], limit: StateContentLimits.diffProofNodes, itemLimit: StateContentLimits.nodeBytes)
    }
}

/// Answers diffs requests.
public enum DiffsServer {
    /// Thrown by `changes` where they are more than the answer can have, before all of them are gone through.
    public struct TooMany: Error, Equatable, CustomStringConvertible {
        public init() {}
        public var description: String { "more changes than an answer holds" }
    }

    /// The same in a network that spreads no storage.
    public static func serve(
        _ key: DiffsKey, depth: Int, path: (Section) throws -> [[UInt8]], changes: (Section) throws -> [LeafChange]?
    ) rethrows -> [UInt8] {
        try serve(key, depth: depth, path: path, placements: { _, _ in [] }, changes: changes)
    }

    /// The value for `key`, status byte included, at most `key.maxBytes` long. `changes` gives a section's net changes
    /// in flat order, nil where they are not known here (the section is then left out); `path` a section's path proof
    /// at `to`; `placements` the nodes that show where storage is at `to`, for those of its changes whose storage is
    /// elsewhere. Of parts the changes begin with their account, and the path proof leads through that. Whole sections
    /// in order; the first that does not fit ends the answer.
    public static func serve(
        _ key: DiffsKey, depth: Int, path: (Section) throws -> [[UInt8]],
        placements: (Section, [LeafChange]) throws -> [[UInt8]],
        changes: (Section) throws -> [LeafChange]?
    ) rethrows -> [UInt8] {
        guard key.trie.depth(depth) == depth else { return StateStatus.placementNotSupported.encoded }
        let owner = key.trie.owner
        var value = SectionDiffsValue()
        var proof = ProofNodes()
        var leaves = 0
        var size = 1 + 3 * 4
        var isCut = false
        let maxBytes = min(Int(key.maxBytes), StateContentLimits.servedDiffBytes)
        for index in key.sections where index < Section.count(depth: depth) {
            let section = Section(depth: depth, index: index, of: owner)
            let known: [LeafChange]?
            do {
                known = try changes(section)
            } catch is TooMany {
                isCut = true
                break
            }
            guard let found = known else { continue }
            let columns = ChangeColumns(found)
            var proofAfter = proof
            if key.withProof { for node in try path(section) { proofAfter.insert(node) } }
            for node in try placements(section, found) { proofAfter.insert(node) }
            let growth =
                (columns?.encodedCount ?? 0) + 8 + proofAfter.byteCount - proof.byteCount
                + 4 * (proofAfter.count - proof.count)
            guard let columns, size + growth <= maxBytes,
                leaves + columns.leafCount <= StateContentLimits.leaves,
                proofAfter.count <= StateContentLimits.diffProofNodes
            else {
                isCut = true
                break
            }
            size += growth
            leaves += columns.leafCount
            proof = proofAfter
            value.sections.append(index)
            value.changes.append(columns)
        }
        guard !value.sections.isEmpty else {
            return (isCut ? StateStatus.itemTooLarge : .historyTooShort).encoded
        }
        value.proof = proof.nodes
        return value.encoded
    }
}

/// Checks diffs answers.
public enum DiffsCheck {
    /// Reads the answer `value` (status byte included) to `key`. `stateRoot` is the root at the key's `to`; with it the
    /// section hashes are proven where the key asked for that. Each diff is true only once `apply` has accepted it.
    ///
    /// - Parameters:
    ///   - depth: of the sections; of parts their placement.
    ///   - rule: how the network places storage; nil: with its account, whatever its size.
    public static func verify(
        _ value: [UInt8], key: DiffsKey, depth: Int, stateRoot: Bytes32, placedBy rule: Placement? = nil
    ) throws(DiffError) -> [SectionDiff] {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        guard value.count <= Int(key.maxBytes) else { throw .overMaxBytes(value.count) }
        let diffs: SectionDiffsValue
        do throws(SSZError) { diffs = try SectionDiffsValue(decoding: value) } catch { throw .malformed(error) }
        let asked = Set(key.sections)
        guard !diffs.sections.isEmpty, zip(diffs.sections, diffs.sections.dropFirst()).allSatisfy({ $0 < $1 }),
            diffs.sections.allSatisfy({ asked.contains($0) && $0 < Section.count(depth: depth) })
        else { throw .wrongSections }
        if case .storage(let account, _) = key.trie {
            return try parts(of: account, diffs, key: key, depth: depth, stateRoot: stateRoot)
        }
        let changes = diffs.changes.map(\.changes)
        for changes in changes { try DiffError.requireAsked(changes, of: key.kept) }
        var hashes: [Bytes32?] = diffs.sections.map { _ in nil }
        var shown: [Bytes32: [[UInt8]]] = [:]
        let roots =
            rule == nil ? [] : changes.joined().filter { key.kept.keeps($0.key.account) }.compactMap(storageRoot)
        if key.withProof || rule != nil && !diffs.proof.isEmpty {
            do throws(ProofError) {
                let (proven, placed) = try SectionProof.sectionHashes(
                    root: stateRoot, proof: diffs.proof, sections: key.withProof ? diffs.sections : [], depth: depth,
                    placing: roots, by: rule ?? Placement(sectionDepth: depth, wideDepth: 1))
                if key.withProof { hashes = proven }
                shown = placed
            } catch {
                throw .proof(error)
            }
        } else if !diffs.proof.isEmpty {
            throw .unaskedProof
        }
        return diffs.sections.indices.map { place in
            var placed: [Bytes32: [[UInt8]]] = [:]
            for change in changes[place] where !shown.isEmpty {
                if let root = storageRoot(of: change), let nodes = shown[root] { placed[change.key.account] = nodes }
            }
            return SectionDiff(
                section: Section(depth: depth, index: diffs.sections[place]), changes: changes[place],
                hashAfter: hashes[place], shown: placed, owner: nil)
        }
    }

    /// The storage root of a changed account; nil of one that is gone, and of a slot.
    private static func storageRoot(of change: LeafChange) -> Bytes32? {
        guard change.key.slot == nil, let body = change.value else { return nil }
        return body.withUnsafeBytes { SlimBody($0) }?.storageRoot
    }

    /// What an answer says of parts of a storage trie.
    private static func parts(
        of account: Bytes32, _ diffs: SectionDiffsValue, key: DiffsKey, depth: Int, stateRoot: Bytes32
    ) throws(DiffError) -> [SectionDiff] {
        var hashes: [Bytes32?] = diffs.sections.map { _ in nil }
        var proven: StateAccount??
        if key.withProof {
            do throws(ProofError) {
                let proof = try PartsProof(
                    diffs.proof,
                    for: PartsProof.Question(
                        root: stateRoot, account: account, depth: depth, parts: diffs.sections, placement: nil)
                ) { try? StateAccount(rlp: $0).storageRoot }
                hashes = proof.hashes
                proven = .some(proof.account.flatMap { try? StateAccount(rlp: $0) })
            } catch {
                throw .proof(error)
            }
        } else if !diffs.proof.isEmpty {
            throw .unaskedProof
        }
        var parts: [SectionDiff] = []
        for (place, index) in diffs.sections.enumerated() {
            let section = Section(depth: depth, index: index, of: account)
            let changes = diffs.changes[place].changes
            guard let first = changes.first else {
                parts.append(
                    SectionDiff(section: section, changes: [], hashAfter: hashes[place], shown: [:], owner: nil))
                continue
            }
            guard first.key == FlatKey(account: account), changes.dropFirst().allSatisfy({ $0.key.slot != nil }),
                proven.map({ $0?.slim == first.value }) ?? true
            else { throw .wrongOwner(account: account) }
            parts.append(
                SectionDiff(
                    section: section, changes: changes, hashAfter: hashes[place], shown: [:], owner: first.value ?? []))
        }
        return parts
    }

    /// What a section's diff changes of its leaves. Of a part, whose diff begins with its account, these are the slots
    /// behind that; where the account is gone, all that are held.
    public static func changes(
        _ changes: [LeafChange], of section: Section, in view: StateView<some StoreSnapshot>
    ) throws(StoreError) -> [LeafChange] {
        guard section.owner != nil, let first = changes.first, first.key.slot == nil else { return changes }
        guard first.value == nil else { return Array(changes.dropFirst()) }
        var wiped: [LeafChange] = []
        var walk = try view.walk(from: section.firstCursor)
        while let key = try walk.next() { wiped.append(LeafChange(key: key, value: nil)) }
        return wiped
    }

    /// Applies one section's changes to the view, which holds the section at `from`, and compares the outcome with the
    /// section hash that is proven at `to`. Throws `DiffError`, which blames the sender, or the `StateChangeError` of a
    /// store that failed or does not hold the section. `from`: the section hash at `from`, where the caller knows it.
    /// `elsewhere`: accounts whose storage is shown to be spread at `to`; `kept`: whose storage the view has.
    public static func apply<Snapshot: StoreSnapshot>(
        _ changes: [LeafChange], to section: Section, expecting hash: Bytes32, from before: Bytes32? = nil,
        elsewhere: Set<Bytes32> = [], keeping kept: KeptStorage = .all, in view: inout StateView<Snapshot>
    ) throws -> SectionUpdate {
        do {
            return try apply(
                changes, to: section, expecting: hash, from: before, elsewhere, kept, in: &view, checking: false)
        } catch is DiffError {
            // Before somebody is blamed: is what we hold what we think?
            return try apply(
                changes, to: section, expecting: hash, from: before, elsewhere, kept, in: &view, checking: true)
        }
    }

    private static func apply<Snapshot: StoreSnapshot>(
        _ changes: [LeafChange], to section: Section, expecting hash: Bytes32, from before: Bytes32?,
        _ elsewhere: Set<Bytes32>, _ kept: KeptStorage, in view: inout StateView<Snapshot>, checking: Bool
    ) throws -> SectionUpdate {
        let update: SectionUpdate
        do throws(StateChangeError) {
            update = try SectionChange.apply(
                changes, to: section, in: &view, checking: checking, from: before, elsewhere: elsewhere,
                keeping: kept)
        } catch {
            guard error.blamesSender else { throw error }
            throw DiffError.change(section: section.index, error)
        }
        guard update.subtreeAfter.hash(at: section.depth) == hash else {
            throw DiffError.sectionHashMismatch(section: section.index)
        }
        return update
    }
}
