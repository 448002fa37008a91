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
    /// The directory holds a state of the other kind: whole, or all accounts with the storage of so many alone (nil:
    /// whole).
    case wrongKind(keptStorages: Int?)
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
    /// The file of the store is cut, emptied or overwritten; the text says what is wrong with it.
    case damagedFile(String)
    /// The library cannot go on, for a reason that is no damage; the text says which, and the cure.
    case library(String)
    /// Anything else that the system reports.
    case system(code: Int32, operation: String)
}

extension StoreError: CustomStringConvertible {
    /// What is wrong and what helps, without the directory.
    public var description: String {
        switch self {
        case .full: return "no room: raise --storage-capacity"
        case .diskFull: return "no room on the disk, or under a limit on files: make some"
        case .wrongNetwork(let field, let found, let expected):
            return "holds the state of another network (its \(field) is \(found), wanted is \(expected)): give another "
                + "directory with --data-dir"
        case .wrongVersion(let found, let expected):
            return "written by another version of this program (format \(found), this one reads \(expected)): "
                + "use that version, or give another directory with --data-dir"
        case .wrongKind(nil):
            return
                "holds whole sections, not accounts alone: leave --only out, or give another directory with --data-dir"
        case .wrongKind(let count?):
            return "holds all accounts and the storage of \(count), not the whole state: give --only accounts with "
                + "'carousel sync', or another directory with --data-dir"
        case .missing: return "no store is here: give the directory of a node with --data-dir"
        case .readOnly: return "the store may only be read: check the permissions of its files"
        case .locked: return "another process works here: stop it, or give another directory with --data-dir"
        case .snapshotsOpen(let count): return "the store is being read in \(count) places and cannot grow: try again"
        case .tooManySnapshots: return "too many processes read the store: end some of them"
        case .corrupt(let table): return "the table '\(table)' is damaged: \(StoreError.renewal)"
        case .noHistory(let point): return "changes since block \(point.number) are not kept: fetch the state anew"
        case .historyTooLong(let limit): return "more than \(limit) bytes of changes lie between the two points"
        case .badKey(let table, let length):
            return "the table '\(table)' takes no key of \(length) bytes: this is a fault of the program, report it"
        case .closed: return "the store is closed: start again"
        case .damagedFile(let what): return "\(what): \(StoreError.renewal)"
        case .library(let text): return text
        case .system(let code, let operation):
            return "cannot \(operation) (error \(code)): check the disk and the permissions"
        }
    }

    /// What helps against damage.
    public static let renewal =
        "start a holder by 'carousel run --rebuild'; else move the directory away and start again: what is proven is "
        + "fetched anew, what a bridge replays is replayed"
}
