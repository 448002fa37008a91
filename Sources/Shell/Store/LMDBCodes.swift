import CLMDB
import Foundation
import StateStore

/// Return codes of the library, in plain words.
enum LMDB {
    static func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(StoreError) {
        if code != 0 { throw error(code, operation()) }
    }

    static func error(_ code: Int32, _ operation: String) -> StoreError {
        switch code {
        case MDB_MAP_FULL: .full
        case ENOSPC, EFBIG, EDQUOT: .diskFull
        case MDB_READERS_FULL, MDB_TLS_FULL: .tooManySnapshots
        case EACCES where operation.hasPrefix("begin"): .readOnly
        case EAGAIN, EBUSY: .locked
        default:
            damage(code).map { .damagedFile($0) } ?? limit(code).map { .library($0) }
                ?? .system(code: code, operation: operation)
        }
    }

    /// Codes that only a file gives which is not as it was written.
    private static func damage(_ code: Int32) -> String? {
        switch code {
        case MDB_INVALID: "\(StoreFile.name) is no file of a store, or its first pages are overwritten"
        case MDB_VERSION_MISMATCH: "\(StoreFile.name) is of another version of its library, or is damaged"
        case MDB_CORRUPTED: "a page of \(StoreFile.name) is not what it should be"
        case MDB_PAGE_NOTFOUND: "a page that \(StoreFile.name) names is not in it"
        case MDB_INCOMPATIBLE: "a table of \(StoreFile.name) is of another kind than it should be"
        case MDB_BAD_VALSIZE: "an entry of \(StoreFile.name) has an impossible size"
        default: nil
        }
    }

    /// Codes of a library that cannot go on, though nothing is damaged.
    private static func limit(_ code: Int32) -> String? {
        switch code {
        case MDB_PANIC: "an earlier write failed, so the store takes no more: check the disk and start again"
        case MDB_MAP_RESIZED: "another process has made the store larger: start again"
        case MDB_BAD_RSLOT:
            "the list of the store's readers is not in order: end all processes that use it, "
                + "remove lock.mdb beside \(StoreFile.name) and start again"
        case -30_799 ... -30_600:
            "the store's library answers \(code), which it should not: this is a fault of the program, report it"
        default: nil
        }
    }
}
