import CLMDB
import Foundation
import StateStore

/// A read transaction, ended with the object. Any thread may use it, and several at once: what LMDB finds out about a
/// transaction's tables when they are first used is found out here, before anybody has it; after that, reading writes
/// nothing. A cursor belongs to one thread at a time. A snapshot kept long keeps old pages from reuse.
public final class LMDBSnapshot: StoreSnapshot, @unchecked Sendable {
    let environment: LMDBEnvironment
    let transaction: OpaquePointer

    init(_ environment: LMDBEnvironment) throws(StoreError) {
        self.environment = environment
        transaction = try environment.beginReading()
        for table in Table.allCases { _ = try count(table) }
    }

    deinit { environment.endReading(transaction) }

    public func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        guard !key.isEmpty else { throw .badKey(table: table, length: 0) }
        guard let database = environment.database(table) else { return nil }
        var value = MDB_val()
        let code = key.withUnsafeBytes { bytes in
            var wanted = MDB_val(bytes)
            return mdb_get(transaction, database, &wanted, &value)
        }
        if code == MDB_NOTFOUND { return nil }
        try LMDB.check(code, "read table \(table)")
        return Array(value.bytes)
    }

    public func cursor(_ table: Table) throws(StoreError) -> LMDBCursor { try LMDBCursor(self, table) }

    public func count(_ table: Table) throws(StoreError) -> Int {
        guard let database = environment.database(table) else { return 0 }
        var statistics = MDB_stat()
        try LMDB.check(mdb_stat(transaction, database, &statistics), "count table \(table)")
        return statistics.ms_entries
    }

    /// See `StoreSnapshot`: bytes of the pages that these tables have in this snapshot.
    public func liveBytes(of tables: [Table] = Table.allCases) throws(StoreError) -> Int {
        var pages = 0
        for table in tables {
            guard let database = environment.database(table) else { continue }
            var statistics = MDB_stat()
            try LMDB.check(mdb_stat(transaction, database, &statistics), "size table \(table)")
            pages += statistics.ms_branch_pages + statistics.ms_leaf_pages + statistics.ms_overflow_pages
        }
        return pages * environment.pageSize
    }
}
