import CLMDB
import Foundation
import StateStore

/// The write transaction of one commit. Ended with `commit` or `abort`, exactly once.
final class LMDBTransaction {
    private let environment: LMDBEnvironment
    private let pointer: OpaquePointer
    private let keyLimit: Int
    private var cursors = [OpaquePointer?](repeating: nil, count: Table.allCases.count)
    /// For each table, how many puts of this commit in a row did not go to its end.
    private var misses = [Int](repeating: 0, count: Table.allCases.count)

    /// Puts in a row that did not go to a table's end before it is no more asked whether they do. A range's first
    /// branches are those it shares with the range before, a path of them; all others follow.
    private static let missesBeforeSearch = 32

    init(_ environment: LMDBEnvironment) throws(StoreError) {
        self.environment = environment
        pointer = try environment.beginWriting()
        keyLimit = Int(mdb_env_get_maxkeysize(environment.pointer))
    }

    func apply(_ batch: WriteBatch) throws(StoreError) {
        try batch.forEach { (operation) throws(StoreError) in
            switch operation {
            case .put(let table, let key, let value): try put(table, key, value)
            case .delete(let table, let key): try delete(table, key)
            case .deleteRange(let table, let from, let upTo): try deleteRange(table, from, upTo)
            }
        }
    }

    private func cursor(_ table: Table) throws(StoreError) -> OpaquePointer {
        if let opened = cursors[Int(table.rawValue)] { return opened }
        var opened: OpaquePointer?
        try LMDB.check(mdb_cursor_open(pointer, try environment.writable(table), &opened), "open a cursor")
        guard let opened else { throw .system(code: ENOMEM, operation: "open a cursor") }
        cursors[Int(table.rawValue)] = opened
        return opened
    }

    private func checkKey(_ table: Table, _ key: UnsafeRawBufferPointer) throws(StoreError) {
        guard key.count > 0, key.count <= keyLimit else { throw .badKey(table: table, length: key.count) }
    }

    /// Appends where the key is the table's last, which needs no search and fills pages whole; the library itself sees
    /// where it is not.
    private func put(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(StoreError) {
        try checkKey(table, key)
        let cursor = try cursor(table)
        var key = MDB_val(key)
        var value = MDB_val(value)
        if misses[Int(table.rawValue)] < LMDBTransaction.missesBeforeSearch {
            let code = mdb_cursor_put(cursor, &key, &value, UInt32(MDB_APPEND))
            if code == 0 {
                misses[Int(table.rawValue)] = 0
                return
            }
            guard code == MDB_KEYEXIST else { return try LMDB.check(code, "write table \(table)") }
            misses[Int(table.rawValue)] += 1
        }
        try LMDB.check(mdb_cursor_put(cursor, &key, &value, 0), "write table \(table)")
    }

    private func delete(_ table: Table, _ key: UnsafeRawBufferPointer) throws(StoreError) {
        try checkKey(table, key)
        var key = MDB_val(key)
        let code = mdb_del(pointer, try environment.writable(table), &key, nil)
        if code != MDB_NOTFOUND { try LMDB.check(code, "delete from table \(table)") }
    }

    private func deleteRange(
        _ table: Table, _ from: UnsafeRawBufferPointer, _ upTo: UnsafeRawBufferPointer
    ) throws(StoreError) {
        let cursor = try cursor(table)
        var key = MDB_val(from)
        var value = MDB_val()
        var code = mdb_cursor_get(cursor, &key, &value, from.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        while code == 0 {
            if !upTo.isEmpty && ByteOrder.compare(key.bytes, upTo) >= 0 { return }
            try LMDB.check(mdb_cursor_del(cursor, 0), "delete from table \(table)")
            // After a deletion this gives the entry that has moved into its place.
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { try LMDB.check(code, "walk table \(table)") }
    }

    private func closeCursors() {
        for index in cursors.indices {
            if let cursor = cursors[index] { mdb_cursor_close(cursor) }
            cursors[index] = nil
        }
    }

    /// Makes it durable. On an error nothing of it is there.
    func commit(bytes: Int) throws(StoreError) {
        closeCursors()
        let code = mdb_txn_commit(pointer)
        // A write cut short by a full disk or a size limit is reported as EIO.
        if code == EIO && environment.isDiskFull(for: bytes) { throw .diskFull }
        try LMDB.check(code, "commit")
    }

    func abort() {
        closeCursors()
        mdb_txn_abort(pointer)
    }
}
