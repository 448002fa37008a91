import Chain

/// What went wrong at the store, from the disk up to the meaning of a record.
public enum StoreError: Error, Equatable, Sendable {
    /// No room under the store's own bound. Nothing was written; the store goes on as before, and the same batch may be
    /// tried again after something was given up.
    case full
    /// The file system, a quota or a limit on files is used up. Nothing was written, and nothing given up would help.
    case diskFull
    /// The directory holds the state of another network. Texts say what differs.
    case wrongNetwork(field: String, found: String, expected: String)
    /// Written by a version that this one does not read.
    case wrongVersion(found: UInt32, expected: UInt32)
    /// There is no store here, and none may be made (opened read-only).
    case missing
    /// A write was asked of a store opened read-only.
    case readOnly
    /// Another process has the directory open for writing.
    case locked
    /// Snapshots are open, so the map cannot be resized now.
    case snapshotsOpen(Int)
    /// More snapshots at once than the store has places for.
    case tooManySnapshots
    /// A stored record that no version of this program writes.
    case corrupt(table: Table)
    /// History does not lead from this point on: it is older than what is kept, or no point of the section.
    case noHistory(from: StatePoint)
    /// More than `limit` bytes of changes lie between the points asked for.
    case historyTooLong(limit: Int)
    /// A key that is empty or longer than the store takes.
    case badKey(table: Table, length: Int)
    /// The store was closed, or (in the simulation) its machine has crashed.
    case closed
    /// Anything else that the library or the system reports.
    case system(code: Int32, operation: String)
}
