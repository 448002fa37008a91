// Several sections in one answer.
//
// A range is a stretch of one section, with the nodes at its edges. Where a network has thousands of sections, each of
// a few hundred leaves, that is a request, an answer and a transaction for each of them, and 2 KB of nodes beside 30 KB
// of leaves. Here whole sections travel together. A whole section has no edges: its leaves alone must give the section
// hash, and the nodes above the sections, which prove those hashes, are shared by all.
//
//      given     1 0 1 1 0 …            which of those asked for are here
//      leaves    |section 0|sect. 2|3|  in flat order; where a section ends is said by the account keys
//      proof     root ─ branches        once
//
// A section is there whole or not at all, so there is no cursor, no kind and no partial storage in it. What does not
// fit is left out, and asked for as ranges.

import Chain
import MerklePatricia
import Primitives
import StateStore

/// The leaves of one section in the columns of an answer: what answers are joined from.
public struct SectionColumns: Sendable {
    let accounts: Int
    let slots: Int
    let accountKeys: [UInt8]
    let bodies: [UInt8]
    /// Numbers of slots of the accounts that have some, 4 bytes each.
    let slotCounts: [UInt8]
    let slotKeys: [UInt8]
    let slotValues: [UInt8]

    /// Bytes that they add to an answer.
    public var byteCount: Int {
        accountKeys.count + bodies.count + slotCounts.count + slotKeys.count + slotValues.count
    }

    /// Accounts and slots.
    public var leafCount: Int { accounts + slots }
}

/// The content of an answer with several sections, after the status byte.
package struct SectionsValue: Sendable {
    /// Indices of the sections that are here, ascending.
    var given: [Int] = []
    /// Accounts of all of them, ascending, and their slim bodies.
    var accountKeys: [Bytes32] = []
    var bodies = ByteColumn()
    /// Number of slots of each account that has storage.
    var slotCounts: [Int] = []
    var slotKeys: [Bytes32] = []
    var slotValues = ByteColumn()
    /// The nodes from the state root to the sections, each once.
    var proof: [[UInt8]] = []

    /// Accounts and slots.
    package var leafCount: Int { accountKeys.count + slotKeys.count }

    static let columnCount = 7
    /// Status byte, offsets and the longest mask.
    static let headBytes = 1 + 4 * columnCount + StateContentLimits.maskBits / 8 + 1

    /// The container after the status byte.
    package static let schema: SSZType = {
        let leaves = StateContentLimits.leaves
        return .container([
            ("given", .bitlist(StateContentLimits.maskBits)), ("account_keys", .list(.bytes32, limit: leaves)),
            ("bodies", .byteList(leaves * StateContentLimits.bodyBytes)),
            ("slot_counts", .list(.uint32, limit: leaves)), ("slot_keys", .list(.bytes32, limit: leaves)),
            ("slot_values", .byteList(leaves * StateContentLimits.slotValueBytes)),
            ("proof", .list(.byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.sectionsProofNodes)),
        ])
    }()

    /// The container's bytes after a status byte of 0. `first`: the section that the mask begins with.
    package func encoded(from first: Int) -> [UInt8] {
        [0]
            + ColumnWriter.container([
                SectionMask.bytes(given, from: first), ColumnWriter.hashes(accountKeys), bodies.bytes,
                ColumnWriter.counts(slotCounts), ColumnWriter.hashes(slotKeys), slotValues.bytes,
                ColumnWriter.items(proof),
            ])
    }

    /// Reads a whole value, its status byte included, which must be 0. Only the layout is checked here. `first`: the
    /// first section that was asked for.
    package init(decoding value: [UInt8], from first: Int) throws(SSZError) {
        let reader = ColumnReader(bytes: value)
        let leaves = StateContentLimits.leaves
        let fields = try reader.container(min(1, value.count)..<value.count, fixed: 0, count: Self.columnCount)
        let bits = try SSZ.decode(value[fields[0]], as: .bitlist(StateContentLimits.maskBits)).bits
        guard let sections = SectionMask.sections(given: bits, from: first) else { throw .wrongShape }
        given = sections
        accountKeys = try reader.hashes(fields[1], limit: leaves)
        bodies = try ByteColumn(
            items: value, in: fields[2], count: accountKeys.count, limit: StateContentLimits.bodyBytes
        ) { item, _ in item.isList }
        slotCounts = try reader.counts(fields[3], limit: accountKeys.count)
        slotKeys = try reader.hashes(fields[4], limit: leaves - accountKeys.count)
        // Each count is below 2^32 and there are at most 65,536 of them: the sum cannot overflow.
        guard slotCounts.reduce(0, +) == slotKeys.count else { throw .wrongSize }
        slotValues = try ByteColumn(
            items: value, in: fields[5], count: slotKeys.count, limit: StateContentLimits.slotValueBytes,
            check: ByteColumn.isSlotValue)
        proof = try reader.byteLists(
            fields[6], limit: StateContentLimits.sectionsProofNodes, itemLimit: StateContentLimits.nodeBytes)
    }
}

