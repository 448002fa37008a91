import Chain
import Primitives

/// One fold of a section as history keeps it: the leaves that differ between two consecutive working points.
public struct HistoryFold: Hashable, Sendable {
    /// The section that was folded.
    public let section: Section
    /// The working point before.
    public let from: StatePoint
    /// The working point reached.
    public let to: StatePoint
    /// Ascending by key; vanished slots of deleted accounts are listed.
    public let leaves: [EntryChange<FlatKey>]

    /// A fold as it was made.
    public init(section: Section, from: StatePoint, to: StatePoint, leaves: [EntryChange<FlatKey>]) {
        self.section = section
        self.from = from
        self.to = to
        self.leaves = leaves
    }

    /// section ‖ number ‖ hash of the point reached.
    var storeKey: [UInt8] { section.storeKey + to.storeKey }

    /// Bytes of the two points that a stored fold begins with.
    static let pointBytes = 2 * (8 + 32)

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.append(point: from)
        writer.append(point: to)
        writer.append(changes: leaves) { writer, key in writer.append(flatKey: key) }
        return writer.bytes
    }

    init(decoding bytes: [UInt8], of section: Section) throws(StoreError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let from = try reader.point()
            let to = try reader.point()
            let leaves = try reader.changes { (reader) throws(ByteError) in try reader.flatKey() }
            try reader.finish()
            self.init(section: section, from: from, to: to, leaves: leaves)
        } catch {
            throw .corrupt(table: .history)
        }
    }

    /// The fold that reached `point`; nil where it is not kept.
    static func read(
        _ section: Section, to point: StatePoint, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> HistoryFold? {
        guard let bytes = try snapshot.get(.history, section.storeKey + point.storeKey) else { return nil }
        return try HistoryFold(decoding: bytes, of: section)
    }
}

/// What a section went through, read back as one difference.
public enum History {
    /// The net changes of `section` from one of its points to another, as they travel: newest wins, what ends as it
    /// began is dropped, and so are the slots of an account that is gone.
    ///
    /// - Parameters:
    ///   - from: a working point that history still has, or any point since the older served anchor; on the line of
    ///     `to`, which the caller knows from the headers.
    ///   - to: a working point that history has, or one of the section's own points since (see `SectionLayering`).
    ///   - layers: the section's block layers since the older served anchor, in any order.
    ///   - limit: bytes of changes that are gone through at most; beyond it `historyTooLong` is thrown, before more is
    ///     read.
    public static func compose(
        _ section: Section, from: StatePoint, to: StatePoint, in snapshot: some StoreSnapshot,
        layers: [BlockLayer] = [], limit: Int = .max
    ) throws(StoreError) -> [LeafChange] {
        guard let record = try SectionRecord.read(section, in: snapshot) else { throw .noHistory(from: from) }
        let own = layers.filter { $0.section == section }.sorted { $0.point < $1.point }
        var segments: [[EntryChange<FlatKey>]] = []
        var current = to
        var bytes = 0
        func gather(_ leaves: [EntryChange<FlatKey>]) throws(StoreError) {
            bytes += leaves.reduce(0) { $0 + 64 + ($1.before?.count ?? 0) + ($1.after?.count ?? 0) }
            guard bytes <= limit else { throw .historyTooLong(limit: limit) }
            segments.append(leaves)
        }
        while current != from {
            guard current.number > from.number, segments.count < StateStoreLimits.historyFolds else {
                throw .noHistory(from: from)
            }
            let fold = try HistoryFold.read(section, to: current, in: snapshot)
            if let fold, fold.from.number >= from.number {
                // A whole epoch at once.
                try gather(fold.leaves)
                current = fold.from
            } else if let layer = own.last(where: { $0.point == current }) {
                try gather(layer.update.leaves)
                current = start(of: layer, from: from, record: record)
            } else if current == record.working, let previous = record.previous, from.number > previous.number {
                // The start lies inside the epoch of the last fold: only its blocks lead there, where they are kept.
                current = try top(of: own, from: from, record: record, isUnchanged: fold?.leaves.isEmpty ?? false)
            } else {
                throw .noHistory(from: from)
            }
        }
        return wireForm(of: EntryChange.merged(segments.reversed()))
    }

    /// The point a layer starts from, for a walk back to `from`. From the layer's parent up to its block nothing
    /// changed, so any point in between is as good: the walk's goal, or an anchor, from which folds lead on.
    private static func start(of layer: BlockLayer, from: StatePoint, record: SectionRecord) -> StatePoint {
        for point in [from, record.working, record.previous] {
            if let point, point.number >= layer.parent.number, point.number < layer.point.number { return point }
        }
        return layer.parent
    }

    /// Where a walk back from the working point to `from`, in the epoch before it, goes on: at the last layer of that
    /// epoch. That none is missing is seen by the hash.
    private static func top(
        of layers: [BlockLayer], from: StatePoint, record: SectionRecord, isUnchanged: Bool
    ) throws(StoreError) -> StatePoint {
        if isUnchanged { return from }
        guard let last = layers.last(where: { $0.point.number < record.working.number }),
            last.sectionHashAfter == record.sectionHash
        else { throw .noHistory(from: from) }
        return last.point.number > from.number ? last.point : from
    }

    /// The points that history leads on from to the section's working point, oldest first. Folds are passed over by
    /// their ends alone: how much changed in them costs nothing.
    public static func points(
        of section: Section, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [StatePoint] {
        guard let record = try SectionRecord.read(section, in: snapshot) else { return [] }
        var from: [StatePoint: StatePoint] = [:]
        try snapshot.forEach(
            .history, from: section.storeKey, upTo: ByteOrder.end(ofPrefix: section.storeKey)
        ) { (_, value) throws(StoreError) in
            do throws(ByteError) {
                var reader = ByteReader(Array(value.prefix(HistoryFold.pointBytes)))
                let start = try reader.point()
                from[try reader.point()] = start
            } catch {
                throw .corrupt(table: .history)
            }
            return from.count < StateStoreLimits.historyFolds
        }
        var points: [StatePoint] = []
        var current = record.working
        while let before = from[current], before.number < current.number {
            points.append(before)
            current = before
        }
        return points.reversed()
    }

    /// Changes as they travel: without the slots of an account that is itself deleted.
    static func wireForm(of leaves: [EntryChange<FlatKey>]) -> [LeafChange] {
        var deleted: Bytes32?
        var changes: [LeafChange] = []
        changes.reserveCapacity(leaves.count)
        for leaf in leaves {
            if leaf.key.slot == nil { deleted = leaf.after == nil ? leaf.key.account : nil }
            if leaf.key.slot != nil && leaf.key.account == deleted { continue }
            changes.append(LeafChange(key: leaf.key, value: leaf.after))
        }
        return changes
    }
}
