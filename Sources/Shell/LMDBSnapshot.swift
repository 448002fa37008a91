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

    /// See `StoreSnapshot`.
    public func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        guard !key.isEmpty else { throw .badKey(table: table, length: 0) }
        var value = MDB_val()
        let code = key.withUnsafeBytes { bytes in
            var wanted = MDB_val(bytes)
            return mdb_get(transaction, environment.database(table), &wanted, &value)
        }
        if code == MDB_NOTFOUND { return nil }
        try LMDB.check(code, "read table \(table)")
        return Array(value.bytes)
    }

    /// See `StoreSnapshot`.
    public func cursor(_ table: Table) throws(StoreError) -> LMDBCursor { try LMDBCursor(self, table) }

    /// See `StoreSnapshot`.
    public func count(_ table: Table) throws(StoreError) -> Int {
        var statistics = MDB_stat()
        try LMDB.check(mdb_stat(transaction, environment.database(table), &statistics), "count table \(table)")
        return statistics.ms_entries
    }
}

/// A place in a table of a snapshot, which it keeps open.
public final class LMDBCursor: StoreCursor {
    private let snapshot: LMDBSnapshot
    private let pointer: OpaquePointer
    private let table: Table
    private var currentKey = MDB_val()
    private var currentValue = MDB_val()
    private var isPlaced = false

    init(_ snapshot: LMDBSnapshot, _ table: Table) throws(StoreError) {
        var opened: OpaquePointer?
        try LMDB.check(
            mdb_cursor_open(snapshot.transaction, snapshot.environment.database(table), &opened), "open a cursor")
        guard let opened else { throw .system(code: ENOMEM, operation: "open a cursor") }
        self.snapshot = snapshot
        self.table = table
        pointer = opened
    }

    deinit { mdb_cursor_close(pointer) }

    /// See `StoreCursor`.
    public func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
        guard !key.isEmpty else { return try move(MDB_FIRST) }
        let code = key.withUnsafeBytes { bytes in
            currentKey = MDB_val(bytes)
            return mdb_cursor_get(pointer, &currentKey, &currentValue, MDB_SET_RANGE)
        }
        return try settle(code)
    }

    /// See `StoreCursor`.
    public func next() throws(StoreError) -> Bool { isPlaced ? try move(MDB_NEXT) : false }

    /// See `StoreCursor`.
    public func previous() throws(StoreError) -> Bool { isPlaced ? try move(MDB_PREV) : false }

    /// See `StoreCursor`.
    public func last() throws(StoreError) -> Bool { try move(MDB_LAST) }

    private func move(_ operation: MDB_cursor_op) throws(StoreError) -> Bool {
        try settle(mdb_cursor_get(pointer, &currentKey, &currentValue, operation))
    }

    private func settle(_ code: Int32) throws(StoreError) -> Bool {
        isPlaced = code == 0
        if code == MDB_NOTFOUND { return false }
        try LMDB.check(code, "walk table \(table)")
        return true
    }

    /// See `StoreCursor`.
    public func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R? {
        guard isPlaced else { return nil }
        return try body(currentKey.bytes, currentValue.bytes)
    }
}

extension MDB_val {
    /// The library takes a mutable pointer, but does not write through a key.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: mv_data, count: mv_size) }
}

/// The write transaction of one commit.
struct LMDBTransaction: ~Copyable {
    private let environment: LMDBEnvironment
    private let pointer: OpaquePointer
    private var cursors = [OpaquePointer?](repeating: nil, count: Table.allCases.count)
    /// Tables whose puts of this commit have all gone to their end so far: appending fills pages whole and needs no
    /// search. The library itself sees where that does not hold.
    private var appends = [Bool](repeating: true, count: Table.allCases.count)

    init(_ environment: LMDBEnvironment) throws(StoreError) {
        self.environment = environment
        pointer = try environment.beginWriting()
    }

    mutating func apply(_ batch: WriteBatch) throws(StoreError) {
        // A mutable copy of the state cannot be captured by a closure that throws; so one change at a time is taken.
        for index in 0..<batch.count {
            try batch.forEach(in: index..<index + 1) { (operation) throws(StoreError) in
                switch operation {
                case .put(let table, let key, let value): try put(table, key, value)
                case .delete(let table, let key): try delete(table, key)
                case .deleteRange(let table, let from, let upTo): try deleteRange(table, from, upTo)
                }
            }
        }
    }

    private mutating func cursor(_ table: Table) throws(StoreError) -> OpaquePointer {
        if let opened = cursors[Int(table.rawValue)] { return opened }
        var opened: OpaquePointer?
        try LMDB.check(mdb_cursor_open(pointer, environment.database(table), &opened), "open a cursor")
        guard let opened else { throw .system(code: ENOMEM, operation: "open a cursor") }
        cursors[Int(table.rawValue)] = opened
        return opened
    }

    private func checkKey(_ table: Table, _ key: UnsafeRawBufferPointer) throws(StoreError) {
        guard key.count > 0, key.count <= Int(mdb_env_get_maxkeysize(environment.pointer)) else {
            throw .badKey(table: table, length: key.count)
        }
    }

    private mutating func put(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(StoreError) {
        try checkKey(table, key)
        let cursor = try cursor(table)
        var key = MDB_val(key)
        var value = MDB_val(value)
        if appends[Int(table.rawValue)] {
            let code = mdb_cursor_put(cursor, &key, &value, UInt32(MDB_APPEND))
            guard code == MDB_KEYEXIST else { return try LMDB.check(code, "write table \(table)") }
            appends[Int(table.rawValue)] = false
        }
        try LMDB.check(mdb_cursor_put(cursor, &key, &value, 0), "write table \(table)")
    }

    private mutating func delete(_ table: Table, _ key: UnsafeRawBufferPointer) throws(StoreError) {
        try checkKey(table, key)
        var key = MDB_val(key)
        let code = mdb_del(pointer, environment.database(table), &key, nil)
        if code != MDB_NOTFOUND { try LMDB.check(code, "delete from table \(table)") }
    }

    private mutating func deleteRange(
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

    private mutating func closeCursors() {
        for index in cursors.indices {
            if let cursor = cursors[index] { mdb_cursor_close(cursor) }
            cursors[index] = nil
        }
    }

    /// Makes it durable. On an error nothing of it is there.
    consuming func commit(bytes: Int) throws(StoreError) {
        closeCursors()
        let code = mdb_txn_commit(pointer)
        // A write cut short by a full disk or a size limit is reported as EIO.
        if code == EIO && environment.isDiskFull(for: bytes) { throw .full }
        try LMDB.check(code, "commit")
    }

    consuming func abort() {
        closeCursors()
        mdb_txn_abort(pointer)
    }
}