/// Answers requests for several sections.
public enum SectionsServer {
    /// All leaves of a section that the view holds, with the storage of these accounts; nil where they are more than
    /// `bytes`, or more than an answer has.
    public static func columns(
        of section: Section, from view: inout StateView<some StoreSnapshot>, bytes: Int,
        keeping kept: KeptStorage = .all
    ) throws(StoreError) -> SectionColumns? {
        let last = Cursor.end(of: section.lastKey)
        guard
            let key = RangeKey(
                anchor: Anchor(epoch: 0, hash: .zero), origin: Cursor(account: section.firstKey), limit: last,
                maxBytes: .max, keeping: kept)
        else { return nil }
        var gathering = RangeGathering(key: key, limit: last)
        // The gathering counts a byte an account more than there is of it here, and an account has 37 at least.
        guard try gathering.gather(from: &view, budget: bytes + bytes / 32) else { return nil }
        guard let columns = gathering.wholeColumns, columns.byteCount <= bytes else { return nil }
        return columns
    }

    /// The value for `key`, status byte included, at most `key.maxBytes` and `servedRangeBytes` long: first of all
    /// the sections that are `ready`, then as many others as still fit; nil where none of them is either ready or in
    /// the view. `view`, `crown` and what is ready are at the key's anchor. Throws only where the store fails.
    public static func serve(
        _ key: SectionsKey, view: inout StateView<some StoreSnapshot>, crown: Crown, ready: [Int: SectionColumns] = [:]
    ) throws -> [UInt8]? {
        guard key.trie == .accounts else { return StateStatus.placementNotSupported.encoded }
        let sections = key.sections.filter { $0 < Section.count(depth: view.depth) }
        let others = sections.filter { index in
            ready[index] == nil && view.holds(Section(depth: view.depth, index: index))
        }
        guard others.count > 0 || sections.contains(where: { ready[$0] != nil }) else { return nil }
        let maxBytes = min(Int(key.maxBytes), StateContentLimits.servedRangeBytes)
        var joining = Joining(crown: crown, maxBytes: maxBytes)
        for index in sections { if let columns = ready[index] { try joining.add(columns, of: index) } }
        // What does not fit was read in vain; after as much of that as an answer has no more is tried.
        var vain = 0
        for index in others {
            let room = joining.room
            guard room > 0, vain < maxBytes, joining.leaves < StateContentLimits.leaves else { break }
            let found = try columns(
                of: Section(depth: view.depth, index: index), from: &view, bytes: room, keeping: key.kept)
            let isAdded = try found.map { try joining.add($0, of: index) } ?? false
            if !isAdded { vain += room }
        }
        return try joining.encoded(from: key.sections.first ?? 0) ?? StateStatus.itemTooLarge.encoded
    }

    /// An answer while it grows.
    private struct Joining {
        private let crown: Crown
        private let maxBytes: Int
        private var parts: [(section: Int, columns: SectionColumns)] = []
        private var proof = ProofNodes()
        private(set) var leaves = 0
        private var size = SectionsValue.headBytes

        init(crown: Crown, maxBytes: Int) {
            self.crown = crown
            self.maxBytes = maxBytes
        }

        /// Bytes that are left for a section's leaves, were all nodes above it there.
        var room: Int { maxBytes - size }

        /// Adds a section; false where it does not fit.
        @discardableResult
        mutating func add(_ columns: SectionColumns, of section: Int) throws(ProofError) -> Bool {
            guard columns.byteCount <= room, leaves + columns.leafCount <= StateContentLimits.leaves else {
                return false
            }
            var after = proof
            try crown.addProof(ofSection: section, to: &after)
            let growth = columns.byteCount + after.byteCount - proof.byteCount + 4 * (after.count - proof.count)
            guard growth <= room, after.count <= StateContentLimits.sectionsProofNodes else { return false }
            size += growth
            leaves += columns.leafCount
            proof = after
            parts.append((section, columns))
            return true
        }

        /// nil without a section. Whatever came first, all stands in the order of the sections.
        func encoded(from first: Int) throws(ProofError) -> [UInt8]? {
            guard !parts.isEmpty else { return nil }
            let parts = parts.sorted { $0.section < $1.section }
            var proof = ProofNodes()
            for part in parts { try crown.addProof(ofSection: part.section, to: &proof) }
            func joined(_ column: KeyPath<SectionColumns, [UInt8]>) -> [UInt8] {
                var bytes: [UInt8] = []
                bytes.reserveCapacity(parts.reduce(0) { $0 + $1.columns[keyPath: column].count })
                for part in parts { bytes += part.columns[keyPath: column] }
                return bytes
            }
            return [0]
                + ColumnWriter.container([
                    SectionMask.bytes(parts.map(\.section), from: first), joined(\.accountKeys), joined(\.bodies),
                    joined(\.slotCounts), joined(\.slotKeys), joined(\.slotValues), ColumnWriter.items(proof.nodes),
                ])
        }
    }
}
