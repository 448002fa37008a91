import Chain
import MerklePatricia
import Primitives

/// What one block changed of one section, verified against the block's state root. Never changes; held in memory and
/// persisted, until the anchor after next is reached (blocks since the older served anchor are served as diffs).
public struct BlockLayer: Hashable, Sendable {
    /// Which section.
    public let section: Section
    /// The block.
    public let point: StatePoint
    /// The section's point before: the last block or anchor, on this line, at which it was as `sectionHashBefore`. Not
    /// always the parent block: one that leaves the section alone makes no layer.
    public let parent: StatePoint
    /// At `parent`.
    public let sectionHashBefore: Bytes32
    /// At `point`; verified against the block's state root.
    public let sectionHashAfter: Bytes32
    /// What changed.
    public let update: SectionUpdate
    /// The nodes above the sections on the way to this one, in the trie after the block.
    public let pathProof: [[UInt8]]

    /// A layer of verified parts.
    public init(
        section: Section, point: StatePoint, parent: StatePoint, sectionHashBefore: Bytes32,
        sectionHashAfter: Bytes32, update: SectionUpdate, pathProof: [[UInt8]]
    ) {
        self.section = section
        self.point = point
        self.parent = parent
        self.sectionHashBefore = sectionHashBefore
        self.sectionHashAfter = sectionHashAfter
        self.update = update
        self.pathProof = pathProof
    }

    /// The layers that lead from the record's working point (or else from the one before it) to `point`, oldest first;
    /// nil where they do not. Layers of blocks that a final one excludes must have been dropped before.
    public static func chain(
        to point: StatePoint, in layers: [BlockLayer], of record: SectionRecord
    ) -> (start: StatePoint, layers: [BlockLayer])? {
        for start in [record.working, record.previous] {
            if let start, let chain = chain(to: point, in: layers, from: start) { return (start, chain) }
        }
        return nil
    }

    /// The layers that lead from `start` to `point`, oldest first; nil where there is a gap. Between a layer's parent
    /// and its block the section did not change, so a start between the two is as good as the parent.
    static func chain(to point: StatePoint, in layers: [BlockLayer], from start: StatePoint) -> [BlockLayer]? {
        var chain: [BlockLayer] = []
        var current = point
        while current.number > start.number {
            guard let layer = layers.first(where: { $0.point == current }), layer.parent.number < current.number else {
                return nil
            }
            chain.append(layer)
            current = layer.parent
        }
        guard current.number < start.number || current == start, !chain.isEmpty else { return nil }
        return chain.reversed()
    }

    /// Bytes of memory, about: values and proof nodes, and what an entry costs beside them.
    public var byteCount: Int {
        pathProof.reduce(BlockLayer.entryBytes) { $0 + $1.count } + BlockLayer.byteCount(update.leaves)
            + BlockLayer.byteCount(update.accountBranches) + BlockLayer.byteCount(update.storageBranches)
    }

    /// A key, and the headers of two values.
    private static let entryBytes = 160

    private static func byteCount<Key>(_ changes: [EntryChange<Key>]) -> Int {
        changes.reduce(0) { $0 + entryBytes + ($1.before?.count ?? 0) + ($1.after?.count ?? 0) }
    }

    /// section ‖ number ‖ hash.
    var storeKey: [UInt8] { section.storeKey + point.storeKey }

    /// All persisted layers, by section, then by block.
    public static func all(in snapshot: some StoreSnapshot) throws(StoreError) -> [BlockLayer] {
        try read(from: [], upTo: nil, in: snapshot)
    }

    /// The persisted layers of one section, by block.
    public static func all(
        of section: Section, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [BlockLayer] {
        try read(from: section.storeKey, upTo: ByteOrder.end(ofPrefix: section.storeKey), in: snapshot)
    }

    private static func read(
        from: [UInt8], upTo: [UInt8]?, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [BlockLayer] {
        var layers: [BlockLayer] = []
        try snapshot.forEach(.layers, from: from, upTo: upTo) { (_, value) throws(StoreError) in
            layers.append(try BlockLayer(decoding: Array(value)))
            return true
        }
        return layers
    }
}
