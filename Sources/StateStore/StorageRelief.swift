import Chain
import Primitives

/// How a store stays under its capacity: history goes first, the oldest epochs of all sections, then whole sections.
/// The fold that leads from the anchor before to the working one stays: both are served.
///
/// What is promised shrinks with it and can be seen: a point that history does not lead on from is answered as not
/// held, and an arc is announced by its radius, which is halved before the sections outside of it go.
public enum StorageRelief {
    /// What is to be given up next.
    public enum Step: Hashable, Sendable {
        /// There is room.
        case none
        /// The folds of all sections that end at or before this block.
        case dropHistory(upTo: UInt64)
        /// Nothing but sections is left to be given up: a smaller arc, or more room.
        case shrinkArc
    }

    /// Of the capacity, in eighths: beyond it something is given up, so that a fold still finds room.
    static let fullEighths = 7

    /// Whether `used` bytes of `capacity` are too many.
    public static func isShort(used: Int, capacity: Int) -> Bool { used > capacity / 8 * fullEighths }

    /// What to give up where `used` bytes of `capacity` are taken. Of history a quarter of its epochs at a time, and at
    /// least one.
    public static func step(used: Int, capacity: Int, in snapshot: some StoreSnapshot) throws(StoreError) -> Step {
        guard isShort(used: used, capacity: capacity) else { return .none }
        return try oldHistory(in: snapshot).map { .dropHistory(upTo: $0) } ?? .shrinkArc
    }

    /// The block up to which folds are to go next: a quarter of the epochs that no served anchor needs, at least one;
    /// nil where there are none.
    public static func oldHistory(in snapshot: some StoreSnapshot) throws(StoreError) -> UInt64? {
        var starts: Set<UInt64> = []
        for record in try SectionRecord.all(in: snapshot) {
            for point in try droppable(of: record, in: snapshot) { starts.insert(point.number) }
        }
        let sorted = starts.sorted()
        guard !sorted.isEmpty else { return nil }
        // A fold that begins at the last of those to go ends where the first of those that stay begins.
        let next = (sorted.count + 3) / 4
        return next < sorted.count ? sorted[next] : .max
    }

    /// The points at which folds begin that lead to no served anchor, oldest first.
    private static func droppable(
        of record: SectionRecord, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> ArraySlice<StatePoint> {
        let points = try History.points(of: record.section, in: snapshot)
        guard let previous = record.previous else { return points[...] }
        return points.prefix { $0.number < previous.number }
    }

    /// Drops the folds of every section that end at or before block `number` and lead to no served anchor; one
    /// transaction a section. Its record stays as it is: somebody else may be about to write it.
    ///
    /// - Parameter limit: sections at most.
    public static func dropHistory(
        upTo number: UInt64, limit: Int = .max, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [WriteBatch] {
        var batches: [WriteBatch] = []
        for record in try SectionRecord.all(in: snapshot) where batches.count < limit {
            let old = try droppable(of: record, in: snapshot)
            guard let first = old.first, first.number < number else { continue }
            // A fold ends where the next one begins.
            let end = min(number, record.previous?.number ?? record.working.number)
            let key = record.section.storeKey
            var batch = WriteBatch()
            batch.deleteRange(.history, from: key, upTo: key + StatePoint.key(after: end))
            batches.append(batch)
        }
        return batches
    }

    /// The largest radius exponent, at most `exponent`, whose arc round `id` leaves `used` bytes of `capacity` once the
    /// sections outside of it are gone, taking all sections for equally large; the arc has one section at least.
    public static func radiusExponent(
        fitting capacity: Int, used: Int, from exponent: Int, depth: Int
    ) -> Int {
        var (exponent, used) = (exponent, used)
        while isShort(used: used, capacity: capacity), exponent > 256 - 4 * depth {
            exponent -= 1
            used /= 2
        }
        return exponent
    }
}
