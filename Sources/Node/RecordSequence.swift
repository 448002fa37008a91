import Primitives
import StateStore

/// The sequence number of a node's record. It never goes out a second time with other content, nor a lower one: peers
/// keep to the highest that they have seen.
///
/// Each start goes `reserve` numbers beyond the highest that is known to have been used, by the store or by the record
/// file beside it, so that numbers that were used and not written down any more (the record changed just before a
/// crash) are passed over. It follows the calendar (milliseconds) too, so that losing both does not bring old numbers
/// back; and it is kept, so that a clock set back does not either.
public enum RecordSequence {
    /// Numbers passed over at a start: far more changes of a record than one run sees between two writes.
    public static let reserve: UInt64 = 1 << 16
    private static let name = "record-sequence"

    /// The number for a start, to be written (`writing`) before it is used. `published`: that of the record file.
    public static func next(
        in snapshot: some StoreSnapshot, published: UInt64?, unixSeconds: UInt64
    ) throws(StoreError) -> UInt64 {
        let used = [try kept(in: snapshot), published].compactMap { $0 }.max()
        let calendar = unixSeconds.multipliedReportingOverflow(by: 1_000)
        let floor = calendar.overflow ? 1 : max(calendar.partialValue, 1)
        guard let used else { return floor }
        let above = used.addingReportingOverflow(reserve)
        // At the end of the numbers there is nothing left to pass over.
        return max(floor, above.overflow ? UInt64.max : above.partialValue)
    }

    /// The highest number written down; nil before any.
    static func kept(in snapshot: some StoreSnapshot) throws(StoreError) -> UInt64? {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            return try reader.uint64BigEndian()
        } catch {
            throw .corrupt(table: .local)
        }
    }

    /// Writes down that a number is used.
    public static func writing(_ sequence: UInt64) -> WriteBatch {
        StateWrites.local(name, withUnsafeBytes(of: sequence.bigEndian) { Array($0) })
    }
}
